-- One member of a share asks for its part of the cap until it asks again. Run by Redis or Valkey in
-- one piece. Parts are whole numbers of 2^40 in all, so that sums are exact; time is the store's.
--
-- KEYS: the share, when each member's lease ends, what each member has.
-- ARGV: the member; the parts that it can use, or -1 for as many as there are; the most members that it
-- has seen; the milliseconds until it asks again; what the cap is (amount, nanoseconds, burst), and
-- whether that is news (1) or not (0), or -1: it leaves; the parts that it goes by until it is answered, and
-- the milliseconds for which it does so if it is not.
local ALL = 1099511627776
local share, ends, members = KEYS[1], KEYS[2], KEYS[3]
local me, wants, knows = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local pause, says = tonumber(ARGV[4]), tonumber(ARGV[8])
local has, left = tonumber(ARGV[9]), tonumber(ARGV[10])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local s = redis.call('HMGET', share, 'content', 'hungry', 'given', 'born', 'floor', 'amount', 'per', 'burst', 'rules', 'count', 'last', 'asked')
-- What those want who have what they want, how many want more, and what all may be going by.
local content, hungry, given = tonumber(s[1] or 0), tonumber(s[2] or 0), tonumber(s[3] or 0)
local born, floor = tonumber(s[4] or now), tonumber(s[5] or 1)
-- Until when somebody may have passed something; and when somebody asked last.
local last = tonumber(s[11] or 0)

-- Whether the store was emptied, has evicted some of this, or its clock was put back: then it begins anew.
local count = tonumber(s[10] or 0)
local is_back = now + 1000 < tonumber(s[12] or 0)
if count ~= redis.call('HLEN', members) or count ~= redis.call('ZCARD', ends) or is_back then
  redis.call('DEL', ends, members)
  content, hungry, given, born, floor = 0, 0, 0, now, 1
end

local function forget(member)
  local it = redis.call('HGET', members, member)
  if it then
    local want, lease = it:match('^(%-?%d+) (%d+)$')
    want, lease = tonumber(want), tonumber(lease)
    if want < 0 then hungry = hungry - 1 else content = content - want end
    given = given - lease
    redis.call('HDEL', members, member)
  end
  redis.call('ZREM', ends, member)
end
for _, member in ipairs(redis.call('ZRANGEBYSCORE', ends, '-inf', now, 'LIMIT', 0, 100)) do
  forget(member)
end
local is_new = not redis.call('HGET', members, me)
forget(me)

local n = redis.call('ZCARD', ends)
local amount, per, burst, rules = s[6], s[7], s[8], tonumber(s[9] or 0)
if says >= 0 then
  n = n + 1
  if not amount or says == 1 and (amount ~= ARGV[5] or per ~= ARGV[6] or burst ~= ARGV[7]) then
    amount, per, burst, rules = ARGV[5], ARGV[6], ARGV[7], rules + 1
  end
end
-- One that has a lease, or knows of others, and is not known here: the store was stopped, or its clock was put forward.
if says >= 0 and is_new and (has > 0 or n == 1 and knows > 1) then
  if now >= born + 1000 then floor = 1 end
  born, floor = now, math.max(floor, knows)
end
-- The milliseconds of one unit. Who comes when nobody has passed anything for so long need not wait for the first.
local unit = math.min(math.ceil((tonumber(per) or 0) / (tonumber(amount) or 1) / 1e6), 2 ^ 40)
local begins = is_new and n == 1 and now >= last + unit

-- A fair part is what those who are content leave to those who are not, and never less than an n-th.
local part, least = 0, math.floor(ALL / math.max(n, 1))
local interval = math.max(100, math.ceil(n / 5))
if says >= 0 then
  local level = math.max(math.floor((ALL - content) / (hungry + 1)), least)
  if wants < 0 or wants > level then
    wants, part, hungry = -1, level, hungry + 1
  else
    part, content = wants, content + wants
    -- What nobody wants is for those who want anything at all: they may want more at any moment.
    if hungry == 0 and wants > 0 then part = part + math.max(math.floor((ALL - content) / n), 0) end
  end
  -- A store that has just been started does not know who is out there: they do, from before.
  if knows > 1 then floor = math.max(floor, knows) end
  if now < born + 1000 then part = math.min(part, math.floor(ALL / floor)) end
  part = math.max(math.min(part, ALL - given), 0)
  -- Until it asks again nobody knows whether it goes by the answer or by what it has: others get what is left by both.
  local may = math.max(part, has)
  given = given + may
  -- A millisecond more: this one may have begun before it asked.
  local lease = math.max(5 * math.max(interval, pause), left) + 1
  redis.call('HSET', members, me, string.format('%.0f %.0f', wants, may))
  redis.call('ZADD', ends, now + lease, me)
  last = math.max(last, now + lease)
elseif n == 0 then
  last = now
end
local f = function(number) return string.format('%.0f', number) end
redis.call('HSET', share, 'content', f(content), 'hungry', f(hungry), 'given', f(given), 'born', f(born),
  'floor', f(floor), 'count', redis.call('ZCARD', ends), 'amount', amount or '', 'per', per or '', 'burst', burst or '', 'rules', f(rules), 'last', f(last), 'asked', f(now))
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, f(600000 + unit)) end
return { part, interval, n, amount or '', per or '', burst or '', rules, begins and 1 or 0 }
