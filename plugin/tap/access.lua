-- From which Kong's tracing plugins can take over a trace (propagation.extract).
local TRACE_HEADERS = {
  traceparent = true, b3 = true, ["x-b3-traceid"] = true, ["uber-trace-id"] = true, ["ot-tracer-traceid"] = true,
  ["x-amzn-trace-id"] = true, ["x-cloud-trace-context"] = true, ["x-datadog-trace-id"] = true, ["x-instana-t"] = true,
}
local MAX_TRACE = 512
-- What stays where post-function's access does not run: Kong or another plugin answered before, or the tap is not in it.
local NOT_READ = "the request was answered before its body was read"
local errors = 0

-- Of a header that came several times the first.
local function first(value)
  if type(value) == "table" then return value[1] end
  return value
end

local function access()
  local state = { request_error = NOT_READ, head = {}, head_parts = 0, head_bytes = 0, bytes = 0 }
  if errors > 0 then state.access_errors = errors end
  kong.ctx.shared.llm_observer_tap = state

  -- All at once: to ask Kong for each costs more. Looked through, because one that is missing is searched for under other names.
  local known, headers = pcall(kong.request.get_headers)
  if not known or type(headers) ~= "table" then
    errors = errors + 1
    return
  end
  local upgrade, kind, trace = nil, nil, ""
  for name, value in pairs(headers) do
    if TRACE_HEADERS[name] then
      if type(value) == "table" then value = table.concat(value, " ") end
      trace = trace .. " " .. tostring(value)
    elseif name == "upgrade" then
      upgrade = first(value)
    elseif name == "content-type" then
      kind = first(value)
    elseif name == "content-length" then
      state.request_length = tonumber(first(value))
    end
  end
  -- Before Kong's own tracing puts its span there: only then is it known who chose the trace. What is longer than a trace can
  -- be is not cut: a name that stood behind the cut would be taken for one that Kong chose.
  if #trace <= MAX_TRACE then state.client_trace = trace end

  if type(upgrade) == "string" and string.lower(upgrade) == "websocket" then
    -- What passes after the handshake is not seen: such a call is counted, and says that it was not read.
    state.upgrade = "websocket"
    state.request_error = nil
    state.body_unread = true
  elseif type(kind) == "string" and string.sub(string.lower(kind), 1, 16) == "application/grpc" then
    -- Where a global tap sees it: to wait for the whole body would hold up a call in which both sides speak by turns.
    state.request_error = "gRPC is not read"
    state.body_unread = true
  end
end

return function()
  if not pcall(access) then errors = errors + 1 end
end
