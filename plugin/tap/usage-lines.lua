-- A running reader of result files of batches: JSON Lines of any length, one answer a line, of which a bill needs the model
-- and the usage object. It keeps sums by model and size of the prompt (`usage_lines` in sidecar/capture.ts) and the line that
-- has not ended yet; nothing else. Of a line it walks through the members on the way to the usage object and jumps over the rest.
local MAX_LINE, MAX_GROUPS, MAX_KEYS, MAX_PATH, MAX_MODEL, MAX_DEPTH = 262144, 64, 32, 128, 256, 4
-- Where any price list has a step: PROMPT_STEPS in sidecar/dialects/usage-lines.ts, the largest first.
local PROMPT_STEPS = { 512000, 272000, 256000, 200000, 128000, 100000, 32000 }
local byte, find, sub = string.byte, string.find, string.sub
-- What is being read of one line. Lines are read one after the other, so that one table serves all.
local found = { paths = {}, counts = {}, size = 0 }

local function skip_blank(line, at)
  local first = byte(line, at)
  while first == 32 or first == 9 or first == 13 do
    at = at + 1
    first = byte(line, at)
  end
  return at, first
end

-- These give back where the rest of the line begins, or nil where the line is no JSON.
-- Of the string whose opening quote is at `at`.
local function string_end(line, at)
  local from = at + 1
  while true do
    local close = find(line, '"', from, true)
    if not close then return nil end
    local before = close - 1
    while byte(line, before) == 92 do before = before - 1 end
    if (close - before) % 2 == 1 then return close + 1 end
    from = close + 1
  end
end

local function skip_value(line, at, first)
  if first == 34 then return string_end(line, at) end
  if first ~= 123 and first ~= 91 then
    local stop = find(line, "[,}%]]", at)
    return stop ~= at and stop or nil
  end
  local depth = 0
  repeat
    at = find(line, '["{}%[%]]', at)
    if not at then return nil end
    local mark = byte(line, at)
    if mark == 34 then
      at = string_end(line, at)
      if not at then return nil end
    else
      depth = depth + ((mark == 123 or mark == 91) and 1 or -1)
      at = at + 1
    end
  until depth == 0
  return at
end

-- Each member of the object at `at` goes through `visit`, which gives back where its value ends.
local function members(line, at, visit, given)
  local first
  at, first = skip_blank(line, at + 1)
  if first == 125 then return at + 1 end
  while first == 34 do
    local close = string_end(line, at)
    if not close then return nil end
    local key = sub(line, at + 1, close - 2)
    at, first = skip_blank(line, close)
    if first ~= 58 then return nil end
    at, first = skip_blank(line, at + 1)
    at = visit(line, at, first, key, given)
    if not at then return nil end
    at, first = skip_blank(line, at)
    if first == 125 then return at + 1 end
    if first ~= 44 then return nil end
    at, first = skip_blank(line, at + 1)
  end
end

-- What a sum cannot hold makes the line one that is not read as a whole.
local function add_count(path, text)
  local count = find(text, "^%d[%d%.eE+-]*%s*$") and tonumber(text)
  -- A float: Lua 5.3 counts whole numbers apart, and fengari only to 32 bits.
  if count then count = count * 1.0 end
  if not count or count > 1e15 or #path > MAX_PATH or find(path, '[%c"\\\128-\255]') then
    found.partial = true
    return
  end
  local size = found.size
  for i = 1, size do
    if found.paths[i] == path then
      found.counts[i] = found.counts[i] + count
      return
    end
  end
  if size >= MAX_KEYS then
    found.partial = true
    return
  end
  found.size = size + 1
  found.paths[size + 1], found.counts[size + 1] = path, count
end

-- One of `[{"modality": "AUDIO", "tokenCount": 5}]`: its count goes by the name of its modality.
local function visit_detail(line, at, first, key, item)
  local stop = skip_value(line, at, first)
  if not stop then return nil end
  if key == "modality" and first == 34 then
    item.modality = sub(line, at + 1, stop - 2)
  elseif key == "tokenCount" or key == "tokens" or key == "token_count" then
    item.count = sub(line, at, stop - 1)
  elseif key == "type" and first == 34 then
    item.kind = sub(line, at + 1, stop - 2)
  end
  return stop
end

local function read_details(line, at, path)
  local first
  local items, passes = 0, 0
  at, first = skip_blank(line, at + 1)
  if first == 93 then return at + 1 end
  while true do
    if first == 123 then
      local item = {}
      at = members(line, at, visit_detail, item)
      items = items + 1
      if item.modality and item.count then
        add_count(path .. "." .. item.modality, item.count)
      else
        -- Passes of a model are priced one by one; one plain pass is the answer itself.
        passes = passes + 1
        if passes > 1 or item.kind ~= "message" then found.partial = true end
      end
    else
      at = skip_value(line, at, first)
    end
    if not at then return nil end
    at, first = skip_blank(line, at)
    if first == 93 then return at + 1 end
    if first ~= 44 then return nil end
    at, first = skip_blank(line, at + 1)
  end
end

-- Places and speeds that cost more or less have no room in a sum.
local ORDINARY = {
  inference_geo = { global = true, not_available = true }, speed = { standard = true }, trafficType = { ON_DEMAND = true },
}

local function visit_usage(line, at, first, key, prefix)
  if first == 123 then
    local deeper = prefix .. key .. "."
    local _, depth = string.gsub(deeper, "%.", "")
    if depth < MAX_DEPTH and #deeper <= MAX_PATH then return members(line, at, visit_usage, deeper) end
    found.partial = true
  elseif first == 91 then
    return read_details(line, at, prefix .. key)
  end
  local stop = skip_value(line, at, first)
  if not stop then return nil end
  if first == 34 then
    local ordinary = prefix == "" and ORDINARY[key]
    if ordinary and not ordinary[sub(line, at + 1, stop - 2)] then found.partial = true end
  elseif first and (first == 45 or (first >= 48 and first <= 57)) then
    add_count(prefix .. key, sub(line, at, stop - 1))
  end
  return stop
end

local function visit_answer(line, at, first, key)
  if first == 123 and (key == "usage" or key == "usageMetadata") then
    -- Of two of them JSON holds the last.
    found.size, found.usage = 0, true
    return members(line, at, visit_usage, "")
  end
  local stop = skip_value(line, at, first)
  if stop and first == 34 and (key == "model" or key == "modelVersion") then
    found.model = string.gsub(sub(line, at + 1, stop - 2), "\\/", "/")
  end
  return stop
end

-- `result.message` (Anthropic), `response.body` (OpenAI), `response` itself (Gemini).
local function visit_result(line, at, first, key)
  if first == 123 and key == "message" then return members(line, at, visit_answer) end
  return skip_value(line, at, first)
end
local function visit_response(line, at, first, key)
  if first == 123 and key == "body" then return members(line, at, visit_answer) end
  if key == "usageMetadata" or key == "modelVersion" then return visit_answer(line, at, first, key) end
  return skip_value(line, at, first)
end
local function visit_line(line, at, first, key)
  if first == 123 and key == "result" then return members(line, at, visit_result) end
  if first == 123 and key == "response" then return members(line, at, visit_response) end
  return skip_value(line, at, first)
end

-- The size of the prompt as each provider tells it: with what was cached or written to the cache.
local function prompt_of()
  local own, cached, written, parts, whole, tools = 0, 0, nil, 0, 0, 0
  for i = 1, found.size do
    local path, count = found.paths[i], found.counts[i]
    if path == "input_tokens" then own = count
    elseif path == "cache_read_input_tokens" then cached = count
    elseif path == "cache_creation_input_tokens" then written = count
    elseif path == "cache_creation.ephemeral_5m_input_tokens" or path == "cache_creation.ephemeral_1h_input_tokens" then
      parts = parts + count
    elseif path == "prompt_tokens" or path == "promptTokenCount" then whole = count
    elseif path == "toolUsePromptTokenCount" then tools = count
    end
  end
  return math.max(own + cached + (written or parts), whole + tools)
end

local function group_of(reader, model)
  local prompt, over = prompt_of(), 0
  for i = 1, #PROMPT_STEPS do
    if prompt > PROMPT_STEPS[i] then
      over = PROMPT_STEPS[i]
      break
    end
  end
  local key = over .. " " .. (model or "")
  local group = reader.by_key[key]
  if not group and #reader.groups < MAX_GROUPS then
    group = { model = model, prompt_over = over, lines = 0, sums = {}, keys = 0 }
    reader.by_key[key] = group
    reader.groups[#reader.groups + 1] = group
  end
  return group
end

-- Adds what was found of a line to its group; false where something of it found no room.
local function add_line(reader)
  local model = found.model
  if model and (#model > MAX_MODEL or find(model, '[%c"\\\128-\255]')) then return false end
  local group = group_of(reader, model)
  if not group then return false end
  local whole, sums = not found.partial, group.sums
  for i = 1, found.size do
    local path = found.paths[i]
    if sums[path] then
      sums[path] = sums[path] + found.counts[i]
    elseif group.keys < MAX_KEYS then
      sums[path], group.keys = found.counts[i], group.keys + 1
    else
      whole = false
    end
  end
  group.lines, reader.lines = group.lines + 1, reader.lines + 1
  return whole
end

local function read_line(reader, line)
  local at, first = skip_blank(line, 1)
  if not first then return end
  reader.seen = reader.seen + 1
  local whole = first == 123 and find(line, "}%s*$", -64) ~= nil
  if whole and find(line, '"usage', 1, true) then
    found.size, found.usage, found.model, found.partial = 0, false, nil, false
    local stop = members(line, at, visit_line)
    whole = stop ~= nil and not find(line, "[^ \t\r]", stop)
    if whole and found.usage then whole = add_line(reader) end
  end
  if whole then return end
  reader.skipped = reader.skipped + 1
  -- One JSON document over many lines, or no JSON: no file of results.
  if reader.seen == 1 then reader.off = true end
end

-- Parts of a line are joined when as long as what is before them: each byte is copied a few times, however small the parts.
local function keep_part(reader, part)
  if part == "" or reader.long then return end
  local held = reader.held + #part
  if held > MAX_LINE then
    reader.long, reader.held, reader.parts = true, 0, {}
    return
  end
  local parts = reader.parts
  local size = #parts + 1
  parts[size] = part
  while size > 1 and #parts[size - 1] <= #parts[size] do
    parts[size - 1] = parts[size - 1] .. parts[size]
    parts[size] = nil
    size = size - 1
  end
  reader.held = held
end

local function end_line(reader)
  if reader.long then
    reader.long = false
    reader.seen, reader.skipped = reader.seen + 1, reader.skipped + 1
    return
  end
  local line = table.concat(reader.parts)
  if #reader.parts > 0 then reader.parts, reader.held = {}, 0 end
  read_line(reader, line)
end

local function new_reader()
  return { seen = 0, lines = 0, skipped = 0, groups = {}, by_key = {}, parts = {}, held = 0, long = false, off = false }
end

local function read_chunk(reader, chunk)
  local at = 1
  if not reader.begun then
    local start = find(chunk, "[^ \t\r\n]")
    if not start then return end
    reader.begun = true
    if byte(chunk, start) ~= 123 then
      reader.off = true
      return
    end
    at = start
  end
  while not reader.off do
    local stop = find(chunk, "\n", at, true)
    if not stop then return keep_part(reader, at == 1 and chunk or sub(chunk, at)) end
    if reader.held == 0 and not reader.long and stop - at <= MAX_LINE then
      read_line(reader, sub(chunk, at, stop - 1))
    else
      keep_part(reader, sub(chunk, at, stop - 1))
      end_line(reader)
    end
    at = stop + 1
  end
end
