-- Right: crosses out the multiples of each prime.
local limit = ...
local is_composite, n_primes = {}, 0
for number = 2, limit - 1 do
  if not is_composite[number] then
    n_primes = n_primes + 1
    for multiple = number * number, limit - 1, number do
      is_composite[multiple] = true
    end
  end
end
return n_primes
