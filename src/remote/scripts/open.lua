-- OPEN: a reader missed. Answers the value if there is one after all, or makes the reader the one that loads, or a follower.
-- KEYS[4] pointer, KEYS[5] value, KEYS[6] lease. ARGV[3] token, ARGV[4] lease ms, ARGV[5] pointer ttl ms, ARGV[6] the check of a value that
-- does not count, '*' for whatever is there, '=' and the check of a value that is past its TTL, or empty, ARGV[7] until when the reader waits for the answer, in Redis ms.
local c = control()
local p = stored_pointer(KEYS[4])
local version = p and p.version
if not version then
  version = next_version(c, nil)
  c.high = version
  save(c)
  set_pointer(KEYS[4], version, ARGV[5], forgotten(c), '-')
elseif version > c.high then
  -- A pointer that outlived its control record: nothing may be issued below it.
  c.high = version
  save(c)
end

-- The value again, in the same step as the lease: the leader before may just have filled it. What the reader refused
-- is dropped, and nothing else: somebody may have filled a good one since.
local value = redis.call('GET', KEYS[5])
local check = value and string.sub(value, 57, 64)
if value and ARGV[6] == '=' .. check then
  -- The reader has it. It stays until the load replaces it: others may be served by it meanwhile.
elseif value and (ARGV[6] == '*' or (ARGV[6] ~= '' and ARGV[6] == check)) then
  redis.call('UNLINK', KEYS[5])
elseif value and #value >= 64 and decimal(struct.unpack('>I8', value, 9)) == c.epoch and struct.unpack('>I8', value, 17) == version then
  return {'H', now_ms, control_text(c), decimal(version), value}
end

-- A question that was frozen on its way must not take a lease that nobody would use or give back.
if now_ms > tonumber(ARGV[7]) then return {'F', now_ms, control_text(c), decimal(version)} end

local lease = stored_lease(KEYS[6])
if lease and lease.version == decimal(version) and lease.token ~= ARGV[3] then
  if lease.waiters ~= '1' then
    redis.call('SET', KEYS[6], lease.version .. '|' .. lease.token .. '|1', 'KEEPTTL')
  end
  return {'F', now_ms, control_text(c), decimal(version)}
end
redis.call('SET', KEYS[6], decimal(version) .. '|' .. ARGV[3] .. '|0', 'PX', ARGV[4])
return {'L', now_ms, control_text(c), decimal(version)}
