-- BUMP TAGS: each tag gets a position in the tag feed, and every node is told. Without any tag: the feed begins where it has not.
-- KEYS[4] table. ARGV[3] 'H' or 'S', hard or soft. ARGV[4], ARGV[5], …: pairs of a tag and a nonce.
-- With KEYS[5], the purge record: ARGV[4] letter, ARGV[5] ttl ms, ARGV[6] how many fields it holds, then triples of tag, nonce and
-- field, which is empty where nothing is to be purged. Answers epoch, the positions, and the epoch's owner.
local c = control()
tag_floor(c, true)
local answer = {c.epoch}
local soft = ARGV[3] == 'S'
local first, step = 4, 2
if KEYS[5] then first, step = 7, 3 end
for i = first, #ARGV, step do
  local version = next_version(c, nil)
  local hard = version
  if soft then hard = tonumber(string.match(redis.call('HGET', KEYS[4], ARGV[i]) or '', '^%d+|(%d+)$') or '0') end
  redis.call('HSET', KEYS[4], ARGV[i], decimal(version) .. '|' .. decimal(hard))
  append(version, '1|' .. (soft and 't' or 'T') .. '|' .. c.epoch .. '|' .. decimal(version) .. '|' .. c.nonce .. '|' .. ARGV[i + 1] .. '|0|' .. ARGV[i])
  c.n, c.high, c.nonce = version, version, ARGV[i + 1]
  save(c)
  if KEYS[5] and ARGV[i + 2] ~= '' then note_purge(KEYS[5], version, ARGV[i + 2], ARGV[4], ARGV[5], ARGV[6]) end
  answer[#answer + 1] = decimal(version)
end
answer[#answer + 1] = c.owner
return answer
