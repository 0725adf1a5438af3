/**
 * What runs inside the engine, atomically. Every script begins with the fence, so no answer can come
 * from an engine other than the one whose history the epoch names.
 */
import { ADD, CLOCK, DROP_OWNED, FENCE, LAST, MAX_CHANNELS, script } from "./script-parts.ts";

/** Last values that are over and that one attach deletes at most. */
const ENDED = 100;

/**
 * Attach and probe in one: whoever calls it names what it knows, and where the engine's history is
 * not the one it has seen, a new epoch begins. Idempotent.
 * In a new epoch no node speaks before it has joined again; other tables stay as they are.
 * KEYS: state, log, table node. ARGV: a fresh epoch, the highest generation known, the entry from which
 * on the caller keeps the log (0: do not trim) and its epoch, the start of the names of tables, the time (ms
 * since 1970); then the witnesses, three each: epoch, number and token of an entry that was seen or acknowledged.
 * Returns epoch, generation, number and token of the last entry, why it is new (empty: it is not),
 * run id.
 */
export const ATTACH = script(
  "attach",
  `${FENCE}${CLOCK}${DROP_OWNED}${LAST}
if not last_foreign(ARGV[5] .. 'last') then last_end(ARGV[5] .. 'last', clock_of(ARGV[6]), ${ENDED}) end
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
for i = 7, #ARGV, 3 do
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
  if KEYS[table] == ARGV[3] .. 'last' then
    local foreign = last_foreign(KEYS[table])
    if foreign then return foreign end
  end
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
