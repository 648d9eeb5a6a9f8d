-- BUMP: an invalidation. The entity gets a version that was never issued, and every node is told.
-- KEYS[4] pointer. ARGV[3] pointer ttl ms, ARGV[4] cache, ARGV[5] entity, ARGV[6] version of the store, '-' where unknown.
-- Answers epoch, version, whether somebody may depend on the entity, and what became of the store's version.
local c = control()
local p = stored_pointer(KEYS[4])

-- A pointer that is missing, or was bumped by somebody who knew no version of the store, says nothing of the order:
-- then it is a bump and nothing more, and stays unknown until a load brings a version along.
local store, flags, order = '-', 0, 'bumped'
if ARGV[6] ~= '-' and p and p.store ~= '-' then
  if ARGV[6] > p.store then
    store, flags, order = ARGV[6], STORE_BUMPED, 'newest'
  elseif bit.band(p.flags, STORE_BUMPED) ~= 0 then
    -- Whatever counts under this pointer is of a later commit already; what shows the entity may not have heard of it.
    return {c.epoch, decimal(p.version), bit.band(p.flags, UNTOLD) ~= 0 and 1 or 0, 'older'}
  else
    store, flags = p.store, STORE_BUMPED
  end
end

-- Missing means unknown: who depended on a pointer that is gone was lost with it. Until the sender says that it has told
-- them, whoever bumps the entity learns of them: this sender may die first, or never get the answer.
local depended = not p or bit.band(p.flags, bit.bor(DEPENDED, UNTOLD)) ~= 0
if depended then flags = bit.bor(flags, UNTOLD) end

local version = next_version(c, p and p.version)
local event = '1|I|' .. c.epoch .. '|' .. decimal(version) .. '|' .. c.nonce .. '|' .. ARGV[2] .. '|' .. ARGV[4] .. '|' .. ARGV[5]
append(version, event)
c.n, c.high, c.nonce = version, version, ARGV[2]
save(c)
set_pointer(KEYS[4], version, ARGV[3], flags, store)
return {c.epoch, decimal(version), depended and 1 or 0, order}
