-- BUMP: an invalidation. The entity gets a version that was never issued, and every node is told.
-- KEYS[4] pointer. ARGV[3] pointer ttl ms, ARGV[4] cache, ARGV[5] entity.
local c = control()
local version = next_version(c, stored_version(KEYS[4]))
local event = '1|I|' .. c.epoch .. '|' .. decimal(version) .. '|' .. c.nonce .. '|' .. ARGV[2] .. '|' .. ARGV[4] .. '|' .. ARGV[5]
append(version, event)
c.n, c.high, c.nonce = version, version, ARGV[2]
save(c)
set_pointer(KEYS[4], version, ARGV[3])
return {c.epoch, decimal(version)}
