-- Leaves the capture for the plugin llm-observer, as one JSON text: bodies as base64, because strings that are not UTF-8
-- do not survive Kong's RPC. A timer tells the sidecar how many there were, so that lost last ones show.
local TELL_EVERY, TELL_AT_LEAST_EVERY = 1, 30
local told, telling, delay = 0, false, TELL_EVERY

-- Says how many captures this epoch has had. True where the sidecar has stored it.
local function tell(total)
  local body = string.format('{"v":2,"node":%s,"epoch":"%s","sequence":%d,"tap_errors":%d}', node, epoch, total, errors)
  local secret = token()
  local sock, host = connect(SOCKET_TIMEOUT_MS)
  if not sock then return false end
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
  if told ~= sequence and not (premature and told < total) then schedule() end
end
schedule = function()
  if telling or SIDECAR_URL == "" then return end
  local function run(premature)
    if not pcall(tick, premature) then telling = false end
  end
  -- A worker that ends takes timers without delay alone.
  telling = (ngx.timer.at(delay, run) or ngx.timer.at(0, run)) and true or false
end

local function put_base64(key, bytes)
  if bytes == "" then return end
  put(key)
  put(ngx.encode_base64(bytes))
  put('"')
end
local function joined(pieces)
  return #pieces == 1 and pieces[1] or table.concat(pieces)
end

local function log()
  local shared = kong.ctx.shared
  local state = state_of(shared)
  put_capture(state, shared)
  local body, tail = response_pieces(state)
  put_base64(',"request_body":"', state.request_body or "")
  put_base64(',"response_body":"', joined(body))
  if tail then put_base64(',"response_tail":"', joined(tail)) end
  put("}")

  -- Numbered last: what failed before has used no number, and the plugin takes Kong's own log instead. A request without an
  -- answer – its client broke off the upload – may reach no other plugin: a number of it would be a gap.
  if state.answered then
    epoch = epoch or new_epoch()
    sequence = sequence + 1
    out[1] = string.format('{"v":2,"source":"tap","node":%s,"epoch":"%s","sequence":%d,', node, epoch, sequence)
  else
    out[1] = '{"v":2,"source":"tap","node":' .. node .. ","
  end
  local text = table.concat(out, "", 1, size)
  -- Not to hold on to large bodies until the next request.
  if #text > 65536 then out = {} end
  shared.llm_observer = text
  if sequence > 0 then pcall(schedule) end
end

return function()
  if not pcall(log) then errors = errors + 1 end
  -- The raw bytes are not needed any more; the event may wait long for its turn.
  pcall(function() kong.ctx.shared.llm_observer_tap = nil end)
end
