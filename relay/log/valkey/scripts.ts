/**
 * What runs inside the engine, atomically. Every script begins with the fence, so no answer can come
 * from an engine other than the one whose history the epoch names.
 *
 * Keys (one hash tag, so one slot): `state` is a hash with the epoch (e), the run id (r) and the
 * replication id (q) that it is bound to, its generation (g), the number (n) and the token (t) of
 * the last entry, the bytes appended (s), and each channel's number (c:<channel>), so that all of
 * them are lost only together. `log` is a stream whose IDs are <generation>-<n>. `ids:…:a` and
 * `ids:…:b` hold what a source gave lately (channel and id, with the number). `fences` holds the
 * highest token of each source. `t:<table>`, and `t:<table>:<node>` for what nodes own, are hashes with
 * facts by key; `t:last:order` has the keys of `t:last` in the order in which they were set, and
 * `t:last:sum` its bytes (b) and a counter for that order (c). No key has a time to live, and no clock is read.
 */
import { createHash } from "node:crypto";
import { OWNED_TABLES, placeOf, type SharedTable, type Table } from "../fact.ts";

/** At more names than this the log starts a new epoch: the state would not fit for ever. */
export const MAX_CHANNELS = 1_000_000;
/** Arguments of one inner call; Lua cannot unpack many thousands (LUAI_MAXCSTACK is 8,000). */
const CHUNK = 1000;

export interface Script {
  readonly name: string;
  readonly source: string;
  readonly sha1: string;
}

function script(name: string, source: string): Script {
  return { name, source, sha1: createHash("sha1").update(source).digest("hex") };
}

/**
 * The run id changes with every process; the replication id whenever the data came from, or went on
 * after, another one. Read inside the script: a value that was asked for before may be of an engine
 * that is gone. An engine that hides or fakes them cannot be used, since nothing would be noticed.
 */
const FENCE = `
local info = redis.call('INFO', 'server') .. redis.call('INFO', 'replication')
local run = string.match(info, 'run_id:(%x+)')
local rid = string.match(info, 'master_replid:(%x+)')
if not run or #run ~= 40 or string.match(run, '^0+$') or not rid or #rid ~= 40 then
  return redis.error_reply('RTMIDS the engine hides run_id or master_replid')
end
if not string.find(info, 'role:master', 1, true) then
  return redis.error_reply('RTMREPLICA this engine is a replica')
end
`;

/**
 * `add` appends the entry. Somebody else's write to our stream stops every XADD for ever: by an id that
 * is higher than all of ours, which stays when the entry is deleted, or by another type. Then it marks
 * the state, so that the next attach begins a new epoch with a new stream. Returns what the script is
 * to return; nothing when the entry is in.
 */
const ADD = `
local function add(state, log, ...)
  local reply = redis.pcall('XADD', log, ...)
  if type(reply) ~= 'table' or not reply.err then return nil end
  if not string.find(reply.err, 'equal or smaller', 1, true)
    and not string.find(reply.err, 'WRONGTYPE', 1, true) then return reply end
  redis.call('HSET', state, 'r', 'foreign')
  return {'moved'}
end
`;

/**
 * Last values. `plan` decides, without writing anything, what the messages of an entry make of them: a
 * message that is to be kept takes the place of the one before, any other ends it, and where there is no
 * room the oldest go, which the entry has to say. `t` is the table, `msgs` has {channel, event, until or
 * nil, stored} of each message. Returns what `settle` then writes, the text for the entry, and how many
 * were dropped because there was no room, and because they were too large.
 */
const LAST = `
local function last_sum(t, field, more)
  local sum = string.format('%.0f', tonumber(redis.call('HGET', t .. ':sum', field) or 0) + more)
  redis.call('HSET', t .. ':sum', field, sum)
  return sum
end
local function last_drop(t, key)
  local old = redis.call('HSTRLEN', t, key)
  if old == 0 then return end
  redis.call('HDEL', t, key)
  redis.call('ZREM', t .. ':order', key)
  last_sum(t, 'b', -old)
end
local function last_set(t, key, stored)
  last_drop(t, key)
  redis.call('HSET', t, key, stored)
  redis.call('ZADD', t .. ':order', last_sum(t, 'c', 1), key)
  last_sum(t, 'b', #stored)
end
`;

const PLAN = `
local function gone(key)
  local nul = string.find(key, '\0', 1, true) or #key
  return '\tx\t' .. string.sub(key, 1, nul - 1) .. '\t' .. string.sub(key, nul + 1) .. '\t'
end
local function plan(t, msgs, most, cap)
  local order, now, refused, text, full, large = {}, {}, {}, {}, 0, 0
  for i = 1, #msgs do
    local m = msgs[i]
    local key = m.channel .. '\0' .. m.event
    if now[key] == nil then order[#order + 1] = key end
    now[key] = false
    if m.stored then
      if most > 0 and #m.stored <= cap then now[key] = m.stored
      else
        refused[key] = true
        if most > 0 then large = large + 1 else full = full + 1 end
      end
    end
  end
  local count = redis.call('HLEN', t)
  local bytes = tonumber(redis.call('HGET', t .. ':sum', 'b') or 0)
  for i = 1, #order do
    local old, new = redis.call('HSTRLEN', t, order[i]), now[order[i]]
    if old > 0 then count, bytes = count - 1, bytes - old end
    if new then count, bytes = count + 1, bytes + #new
    elseif refused[order[i]] then text[#text + 1] = gone(order[i]) end
  end
  local drops, at = {}, 0
  while count > most or bytes > cap do
    local oldest = redis.call('ZRANGE', t .. ':order', at, at + 99)
    if #oldest == 0 then break end
    at = at + #oldest
    for i = 1, #oldest do
      if now[oldest[i]] == nil and (count > most or bytes > cap) then
        count, bytes = count - 1, bytes - redis.call('HSTRLEN', t, oldest[i])
        drops[#drops + 1] = oldest[i]
      end
    end
  end
  for i = 1, #order do
    local new = now[order[i]]
    if new and (count > most or bytes > cap) then
      count, bytes = count - 1, bytes - #new
      now[order[i]] = false
      drops[#drops + 1] = order[i]
    end
  end
  for i = 1, #drops do text[#text + 1] = gone(drops[i]) end
  return {order = order, now = now, drops = drops}, table.concat(text), full + #drops, large
end
local function settle(t, p)
  for i = 1, #p.drops do last_drop(t, p.drops[i]) end
  for i = 1, #p.order do
    local key = p.order[i]
    if p.now[key] then last_set(t, key, p.now[key]) else last_drop(t, key) end
  end
end
`;

/** Deletes what `node` owns. */
const DROP_OWNED = `
local function drop_owned(prefix, node)
  for _, name in ipairs({${OWNED_TABLES.map((table) => `'${table}'`).join(", ")}}) do
    redis.call('DEL', prefix .. name .. ':' .. node)
  end
end
`;

/**
 * Attach and probe in one: whoever calls it names what it knows, and where the engine's history is
 * not the one it has seen, a new epoch begins. Idempotent.
 * In a new epoch no node speaks before it has joined again; other tables stay as they are.
 * KEYS: state, log, table node. ARGV: a fresh epoch, the highest generation known, the entry from which
 * on the caller keeps the log (0: do not trim) and its epoch, the start of the names of tables; then the
 * witnesses, three each: epoch, number and token of an entry that was seen or acknowledged.
 * Returns epoch, generation, number and token of the last entry, why it is new (empty: it is not),
 * run id.
 */
export const ATTACH = script(
  "attach",
  `${FENCE}${DROP_OWNED}
-- No key is the empty text: this asks only whether we may.
redis.call('HDEL', KEYS[3], '')
redis.call('ZREM', ARGV[5] .. 'last:order', '')
redis.call('HSTRLEN', ARGV[5] .. 'last', '')
local m = redis.call('HMGET', KEYS[1], 'e', 'r', 'q', 'g', 'n', 't')
local known = tonumber(ARGV[2])
local g, n, why = tonumber(m[4] or 0), tonumber(m[5] or 0), nil
if not m[1] then why = 'empty'
elseif m[2] == 'foreign' then why = 'foreign'
elseif m[2] ~= run then why = 'restarted'
elseif m[3] ~= rid then why = 'replicated'
elseif g < known then why = 'older'
elseif redis.call('HLEN', KEYS[1]) > ${MAX_CHANNELS} then why = 'channels'
end
if not why then
  -- Behind the last entry of ours there is nothing, unless somebody else wrote it.
  local x = redis.pcall('XRANGE', KEYS[2], '(' .. g .. '-' .. n, '+', 'COUNT', 1)
  if x.err and not string.find(x.err, 'WRONGTYPE', 1, true) then return x end
  if x.err or x[1] then why = 'foreign' end
end
for i = 6, #ARGV, 3 do
  local k, token = tonumber(ARGV[i + 1]), ARGV[i + 2]
  if not why and ARGV[i] == m[1] and k > 0 then
    if n < k or (n == k and m[6] ~= token) then why = 'fork'
    elseif n > k then
      local x = redis.call('XRANGE', KEYS[2], g .. '-' .. k, g .. '-' .. (k + 1), 'COUNT', 1)[1]
      if x and x[1] == g .. '-' .. k then
        if x[2][4] ~= token then why = 'fork' end
      elseif x and x[2][2] ~= token then why = 'fork' end
    end
  end
end
if why then
  for _, node in ipairs(redis.call('HKEYS', KEYS[3])) do drop_owned(ARGV[5], node) end
  redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
  g = math.max(g, known) + 1
  redis.call('HSET', KEYS[1], 'e', ARGV[1], 'r', run, 'q', rid, 'g', g, 'n', 0, 't', '', 's', 0)
  return {ARGV[1], g, 0, '', why, run}
end
if ARGV[4] == m[1] and tonumber(ARGV[3]) > 0 then
  redis.call('XTRIM', KEYS[2], 'MINID', '~', g .. '-' .. ARGV[3])
end
return {m[1], g, n, m[6], '', run}
`,
);

/**
 * Appends one entry: fence, lease, duplicates, numbers. The one write that can be refused for want of
 * memory comes first, so a refusal leaves nothing half done.
 * KEYS: state, log, ids:a, ids:b, fences, table last. ARGV: epoch, source, fence of the lease (empty:
 * none), token of the entry, 1 when the ids are new, ids that fill one of the two halves (so between that
 * many and twice as many are remembered), first entry to keep (0: do not trim), hard limit of the
 * log's bytes, 1 when some are to be last values, most of these, most bytes of these; then id, channel
 * and rest of each message.
 * Returns `moved` (another epoch, or too many channels: attach), `fenced` with the higher token, or
 * `ok` with the number of the last entry, each message's number, negative for a repeated one, and how many
 * last values were dropped, because there was no room and because they were too large.
 */
export const APPEND = script(
  "append",
  `${FENCE}${ADD}${LAST}${PLAN}
local function many(command, key, list)
  local out = {}
  for first = 1, #list, ${CHUNK} do
    local last = math.min(first + ${CHUNK} - 1, #list)
    local reply = redis.call(command, key, unpack(list, first, last))
    if type(reply) == 'table' then
      for i = 1, last - first + 1 do out[first + i - 1] = reply[i] end
    end
  end
  return out
end
local m = redis.call('HMGET', KEYS[1], 'e', 'r', 'q', 'g', 'n', 't', 's')
if m[1] ~= ARGV[1] or m[2] ~= run or m[3] ~= rid then return {'moved'} end
if redis.call('HLEN', KEYS[1]) > ${MAX_CHANNELS} then return {'moved'} end
local fence = tonumber(ARGV[3])
if fence then
  local highest = tonumber(redis.call('HGET', KEYS[5], ARGV[2]) or 0)
  if highest > fence then return {'fenced', highest} end
  if highest < fence then redis.call('HSET', KEYS[5], ARGV[2], ARGV[3]) end
end
local fresh, ring = ARGV[5] == '1', tonumber(ARGV[6])
local count = (#ARGV - 11) / 3
local lasting = (ARGV[9] == '1' or redis.call('HLEN', KEYS[6]) > 0) and {}
local keys, channels, place = {}, {}, {}
for i = 1, count do
  local channel = 'c:' .. ARGV[3 * i + 10]
  keys[i] = ARGV[3 * i + 10] .. '\t' .. ARGV[3 * i + 9]
  if not place[channel] then
    channels[#channels + 1] = channel
    place[channel] = #channels
  end
end
local newer, older = {}, {}
if not fresh then
  newer, older = many('HMGET', KEYS[3], keys), many('HMGET', KEYS[4], keys)
end
local seqs = many('HMGET', KEYS[1], channels)
local out, body, remember, mine, bytes = {}, {}, {}, {}, 0
for i = 1, count do
  local key = keys[i]
  local before = newer[i] or older[i] or (not fresh and mine[key])
  if before then out[i] = -tonumber(before)
  else
    local id, channel, rest = ARGV[3 * i + 9], ARGV[3 * i + 10], ARGV[3 * i + 11]
    local at = place['c:' .. channel]
    local seq = tonumber(seqs[at] or 0) + 1
    seqs[at], mine[key], out[i] = seq, seq, seq
    remember[#remember + 1], remember[#remember + 2] = key, seq
    local text = channel .. '\\t' .. string.format('%.0f', seq) .. '\\t' .. id .. '\\t' .. rest
    body[#body + 1] = text
    bytes = bytes + #text
    if lasting then
      local event, ts, till, at = string.match(rest, '^([^\t]*)\t(%d+)%+?(%d*)\t%d+\t()')
      local one = {channel = channel, event = event}
      if till ~= '' then
        one.stored = table.concat({'0', till, ARGV[1], string.format('%.0f', seq), id, ts, string.sub(rest, at)}, '\t')
      end
      lasting[#lasting + 1] = one
    end
  end
end
local n, full, large = tonumber(m[5]), 0, 0
if #body > 0 then
  local planned, said
  if lasting then
    planned, said, full, large = plan(KEYS[6], lasting, tonumber(ARGV[10]), tonumber(ARGV[11]))
    body[#body + 1] = said
    bytes = bytes + #said
  end
  n = n + 1
  local total = tonumber(m[7]) + bytes
  local sum = string.format('%.0f', total)
  local failed = add(KEYS[1], KEYS[2], m[4] .. '-' .. n, 'p', m[6], 't', ARGV[4], 's', sum, 'b', table.concat(body))
  if failed then return failed end
  local set = {'n', n, 't', ARGV[4], 's', sum}
  for i = 1, #channels do
    if seqs[i] then set[#set + 1], set[#set + 2] = channels[i], seqs[i] end
  end
  many('HSET', KEYS[1], set)
  if planned then settle(KEYS[6], planned) end
  if not fresh and ring > 0 then
    many('HSET', KEYS[3], remember)
    if redis.call('HLEN', KEYS[3]) >= ring then redis.call('RENAME', KEYS[3], KEYS[4]) end
  end
  if tonumber(ARGV[7]) > 0 then redis.call('XTRIM', KEYS[2], 'MINID', '~', m[4] .. '-' .. ARGV[7]) end
  if n % 16 == 0 then
    local cap = tonumber(ARGV[8])
    local oldest = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
    while oldest and total - tonumber(oldest[2][6]) > cap do
      redis.call('XTRIM', KEYS[2], 'MAXLEN', math.floor(redis.call('XLEN', KEYS[2]) * 3 / 4))
      oldest = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
    end
  end
end
return {'ok', n, out, full, large}
`,
);

/**
 * Appends one entry of facts and signals, and puts the facts into their tables.
 * KEYS: state, log, table node, then the tables of the facts. ARGV: epoch, token of the entry, the start
 * of the names of tables; then six for each: its text, the number of its table among KEYS (0: a
 * signal), key, what to keep (empty: remove it), rank, owner (empty: none).
 * Returns `moved` (another epoch: attach), or `ok` with the number of the last entry and for each 1 (it
 * is in the entry), 0 (a higher rank is there) or -1 (its owner is gone).
 */
export const NOTE = script(
  "note",
  `${FENCE}${DROP_OWNED}${ADD}${LAST}
local m = redis.call('HMGET', KEYS[1], 'e', 'r', 'q', 'g', 'n', 't', 's')
if m[1] ~= ARGV[1] or m[2] ~= run or m[3] ~= rid then return {'moved'} end
local alive, ranks, body, writes, out, bytes = {}, {}, {}, {}, {}, 0
for at = 4, #ARGV, 6 do
  local table, key, rank, owner = tonumber(ARGV[at + 1]), ARGV[at + 2], tonumber(ARGV[at + 4]), ARGV[at + 5]
  local result = 1
  if owner ~= '' then
    if alive[owner] == nil then alive[owner] = redis.call('HGET', KEYS[3], owner) and true end
    if not alive[owner] then result = -1 end
  end
  if result == 1 and table > 0 then
    local slot = table .. ' ' .. key
    if ranks[slot] == nil then
      ranks[slot] = tonumber(string.match(redis.call('HGET', KEYS[table], key) or '0', '^%d+'))
    end
    if ranks[slot] > rank then result = 0
    else
      ranks[slot] = ARGV[at + 3] == '' and 0 or rank
      writes[#writes + 1] = at
      if KEYS[table] == KEYS[3] then alive[key] = ARGV[at + 3] ~= '' end
    end
  end
  if result == 1 then
    body[#body + 1] = ARGV[at]
    bytes = bytes + #ARGV[at]
  end
  out[#out + 1] = result
end
local n = tonumber(m[5])
if #body > 0 then
  n = n + 1
  local sum = string.format('%.0f', tonumber(m[7]) + bytes)
  local failed = add(KEYS[1], KEYS[2], m[4] .. '-' .. n, 'p', m[6], 't', ARGV[2], 's', sum, 'b', table.concat(body))
  if failed then return failed end
  redis.call('HSET', KEYS[1], 'n', n, 't', ARGV[2], 's', sum)
  for _, at in ipairs(writes) do
    local name, key = KEYS[tonumber(ARGV[at + 1])], ARGV[at + 2]
    if name == ARGV[3] .. 'last' then
      if ARGV[at + 3] ~= '' then last_set(name, key, ARGV[at + 3]) else last_drop(name, key) end
    elseif ARGV[at + 3] ~= '' then redis.call('HSET', name, key, ARGV[at + 3])
    else
      redis.call('HDEL', name, key)
      if name == KEYS[3] then drop_owned(ARGV[3], key) end
    end
  end
end
return {'ok', n, out}
`,
);

/**
 * All tables in one view, with the number of the last entry that is in them.
 * KEYS: state, shared tables, node first. ARGV: the start of the names of tables, names of owned tables.
 * Returns epoch, number, fields and values of each shared table, the nodes, and fields and values of
 * each owned table of each node.
 */
export const TABLES = script(
  "tables",
  `${FENCE}
local m = redis.call('HMGET', KEYS[1], 'e', 'n')
local shared, owned = {}, {}
for i = 2, #KEYS do shared[#shared + 1] = redis.call('HGETALL', KEYS[i]) end
local nodes = redis.call('HKEYS', KEYS[2])
for _, node in ipairs(nodes) do
  for i = 2, #ARGV do owned[#owned + 1] = redis.call('HGETALL', ARGV[1] .. ARGV[i] .. ':' .. node) end
end
return {m[1] or '', tonumber(m[2] or 0), shared, nodes, owned}
`,
);

/** Names of the keys of one group of nodes. */
export interface Keys {
  readonly state: string;
  readonly log: string;
  readonly fences: string;
  /** The start of the names of all tables. */
  readonly tables: string;
  table(table: SharedTable): string;
  table(table: Table, owner: string | undefined): string;
  ids(source: string): readonly [newer: string, older: string];
}

export function keysOf(prefix: string): Keys {
  const key = (name: string) => `{${prefix}}:${name}`;
  return {
    state: key("state"),
    log: key("log"),
    fences: key("fences"),
    tables: key("t:"),
    table: (table: Table, owner?: string) => key(`t:${placeOf(table, owner)}`),
    ids: (source) => [key(`ids:${source}:a`), key(`ids:${source}:b`)],
  };
}
