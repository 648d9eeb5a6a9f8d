-- Shared head of the scripts. KEYS[1] control, KEYS[2] log, KEYS[3] channel; ARGV[1] a fresh epoch and who the sender takes this server for,
-- ARGV[2] a fresh nonce. Everything is checked first and written last: Redis does not roll a script back.

-- Behind the epoch stands nothing where the server does not tell who it is; '?' and its id, as it was when the sender asked last, or no id where
-- that is not known yet; or '!' and the id, where the sender has just asked.
local fresh_epoch, asked, server = string.match(ARGV[1], '^(%d+)([?!]?)(%x*)$')

local function decimal(number) return string.format('%.0f', number) end

local clock = redis.call('TIME')
local now_us = clock[1] * 1000000 + clock[2]
local now_ms = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function control_text(c)
  return '1|' .. c.epoch .. '|' .. c.owner .. '|' .. decimal(c.n) .. '|' .. c.nonce .. '|' .. decimal(c.high) .. '|' .. c.flags
end

local function save(c) redis.call('SET', KEYS[1], control_text(c)) end

-- A number that doubles hold exactly, or nil: what the nodes cannot read must be missing here, too.
local function exact(text)
  local number = tonumber(text)
  return number and number < 9007199254740992 and number or nil
end

-- The control record, or nil: missing means unknown. Its flags are 1 once a value was stored that shows an entity of the bucket.
local NESTED = '1'
local function read_control()
  local text = redis.call('GET', KEYS[1])
  if not text then return nil end
  local epoch, owner, n, nonce, high, flags = string.match(text, '^1|(%d+)|([^|]*)|(%d+)|(%d+)|(%d+)|(%d+)$')
  if not (exact(epoch) and exact(n) and exact(nonce) and exact(high)) then return nil end
  return {epoch = epoch, owner = owner, n = exact(n), nonce = nonce, high = exact(high), flags = flags}
end

-- Who knows it by hearsay must ask first: it would begin an epoch for a server that is not here.
local function ask_first() error({err = 'FENCED the epoch began on another server'}) end

-- Whether its epoch began on this server.
local function is_own(c)
  if asked == '' or (server ~= '' and c.owner == server) then return true end
  if asked == '?' then ask_first() end
  return false
end

-- The control record if its epoch counts on this server.
local function stored_control()
  local c = read_control()
  return c and is_own(c) and c or nil
end

local function append(n, event)
  local id = decimal(n) .. '-0'
  local reply = redis.pcall('XADD', KEYS[2], 'MAXLEN', '~', 10000, id, 'e', event)
  if type(reply) == 'table' and reply.err then
    -- A log that somebody else wrote to may be ahead: start it anew, readers notice the gap.
    if not string.find(reply.err, 'equal or smaller', 1, true) then error(reply.err) end
    redis.call('DEL', KEYS[2])
    redis.call('XADD', KEYS[2], id, 'e', event)
  end
  redis.call('SPUBLISH', KEYS[3], event)
end

-- Begins a new epoch, and tells every node. What is known of the one before only keeps the numbers growing, and its marks.
local function begin(before)
  if asked ~= '' and server == '' then ask_first() end
  local at = before and math.max(now_us, before.high + 1) or now_us
  local owner = asked == '' and '-' or server
  local c = {epoch = fresh_epoch, owner = owner, n = at, nonce = fresh_epoch, high = at, flags = before and before.flags or '0'}
  redis.call('DEL', KEYS[2])
  append(c.n, '1|F|' .. c.epoch .. '|' .. decimal(c.n) .. '|0|' .. c.nonce .. '|0|0')
  save(c)
  return c
end

-- The control record; where there is none, or its epoch began on another server, a new one begins. Answers also whether it began here.
local function control()
  local c = read_control()
  if c and is_own(c) then return c, false end
  return begin(c), true
end

-- Flags of a pointer. Bits 8 to 30 are spare.
local DEPENDED = 1 -- a value was stored that shows the entity; stays as long as the pointer, since who bumps next may lag behind who was told
local STORE_BUMPED = 2 -- the store's version came with a bump, not with a load
local BUMPED = 4 -- the version came with a bump, not with a load that found no pointer; stays as long as the pointer

-- What a pointer that is missing may have known: nothing, unless some entity of the bucket was shown.
local function forgotten(c) return c.flags == NESTED and DEPENDED or 0 end

-- A pointer is '1|version|floor|flags|store': the store's version in 32 hex digits, or '-'.
local function stored_pointer(key)
  local text = redis.call('GET', key)
  if not text then return nil end
  local version, floor, flags, store = string.match(text, '^1|(%d+)|(%d+)|(%d+)|([%x-]+)$')
  version, floor, flags = exact(version), exact(floor), exact(flags)
  if not (version and floor and flags) then return nil end
  return {version = version, floor = floor, flags = flags, store = store}
end

-- A version that was never issued before: not in this epoch, whatever was evicted and whatever the clock did.
local function next_version(c, previous)
  return math.max(c.high + 1, now_us, (previous or 0) + 1)
end

local function set_pointer(key, version, ttl_ms, flags, store, floor)
  local kept = redis.call('PTTL', key)
  local text = '1|' .. decimal(version) .. '|' .. decimal(floor or version) .. '|' .. decimal(flags) .. '|' .. store
  redis.call('SET', key, text, 'PX', decimal(math.max(kept, tonumber(ttl_ms))))
end

local function keep_pointer(key, ttl_ms)
  if redis.call('PTTL', key) < tonumber(ttl_ms) then redis.call('PEXPIRE', key, ttl_ms) end
end

-- A lease is 'version|token|waiters'.
local function stored_lease(key)
  local text = redis.call('GET', key)
  if not text then return nil end
  local version, token, waiters = string.match(text, '^(%d+)|([^|]*)|(%d)$')
  return version and {version = version, token = token, waiters = waiters}
end

-- The tag table's floor, as text: what was bumped before it may be forgotten. A table that is not of this epoch knows
-- nothing of what came before.
local function tag_floor(c, write)
  local epoch, floor = string.match(redis.call('HGET', KEYS[4], '#') or '', '^1|(%d+)|(%d+)$')
  if epoch == c.epoch and exact(floor) then return floor end
  if write then
    redis.call('UNLINK', KEYS[4])
    redis.call('HSET', KEYS[4], '#', '1|' .. c.epoch .. '|' .. decimal(c.n))
  end
  return decimal(c.n)
end

-- What is to be purged at the edge, beside the bump that made it old: field -> '1|n|letter', 'H' or 'S', hard or soft, in lower case
-- where nobody sees to it yet. A record of another type is nobody's. A name too many: one field stands for all.
local function note_purge(key, version, field, letter, ttl_ms, most)
  local old = redis.pcall('HGET', key, field)
  if type(old) == 'table' then
    redis.call('UNLINK', key)
    old = nil
  end
  if old and string.match(old, '|[Hh]$') then
    -- Whoever was to purge it hard may be gone: the hard one is the stronger wish.
    if letter == 'S' then letter = 'H' elseif letter == 's' then letter = 'h' end
  elseif not old and redis.call('HLEN', key) >= tonumber(most) then
    redis.call('UNLINK', key)
    field, letter = '#', 'h'
  end
  redis.call('HSET', key, field, '1|' .. decimal(version) .. '|' .. letter)
  redis.call('PEXPIRE', key, ttl_ms)
end
