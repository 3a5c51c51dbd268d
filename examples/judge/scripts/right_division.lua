-- Right: tries all divisors up to the square root, which the host computes.
local limit = ...

local function is_prime(number)
  for divisor = 2, isqrt(number) do
    if number % divisor == 0 then return false end
  end
  return true
end

local n_primes = 0
for number = 2, limit - 1 do
  if is_prime(number) then n_primes = n_primes + 1 end
end
return n_primes
