local errors = 0
-- Whether ngx.header is there: a sandbox may keep it away. kong.response.get_header fetches all headers for each one.
local by_name

local function header(name)
  if by_name == nil then by_name = pcall(function() return ngx.header[name] end) end
  local value
  if by_name then value = ngx.header[name] else value = kong.response.get_header(name) end
  if type(value) == "table" then value = value[1] end
  return type(value) == "string" and value or nil
end

local function header_filter()
  local shared = kong.ctx.shared
  local state = shared.llm_observer_tap
  if not state then
    -- nginx refused the request before access, or the hook there failed.
    state = { request_error = "the tap did not see the request", head = {}, head_parts = 0, head_bytes = 0, bytes = 0 }
    shared.llm_observer_tap = state
  end
  -- From here on it is a request with an answer: it gets a number.
  state.answered = true
  if errors > 0 then state.header_errors = errors end
  -- What the bytes are that body_filter sees; a later plugin may decode them and change these headers.
  state.content_type = header("content-type")
  state.content_encoding = header("content-encoding")
  state.content_length = tonumber(header("content-length"))
  state.headers_seen = true
end

return function()
  if not pcall(header_filter) then errors = errors + 1 end
end
