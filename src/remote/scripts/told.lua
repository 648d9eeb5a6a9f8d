-- TOLD: whatever shows the entity and was stored before this bump has heard of it: its tag was bumped since.
-- KEYS[4] pointer. ARGV[3] epoch, ARGV[4] version that the bump gave. A later bump is its own sender's to tell of.
local c = stored_control()
local p = stored_pointer(KEYS[4])
if not c or not p or c.epoch ~= ARGV[3] or decimal(p.version) ~= ARGV[4] then return 0 end
set_pointer(KEYS[4], p.version, '1', bit.band(p.flags, bit.bnot(UNTOLD)), p.store, p.floor)
return 1
