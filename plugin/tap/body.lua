-- In post-function, the last of all plugins: Kong has collected the others by now, so that a client that breaks off its upload
-- while it is waited for is missing from no log.
local REQUEST_CAP = 262144
local errors = 0

local function body()
  local state = kong.ctx.shared.llm_observer_tap
  if not state or state.body_unread then return end
  if errors > 0 then state.post_errors = errors end
  state.request_error = "the tap could not read the body"
  local read, err = kong.request.get_raw_body(REQUEST_CAP)
  if type(read) == "string" then
    state.request_error = nil
    state.request_bytes = #read
    -- A body that nginx holds in memory comes whole, whatever its size.
    if #read > REQUEST_CAP then read = string.sub(read, 1, REQUEST_CAP) end
    if read ~= "" then state.request_body = read end
    return
  end
  state.request_error = string.sub(tostring(err or "Kong gave no body"), 1, 256)
  local length = state.request_length
  if length and length >= 0 and length == math.floor(length) then state.request_bytes = length end
end

return function()
  if not pcall(body) then errors = errors + 1 end
end
