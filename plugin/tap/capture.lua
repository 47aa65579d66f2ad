local TAIL_CAP = 65536
local MAX_TOKEN_PAYLOAD = 8192
local errors = 0
-- One epoch is one load of this chunk in one worker process; in it captures are numbered 1, 2, 3 …
local epoch, sequence = nil, 0
local node, worker

-- 128 random bits in hex, where something random is to be had: Kong's sandbox keeps some of it or all of it away.
local function random_bits()
  local bytes = attempt(function() return require("kong.tools.rand").get_rand_bytes(16) end)
    or attempt(function() return require("resty.random").bytes(16, true) end)
    or attempt(function()
      local file = io.open("/dev/urandom", "rb")
      local read = file:read(16)
      file:close()
      return read
    end)
  if type(bytes) == "string" and #bytes == 16 then
    return (string.gsub(bytes, ".", function(byte) return string.format("%02x", string.byte(byte)) end))
  end
  -- nginx makes it of 16 random bytes for each request that asks for it; Kong has an id of its own.
  local id = attempt(function() return ngx.var.request_id end)
  if type(id) == "string" and #id == 32 and string.find(id, "^%x+$") then return string.lower(id) end
end

local function new_epoch()
  local random = random_bits()
  if random then return random end
  local time = attempt(function() return math.floor(ngx.now() * 1000) end) or 0
  local pid = attempt(function() return ngx.worker.pid() end) or 0
  -- Kong seeds math.random in each worker; the address of a table differs between processes as well.
  local address = tonumber(string.match(tostring({}), "0x(%x+)") or "0", 16) or 0
  return string.format("%08x%04x%06x%04x%04x", math.floor(time / 65536), time % 65536, pid % 16777216,
    address % 65536, math.random(0, 65535))
end

-- The claims of a token that Kong's jwt plugin has verified: its payload alone, which nobody can log in with.
local function verified_claims(shared)
  local jwt = shared.authenticated_jwt_token
  if type(jwt) ~= "string" then return nil end
  local payload = string.match(jwt, "^[%w_-]+%.([%w_=-]+)%.")
  if payload and #payload <= MAX_TOKEN_PAYLOAD then return quote(payload) end
end

-- Head and tail as two lists of pieces where the middle was cut out, else as one.
local function response_pieces(state)
  local head = state.head
  if state.broken or not state.tail then return head, nil end
  local tail = {}
  for i = state.tail_first, state.tail_last do tail[#tail + 1] = state.tail[i] end
  if state.tail_bytes > TAIL_CAP then
    local extra = state.tail_bytes - TAIL_CAP
    -- The ring drops a chunk as soon as it may: what is too much lies in the first one.
    tail[1] = string.sub(tail[1], extra + 1)
    return head, tail
  end
  if state.tail_cut then return head, tail end
  for i = 1, #tail do head[#head + 1] = tail[i] end
  return head, nil
end

-- Writes the members of a capture that come after its number and before its bodies. The first piece is left free for what
-- comes before them.
local function put_capture(state, shared)
  size = 1
  node = node or quote(kong.node.get_id())
  worker = worker or attempt(function() return ngx.worker.pid() end)
  put_log(state)
  put_member(',"worker":', worker and scalar(worker))
  put_member(',"upgrade":', state.upgrade and quote(state.upgrade))
  put_member(',"client_trace":', state.client_trace and quote(state.client_trace))
  put_member(',"jwt_payload":', verified_claims(shared))
  put_member(',"request_bytes":', scalar(state.request_bytes))
  put_member(',"request_error":', state.request_error and quote(state.request_error))
  put_member(',"first_byte_at":', scalar(state.first_byte_at))
  put_member(',"last_byte_at":', scalar(state.last_byte_at))
  if not state.broken then
    put_member(',"response_bytes":', scalar(state.bytes))
    -- Where a plugin buffers the answer (ai-proxy without a stream), Kong announces no last chunk.
    local complete = state.complete == true or (state.content_length == state.bytes and state.bytes > 0)
    put_member(',"response_complete":', complete and "true" or "false")
  end
  -- Hook calls that failed so far; absent as long as none did.
  local failed = errors + (state.access_errors or 0) + (state.post_errors or 0) + (state.header_errors or 0) + (state.body_errors or 0)
  if failed > 0 then put_member(',"tap_errors":', scalar(failed)) end
end

local function state_of(shared)
  -- No hook before ran, or all failed: what Kong logs is known all the same.
  return shared.llm_observer_tap or {
    request_error = "the tap did not see the request", head = {}, head_parts = 0, head_bytes = 0, bytes = 0, broken = true,
  }
end

