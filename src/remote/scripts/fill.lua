-- FILL: the value that was loaded under a version. Refused unless that version is still the current one.
-- KEYS[4] pointer, KEYS[5] value, KEYS[6] lease. ARGV[3] epoch, ARGV[4] version, ARGV[5] token, ARGV[6] when it is dead, in Redis ms,
-- ARGV[7] pointer ttl ms, ARGV[8] cache, ARGV[9] entity, ARGV[10] the value; empty: only release the lease.
-- ARGV[11] version of the store that the load has read, '-' where unknown. ARGV[12] check of the payload that is there, whose body, from
-- byte ARGV[13] on, goes behind the value, which is a front only; empty: the value is whole.
local lease = stored_lease(KEYS[6])
if lease and lease.token == ARGV[5] then
  -- Before judging: whatever becomes of the value, the load is over.
  redis.call('DEL', KEYS[6])
  if lease.waiters == '1' then
    redis.call('SPUBLISH', KEYS[3], '1|W|0|0|0|0|' .. ARGV[8] .. '|' .. ARGV[9])
  end
end
if ARGV[10] == '' then return 'released' end

local c = control()
local p = stored_pointer(KEYS[4])
if c.epoch ~= ARGV[3] or not p or decimal(p.version) ~= ARGV[4] then return 'stale' end
-- A replica that lags behind what is known already.
if ARGV[11] ~= '-' and p.store ~= '-' and ARGV[11] < p.store then return 'stale' end
local remaining = tonumber(ARGV[6]) - now_ms
if remaining <= 0 then return 'expired' end
local payload = ARGV[10]
if ARGV[12] ~= '' then
  local held = redis.call('GET', KEYS[5])
  if not held or string.sub(held, 57, 64) ~= ARGV[12] then return 'gone' end
  payload = payload .. string.sub(held, tonumber(ARGV[13]) + 1)
end
redis.call('SET', KEYS[5], payload, 'PX', decimal(remaining))
if ARGV[11] ~= '-' and ARGV[11] ~= p.store then
  set_pointer(KEYS[4], p.version, ARGV[7], bit.band(p.flags, DEPENDED + BUMPED), ARGV[11], p.floor)
else
  keep_pointer(KEYS[4], ARGV[7])
end
return 'stored'
