-- Where the sidecar is: for its totals, or – shipping by itself – for all.
local SIDECAR_URL = "http://127.0.0.1:8086"
-- The token itself, or a reference to a vault; where the vault does not know it, none is sent.
local INTAKE_TOKEN = "{vault://env/observer-intake-token}"
local SOCKET_TIMEOUT_MS = 2000

local function token()
  if string.sub(INTAKE_TOKEN, 1, 9) ~= "{vault://" then return INTAKE_TOKEN end
  return attempt(function() return kong.vault.get(INTAKE_TOKEN) end) or ""
end

-- A socket to the sidecar, and the name for its Host header; nil where there is none.
local function connect(timeout_ms)
  local sock = ngx.socket.tcp()
  sock:settimeout(timeout_ms)
  if string.sub(SIDECAR_URL, 1, 6) == "unix:/" then
    if sock:connect(SIDECAR_URL) then return sock, "localhost" end
    return nil
  end
  local scheme, address = string.match(SIDECAR_URL, "^(https?)://([^/]+)/*$")
  if not scheme then return nil end
  local host, port = string.match(address, "^(.+):(%d+)$")
  host = host or address
  if not sock:connect(host, tonumber(port) or (scheme == "https" and 443 or 80)) then return nil end
  if scheme == "https" and sock:getreusedtimes() == 0 and not sock:sslhandshake(nil, string.gsub(host, "[%[%]]", ""), true) then
    sock:close()
    return nil
  end
  return sock, address
end
