#!/usr/bin/env bash
# What observing costs a real Kong: each way in the same run, on one worker, loopback only.
#   bench/kong.sh [seconds a measurement, default 20] [starts of Kong, default 3]
# Needs on PATH: kong (3.9), wrk, curl, openssl, pgrep; the package's own Node. Ends only what it starts, writes into a temporary
# folder. Prints what each way costs, the differences to "none" of the same Kong, and whether the goals are met. Figures of one
# run are compared with each other alone. Kong is started anew several times, and once more for tracing, which opentelemetry needs and which costs every route.
set -euo pipefail

seconds="${1:-20}"
starts="${2:-3}"
root="$(cd "$(dirname "$0")/.." && pwd)"
case "$seconds" in ''|*[!0-9]*) echo "bench/kong.sh: seconds must be a whole number, not $seconds" >&2; exit 2 ;; esac
if [ "$seconds" -lt 1 ] || [ "$seconds" -gt 120 ]; then echo "bench/kong.sh: from 1 to 120 seconds a measurement" >&2; exit 2; fi
case "$starts" in [1-9]) ;; *) echo "bench/kong.sh: from 1 to 9 starts, not $starts" >&2; exit 2 ;; esac
missing=""
for tool in kong wrk curl openssl pgrep; do command -v "$tool" >/dev/null 2>&1 || missing="$missing $tool"; done
if [ -n "$missing" ]; then
  echo "bench/kong.sh: not on this machine:$missing. Nothing was measured; of a real Kong this project claims no figure." >&2
  exit 3
fi
PATH="$root/node_modules/.bin:$PATH"
work="$(mktemp -d)"
# Workers of a Kong that root starts run as another user: they enter the folder, and use the socket below.
if [ "$(id -u)" = 0 ]; then chmod 711 "$work"; fi
started=""
export KONG_PREFIX="$work/kong"
nginx() { # the process id of Kong's nginx, where it runs
  local pid
  pid="$(cat "$KONG_PREFIX/pids/nginx.pid" 2>/dev/null)" && kill -0 "$pid" 2>/dev/null && echo "$pid"
}
stop_kong() { # gracefully, then by force; nothing of it is left
  local master workers
  master="$(nginx)" || return 0
  workers="$(pgrep -P "$master" || true)"
  timeout 15 kong quit -p "$KONG_PREFIX" >/dev/null 2>&1 || true
  # shellcheck disable=SC2086
  if kill -0 "$master" 2>/dev/null; then kill -KILL $master $workers 2>/dev/null || true; fi
}
finish() {
  stop_kong
  for pid in $started; do kill "$pid" 2>/dev/null || true; done
  rm -rf "$work"
}
trap finish EXIT
fail() { echo "bench/kong.sh: $1" >&2; exit 1; }

# Ports that nobody listens on.
read -r proxy tls provider sink collector <<< "$(node -e '
  const { createServer } = require("node:net")
  const servers = [0, 0, 0, 0, 0].map(() => createServer().listen(0, "127.0.0.1"))
  setImmediate(() => {
    console.log(servers.map((server) => server.address().port).join(" "))
    for (const server of servers) server.close()
  })')"
ticks="$(getconf CLK_TCK)"

# A provider that answers at once, with 4 KB or as a stream of 100 chunks; a sidecar, an http-log and a collector that take all.
node "$root/bench/kong-stand-ins.ts" "$provider" "$sink" "$collector" > "$work/stand-ins.log" 2>&1 &
started="$started $!"
mkdir -p "$work/socket"
(
  umask 0
  exec node --require "$root/plugin/without-ts-node.cjs" "$root/node_modules/kong-pdk/bin/kong-js-pluginserver" \
    -d "$root/plugin/load" -p "$work/socket" --sock-name js.sock > "$work/plugin-server.log" 2>&1
) &
plugin_server=$!
started="$started $plugin_server"
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout "$work/key.pem" -out "$work/cert.pem" 2>/dev/null
for _ in $(seq 100); do [ -S "$work/socket/js.sock" ] && break; sleep 0.1; done

node "$root/bench/kong-config.ts" "$provider" "$sink" "$collector" > "$work/kong.yml"
export KONG_DATABASE=off KONG_DECLARATIVE_CONFIG="$work/kong.yml" \
  KONG_PROXY_LISTEN="127.0.0.1:$proxy reuseport, 127.0.0.1:$tls ssl" KONG_ADMIN_LISTEN=off KONG_NGINX_WORKER_PROCESSES=1 \
  KONG_PLUGINS=bundled,llm-observer KONG_PLUGINSERVER_NAMES=js KONG_PLUGINSERVER_JS_SOCKET="$work/socket/js.sock" \
  KONG_PLUGINSERVER_JS_QUERY_CMD="/bin/cat $root/deploy/kong/dump.json" KONG_PROXY_ACCESS_LOG=off \
  KONG_SSL_CERT="$work/cert.pem" KONG_SSL_CERT_KEY="$work/key.pem"
# Bodies differ from call to call: LuaJIT interns strings, so that equal ones are found instead of made.
cat > "$work/post.lua" <<'LUA'
local bodies, sent = {}, 0
math.randomseed(20261128)
for i = 1, 2000 do
  local parts = {}
  for j = 1, 256 do parts[j] = string.format("%08x", math.random(0, 2147483647)) end
  bodies[i] = '{"m":"' .. table.concat(parts) .. '"}'
end
function request()
  sent = sent % #bodies + 1
  return wrk.format("POST", nil, { ["content-type"] = "application/json" }, bodies[sent])
end
LUA

kong_pid=0
start_kong() { # start_kong INSTRUMENTATIONS
  stop_kong
  KONG_TRACING_INSTRUMENTATIONS="$1" timeout 60 kong start >"$work/kong-start.log" 2>&1 || fail "kong does not start: $(tail -n 5 "$work/kong-start.log")"
  for _ in $(seq 100); do
    curl -sf --max-time 2 "127.0.0.1:$proxy/none/small" -d '{}' >/dev/null && break
    # nginx stays when its worker has ended for good: nobody would ever answer.
    if ! nginx >/dev/null || grep -q 'cannot be respawned' "$KONG_PREFIX/logs/error.log"; then
      fail "kong started and does not answer: $(tail -n 5 "$KONG_PREFIX/logs/error.log")"
    fi
    sleep 0.2
  done
  kong_pid="$(nginx)"
  for way in none tap ship-tap http-log opentelemetry observed; do
    [ "$(curl -s -o /dev/null -w '%{http_code}' "127.0.0.1:$proxy/$way/small" -d '{}')" = 200 ] || fail "/$way/small is not answered with 200"
  done
}
cpu_of() { # clock ticks of a process and its children, user and system
  local total=0 pid
  for pid in $1 $(pgrep -P "$1" || true); do
    [ -r "/proc/$pid/stat" ] || continue
    # shellcheck disable=SC2046
    set -- $(sed 's/^.*) //' "/proc/$pid/stat")
    total=$((total + ${12} + ${13}))
  done
  echo "$total"
}
idle() { # log timers run after the answers: until neither Kong nor the plugin server works any more, 10 s at most
  local before now
  for _ in $(seq 40); do
    before=$(($(cpu_of "$kong_pid") + $(cpu_of "$plugin_server"))); sleep 0.25
    now=$(($(cpu_of "$kong_pid") + $(cpu_of "$plugin_server")))
    if [ $((now - before)) -le 1 ]; then return; fi
  done
}
arrived() { curl -sf "127.0.0.1:$sink/count/$1"; }

measure() { # measure SECTION WAY URL: a line of figures, kept for the differences
  local before_kong before_node before_arrived requests rate p50 p99 kong_us node_us out bad came=""
  wrk -t1 -c16 -d3s -s "$work/post.lua" "$3" >/dev/null
  idle
  before_kong="$(cpu_of "$kong_pid")"; before_node="$(cpu_of "$plugin_server")"; before_arrived="$(arrived "$2")"
  out="$(wrk -t1 -c16 -d"${seconds}s" --latency -s "$work/post.lua" "$3")"
  requests="$(echo "$out" | awk '/requests in/ { print $1 }')"
  rate="$(echo "$out" | awk '/Requests\/sec/ { print $2 }')"
  p50="$(echo "$out" | awk '$1 == "50%" { print $2 }')"; p99="$(echo "$out" | awk '$1 == "99%" { print $2 }')"
  bad="$(echo "$out" | awk '/Non-2xx/ { print $NF }')"
  [ "${requests:-0}" -gt 0 ] || fail "wrk counts no request at $3: $out"
  [ -z "$bad" ] || fail "$bad requests of $requests at $3 were not answered with 2xx"
  idle
  kong_us=$((($(cpu_of "$kong_pid") - before_kong) * 1000000 / ticks / requests))
  node_us=$((($(cpu_of "$plugin_server") - before_node) * 1000000 / ticks / requests))
  case "$2" in observed|ship-tap|http-log) came="   arrived $(($(arrived "$2") - before_arrived)) of $requests" ;; esac
  echo "$1 $2 $rate $kong_us $node_us" >> "$work/figures"
  printf '%-15s %10s req/s   p50 %8s   p99 %8s   CPU a request: Kong %5d µs, Node %5d µs%s\n' "$2" "$rate" "$p50" "$p99" "$kong_us" "$node_us" "$came"
}
constant() { # constant SECTION WAY
  local out
  out="$(node "$root/bench/constant-rate.ts" "http://127.0.0.1:$proxy/$2/small" 300 "$seconds")"
  idle
  echo "$1 $2 $(echo "$out" | awk '{ print $2 }')" >> "$work/figures"
  printf '%-15s %s\n' "$2" "$out"
}
suite() { # suite NAME WAY...
  local name="$1" way; shift
  echo; echo "$name; 4 KB answers, 16 connections, at saturation:"
  for way in "$@"; do measure "$name/saturation" "$way" "http://127.0.0.1:$proxy/$way/small"; done
  echo; echo "$name; at 300 requests a second:"
  for way in "$@"; do constant "$name/rate" "$way"; done
  echo; echo "$name; LLM workload: TLS, 2 KB prompts, streams of 100 chunks:"
  for way in "$@"; do measure "$name/llm" "$way" "https://127.0.0.1:$tls/$way/stream"; done
}

echo "Kong $(kong version), one worker, $seconds s each, $(nproc) cores shared by all of it"
# What http-log costs differs from start to start of Kong, so that a ratio to it needs several.
for start in $(seq "$starts"); do
  start_kong off
  suite "$start" none tap ship-tap http-log observed
done
start_kong all
suite tracing none opentelemetry

echo; echo "differences to none of the same Kong, medians of its starts:"
awk '
  function note(key, value) { if (!(key in count)) order[++keys] = key; values[key, ++count[key]] = value }
  function median(key,   n, i, j, swap, sorted) {
    n = count[key]
    for (i = 1; i <= n; i++) sorted[i] = values[key, i]
    for (i = 1; i <= n; i++) for (j = i + 1; j <= n; j++) if (sorted[j] < sorted[i]) { swap = sorted[i]; sorted[i] = sorted[j]; sorted[j] = swap }
    return sorted[int((n + 1) / 2)]
  }
  function goal(text, met) { goals = goals sprintf("%-52s %s\n", text, met ? "met" : "MISSED") }
  function percent(part, whole) { return whole == 0 ? 0 : 100 * part / whole }
  function ratio(kind, way,   of) { of = median(kind " http-log kong"); return of <= 0 ? 0 : median(kind " " way " kong") / of }
  { split($1, part, "/"); kind = part[2] }
  $2 == "none" { rate[$1] = $3; kong[$1] = $4; node[$1] = $5; next }
  kind == "rate" { note(kind " " $2 " p50", $3 - rate[$1]); ways[kind " " $2] = kind " " $2; next }
  {
    note(kind " " $2 " kong", $4 - kong[$1]); note(kind " " $2 " node", $5 - node[$1])
    note(kind " " $2 " share", percent($4 - kong[$1], kong[$1])); note(kind " " $2 " rate", percent($3, rate[$1]))
  }
  END {
    for (i = 1; i <= keys; i++) {
      split(order[i], part, " ")
      key = part[1] " " part[2]
      if (part[3] == "p50") printf("%-11s %-15s p50 %+.2f ms\n", part[1], part[2], median(order[i]))
      if (part[3] == "kong")
        printf("%-11s %-15s Kong %+d µs (%+.1f %%, %.1f x http-log), Node %+d µs a request, %.0f %% of the rate\n", part[1], part[2],
          median(key " kong"), median(key " share"), ratio(part[1], part[2]), median(key " node"), median(key " rate"))
    }
    goal("ship: tap <= 1.5 x http-log in Kong", (ratio("saturation", "ship-tap") <= 1.5))
    goal("ship: tap <= 1.5 x http-log, LLM workload", (ratio("llm", "ship-tap") <= 1.5))
    goal("ship: plugin <= 3 x http-log in Kong", (ratio("saturation", "observed") <= 3))
    goal("ship: plugin <= 90 µs Node a request", (median("saturation observed node") <= 90))
    goal("LLM workload with ship: tap <= 10 % of CPU in Kong", (median("llm ship-tap share") <= 10))
    printf("\ngoals:\n%s", goals)
  }
' "$work/figures"
