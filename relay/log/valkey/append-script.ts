/** The script that appends messages; see scripts.ts. */
import { ADD, CLOCK, FENCE, LAST, MAX_CHANNELS, PLAN, script } from "./script-parts.ts";

/** Arguments of one inner call; Lua cannot unpack many thousands (LUAI_MAXCSTACK is 8,000). */
const CHUNK = 1000;

/**
 * Appends one entry: fence, lease, duplicates, numbers. The one write that can be refused for want of
 * memory comes first, so a refusal leaves nothing half done.
 * KEYS: state, log, ids:a, ids:b, fences, table last. ARGV: epoch, source, fence of the lease (empty:
 * none), token of the entry, 1 when the ids are new, ids that fill one of the two halves (so between that
 * many and twice as many are remembered), first entry to keep (0: do not trim), hard limit of the
 * log's bytes, 1 when some are to be last values, most of these, most bytes of these, the time (ms
 * since 1970); then id, channel and rest of each message.
 * Returns `moved` (another epoch, or too many channels: attach), `fenced` with the higher token, or
 * `ok` with the number of the last entry, each message's number, negative for a repeated one, and how many
 * last values were dropped, because there was no room and because they were too large.
 */
export const APPEND = script(
  "append",
  `${FENCE}${CLOCK}${ADD}${LAST}${PLAN}
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
local count = (#ARGV - 12) / 3
local lasting = (ARGV[9] == '1' or redis.call('HLEN', KEYS[6]) > 0) and {}
local keys, channels, place = {}, {}, {}
for i = 1, count do
  local channel = 'c:' .. ARGV[3 * i + 11]
  keys[i] = ARGV[3 * i + 11] .. '\t' .. ARGV[3 * i + 10]
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
    local id, channel, rest = ARGV[3 * i + 10], ARGV[3 * i + 11], ARGV[3 * i + 12]
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
    local foreign = last_foreign(KEYS[6])
    if foreign then return foreign end
    planned, said, full, large = plan(KEYS[6], lasting, tonumber(ARGV[10]), tonumber(ARGV[11]), clock_of(ARGV[12]))
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
  if planned then write_last(KEYS[6], planned) end
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
