/** What the scripts share: the fence, and pieces of Lua that several of them need. */
import { createHash } from "node:crypto";
import { OWNED_TABLES } from "../fact.ts";

/** At more names than this the log starts a new epoch: the state would not fit for ever. */
export const MAX_CHANNELS = 1_000_000;
export interface Script {
  readonly name: string;
  readonly source: string;
  readonly sha1: string;
}

/** A script as it is loaded and called. */
export function script(name: string, source: string): Script {
  return { name, source, sha1: createHash("sha1").update(source).digest("hex") };
}

/**
 * The run id changes with every process; the replication id whenever the data came from, or went on
 * after, another one. Read inside the script: a value that was asked for before may be of an engine
 * that is gone. An engine that hides or fakes them cannot be used, since nothing would be noticed.
 */
export const FENCE = `
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
export const ADD = `
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
 * Last values: `last_set` and `last_drop` write one of the table `t`, and `last_end` deletes up to `most` that
 * are over at `clock`. It need not be said: every node drops them by itself. `last_foreign` gives the error
 * that they would end with because somebody put another type there: to be asked before anything is written.
 */
export const LAST = `
local function last_foreign(t)
  for _, reply in ipairs({
    redis.pcall('HLEN', t), redis.pcall('HLEN', t .. ':sum'),
    redis.pcall('ZRANGE', t .. ':order', 0, 0), redis.pcall('ZRANGE', t .. ':until', 0, 0),
  }) do
    if type(reply) == 'table' and reply.err then return reply end
  end
end
local function last_sum(t, field, more)
  local sum = string.format('%.0f', tonumber(redis.call('HGET', t .. ':sum', field) or 0) + more)
  redis.call('HSET', t .. ':sum', field, sum)
  return sum
end
local function last_drop(t, key)
  redis.call('ZREM', t .. ':order', key)
  redis.call('ZREM', t .. ':until', key)
  local old = redis.call('HSTRLEN', t, key)
  if old == 0 then return end
  redis.call('HDEL', t, key)
  last_sum(t, 'b', -old)
end
local function last_set(t, key, stored)
  -- Somebody may have deleted the table, and not what stands beside it.
  if redis.call('HLEN', t) == 0 then redis.call('DEL', t .. ':order', t .. ':until', t .. ':sum') end
  last_drop(t, key)
  redis.call('HSET', t, key, stored)
  redis.call('ZADD', t .. ':order', last_sum(t, 'c', 1), key)
  local till = string.match(stored, '^%d*\t(%d+)\t')
  if till then redis.call('ZADD', t .. ':until', till, key) end
  last_sum(t, 'b', #stored)
end
local function last_over(t, clock, from, most)
  return redis.call('ZRANGE', t .. ':until', '-inf', clock, 'BYSCORE', 'LIMIT', from, most)
end
local function last_end(t, clock, most)
  local over = last_over(t, clock, 0, most)
  for i = 1, #over do last_drop(t, over[i]) end
end
`;

/**
 * `plan` decides, without writing anything, what the messages of an entry make of the last values: a message
 * that is to be kept takes the place of the one before, any other ends it, and where there is no room those
 * that are over go, and then the oldest, which the entry has to say. `t` is the table, `msgs` has {channel,
 * event, until or nil, stored} of each message. Returns what `write_last` then writes, the text for the entry,
 * and how many were dropped because there was no room, and because they were too large.
 */
export const PLAN = `
local function gone(key)
  local nul = string.find(key, '\0', 1, true) or #key
  return '\tx\t' .. string.sub(key, 1, nul - 1) .. '\t' .. string.sub(key, nul + 1) .. '\t'
end
local function plan(t, msgs, most, cap, clock)
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
  local bytes = count > 0 and tonumber(redis.call('HGET', t .. ':sum', 'b') or 0) or 0
  for i = 1, #order do
    local old, new = redis.call('HSTRLEN', t, order[i]), now[order[i]]
    if old > 0 then count, bytes = count - 1, bytes - old end
    if new then count, bytes = count + 1, bytes + #new
    elseif refused[order[i]] then text[#text + 1] = gone(order[i]) end
  end
  local drops, at = {}, 0
  repeat
    local over = last_over(t, clock, at, 100)
    at = at + #over
    for i = 1, #over do
      if now[over[i]] == nil then
        local old = redis.call('HSTRLEN', t, over[i])
        if old > 0 then count, bytes = count - 1, bytes - old end
        now[over[i]] = false
        drops[#drops + 1] = over[i]
      end
    end
  until #over < 100 or (count <= most and bytes <= cap)
  local ended = #drops
  at = 0
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
  for i = ended + 1, #drops do text[#text + 1] = gone(drops[i]) end
  return {order = order, now = now, drops = drops}, table.concat(text), full + #drops - ended, large
end
local function write_last(t, p)
  for i = 1, #p.drops do last_drop(t, p.drops[i]) end
  for i = 1, #p.order do
    local key = p.order[i]
    if p.now[key] then last_set(t, key, p.now[key]) else last_drop(t, key) end
  end
end
`;

/**
 * `clock_of` gives the time until which last values are over, ms since 1970, from the caller's: never later
 * than the engine's, or one node whose clock is wrong would delete what all have.
 */
export const CLOCK = `
local function clock_of(caller)
  local shown = string.match(info, 'server_time_usec:(%d+)')
  return string.format('%.0f', math.min(tonumber(caller), shown and shown / 1000 or math.huge))
end
`;

/** Deletes what `node` owns. */
export const DROP_OWNED = `
local function drop_owned(prefix, node)
  for _, name in ipairs({${OWNED_TABLES.map((table) => `'${table}'`).join(", ")}}) do
    redis.call('DEL', prefix .. name .. ':' .. node)
  end
end
`;
