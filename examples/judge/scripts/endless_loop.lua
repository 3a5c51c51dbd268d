-- Never ends: the number that it counts with stays the same.
local limit = ...
local number, n_primes = 2, 0
while number ~= limit + 1 do
  if number % 2 == 1 then n_primes, number = n_primes + 1, number + 1 end
end
return n_primes
