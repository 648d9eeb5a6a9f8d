-- RENEW: the leader still loads. KEYS[1] lease, ARGV[1] token, ARGV[2] lease ms.
local token = string.match(redis.call('GET', KEYS[1]) or '', '^%d+|([^|]*)|%d$')
if token ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
