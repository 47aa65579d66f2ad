--[[
Kong's default sandbox (untrusted_lua=sandbox) and the way pre-function runs a chunk, for a Lua outside Kong.
Expects the globals `kong` and `ngx`. Returns compile(source, name) -> run().
]]
local ALLOWED = [[
_VERSION assert error ipairs next pairs pcall print select tonumber tostring type unpack xpcall
coroutine.create coroutine.resume coroutine.running coroutine.status coroutine.wrap coroutine.yield
math.abs math.acos math.asin math.atan math.ceil math.cos math.deg math.exp math.floor math.fmod
math.huge math.log math.max math.min math.modf math.pi math.rad math.random math.sin math.sqrt math.tan
os.clock os.date os.difftime os.time
string.byte string.char string.find string.format string.gmatch string.gsub string.len string.lower
string.match string.rep string.reverse string.sub string.upper
table.concat table.insert table.remove table.sort
]]

local function environment()
  local env = {}
  for path in string.gmatch(ALLOWED, "%S+") do
    local module, name = string.match(path, "^(%w+)%.(%w+)$")
    if module then
      env[module] = env[module] or {}
      env[module][name] = _G[module][name]
    else
      env[path] = _G[path]
    end
  end
  env.unpack = env.unpack or table.unpack
  env._G = env
  env.require = function(name)
    error("require '" .. tostring(name) .. "' not allowed within sandbox", 2)
  end
  return setmetatable(env, { __index = { kong = setmetatable({}, { __index = kong }), ngx = ngx } })
end

return function(source, name)
  local run = assert(load(source, name, "t", environment()))
  local first = true
  return function()
    if not first then return run() end
    first = false
    local result = run()
    -- A chunk that returns a function keeps upvalues over requests.
    if type(result) == "function" then
      run = result
      run()
    end
  end
end
