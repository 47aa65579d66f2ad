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
  local parts = state.head_parts + 1
  state.head_parts = parts
  state.head[parts] = part
  state.head_bytes = state.head_bytes + #part
  return rest
end

-- A ring of whole chunks: the oldest goes as soon as the others hold TAIL_CAP bytes. The log hook cuts it to the byte.
local function keep_tail(state, chunk)
  if #chunk > TAIL_CAP then
    chunk = string.sub(chunk, -TAIL_CAP)
    state.tail_cut = true
  end
  local tail, first, last, bytes = state.tail, state.tail_first, state.tail_last, state.tail_bytes
  if not tail then
    tail, first, last, bytes = {}, 1, 0, 0
    state.tail = tail
  end
  last, bytes = last + 1, bytes + #chunk
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
  local arg = ngx.arg
  local chunk = arg[1]
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
  if arg[2] then state.complete = true end
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
