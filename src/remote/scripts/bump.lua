-- BUMP: an invalidation. The entity gets a version that was never issued, and every node is told.
-- KEYS[4] pointer. ARGV[3] pointer ttl ms, ARGV[4] cache, ARGV[5] entity, ARGV[6] version of the store, '-' where unknown,
-- ARGV[7] 'S' for a soft bump: what was current may be served past its TTL, a while longer.
-- With KEYS[5], the purge record: ARGV[8] field, ARGV[9] letter, ARGV[10] ttl ms, ARGV[11] how many fields it holds.
-- Answers epoch, version, whether somebody may depend on the entity, what became of the store's version, and the epoch's owner.
local c, began = control()
local p = stored_pointer(KEYS[4])

-- A pointer that is missing, or was bumped by somebody who knew no version of the store, says nothing of the order:
-- then it is a bump and nothing more, and stays unknown until a load brings a version along.
local store, order, bumped = '-', 'bumped', 0
if ARGV[6] ~= '-' and p and p.store ~= '-' then
  if ARGV[6] > p.store then
    store, order, bumped = ARGV[6], 'newest', STORE_BUMPED
  elseif bit.band(p.flags, STORE_BUMPED) ~= 0 then
    -- Whatever counts under this pointer is of a later commit already; what shows the entity may not have heard of it.
    return {c.epoch, decimal(p.version), bit.band(p.flags, DEPENDED), 'older', c.owner}
  else
    store, bumped = p.store, STORE_BUMPED
  end
end

-- The mark stays: this sender may die before it has told whatever shows the entity, and a node that has not heard of it yet
-- must not be told that there is nothing to tell. Where an epoch begins, who was marked in the one before is unknown.
local depended = p and bit.band(p.flags, DEPENDED) or forgotten(c)
if began then depended = DEPENDED end

local version = next_version(c, p and p.version)
local soft = ARGV[7] == 'S'
local event = '1|' .. (soft and 'i' or 'I') .. '|' .. c.epoch .. '|' .. decimal(version) .. '|' .. c.nonce .. '|' .. ARGV[2] .. '|' .. ARGV[4] .. '|' .. ARGV[5]
append(version, event)
c.n, c.high, c.nonce = version, version, ARGV[2]
save(c)
-- Missing means unknown: below a pointer that is made anew nothing may be served.
set_pointer(KEYS[4], version, ARGV[3], depended + bumped + BUMPED, store, soft and p and p.floor or version)
if KEYS[5] then note_purge(KEYS[5], version, ARGV[8], ARGV[9], ARGV[10], ARGV[11]) end
return {c.epoch, decimal(version), depended, order, c.owner}
