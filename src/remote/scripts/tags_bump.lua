-- BUMP TAGS: each tag gets a position in the tag feed, and every node is told. Without any tag: the feed begins where it has not.
-- KEYS[4] table. ARGV[3] 'H' or 'S', hard or soft. ARGV[4], ARGV[5], …: pairs of a tag and a nonce. Answers epoch and the positions.
local c = control()
tag_floor(c, true)
local answer = {c.epoch}
local soft = ARGV[3] == 'S'
for i = 4, #ARGV, 2 do
  local version = next_version(c, nil)
  local hard = version
  if soft then hard = tonumber(string.match(redis.call('HGET', KEYS[4], ARGV[i]) or '', '^%d+|(%d+)$') or '0') end
  redis.call('HSET', KEYS[4], ARGV[i], decimal(version) .. '|' .. decimal(hard))
  append(version, '1|' .. (soft and 't' or 'T') .. '|' .. c.epoch .. '|' .. decimal(version) .. '|' .. c.nonce .. '|' .. ARGV[i + 1] .. '|0|' .. ARGV[i])
  c.n, c.high, c.nonce = version, version, ARGV[i + 1]
  save(c)
  answer[#answer + 1] = decimal(version)
end
return answer
