-- Keeps all that it ever makes, as fast as memory can be filled.
-- (At 256 MiB it stops growing, and goes on running: where nobody limits it, it does no harm.)
local kibibyte = ("x"):rep(1024)
local kept = {}
while true do
  if #kept < 256 then kept[#kept + 1] = kibibyte:rep(1024) end
end
