-- The part of Kong's log document that a capture holds, as JSON: picked from Kong's own keys, or from its serializer.
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
-- Names and entities that are remembered.
local MAX_KNOWN = 1000
-- Requests of which the picked document is compared with Kong's own.
local CHECKED = 5
-- How many were, and whether all were right.
local checked, picks = 0, true

local SCALARS = fields({
  "started_at", "client_ip", "source", "upstream_status", "workspace", "workspace_name", "correlation_id",
})
local LATENCIES = fields({ "request", "kong", "proxy", "receive" })
local TRY = fields({ "ip", "port", "balancer_start", "state", "code" })
local ROUTE = fields({ "id", "name" })
local SERVICE = fields({ "id", "name", "host", "port", "protocol" })
local CONSUMER = fields({ "id", "username", "custom_id" })
local ENTITY = fields({ "id" })

-- Which headers pass, as far as their names have been seen: name → the member's beginning, with its comma, or false.
local function header_names(listed, prefixes)
  local allowed, known, count = {}, {}, 0
  for i = 1, #listed do allowed[listed[i]] = true end
  return function(name)
    local member = known[name]
    if member ~= nil then return member end
    local lower = string.lower(name)
    local passes = allowed[lower] or false
    for i = 1, #prefixes do
      if string.sub(lower, 1, #prefixes[i]) == prefixes[i] then passes = true end
    end
    member = passes and "," .. quote(lower) .. ":" or false
    if count >= MAX_KNOWN then known, count = {}, 0 end
    known[name], count = member, count + 1
    return member
  end
end
local request_header = header_names(REQUEST_HEADERS, {})
local response_header = header_names(RESPONSE_HEADERS, RESPONSE_HEADER_PREFIXES)

-- `seen`: what body_filter's bytes are, whatever a later plugin has made of these two headers.
local function put_headers(from, member_of, seen)
  put("{")
  local begin = size
  if type(from) == "table" then
    for name, value in pairs(from) do
      local member = type(name) == "string" and member_of(name)
      if member and not (seen and (member == ',"content-type":' or member == ',"content-encoding":')) then
        if type(value) == "table" then put_member(member, strings(value)) else put_member(member, scalar(value)) end
      end
    end
  end
  if checked < CHECKED then
    -- Two tables that are alike may be walked in different orders.
    local members = {}
    for i = begin + 1, size, 2 do members[#members + 1] = out[i] .. out[i + 1] end
    table.sort(members)
    size = begin
    for i = 1, #members do put(members[i]) end
  end
  if seen then
    put_member(',"content-type":', seen.content_type and quote(seen.content_type))
    put_member(',"content-encoding":', seen.content_encoding and quote(seen.content_encoding))
  end
  if size > begin then out[begin + 1] = string.sub(out[begin + 1], 2) end
  put("}")
end

-- Route, service and consumer are the same tables for many requests: their text is kept.
local entities, entity_count = {}, 0
local function put_entity(key, from, of, picked)
  if type(from) ~= "table" then return end
  if not picked then return put_object(key, from, of, true) end
  local text = entities[from]
  if not text then
    local begin = size
    put_object(key, from, of, true)
    text = table.concat(out, "", begin + 1, size)
    size = begin
    if entity_count >= MAX_KNOWN then entities, entity_count = {}, 0 end
    entities[from], entity_count = text, entity_count + 1
  end
  put(text)
end

-- `?key=…` is how some clients authenticate.
local function without_query(uri)
  if type(uri) ~= "string" then return nil end
  local mark = string.find(uri, "?", 1, true)
  if mark then uri = string.sub(uri, 1, mark - 1) end
  return quote(uri)
end

-- ai-sanitizer logs each item with its original text: of its entry only the numbers pass.
local function without_sanitized_items(ai)
  if type(ai) ~= "table" then return nil end
  local parts = {}
  for key, value in pairs(ai) do
    local text
    if key == "sanitizer" then
      local numbers = {}
      if type(value) == "table" then
        for name, number in pairs(value) do
          if type(name) == "string" and type(number) == "number" then numbers[name] = number end
        end
      end
      text = any(numbers, 1)
    elseif type(key) == "string" then
      text = any(value, 1)
    end
    if text then parts[#parts + 1] = quote(key) .. ":" .. text end
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

-- A document of Kong's serializer, or a picked one, of which the entities' text is kept.
local function put_document(document, state, picked)
  local request, response = document.request, document.response
  put_object('"log":', document, SCALARS)
  -- Its members go on.
  size = size - 1
  put_member(',"upstream_uri":', without_query(document.upstream_uri))
  if type(document.trace_id) == "table" then put_member(',"trace_id":', any(document.trace_id, 1)) end
  put_member(',"request":{"id":', quote(request.id))
  put_member(',"method":', quote(request.method))
  put_member(',"size":', scalar(request.size))
  put_member(',"uri":', without_query(request.uri))
  put(',"headers":')
  put_headers(request.headers, request_header)
  put_member('},"response":{"status":', scalar(response.status))
  put_member(',"size":', scalar(response.size))
  put(',"headers":')
  put_headers(response.headers, response_header, state.headers_seen and state)
  put("}")
  put_object(',"latencies":', document.latencies, LATENCIES)
  if type(document.tries) == "table" then
    put(',"tries":[')
    for i = 1, #document.tries do
      local try = document.tries[i]
      put_object(i > 1 and "," or "", type(try) == "table" and try or {}, TRY)
    end
    put("]")
  end
  put_entity(',"route":', document.route, ROUTE, picked)
  put_entity(',"service":', document.service, SERVICE, picked)
  put_entity(',"consumer":', document.consumer, CONSUMER, picked)
  put_object(',"authenticated_entity":', document.authenticated_entity, ENTITY)
  put_member(',"ai":', without_sanitized_items(document.ai))
  put("}")
end

local SOURCES = { error = "kong", exit = "kong", service = "upstream" }
-- What a plugin sets with kong.log.set_serialize_value and is none of these does not concern us.
local CONCERNS = {
  ai = true, request = true, response = true, latencies = true, tries = true, route = true, service = true, consumer = true,
  authenticated_entity = true, trace_id = true, correlation_id = true, upstream_uri = true,
}
for i = 1, #SCALARS.names do CONCERNS[SCALARS.names[i]] = true end

-- Names of workspaces, which only the serializer tells; of no workspace: false.
local workspaces = {}

-- What the serializer would give, without its copies. nil where only the serializer knows. The keys are Kong's own: compared.
local function pick_document()
  local ctx, var = ngx.ctx, ngx.var
  local workspace = ctx.workspace
  local workspace_name = workspaces[workspace or ""]
  if workspace_name == nil then return nil end
  local correlation_id, trace_id
  local values = ctx.serialize_values
  if values then
    for i = 1, #values do
      local item = values[i]
      local key, simple = item.key, item.mode == "set"
      if key == "correlation_id" and simple then correlation_id = item.value
      elseif key == "trace_id" and simple then trace_id = item.value
      elseif CONCERNS[string.match(key, "^[^.]+")] and string.sub(key, -13) ~= "authorization" then return nil end
    end
  end
  local request, balancer, credential = kong.request, ctx.balancer_data, ctx.authenticated_credential
  return {
    started_at = request.get_start_time(),
    client_ip = var.remote_addr,
    source = SOURCES[kong.response.get_source(ctx)],
    upstream_uri = var.upstream_uri or "",
    upstream_status = var.upstream_status or ctx.buffered_status or "",
    workspace = workspace,
    workspace_name = workspace_name or nil,
    correlation_id = correlation_id,
    trace_id = trace_id,
    request = {
      id = ctx.request_id or var.kong_request_id, method = request.get_method(), uri = ctx.request_uri or var.request_uri,
      size = tonumber(var.request_length), headers = request.get_headers(),
    },
    response = { status = ngx.status, size = tonumber(var.bytes_sent), headers = ngx.resp.get_headers() },
    latencies = {
      request = tonumber(var.request_time) * 1000,
      kong = ctx.KONG_PROXY_LATENCY or ctx.KONG_RESPONSE_LATENCY or 0,
      proxy = ctx.KONG_WAITING_TIME or -1,
      receive = ctx.KONG_RECEIVE_TIME or 0,
    },
    tries = balancer and balancer.tries,
    route = ctx.route,
    service = ctx.service,
    consumer = ctx.authenticated_consumer,
    authenticated_entity = credential and { id = credential.id },
  }
end

-- The member "log".
local function put_log(state)
  local begin, picked = size, nil
  if picks then
    local ok, document = pcall(pick_document)
    if ok and document then ok = pcall(put_document, document, state, true) end
    if ok and document then
      if checked >= CHECKED then return end
      picked = table.concat(out, "", begin + 1, size)
    end
    -- Else a call that failed, or a sandbox without ngx.ctx: this one is serialized.
    size = begin
  end
  local document = kong.log.serialize()
  put_document(document, state)
  if picks and type(document.workspace_name or "") == "string" then
    workspaces[document.workspace or ""] = document.workspace_name or false
  end
  if picked then
    -- A Kong whose keys are others: its serializer is asked from now on.
    if picked ~= table.concat(out, "", begin + 1, size) then picks = false end
    checked = checked + 1
  end
end
