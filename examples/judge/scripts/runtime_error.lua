-- Fails: the table has no entry for its first prime.
local limit = ...
local primes = {}
for number = 2, limit - 1 do
  if number % primes[1] ~= 0 then primes[#primes + 1] = number end
end
return #primes
