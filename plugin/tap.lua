--[[
The tap: Lua that looks at request and response as they pass Kong, and leaves one Capture (sidecar/capture.ts) for the
plugin llm-observer in kong.ctx.shared.llm_observer. `npm run tap` writes each section into the pre-function of kong.yml.

It never delays, changes or fails a request: each hook runs under pcall, and a chunk does nothing when it is loaded that
could raise. It needs no more than Kong's default sandbox: no require, no setmetatable.

Each section is a chunk of its own. What the hooks of one request share is kong.ctx.shared.llm_observer_tap; what a
chunk keeps over requests are its upvalues: one set in each worker process, for each configuration of the plugin.

Captures are numbered in the log hook, right before they go on their way: a request that takes minutes is no gap. The
next capture shows that one before it was lost; that the last ones were lost shows in the total that a timer tells the
sidecar (SIDECAR_URL in the log section), within a second or two after a request.

Memory of one request: at most 256 KB of its body, 256 KB of the answer's (192 KB head, 64 KB tail) and one chunk as
nginx hands it over, with some 40 bytes of Lua's own for each chunk kept; in the log hook for a moment as much again,
then 4/3 of it as base64 until the event is delivered.
Reading the body means that Kong buffers it (request_buffering=false has no effect on tapped routes).
]]

--@ access
local REQUEST_CAP = 262144
-- All from which Kong's tracing plugins can take over a trace (propagation.extract).
local TRACE_HEADERS = {
  traceparent = true, b3 = true, ["x-b3-traceid"] = true, ["uber-trace-id"] = true, ["ot-tracer-traceid"] = true,
  ["x-amzn-trace-id"] = true, ["x-cloud-trace-context"] = true, ["x-datadog-trace-id"] = true, ["x-instana-t"] = true,
}
local MAX_TRACE = 512

local errors = 0

-- Of a header that came several times the first.
local function first(value)
  if type(value) == "table" then return value[1] end
  return value
end

local function access()
  local state = {
    access_errors = errors,
    request_error = "the tap could not read the body",
    head = {}, head_parts = 0, head_bytes = 0,
    tail = {}, tail_first = 1, tail_last = 0, tail_bytes = 0,
    bytes = 0,
  }
  kong.ctx.shared.llm_observer_tap = state

  -- All at once: to ask Kong for each costs more. Looked through, because one that is missing is searched for under other names.
  local upgrade, kind, length, trace = nil, nil, nil, ""
  local known, headers = pcall(kong.request.get_headers)
  if known and type(headers) == "table" then
    for name, value in pairs(headers) do
      if TRACE_HEADERS[name] then
        if type(value) == "table" then value = table.concat(value, " ") end
        trace = trace .. " " .. tostring(value)
      elseif name == "upgrade" then
        upgrade = first(value)
      elseif name == "content-type" then
        kind = first(value)
      elseif name == "content-length" then
        length = tonumber(first(value))
      end
    end
    -- Before Kong's own tracing puts its span there: only then is it known who chose the trace. What is longer than a trace can
    -- be is not cut: a name that stood behind the cut would be taken for one that Kong chose.
    if #trace <= MAX_TRACE then state.client_trace = trace end
  else
    errors = errors + 1
  end

  if type(upgrade) == "string" and string.lower(upgrade) == "websocket" then
    -- What passes after the handshake is not seen: such a call is counted, and says that it was not read.
    state.upgrade = "websocket"
    state.request_error = nil
    return
  end
  if type(kind) == "string" and string.sub(string.lower(kind), 1, 16) == "application/grpc" then
    -- Where a global tap sees it: to wait for the whole body would hold up a call in which both sides speak by turns.
    state.request_error = "gRPC is not read"
    return
  end

  local body, err = kong.request.get_raw_body(REQUEST_CAP)
  if type(body) == "string" then
    state.request_error = nil
    state.request_bytes = #body
    -- A body that nginx holds in memory comes whole, whatever its size.
    if #body > REQUEST_CAP then body = string.sub(body, 1, REQUEST_CAP) end
    if body ~= "" then state.request_body = body end
  else
    state.request_error = string.sub(tostring(err or "Kong gave no body"), 1, 256)
    if length and length >= 0 and length == math.floor(length) then state.request_bytes = length end
  end
end

return function()
  if not pcall(access) then errors = errors + 1 end
end

--@ header_filter
local errors = 0

local function text(value)
  if type(value) == "string" then return value end
end

local function header_filter()
  local state = kong.ctx.shared.llm_observer_tap
  if not state then return end
  state.header_errors = errors
  -- What the bytes are that body_filter sees; a later plugin may decode them and change these headers.
  state.content_type = text(kong.response.get_header("content-type"))
  state.content_encoding = text(kong.response.get_header("content-encoding"))
  state.content_length = tonumber(kong.response.get_header("content-length"))
  state.headers_seen = true
end

return function()
  if not pcall(header_filter) then errors = errors + 1 end
end

--@ body_filter
local HEAD_CAP = 196608
local TAIL_CAP = 65536
-- A compressed body cannot be read without its middle: it is kept whole up to a cap of its own.
local ENCODED_CAP = 262144
local errors = 0

local function keep_head(state, chunk, cap)
  local room = cap - state.head_bytes
  if room <= 0 then return chunk end
  local part, rest = chunk, nil
  if #chunk > room then
    part, rest = string.sub(chunk, 1, room), string.sub(chunk, room + 1)
  end
  state.head_parts = state.head_parts + 1
  state.head[state.head_parts] = part
  state.head_bytes = state.head_bytes + #part
  return rest
end

-- A ring of whole chunks: the oldest goes as soon as the others hold TAIL_CAP bytes. The log hook cuts it to the byte.
local function keep_tail(state, chunk)
  if #chunk > TAIL_CAP then
    chunk = string.sub(chunk, -TAIL_CAP)
    state.tail_cut = true
  end
  local tail, first, bytes = state.tail, state.tail_first, state.tail_bytes + #chunk
  local last = state.tail_last + 1
  tail[last] = chunk
  while bytes - #tail[first] >= TAIL_CAP do
    bytes = bytes - #tail[first]
    tail[first] = nil
    first = first + 1
    state.tail_cut = true
  end
  state.tail_first, state.tail_last, state.tail_bytes = first, last, bytes
end

local function body_filter()
  local state = kong.ctx.shared.llm_observer_tap
  if not state then return end
  if errors > 0 then state.body_errors = errors end
  local chunk = ngx.arg[1]
  if type(chunk) == "string" and chunk ~= "" and not state.broken then
    local now = ngx.now()
    state.first_byte_at = state.first_byte_at or now
    state.last_byte_at = now
    state.bytes = state.bytes + #chunk
    local encoding = state.content_encoding
    if encoding and encoding ~= "" and encoding ~= "identity" then
      keep_head(state, chunk, ENCODED_CAP)
    else
      local rest = keep_head(state, chunk, HEAD_CAP)
      if rest then keep_tail(state, rest) end
    end
  end
  if ngx.arg[2] then state.complete = true end
end

return function()
  if pcall(body_filter) then return end
  errors = errors + 1
  -- What was kept so far is the beginning of the body; what follows would leave a hole that nobody sees.
  pcall(function()
    local state = kong.ctx.shared.llm_observer_tap
    if state then state.broken = true end
  end)
end

--@ log
-- Headers that may leave Kong; plugin/allow-list.ts names the same ones. Credentials, cookies and the X-Consumer-*
-- headers, which a client can forge where there is no auth plugin, are not here, and must not come.
local REQUEST_HEADERS = {
  "content-type", "content-length", "accept", "user-agent",
  "traceparent", "tracestate", "baggage", "b3", "x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled", "x-request-id", "x-correlation-id",
  "x-tenant-id", "x-session-id", "x-user-id",
  "anthropic-version", "anthropic-beta", "openai-beta",
}
local RESPONSE_HEADERS = {
  "content-type", "content-encoding", "content-length",
  "x-request-id", "request-id", "x-kong-request-id",
  "age", "retry-after", "cf-aig-cache-status", "x-litellm-cache-key", "x-portkey-cache-status", "helicone-cache",
  "x-kong-llm-model", "x-kong-upstream-latency", "x-kong-proxy-latency",
  "openai-processing-ms", "openai-model",
  "apim-request-id", "azureai-processed-tier", "x-gemini-service-tier", "x-amzn-requestid",
}
local RESPONSE_HEADER_PREFIXES = {
  "x-cache", "x-semantic-cache", "x-ratelimit-", "ratelimit", "x-ai-ratelimit-", "anthropic-ratelimit-", "x-amzn-bedrock-",
}
local SCALARS = {
  "started_at", "client_ip", "source", "upstream_status", "workspace", "workspace_name", "correlation_id",
}
local LATENCIES = { "request", "kong", "proxy", "receive" }
local TRY = { "ip", "port", "balancer_start", "state", "code" }
local ROUTE = { "id", "name" }
local SERVICE = { "id", "name", "host", "port", "protocol" }
local CONSUMER = { "id", "username", "custom_id" }
local ENTITY = { "id" }

local TAIL_CAP = 65536
local MAX_DEPTH = 12
local MAX_STRING = 262144
local MAX_TOKEN_PAYLOAD = 8192
local errors = 0

-- Where totals are told: sidecar_url and intake_token of the plugin. "" tells none; https:// is not spoken here.
local SIDECAR_URL = "http://127.0.0.1:8086"
-- The token itself, or a reference to a vault; where the vault does not know it, none is sent.
local INTAKE_TOKEN = "{vault://env/observer-intake-token}"
local TELL_EVERY, TELL_AT_LEAST_EVERY = 1, 30
local SOCKET_TIMEOUT_MS = 2000

-- One epoch is one load of this chunk in one worker process; in it captures are numbered 1, 2, 3 …
local sequence, told, epoch, node = 0, 0, nil, nil
local telling, delay = false, TELL_EVERY

local allowed_request, allowed_response = {}, {}
for i = 1, #REQUEST_HEADERS do allowed_request[REQUEST_HEADERS[i]] = true end
for i = 1, #RESPONSE_HEADERS do allowed_response[RESPONSE_HEADERS[i]] = true end

local function request_header(name)
  return allowed_request[name]
end

local function response_header(name)
  if allowed_response[name] then return true end
  for i = 1, #RESPONSE_HEADER_PREFIXES do
    local prefix = RESPONSE_HEADER_PREFIXES[i]
    if string.sub(name, 1, #prefix) == prefix then return true end
  end
  return false
end

-- Only what MessagePack packs: cjson.null is userdata, and a function would be called.
local function scalar(value)
  local kind = type(value)
  if kind == "string" or kind == "number" or kind == "boolean" then return value end
end

local function pick(from, names)
  if type(from) ~= "table" then return nil end
  local picked = {}
  for i = 1, #names do picked[names[i]] = scalar(from[names[i]]) end
  return picked
end

local function strings(list)
  if type(list) ~= "table" then return nil end
  local kept = {}
  for i = 1, #list do
    if type(list[i]) == "string" then kept[#kept + 1] = list[i] end
  end
  return kept
end

local function with_tags(from, names)
  local picked = pick(from, names)
  if picked then picked.tags = strings(from.tags) end
  return picked
end

local function pick_headers(from, allows)
  local picked = {}
  if type(from) ~= "table" then return picked end
  for name, value in pairs(from) do
    if type(name) == "string" then
      name = string.lower(name)
      if allows(name) then
        if type(value) == "table" then picked[name] = strings(value) else picked[name] = scalar(value) end
      end
    end
  end
  return picked
end

-- `?key=…` is how some clients authenticate.
local function without_query(uri)
  if type(uri) ~= "string" then return nil end
  local mark = string.find(uri, "?", 1, true)
  if mark then return string.sub(uri, 1, mark - 1) end
  return uri
end

local function copy(value, depth)
  if type(value) ~= "table" then
    if type(value) == "string" and #value > MAX_STRING then return nil end
    return scalar(value)
  end
  if depth >= MAX_DEPTH then return nil end
  local copied = {}
  for i = 1, #value do
    local kept = copy(value[i], depth + 1)
    -- A hole would make MessagePack write the list as a map.
    if kept ~= nil then copied[#copied + 1] = kept end
  end
  for key, item in pairs(value) do
    if type(key) == "string" then copied[key] = copy(item, depth + 1) end
  end
  return copied
end

-- ai-sanitizer logs each item with its original text: of its entry only the numbers pass.
local function without_sanitized_items(ai)
  if type(ai) ~= "table" then return nil end
  local copied = {}
  for key, value in pairs(ai) do
    if key == "sanitizer" then
      local numbers = {}
      if type(value) == "table" then
        for name, number in pairs(value) do
          if type(name) == "string" and type(number) == "number" then numbers[name] = number end
        end
      end
      copied.sanitizer = numbers
    elseif type(key) == "string" then
      copied[key] = copy(value, 1)
    end
  end
  return copied
end

local function log_document(document, state)
  local request, response = document.request, document.response
  local log = pick(document, SCALARS)
  log.upstream_uri = without_query(document.upstream_uri)
  if type(document.trace_id) == "table" then log.trace_id = copy(document.trace_id, 1) end

  log.request = pick(request, { "id", "method", "size" })
  log.request.uri = without_query(request.uri)
  log.request.headers = pick_headers(request.headers, request_header)

  log.response = pick(response, { "status", "size" })
  local headers = pick_headers(response.headers, response_header)
  if state.headers_seen then
    headers["content-type"] = state.content_type
    headers["content-encoding"] = state.content_encoding
  end
  log.response.headers = headers

  log.latencies = pick(document.latencies, LATENCIES)
  if type(document.tries) == "table" then
    log.tries = {}
    for i = 1, #document.tries do log.tries[i] = pick(document.tries[i], TRY) or {} end
  end
  log.route = with_tags(document.route, ROUTE)
  log.service = with_tags(document.service, SERVICE)
  log.consumer = with_tags(document.consumer, CONSUMER)
  log.authenticated_entity = pick(document.authenticated_entity, ENTITY)
  log.ai = without_sanitized_items(document.ai)
  return log
end

local function attempt(call)
  local ok, value = pcall(call)
  if ok then return value end
end

local function new_epoch()
  local time = attempt(function() return math.floor(ngx.now() * 1000) end) or 0
  local pid = attempt(function() return ngx.worker.pid() end) or 0
  -- Kong seeds math.random in each worker; the address of a table differs between processes as well.
  local address = tonumber(string.match(tostring({}), "0x(%x+)") or "0", 16) or 0
  return string.format("%08x%04x%06x%04x%04x", math.floor(time / 65536), time % 65536, pid % 16777216,
    address % 65536, math.random(0, 65535))
end

local function token()
  if string.sub(INTAKE_TOKEN, 1, 9) ~= "{vault://" then return INTAKE_TOKEN end
  return attempt(function() return kong.vault.get(INTAKE_TOKEN) end) or ""
end

-- Says how many captures this epoch has had. True where the sidecar has stored it.
local function tell(total)
  local body = string.format('{"v":1,"node":"%s","epoch":"%s","sequence":%d,"tap_errors":%d}', node, epoch, total, errors)
  local secret = token()
  local sock = ngx.socket.tcp()
  sock:settimeout(SOCKET_TIMEOUT_MS)
  local host, port = string.match(SIDECAR_URL, "^http://(.+):(%d+)/*$")
  local connected
  if string.sub(SIDECAR_URL, 1, 6) == "unix:/" then
    host, connected = "localhost", sock:connect(SIDECAR_URL)
  else
    host = host or string.match(SIDECAR_URL, "^http://([^/]+)/*$")
    connected = host and sock:connect(host, tonumber(port) or 80)
  end
  if not connected then return false end
  local lines = {
    "POST /v1/totals HTTP/1.1", "Host: " .. host, "Content-Type: application/json", "Content-Length: " .. #body,
    "Connection: close",
  }
  if secret ~= "" then lines[#lines + 1] = "Authorization: Bearer " .. secret end
  local sent = sock:send(table.concat(lines, "\r\n") .. "\r\n\r\n" .. body)
  local status = sent and sock:receive("*l")
  sock:close()
  return type(status) == "string" and string.find(status, "^HTTP/1%.%d 202") ~= nil
end

-- Runs as long as there is something to tell: an idle worker, or the chunk of an old configuration, has no timer.
local schedule
local function tick(premature)
  telling = false
  local total = sequence
  if told == total then return end
  if attempt(function() return tell(total) end) then
    told, delay = math.max(told, total), TELL_EVERY
  else
    delay = math.min(delay * 2, TELL_AT_LEAST_EVERY)
  end
  if not premature and told ~= sequence then schedule() end
end
schedule = function()
  if telling or SIDECAR_URL == "" then return end
  telling = ngx.timer.at(delay, function(premature)
    if not pcall(tick, premature) then telling = false end
  end) and true or false
end

-- The claims of a token that Kong's jwt plugin has verified: its payload alone, which nobody can log in with.
local function verified_claims(shared)
  local jwt = shared.authenticated_jwt_token
  if type(jwt) ~= "string" then return nil end
  local payload = string.match(jwt, "^[%w_-]+%.([%w_=-]+)%.")
  if payload and #payload <= MAX_TOKEN_PAYLOAD then return payload end
end

local function encode(bytes)
  if bytes and bytes ~= "" then return ngx.encode_base64(bytes) end
end

-- Head and tail as two pieces where the middle was cut out, else as one.
local function response_bytes(state)
  local head = table.concat(state.head, "", 1, state.head_parts)
  if state.broken or state.tail_last < state.tail_first then return head, nil end
  local tail = table.concat(state.tail, "", state.tail_first, state.tail_last)
  if #tail > TAIL_CAP then return head, string.sub(tail, -TAIL_CAP) end
  if state.tail_cut then return head, tail end
  return head .. tail, nil
end

local function log()
  local shared = kong.ctx.shared
  -- The access hook did not run where nginx refused the request before, or failed: what Kong logs is known all the same.
  local state = shared.llm_observer_tap or {
    request_error = "the tap did not see the request",
    head = {}, head_parts = 0, tail = {}, tail_first = 1, tail_last = 0, broken = true,
  }
  -- For a plugin that asks for Kong's log document first: there is a tap, and its table holds more.
  attempt(function() kong.log.set_serialize_value("llm_observer_tapped", true) end)

  epoch = epoch or new_epoch()
  sequence = sequence + 1
  node = kong.node.get_id()
  pcall(schedule)

  local body, tail = response_bytes(state)
  local capture = {
    v = 1,
    source = "tap",
    node = node,
    worker = ngx.worker.pid(),
    epoch = epoch,
    sequence = sequence,
    upgrade = state.upgrade,
    client_trace = state.client_trace,
    jwt_payload = verified_claims(shared),
    log = log_document(kong.log.serialize(), state),
    request_body = encode(state.request_body),
    request_bytes = state.request_bytes,
    request_error = state.request_error,
    response_body = encode(body),
    response_tail = encode(tail),
    first_byte_at = state.first_byte_at,
    last_byte_at = state.last_byte_at,
  }
  if not state.broken then
    capture.response_bytes = state.bytes
    -- Where a plugin buffers the answer (ai-proxy without a stream), Kong announces no last chunk.
    capture.response_complete = state.complete == true or (state.content_length == state.bytes and state.bytes > 0)
  end
  -- Hook calls that failed so far; absent as long as none did.
  local failed = errors + (state.access_errors or 0) + (state.header_errors or 0) + (state.body_errors or 0)
  if failed > 0 then capture.tap_errors = failed end
  shared.llm_observer = capture
end

return function()
  if not pcall(log) then errors = errors + 1 end
  -- The raw bytes are not needed any more; the event may wait long for its turn.
  pcall(function() kong.ctx.shared.llm_observer_tap = nil end)
end
