--[[
As much of Kong as the tap's chunks ask for, in a real nginx with ngx_lua: what they see of nginx – filters, request bodies in
files, hang-ups, timers, cosockets – is nginx's own. Returns a table: load(folder) once in a worker, then run(hook).
A request's header `x-fault` names a function that raises in it; `hook access` lets an error out of that hook.
]]
local shim = {}

local function api(name, call)
  return function(...)
    if ngx.ctx.fault == name then error("injected: " .. name) end
    return call(...)
  end
end

local function first(value)
  if type(value) == "table" then return value[1] end
  return value
end

-- Kong gives a body that nginx has put into a file only up to the size that it is asked for.
local function raw_body(largest)
  ngx.req.read_body()
  local body = ngx.req.get_body_data()
  if body then return body end
  local name = ngx.req.get_body_file()
  if not name then return "" end
  if not largest then return nil, "request body did not fit into client body buffer" end
  local file, err = io.open(name, "rb")
  if not file then return nil, err end
  local size = file:seek("end")
  if size > largest then
    file:close()
    return nil, "request body file too big: " .. size .. " > " .. largest
  end
  file:seek("set")
  body = file:read("*a")
  file:close()
  return body
end

-- What Kong keeps in ngx.ctx and ngx.var of a request; its serializer reads the same.
local ROUTE = { id = "r", name = "tapped" }
local SERVICE = { id = "s", name = "nginx", host = "127.0.0.1", port = 80, protocol = "http" }
local function enter()
  local ctx = ngx.ctx
  ctx.fault = ngx.var.http_x_fault
  ctx.route, ctx.service, ctx.workspace = ROUTE, SERVICE, "w"
  ctx.request_id = ngx.var.request_id
  ngx.var.upstream_uri = string.gsub(ngx.var.request_uri, "^/tapped", "")
end
local function source()
  return ngx.var.upstream_status and "service" or "error"
end

local serialized = 0
local function document()
  serialized = serialized + 1
  return {
    started_at = math.floor(ngx.req.start_time() * 1000),
    client_ip = ngx.var.remote_addr,
    source = source() == "service" and "upstream" or "kong",
    upstream_uri = ngx.var.upstream_uri,
    upstream_status = ngx.var.upstream_status or "",
    workspace = "w",
    workspace_name = "default",
    request = {
      id = ngx.ctx.request_id, method = ngx.req.get_method(), uri = ngx.var.request_uri,
      size = tonumber(ngx.var.request_length), headers = ngx.req.get_headers(),
    },
    response = { status = ngx.status, size = tonumber(ngx.var.bytes_sent), headers = ngx.resp.get_headers() },
    latencies = { request = tonumber(ngx.var.request_time) * 1000, kong = 0, proxy = -1, receive = 0 },
    route = ROUTE,
    service = SERVICE,
  }
end

local kong = {
  ctx = setmetatable({}, { __index = function(_, name)
    if name ~= "shared" then return nil end
    local shared = ngx.ctx.shared
    if not shared then
      shared = {}
      ngx.ctx.shared = shared
    end
    return shared
  end }),
  node = { get_id = api("get_id", function() return "node-of-nginx" end) },
  request = {
    get_headers = api("get_headers", function() return ngx.req.get_headers() end),
    get_raw_body = api("get_raw_body", raw_body),
    get_method = ngx.req.get_method,
    get_start_time = function() return math.floor(ngx.req.start_time() * 1000) end,
  },
  response = { get_source = source, get_header = api("response.get_header", function(name) return first(ngx.header[name]) end) },
  log = {
    serialize = api("serialize", document),
    set_serialize_value = api("set_serialize_value", function() end),
  },
  vault = { get = function(reference) return "of " .. reference end },
}
local hostile_ngx = setmetatable({
  now = api("now", ngx.now),
  encode_base64 = api("encode_base64", ngx.encode_base64),
  worker = setmetatable({ pid = api("pid", ngx.worker.pid) }, { __index = ngx.worker }),
  timer = setmetatable({ at = api("timer.at", ngx.timer.at) }, { __index = ngx.timer }),
}, { __index = ngx })

local function json(value)
  local kind = type(value)
  if kind == "string" then
    return '"' .. string.gsub(value, '[%c"\\\127-\255]', function(c) return string.format("\\u%04x", string.byte(c)) end) .. '"'
  elseif kind == "number" then
    return string.format("%.17g", value)
  elseif kind == "boolean" then
    return tostring(value)
  end
  local parts = {}
  if #value > 0 then
    for i = 1, #value do parts[i] = json(value[i]) end
    return "[" .. table.concat(parts, ",") .. "]"
  end
  for key, item in pairs(value) do parts[#parts + 1] = json(tostring(key)) .. ":" .. json(item) end
  return "{" .. table.concat(parts, ",") .. "}"
end

local hooks, captures = {}, nil

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

function shim.load(folder, sandbox)
  local env = setmetatable({ kong = kong, ngx = hostile_ngx }, { __index = _G })
  local compile = assert(load(read(sandbox), "=sandbox", "t", env))()
  for _, hook in ipairs({ "access", "body", "header_filter", "body_filter", "log" }) do
    hooks[hook] = compile(read(folder .. "/" .. hook .. ".lua"), "=" .. hook)
  end
  captures = assert(io.open(folder .. "/captures.jsonl", "ab"))
  captures:setvbuf("line")
end

-- As in Kong, what a hook raises is nginx's: 500 in access, a broken answer in body_filter.
function shim.run(hook)
  if hook == "access" then enter() end
  if ngx.ctx.fault == "hook " .. hook then error("injected, and caught by nobody") end
  hooks[hook]()
  -- post-function's access comes after that of all others, one of which may have answered.
  if hook == "access" then
    if ngx.var.http_x_answered then
      ngx.status = 401
      ngx.say("no")
      return ngx.exit(401)
    end
    hooks.body()
  end
  -- Writing is no part of what bench/tap.ts measures.
  if hook ~= "log" or ngx.var.http_x_unseen then return end
  local capture = ngx.ctx.shared and ngx.ctx.shared.llm_observer
  if capture == "shipped" then capture = nil end
  captures:write(json({ request = ngx.var.request_id, left_over = ngx.ctx.shared and ngx.ctx.shared.llm_observer_tap ~= nil,
    capture = "CAPTURE" }):gsub('"CAPTURE"', function() return capture or '"none"' end), "\n")
end

function shim.state()
  collectgarbage()
  collectgarbage()
  return json({ kilobytes = collectgarbage("count"), serialized = serialized })
end

return shim
