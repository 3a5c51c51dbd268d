-- No Lua: another language's way to add one.
local limit = ...
local n_primes = 0
for number = 2, limit - 1 do
  n_primes += 1
end
return n_primes
