--[[
Opt-in: makes OpenAI-compatible providers report the usage of streams. A request with a top-level "stream": true and no
top-level "stream_options" is sent on with "stream_options": {"include_usage": true} (docs/usage.md).

It changes the client's request, which nothing else of kong-llm-observer does, and so is no part of the tap. Put it into
the `access` list of the route's own pre-function, after the tap (a second pre-function would replace the tap):

  plugins:
  - name: pre-function
    config:
      access:
      - |  # the tap
      - |  # this file

Whatever it does not understand to the last byte it leaves alone: other paths, other methods, a body that is encoded, on
disk beyond BODY_CAP, or not one JSON object. It runs in Kong's default sandbox, and an error in it stays in it.
]]
local BODY_CAP = 1048576
local INSERTED = '"stream_options":{"include_usage":true},'

-- The index after the closing quote of the string that opens at `at`; nil where the text ends first.
local function after_string(text, at)
  at = at + 1
  while true do
    local stop = string.find(text, '["\\]', at)
    if not stop then return nil end
    if string.byte(text, stop) == 34 then return stop + 1 end
    at = stop + 2
  end
end

-- Whether the body is one JSON object that asks for a stream and says nothing of its options; and where it opens.
local function asks_for_stream(text)
  local open = string.match(text, "^[ \t\r\n]*(){")
  if not open then return nil end
  local closers = { 125 }
  local streams, is_key = false, true
  local at = open + 1
  while #closers > 0 do
    local found = string.find(text, '["{}%[%],:]', at)
    if not found then return nil end
    local sign = string.byte(text, found)
    at = found + 1
    if sign == 34 then
      local after = after_string(text, found)
      if not after then return nil end
      if #closers == 1 and is_key then
        local key = string.sub(text, found + 1, after - 2)
        -- An escape may spell any name: who writes one is left alone.
        if key == "stream_options" or string.find(key, "\\", 1, true) then return nil end
        -- Of two members of one name the last counts.
        if key == "stream" then streams = string.find(text, "^[ \t\r\n]*:[ \t\r\n]*true[ \t\r\n]*[,}]", after) ~= nil end
        is_key = false
      end
      at = after
    elseif sign == 123 then
      closers[#closers + 1] = 125
    elseif sign == 91 then
      closers[#closers + 1] = 93
    elseif sign == 125 or sign == 93 then
      if closers[#closers] ~= sign then return nil end
      closers[#closers] = nil
    elseif sign == 44 and #closers == 1 then
      is_key = true
    end
  end
  if string.find(text, "[^ \t\r\n]", at) then return nil end
  return streams and open or nil
end

local function access()
  if kong.request.get_method() ~= "POST" then return end
  if not string.find(kong.request.get_path(), "/completions/?$") then return end
  local encoding = kong.request.get_header("content-encoding")
  if encoding and encoding ~= "" and string.lower(encoding) ~= "identity" then return end
  local body = kong.request.get_raw_body(BODY_CAP)
  if type(body) ~= "string" or #body > BODY_CAP then return end
  local open = asks_for_stream(body)
  if not open then return end
  -- Sets content-length too.
  kong.service.request.set_raw_body(string.sub(body, 1, open) .. INSERTED .. string.sub(body, open + 1))
end

return function()
  pcall(access)
end
