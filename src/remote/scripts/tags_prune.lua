-- PRUNE TAGS: forgets bumps that are older than anything they could refuse, a part of the table at a time.
-- KEYS[4] table. ARGV[3] the longest life of a value in ms, ARGV[4] cursor, ARGV[5] how long a pruning is enough, in ms.
-- Answers the next cursor.
local c = stored_control()
if not c then return '0' end
-- One node of many is enough: whoever begins says so.
if ARGV[4] == '0' then
  local began = tonumber(redis.call('HGET', KEYS[4], '#began') or '0')
  if now_ms < began + tonumber(ARGV[5]) and now_ms >= began then return '0' end
  redis.call('HSET', KEYS[4], '#began', decimal(now_ms))
end
local floor = tag_floor(c, false)
local keep_ms = math.max(tonumber(redis.call('HGET', KEYS[4], '#ttl') or '0'), tonumber(ARGV[3]))
redis.call('HSET', KEYS[4], '#ttl', decimal(keep_ms))
local before = now_us - keep_ms * 1000
local scanned = redis.call('HSCAN', KEYS[4], ARGV[4], 'COUNT', 500)
local raised, old = tonumber(floor), {}
for i = 1, #scanned[2], 2 do
  local n = tonumber(string.match(scanned[2][i + 1], '^(%d+)|%d+$') or '')
  if n and n < before then
    old[#old + 1] = scanned[2][i]
    raised = math.max(raised, n)
  end
end
if #old > 0 then
  -- The floor first: an entry from before a forgotten bump must not pass.
  redis.call('HSET', KEYS[4], '#', '1|' .. c.epoch .. '|' .. decimal(raised))
  redis.call('HDEL', KEYS[4], unpack(old))
end
return scanned[1]
