--[[
The tap under a small fake of Kong, for any Lua: the test runs it in LuaJIT and in fengari and compares.
Expects SANDBOX (source of sandbox.lua) and SECTIONS (source of each hook) as locals before it. Returns JSON text.
]]

local null = io.stdout -- userdata, as cjson.null is

-- Of every 61st byte: fengari is slow at this.
local function byte_sum(text)
  local sum = 0
  for i = 1, #text, 61 do sum = (sum * 31 + string.byte(text, i)) % 1000003 end
  return sum
end

local function json(value)
  local kind = type(value)
  -- A capture is JSON already.
  if kind == "table" and value.raw_json then return value.raw_json end
  if kind == "string" then
    if #value > 400 then return string.format('{"length":%d,"sum":%d}', #value, byte_sum(value)) end
    return '"' .. string.gsub(value, '[%c"\\\128-\255]', function(c)
      return string.format("\\u%04x", string.byte(c))
    end) .. '"'
  elseif kind == "number" then
    return string.format("%.14g", value)
  elseif kind ~= "table" then
    return kind == "boolean" and tostring(value) or '"<' .. kind .. '>"'
  end
  local parts, keys = {}, {}
  for key in pairs(value) do keys[#keys + 1] = key end
  if #value > 0 and #value == #keys then
    for i = 1, #value do parts[i] = json(value[i]) end
    return "[" .. table.concat(parts, ",") .. "]"
  end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  for i = 1, #keys do parts[i] = json(tostring(keys[i])) .. ":" .. json(value[keys[i]]) end
  return "{" .. table.concat(parts, ",") .. "}"
end

local function document(extra)
  local made = {
    started_at = 1795419012318,
    client_ip = "127.0.0.1",
    source = "upstream",
    upstream_uri = "/v1/chat/completions?key=secret",
    upstream_status = "200",
    workspace_name = "default",
    request = {
      id = "abc", method = "POST", size = 300,
      uri = "/openai/v1/chat/completions?key=secret", url = "http://h/openai?key=secret",
      querystring = { key = "secret" },
      headers = {
        ["content-type"] = "application/json", authorization = "REDACTED", apikey = "secret", cookie = "secret",
        ["x-consumer-username"] = "forged", traceparent = "00-a-b-01", ["X-Tenant-Id"] = { "a", "b" }, accept = null,
      },
    },
    response = {
      status = 200, size = 800,
      headers = {
        ["content-type"] = "application/json", ["set-cookie"] = "secret", ["x-ratelimit-remaining-tokens"] = "9",
        ["X-Amzn-Bedrock-Trace"] = "t", age = "3",
      },
    },
    latencies = { request = 41, kong = 1, proxy = 39, receive = 1 },
    tries = { { ip = "10.0.0.1", port = 443, balancer_start = 1, state = "failed", code = 502 }, { ip = "10.0.0.2", port = 443 } },
    route = { id = "r", name = "openai", tags = { "a", "b" }, paths = { "/openai" } },
    service = { id = "s", name = "openai", host = "api.openai.com", port = 443, protocol = "https", tags = null },
    consumer = { id = "c", username = "alice", custom_id = null, tags = { "tenant:blue", null, "tier:gold" } },
    authenticated_entity = { id = "e", consumer_id = "c" },
  }
  for key, value in pairs(extra or {}) do made[key] = value end
  return made
end

-- One request after the other through the same chunks, as one route in one worker sees them.
local worlds = 0
local function world(lacking)
  worlds = worlds + 1
  local now, fault, request = 1795419012.5, nil, nil
  -- What the tap's timer asks for, and what it sends; `sidecar` says how the sidecar answers.
  local timers, told, sidecar = {}, {}, {}
  local function may_fail(operation)
    if fault == operation then error("injected: " .. operation) end
  end
  ngx = {
    arg = {},
    var = { request_id = string.format("%032x", worlds) },
    header = setmetatable({}, { __index = function(_, name)
      may_fail("get_header")
      return request.response_headers[name]
    end }),
    now = function() may_fail("now") now = now + 0.25 return now end,
    encode_base64 = function(bytes)
      may_fail("encode_base64")
      if #bytes > 400 then return string.format("%d bytes, sum %d", #bytes, byte_sum(bytes)) end
      return "base64:" .. (string.gsub(bytes, '[%c"\\]', function(c) return string.format("\\u%04x", string.byte(c)) end))
    end,
    worker = { pid = function() may_fail("pid") return 77 end },
    timer = { at = function(delay, callback)
      may_fail("timer")
      timers[#timers + 1] = { delay = delay, callback = callback }
      return 1
    end },
    socket = { tcp = function()
      may_fail("tcp")
      local message = { closed = false }
      told[#told + 1] = message
      return {
        settimeout = function(_, ms) message.timeout = ms end,
        getreusedtimes = function() return 0 end,
        sslhandshake = function(_, _, name, verify) message.tls = name .. (verify and ", verified" or "") return true end,
        connect = function(_, host, port)
          message.to = host .. ":" .. tostring(port)
          if sidecar.away then return nil, "connection refused" end
          return 1
        end,
        send = function(_, bytes) message.sent = bytes return #bytes end,
        receive = function() if sidecar.silent then return nil, "timeout" end return sidecar.status or "HTTP/1.1 202 Accepted" end,
        close = function() message.closed = true return 1 end,
      }
    end },
  }
  kong = {
    ctx = {},
    node = { get_id = function() may_fail("get_id") return "node-1" end },
    request = {
      get_raw_body = function() may_fail("get_raw_body") return request.body, request.body_error end,
      get_headers = function() may_fail("get_headers") return request.headers end,
    },
    response = { get_header = function(name) may_fail("get_header") return request.response_headers[name] end },
    log = {
      serialize = function() may_fail("serialize") return request.document end,
      set_serialize_value = function(key) may_fail("set_serialize_value") request.marker = key end,
    },
    vault = { get = function(reference) return "resolved " .. reference end },
  }
  -- A Kong that lacks something: `kong.log.serialize`, or all of `ngx.timer`; several with a space between them.
  for path in string.gmatch(lacking or "", "%S+") do
    local place, owner, name = _G, nil, nil
    for part in string.gmatch(path, "[^.]+") do
      owner, name = place, part
      place = place[part]
    end
    assert(place ~= nil, path)
    owner[name] = nil
  end
  local compile = assert(load(SANDBOX, "=sandbox"))()
  local hooks = {}
  for _, name in ipairs({ "access", "body", "header_filter", "body_filter", "log" }) do
    hooks[name] = compile(SECTIONS[name], "=" .. name)
  end

  -- Lets the timers that wait run, as a second passes.
  local function pass(how)
    sidecar = how or {}
    local due = timers
    timers = {}
    local seen = {}
    for _, timer in ipairs(due) do
      local ok = pcall(timer.callback, sidecar.premature or false)
      seen[#seen + 1] = { delay = timer.delay, ok = ok }
    end
    local sent = told
    told = {}
    for _, message in ipairs(sent) do
      -- The epoch is random.
      if message.sent then message.sent = string.gsub(message.sent, '"epoch":"%x+"', '"epoch":"E"') end
    end
    return { timers = seen, told = sent, waiting = #timers }
  end

  local function serve(given)
    request, fault = given, given.fault
    request.headers = request.headers or {}
    request.response_headers = request.response_headers or { ["content-type"] = "application/json" }
    request.document = request.document or document()
    local shared = { authenticated_jwt_token = request.jwt }
    -- Under Kong's strict and lax sandboxes the chunks see it through a table of their own.
    kong.ctx.shared = setmetatable({}, {
      __index = function(_, key) return shared[key] end,
      __newindex = function(_, key, value) shared[key] = value end,
    })
    local raised = {}
    local function run(hook)
      local ok, err = pcall(hooks[hook])
      if not ok then raised[#raised + 1] = hook .. ": " .. tostring(err) end
    end
    local passed = {}
    if request.pick then request.pick(ngx, kong) end
    if not request.refused_before_access then run("access") end
    -- post-function's access: not where another plugin has answered.
    if not request.refused_before_access and not request.answered_early then run("body") end
    if not request.broken_upload then run("header_filter") end
    for _, chunk in ipairs(request.chunks or {}) do
      ngx.arg[1], ngx.arg[2] = chunk, false
      run("body_filter")
      passed[#passed + 1] = ngx.arg[1]
    end
    if not request.hang_up and not request.broken_upload then
      ngx.arg[1], ngx.arg[2] = "", true
      run("body_filter")
    end
    run("log")
    local capture, epoch = kong.ctx.shared.llm_observer, nil
    if capture then
      epoch = string.match(capture, '"epoch":"(%x+)"')
      capture = string.gsub(capture, '"epoch":"%x+"', function() return '"epoch":' .. #epoch end)
    end
    return {
      capture = capture and { raw_json = capture } or "none",
      raised = raised,
      unchanged = table.concat(passed) == table.concat(request.chunks or {}),
      left_over = type(kong.ctx.shared.llm_observer_tap),
      marker = request.marker,
    }, epoch
  end
  return serve, pass
end

local function pieces(total, size)
  local chunks, at = {}, 0
  while at < total do
    local length = math.min(size, total - at)
    chunks[#chunks + 1] = string.rep(string.char(at % 251, 255, 0, 128), math.ceil(length / 4)):sub(1, length)
    at = at + length
  end
  return chunks
end

local results = {}
local function scenario(name, ...)
  local serve = world()
  local seen = {}
  for _, request in ipairs({ ... }) do seen[#seen + 1] = serve(request) end
  results[name] = seen
end

scenario("a token that Kong verified", { body = "a", jwt = "eyJhbGciOiJIUzI1NiJ9.eyJ0ZW5hbnQiOiJibHVlIn0.c2VjcmV0" },
  { body = "a", jwt = "no token" }, { body = "a", jwt = "a." .. string.rep("b", 8193) .. ".c" })
scenario("refused before access", { refused_before_access = true })
scenario("answered by another plugin", { answered_early = true, fault = "get_raw_body", chunks = { "no" } }, { body = "a" })
scenario("an upload broken off", { body_error = "client disconnected", broken_upload = true }, { body = "a" })
scenario("plain", { body = '{"model":"gpt-4o"}', chunks = { '{"id":', '"x"}' } })
scenario("numbered", { body = "a" }, { body = "b" }, { body = "" })
scenario("hang up", { body = "a", chunks = { "data: 1\n\n" }, hang_up = true })
scenario("no last chunk", { body = "a", chunks = { "whole" }, hang_up = true,
  response_headers = { ["content-type"] = "application/json", ["content-length"] = "5" } },
  { body = "a", chunks = { "whol" }, hang_up = true, response_headers = { ["content-length"] = "5" } })
scenario("no body of the request", { body_error = "request body file too big: 300000 > 262144",
  headers = { ["content-length"] = "300000" } })
scenario("a large body from memory", { body = string.rep("q", 300000) })
for _, size in ipairs({ 100000, 196608, 196609, 262144, 262145, 400000 }) do
  for _, chunk in ipairs({ 1000, 8192, 70000, 500000 }) do
    scenario("answer " .. size .. " by " .. chunk, { body = "a", chunks = pieces(size, chunk) })
  end
end
local gzip = { ["content-type"] = "text/event-stream", ["content-encoding"] = "gzip" }
scenario("encoded, small", { body = "a", response_headers = gzip, chunks = pieces(200000, 8192) })
scenario("encoded, too large", { body = "a", response_headers = gzip, chunks = pieces(300000, 8192) })
scenario("gRPC", { headers = { ["content-type"] = "application/grpc+proto" }, fault = "get_raw_body", chunks = { "one" } })
scenario("traces", { body = "a" }, { body = "a", headers = { ["uber-trace-id"] = "u", accept = "*/*" } },
  { body = "a", headers = { traceparent = string.rep("x", 600), b3 = "hidden" } },
  { body = "a", headers = { traceparent = { "00-t", "00-u" } } })
scenario("upgrade", { headers = { upgrade = "WebSocket" } }, { headers = { upgrade = "h2c" }, body = "a" })
for _, operation in ipairs({ "get_raw_body", "get_headers", "get_header", "now", "serialize", "encode_base64", "get_id", "pid", "timer", "set_serialize_value" }) do
  scenario("fault in " .. operation,
    { body = "a", chunks = { "one", "two" }, fault = operation }, { body = "b", chunks = { "three" } })
end
for _, path in ipairs({ "ngx.now", "ngx.var", "ngx.encode_base64", "ngx.worker", "ngx.worker.pid", "ngx.timer", "ngx.timer.at", "ngx.socket",
  "kong.node", "kong.node.get_id", "kong.request", "kong.request.get_raw_body", "kong.request.get_headers",
  "ngx.header", "kong.response", "kong.response.get_header", "kong.log", "kong.log.serialize", "kong.log.set_serialize_value",
  "kong.vault",
  -- What current Kong Enterprise leaves out: untrusted_lua=strict, its default, and lax.
  "ngx.timer ngx.socket kong.vault", "ngx.timer" }) do
  local serve, pass = world(path)
  local seen = { serve({ body = "a", chunks = { "one", "two" } }), (serve({ body = "b", chunks = { "three" } })) }
  pass()
  results["without " .. path] = seen
end
scenario("what MessagePack cannot carry", { body = "a", document = document({
  correlation_id = null,
  trace_id = { w3c = "4bf92f", f = function() end },
  tries = {},
  ai = {
    proxy = {
      meta = { request_model = "gpt-4o", plugin_id = null }, usage = { prompt_tokens = 3, cost = 0.25 },
      payload = { request = string.rep("x", 300000) },
      tried_targets = { { model = "a" }, null, { model = "b" } },
      call = function() end,
    },
    sanitizer = { pii_identified = 2, duration = 5, sanitized_items = { { original_text = "secret" } } },
  },
}) })
scenario("what JSON cannot carry", { body = "a",
  headers = { upgrade = "\"\1\\" },
  document = document({
    client_ip = "a\"b\\c\n\0", correlation_id = 0 / 0, upstream_status = 1 / 0,
    consumer = { id = "\228\188\129", username = "\255\192\175a\237\160\128\195", custom_id = "\240\159\152\128 \244\144\128\128" },
  }) })
local endless = { level = "top" }
endless.below = endless
scenario("a table without a bottom", { body = "a", document = document({ ai = { proxy = endless } }) })
scenario("a document that is not one", { body = "a", document = "nonsense" }, { body = "b" })

-- Kong's own keys in the place of its serializer: the same capture, and how often the serializer was asked.
local function picking(name, change, values)
  local serve = world()
  local seen, asked = {}, 0
  local full = document()
  local function given(n)
    return { body = "a", chunks = { "one" }, document = full, pick = function(ngx, kong)
      ngx.ctx = {
        workspace = "w1", request_id = "abc", request_uri = full.request.uri, route = full.route, service = full.service,
        authenticated_consumer = full.consumer, authenticated_credential = { id = "e", consumer_id = "c" },
        balancer_data = { tries = full.tries }, KONG_PROXIED = true, KONG_PROXY_LATENCY = 1, KONG_WAITING_TIME = 39, KONG_RECEIVE_TIME = 1,
        serialize_values = values and values(n),
      }
      ngx.var = {
        request_id = "0123456789abcdef0123456789abcdef", remote_addr = "127.0.0.1", request_length = "300", bytes_sent = "800",
        request_time = "0.041", upstream_uri = "/v1/chat/completions", upstream_status = "200", request_uri = "/never",
      }
      ngx.status, ngx.resp = 200, { get_headers = function() return full.response.headers end }
      kong.request.get_headers = function() return full.request.headers end
      kong.request.get_method = function() return "POST" end
      kong.request.get_start_time = function() return full.started_at end
      kong.response.get_source = function() return "service" end
      kong.log.serialize = function()
        asked = asked + 1
        full.workspace = "w1"
        return full
      end
      if change then change(ngx, n) end
    end }
  end
  for n = 1, 12 do seen[n] = serve(given(n)) end
  results[name] = seen
  return asked
end
results["serializer asked"] = {
  ["all alike"] = picking("picked", nil),
  ["another key"] = picking("picked, another key", function(ngx) ngx.ctx.KONG_WAITING_TIME = 38 end),
  ["a key gone once"] = picking("picked, a key gone once", function(ngx, n) if n == 9 then ngx.resp = nil end end),
  ["a document that plugins have set"] = picking("picked, set", nil, function(n)
    if n == 9 then return { { key = "ai.proxy.usage", value = { prompt_tokens = 1 }, mode = "set" } } end
    return { { key = "custom.field", value = 1, mode = "set" }, { key = "request.headers.authorization", value = "R", mode = "replace" } }
  end),
}

-- Totals: what the timer tells, and when there is one.
local function totals(...)
  local serve, pass = world()
  local seen = {}
  for _, step in ipairs({ ... }) do
    if type(step) == "number" then
      for _ = 1, step do serve({ body = "a" }) end
    else
      seen[#seen + 1] = pass(step)
    end
  end
  return seen
end
results["totals"] = {
  ["told once"] = totals(3, {}, {}, 1, {}),
  ["sidecar away, then back"] = totals(1, { away = true }, { away = true }, {}, {}),
  ["refused"] = totals(1, { status = "HTTP/1.1 401 Unauthorized" }),
  ["nothing answers"] = totals(1, { silent = true }),
  ["at the end of a worker"] = totals(2, { premature = true, away = true }, {}),
}
do
  local plain = SECTIONS.log
  for name, constants in pairs({
    ["to a unix socket"] = { "unix:/run/s.sock", "" },
    ["with a token"] = { "http://sidecar", "t-1" },
    ["with a token from a vault"] = { "http://[::1]:1", "{vault://env/t}" },
    ["to nobody"] = { "", "" },
    ["to TLS"] = { "https://sidecar", "" },
    ["to what it does not speak"] = { "ftp://sidecar", "" },
  }) do
    SECTIONS.log = string.gsub(string.gsub(plain, 'SIDECAR_URL = "[^"]*"', function() return 'SIDECAR_URL = "' .. constants[1] .. '"' end),
      'INTAKE_TOKEN = "[^"]*"', function() return 'INTAKE_TOKEN = "' .. constants[2] .. '"' end)
    results["totals"][name] = totals(1, {})
  end
  SECTIONS.log = plain
end

local _, first = world()({ body = "a" })
local _, second = world()({ body = "a" })
results["epochs differ"] = first ~= second and first:match("^%x+$") ~= nil
return json(results)
