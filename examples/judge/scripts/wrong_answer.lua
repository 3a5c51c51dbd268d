-- Wrong: takes every odd number for a prime.
local limit = ...
local n_primes = 0
for number = 3, limit - 1, 2 do
  n_primes = n_primes + 1
end
return n_primes
