-- DEPEND: a value is about to be stored that shows this entity. From here on whoever bumps it learns that.
-- KEYS[4] pointer. ARGV[3] epoch, ARGV[4] version that was shown, ARGV[5] pointer ttl ms. Answers 1 if that is still the current one.
local c = stored_control()
local p = stored_pointer(KEYS[4])
if not c or not p or c.epoch ~= ARGV[3] or decimal(p.version) ~= ARGV[4] then return 0 end
if c.flags ~= NESTED then
  c.flags = NESTED
  save(c)
end
set_pointer(KEYS[4], p.version, ARGV[5], bit.bor(p.flags, DEPENDED), p.store, p.floor)
return 1
