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

local function document()
  local status = ngx.var.upstream_status
  return {
    started_at = math.floor(ngx.req.start_time() * 1000),
    client_ip = ngx.var.remote_addr,
    source = status and "upstream" or "kong",
    upstream_uri = string.gsub(ngx.var.request_uri, "^/tapped", ""),
    upstream_status = status,
    request = {
      id = ngx.var.request_id, method = ngx.req.get_method(), uri = ngx.var.request_uri,
      size = tonumber(ngx.var.request_length), headers = ngx.req.get_headers(),
    },
    response = { status = ngx.status, size = tonumber(ngx.var.bytes_sent), headers = ngx.resp.get_headers() },
    latencies = { request = math.floor((ngx.now() - ngx.req.start_time()) * 1000) },
    route = { id = "r", name = "tapped" },
    service = { id = "s", name = "nginx", host = "127.0.0.1", port = 80, protocol = "http" },
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
  },
  response = { get_header = api("response.get_header", function(name) return first(ngx.header[name]) end) },
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
  for _, hook in ipairs({ "access", "header_filter", "body_filter", "log" }) do
    hooks[hook] = compile(read(folder .. "/" .. hook .. ".lua"), "=" .. hook)
  end
  captures = assert(io.open(folder .. "/captures.jsonl", "ab"))
  captures:setvbuf("line")
end

-- As in Kong, what a hook raises is nginx's: 500 in access, a broken answer in body_filter.
function shim.run(hook)
  if hook == "access" then ngx.ctx.fault = ngx.var.http_x_fault end
  if ngx.ctx.fault == "hook " .. hook then error("injected, and caught by nobody") end
  hooks[hook]()
  -- Writing is no part of what bench/tap.ts measures.
  if hook ~= "log" or ngx.var.http_x_unseen then return end
  local capture = ngx.ctx.shared and ngx.ctx.shared.llm_observer
  captures:write(json({ request = ngx.var.request_id, left_over = ngx.ctx.shared and ngx.ctx.shared.llm_observer_tap ~= nil,
    capture = capture or "none" }), "\n")
end

return shim
