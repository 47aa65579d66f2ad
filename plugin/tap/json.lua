-- JSON, as far as captures need it: Kong's sandbox has no cjson.
local MAX_DEPTH = 12
local MAX_STRING = 262144

local function attempt(call)
  local ok, value = pcall(call)
  if ok then return value end
end

local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\" }
local function escape(char)
  return ESCAPES[char] or string.format("\\u%04x", string.byte(char))
end

-- Bytes that are not UTF-8 become U+FFFD: one of them would make the whole text unreadable.
local function as_utf8(text)
  local byte, kept, from, at = string.byte, {}, 1, 1
  while at <= #text do
    local lead, more = byte(text, at), 0
    local low, high = 128, 191
    if lead >= 240 then
      more = lead <= 244 and 3 or -1
      if lead == 240 then low = 144 elseif lead == 244 then high = 143 end
    elseif lead >= 224 then
      more = 2
      if lead == 224 then low = 160 elseif lead == 237 then high = 159 end
    elseif lead >= 128 then
      more = lead >= 194 and 1 or -1
    end
    for step = 1, more do
      local next_byte = byte(text, at + step)
      if not next_byte or next_byte < low or next_byte > high then
        more = -1
        break
      end
      low, high = 128, 191
    end
    if more < 0 then
      kept[#kept + 1] = string.sub(text, from, at - 1)
      kept[#kept + 1] = "\239\191\189"
      at = at + 1
      from = at
    else
      at = at + more + 1
    end
  end
  if from == 1 then return text end
  kept[#kept + 1] = string.sub(text, from)
  return table.concat(kept)
end

-- Short strings are mostly the same ones again: what they look like is kept.
local MAX_QUOTED, QUOTED_LENGTH = 1000, 24
local quoted, quoted_count = {}, 0
local function quote(text)
  local json = quoted[text]
  if json then return json end
  json = text
  if string.find(text, "[%c\"\\\128-\255]") then json = string.gsub(as_utf8(text), '[%c"\\]', escape) end
  json = '"' .. json .. '"'
  if #text <= QUOTED_LENGTH then
    if quoted_count >= MAX_QUOTED then quoted, quoted_count = {}, 0 end
    quoted[text], quoted_count = json, quoted_count + 1
  end
  return json
end

-- Of strings, numbers and booleans: cjson.null is userdata, and a function would be called.
local function scalar(value)
  local kind = type(value)
  if kind == "string" then return quote(value) end
  if kind == "number" and value == value and value < 1e300 and value > -1e300 then return string.format("%.14g", value) end
  if kind == "boolean" then return value and "true" or "false" end
end

local function strings(list)
  if type(list) ~= "table" then return nil end
  local kept = {}
  for i = 1, #list do
    if type(list[i]) == "string" then kept[#kept + 1] = quote(list[i]) end
  end
  return "[" .. table.concat(kept, ",") .. "]"
end

-- A table with a list part is a list of what it may hold; any other is an object.
local function any(value, depth)
  if type(value) ~= "table" then
    if type(value) == "string" and #value > MAX_STRING then return nil end
    return scalar(value)
  end
  if depth >= MAX_DEPTH then return nil end
  local parts = {}
  if #value > 0 then
    for i = 1, #value do parts[#parts + 1] = any(value[i], depth + 1) end
    return "[" .. table.concat(parts, ",") .. "]"
  end
  for key, item in pairs(value) do
    local text = type(key) == "string" and any(item, depth + 1)
    if text then parts[#parts + 1] = quote(key) .. ":" .. text end
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

-- The text that is being written, in pieces: put together once, because each string that is made costs more than a piece.
local out, size = {}, 0
local function put(text)
  size = size + 1
  out[size] = text
end
local function put_member(key, text)
  if text then
    out[size + 1], out[size + 2] = key, text
    size = size + 2
  end
end

-- Names of members, as they stand first in an object and behind another.
local function fields(names)
  local made = { names = names, first = {}, next = {} }
  for i = 1, #names do
    made.first[i] = '"' .. names[i] .. '":'
    made.next[i] = ',"' .. names[i] .. '":'
  end
  return made
end

-- An object with those of its members that are there; nothing where it is no table.
local function put_object(key, from, of, tags)
  if type(from) ~= "table" then return end
  put(key)
  put("{")
  local names, keys, next_keys = of.names, of.first, of.next
  for i = 1, #names do
    local value = from[names[i]]
    local text = value ~= nil and scalar(value)
    if text then
      put_member(keys[i], text)
      keys = next_keys
    end
  end
  local listed = tags and strings(from.tags)
  if listed then put_member(keys == next_keys and ',"tags":' or '"tags":', listed) end
  put("}")
end
