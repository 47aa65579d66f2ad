-- Ships captures to the sidecar without the plugin: a queue in the worker, a timer, batches over one kept connection. A frame is
-- a line of JSON and the bodies as they are (sidecar/frames.ts).
-- Whether prompts and answers may rest; whether the tap stands on no route and no service.
local CONTENT, GLOBAL = "off", false
local QUEUE_BYTES = 16777216
local BATCH_CALLS, BATCH_BYTES = 50, 1048576
local LINGER = 0.05
local SEND_TIMEOUT_MS = 5000
local KEEP_ALIVE_MS = 30000
local BACKOFF, BACKOFF_MOST, REFUSED = 0.1, 5, 5
-- What a frame costs beside its bytes.
local FRAME_BYTES = 400
local MAX_LOST, MAX_RANGES = 1000, 50

-- Frames that wait are queue[first] … queue[last]; `held` counts the bytes of those, and of those that are being sent.
local queue, first, last, held = {}, 1, 0, 0
local lost, acknowledged = {}, {}
local failures = { total = 0, message = "", told = 0 }
local ticking, wait = false, LINGER
-- Frames a batch, after a larger one failed; batches that were taken, and whether the last one was.
local most, passes, passed = BATCH_CALLS, 0, false

-- Joins numbers to ranges that ascend and never touch; the newest are kept.
local function add_range(ranges, from, to)
  local i = #ranges
  while i > 0 and ranges[i][1] > from do i = i - 1 end
  local before, after = ranges[i], ranges[i + 1]
  if before and before[2] + 1 >= from then
    before[2] = math.max(before[2], to)
    if after and before[2] + 1 >= after[1] then
      before[2] = math.max(before[2], after[2])
      table.remove(ranges, i + 1)
    end
  elseif after and to + 1 >= after[1] then
    after[1] = from
  else
    table.insert(ranges, i + 1, { from, to })
    if #ranges > MAX_RANGES then table.remove(ranges, 1) end
  end
end

local function lose(reason, number)
  local latest = lost[#lost]
  if latest and latest.reason == reason and latest.to + 1 == number then
    latest.to = number
  -- Beyond the bound it is told by nothing but its number, which never comes.
  elseif #lost < MAX_LOST then
    lost[#lost + 1] = { reason = reason, from = number, to = number }
  end
end

local function forget(frame, reason)
  held = held - frame.bytes
  lose(reason, frame.sequence)
end

local function push(frame)
  held = held + frame.bytes
  -- The oldest goes; what is being sent cannot.
  while held > QUEUE_BYTES and first <= last do
    local oldest = queue[first]
    queue[first] = nil
    first = first + 1
    forget(oldest, "queue_full")
  end
  if held > QUEUE_BYTES then return forget(frame, frame.bytes > QUEUE_BYTES and "too_large" or "queue_full") end
  last = last + 1
  queue[last] = frame
end

local function take()
  local batch, bytes = {}, 0
  while first <= last and #batch < most do
    local frame = queue[first]
    if #batch > 0 and (bytes + frame.bytes > BATCH_BYTES or frame.suspect) then break end
    queue[first] = nil
    first = first + 1
    batch[#batch + 1] = frame
    bytes = bytes + frame.bytes
    if frame.suspect then break end
  end
  return batch
end

local function give_back(batch)
  for i = #batch, 1, -1 do
    first = first - 1
    queue[first] = batch[i]
  end
end

-- The batch as a list of pieces, and how long they are together.
local function batch_of(frames, tombstones)
  local ranges = {}
  for i = 1, #acknowledged do ranges[i] = "[" .. acknowledged[i][1] .. "," .. acknowledged[i][2] .. "]" end
  local pieces = {
    '{"v":2,"plugin":{"version":"tap","instance":"' .. epoch .. '"},"acknowledged":['
      .. (#ranges > 0 and '["' .. epoch .. '",[' .. table.concat(ranges, ",") .. "]]" or "") .. '],"errors":['
      .. (failures.total > 0 and string.format('{"kind":"sidecar_away","total":%d,"message":%s}', failures.total,
        quote(failures.message)) or "") .. "]}\n",
  }
  local length = #pieces[1]
  for i = 1, #tombstones do
    local tombstone = tombstones[i]
    local line = string.format('{"v":2,"tombstone":"%s","epoch":"%s","sequence":%d,"count":%d,"node":%s}\n',
      tombstone.reason, epoch, tombstone.from, tombstone.to - tombstone.from + 1, node)
    pieces[#pieces + 1] = line
    length = length + #line
  end
  for i = 1, #frames do
    pieces[#pieces + 1] = frames[i].pieces
    length = length + frames[i].length
  end
  return pieces, length
end

-- The status of the answer; nil and a word where there was none.
local function post(pieces, length)
  local sock, host = connect(SOCKET_TIMEOUT_MS)
  if not sock then return nil, "no connection" end
  sock:settimeout(SEND_TIMEOUT_MS)
  local secret = token()
  local reused = sock:getreusedtimes() > 0
  local head = "POST /v1/captures HTTP/1.1\r\nHost: " .. host .. "\r\nContent-Type: application/vnd.kong-llm-observer.frames\r\n"
    .. "Content-Length: " .. string.format("%d", length) .. "\r\n" .. (secret ~= "" and "Authorization: Bearer " .. secret .. "\r\n" or "")
  local sent, why = sock:send({ head, "\r\n", pieces })
  local line
  if sent then line, why = sock:receive("*l") end
  local status = line and tonumber(string.match(line, "^HTTP/1%.%d (%d+)"))
  if not status then
    sock:close()
    -- The sidecar had closed it meanwhile: nothing is known against the batch.
    if reused and why == "closed" then return nil, "no connection", true end
    return nil, why == "timeout" and "timeout" or "broken connection"
  end
  local rest, keeps = nil, true
  while true do
    local header = sock:receive("*l")
    if not header or header == "" then break end
    local name, value = string.match(header, "^([%w-]+):%s*(.-)%s*$")
    name = name and string.lower(name)
    if name == "content-length" then rest = tonumber(value) end
    if name == "connection" and string.lower(value) == "close" then keeps = false end
  end
  if keeps and rest and rest <= 1048576 and sock:receive(rest) then
    sock:setkeepalive(KEEP_ALIVE_MS, 4)
  else
    sock:close()
  end
  return status
end

local FAULTY = { [400] = "rejected", [413] = "too_large", [422] = "rejected", [408] = "timed_out", [500] = "timed_out",
  [502] = "timed_out", [504] = "timed_out" }

-- Sends one batch and settles it. True where it was taken; else false, and how long to wait.
local function send_one()
  local frames, tombstones = take(), lost
  lost = {}
  local called, status, why, again = pcall(function() return post(batch_of(frames, tombstones)) end)
  if not called then status, why = nil, "error" end
  local passed_before = passed
  passed = status == 202 and (#frames > 0 or passed)
  if status == 202 then
    for i = 1, #tombstones do add_range(acknowledged, tombstones[i].from, tombstones[i].to) end
    for i = 1, #frames do
      held = held - frames[i].bytes
      add_range(acknowledged, frames[i].sequence, frames[i].sequence)
    end
    if #frames > 0 then passes = passes + 1 end
    most, wait = math.min(most * 2, BATCH_CALLS), LINGER
    return true
  end
  for i = 1, #lost do tombstones[#tombstones + 1] = lost[i] end
  lost = tombstones
  local fault = FAULTY[status] or ((why == "timeout" or why == "broken connection") and "timed_out") or nil
  local alone = frames[1]
  if fault and #frames > 1 then most = math.floor(#frames / 2) end
  if not fault or #frames ~= 1 then
    give_back(frames)
  elseif passed_before and alone.suspect and passes > alone.suspect then
    forget(alone, fault)
  else
    -- Set aside: others go on, and it is sent alone once more.
    alone.suspect = passes
    last = last + 1
    queue[last] = alone
  end
  if again then return false, 0 end
  failures.total, failures.message = failures.total + 1, status and "http_" .. status or why
  if fault and status and status < 500 and #frames > 1 then return false, 0 end
  wait = math.min(math.max(wait, BACKOFF) * 2, BACKOFF_MOST)
  if status and not fault and status < 500 and status ~= 429 then return false, REFUSED end
  return false, wait * (0.5 + math.random() / 2)
end

-- Sends until nothing waits, or something fails: then how long to wait.
local function tick()
  local tries = 0
  while first <= last or #lost > 0 do
    local taken, pause = send_one()
    tries = taken and 0 or tries + 1
    if not taken and (pause > 0 or tries > 20) then return math.max(pause, LINGER) end
  end
end

local schedule
schedule = function(delay)
  if ticking or SIDECAR_URL == "" then return end
  local function run(premature)
    local ok, pause = pcall(tick)
    ticking = false
    if not ok then errors, pause = errors + 1, BACKOFF_MOST end
    -- Where the worker ends, this was the one attempt that there is time for.
    if pause and not premature then schedule(pause) end
  end
  -- A worker that ends takes timers without delay alone.
  ticking = (ngx.timer.at(delay, run) or ngx.timer.at(0, run)) and true or false
end

local function log()
  local shared = kong.ctx.shared
  local state = state_of(shared)
  epoch = epoch or new_epoch()
  sequence = sequence + 1
  local number = sequence
  if not pcall(put_capture, state, shared) then
    errors = errors + 1
    lose("pdk_error", number)
  else
    local request, body, tail = state.request_body or "", response_pieces(state)
    local response_length, tail_length = 0, 0
    for i = 1, #body do response_length = response_length + #body[i] end
    for i = 1, tail and #tail or 0 do tail_length = tail_length + #tail[i] end
    out[1] = string.format('{"v":2,"source":"tap","node":%s,"epoch":"%s","sequence":%d,"content":"%s",%s"bodies":[%d,%d,%d],',
      node, epoch, number, CONTENT, GLOBAL and '"scope":"global",' or "", #request, response_length, tail_length)
    put("}\n")
    local line = table.concat(out, "", 1, size)
    local length = #line + #request + response_length + tail_length
    push({ sequence = number, pieces = { line, request, body, tail or "" }, length = length, bytes = length + FRAME_BYTES + 40 * #body })
  end
  -- A plugin llm-observer that stands on this route too – a global one – has nothing to do.
  shared.llm_observer = "shipped"
  if node then schedule(wait) end
end

return function()
  if not pcall(log) then errors = errors + 1 end
  pcall(function() kong.ctx.shared.llm_observer_tap = nil end)
end
