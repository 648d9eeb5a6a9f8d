-- READ TAGS: what Redis knows of these tags or, without any, of all of them.
-- KEYS[4] table. ARGV[3] how many tags are answered at most where all are asked for, ARGV[4], …: tags.
-- Answers control record and floor, then places 'n|hard n' ('' for a tag that was not bumped since the floor), or pairs of tag and places.
local c = stored_control()
if not c then return {} end
local answer = {control_text(c), tag_floor(c, false)}
local function places(record) return record and string.match(record, '^%d+|%d+$') or '' end
if #ARGV > 3 then
  for i = 4, #ARGV do answer[#answer + 1] = places(redis.call('HGET', KEYS[4], ARGV[i])) end
  return answer
end
if redis.call('HLEN', KEYS[4]) > tonumber(ARGV[3]) then
  answer[2] = decimal(c.n)
  return answer
end
local all = redis.call('HGETALL', KEYS[4])
for i = 1, #all, 2 do
  if string.sub(all[i], 1, 1) ~= '#' then
    answer[#answer + 1] = all[i]
    answer[#answer + 1] = places(all[i + 1])
  end
end
return answer
