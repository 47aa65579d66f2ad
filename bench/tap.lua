-- The tap's chunks under a Kong that costs nothing: what is left is their own. Expects SECTIONS (source of each hook) as a local.
local headers = {
  ["content-type"] = "application/json", ["content-length"] = "2048", accept = "*/*", ["user-agent"] = "client/1.0", host = "h",
  authorization = "REDACTED", ["accept-encoding"] = "gzip", connection = "keep-alive", ["x-stainless-lang"] = "js",
}
local response_headers = {
  ["content-type"] = "application/json", ["content-length"] = "4096", date = "d", ["x-request-id"] = "r",
  ["openai-processing-ms"] = "5", ["x-ratelimit-remaining-tokens"] = "9", via = "kong", ["x-kong-request-id"] = "1",
}
local route = { id = "r", name = "openai", tags = { "a" } }
local service = { id = "s", name = "openai", host = "api.openai.com", port = 443, protocol = "https" }
local consumer = { id = "c", username = "alice", tags = { "tenant:blue" } }
local tries = { { ip = "10.0.0.1", port = 443, balancer_start = 1 } }
local function document()
  return {
    started_at = 1, client_ip = "127.0.0.1", source = "upstream", upstream_uri = "/v1/x", upstream_status = "200",
    workspace = "w", workspace_name = "default",
    request = { id = "abc", method = "POST", size = 300, uri = "/openai/v1/x", headers = headers },
    response = { status = 200, size = 800, headers = response_headers },
    latencies = { request = 41, kong = 1, proxy = 39, receive = 1 },
    tries = tries, route = route, service = service, consumer = consumer,
  }
end
local prompt, base64 = string.rep("q", 2048), string.rep("b", 5460)
ngx = {
  arg = {}, now = function() return 1.5 end, encode_base64 = function() return base64 end,
  -- Kong's own keys, of which the tap picks.
  ctx = {
    workspace = "w", request_id = "abc", request_uri = "/openai/v1/x", route = route, service = service,
    authenticated_consumer = consumer, balancer_data = { tries = tries }, KONG_PROXIED = true,
    KONG_PROXY_LATENCY = 1, KONG_WAITING_TIME = 39, KONG_RECEIVE_TIME = 1,
  },
  var = {
    remote_addr = "127.0.0.1", request_length = "300", bytes_sent = "800", request_time = "0.041", upstream_uri = "/v1/x",
    upstream_status = "200",
  },
  status = 200, header = response_headers, resp = { get_headers = function() return response_headers end },
  worker = { pid = function() return 7 end }, timer = { at = function() return true end },
}
kong = {
  ctx = {}, node = { get_id = function() return "n" end },
  request = {
    get_headers = function() return headers end, get_raw_body = function() return prompt end,
    get_method = function() return "POST" end, get_start_time = function() return 1 end,
  },
  response = {
    get_header = function(name) return response_headers[name] end, get_source = function() return "service" end,
  },
  log = { serialize = document },
}
local hooks = {}
for name, source in pairs(SECTIONS) do hooks[name] = assert(load(source, "=" .. name))() end

local function request(chunk, count)
  kong.ctx.shared = {}
  hooks.access()
  hooks.body()
  hooks.header_filter()
  for _ = 1, count do
    ngx.arg[1], ngx.arg[2] = chunk, false
    hooks.body_filter()
  end
  ngx.arg[1], ngx.arg[2] = "", true
  hooks.body_filter()
  hooks.log()
  assert(kong.ctx.shared.llm_observer)
end
local function microseconds(requests, chunk, count)
  for _ = 1, requests / 10 do request(chunk, count) end
  local began = os.clock()
  for _ = 1, requests do request(chunk, count) end
  return (os.clock() - began) / requests * 1e6
end
return { request = request, microseconds = microseconds }
