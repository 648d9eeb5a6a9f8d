-- PURGES DONE: what was purged is forgotten, unless it was bumped again meanwhile: then it is to be purged again.
-- KEYS[1] purge record. ARGV: pairs of a field and the value that it had.
for i = 1, #ARGV, 2 do
  local value = redis.pcall('HGET', KEYS[1], ARGV[i])
  if value == ARGV[i + 1] then redis.call('HDEL', KEYS[1], ARGV[i]) end
end
return 1
