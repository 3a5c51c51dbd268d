-- Never ends, inside one call: the pattern might match in some 10^23 ways, does in none, and Lua's C code tries them all.
local number = ("a"):rep(40)
local pattern = ("a*"):rep(40) .. "b"
return number:match(pattern) and 1 or 0
