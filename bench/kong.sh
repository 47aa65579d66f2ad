#!/usr/bin/env bash
# What observing costs a real Kong: each way in the same run, on one worker, loopback only.
#   bench/kong.sh [seconds a measurement, default 20]
# Needs on PATH: kong (3.9), wrk, curl, openssl; the package's own Node. Ends only what it starts, writes into a temporary
# folder. Prints a table, differences against "none" among them; figures of one run are compared with each other alone.
set -euo pipefail

seconds="${1:-20}"
root="$(cd "$(dirname "$0")/.." && pwd)"
case "$seconds" in ''|*[!0-9]*) echo "bench/kong.sh: seconds must be a whole number, not $seconds" >&2; exit 2 ;; esac
if [ "$seconds" -lt 5 ] || [ "$seconds" -gt 120 ]; then echo "bench/kong.sh: from 5 to 120 seconds a measurement" >&2; exit 2; fi
missing=""
for tool in kong wrk curl openssl; do command -v "$tool" >/dev/null 2>&1 || missing="$missing $tool"; done
if [ -n "$missing" ]; then
  echo "bench/kong.sh: not on this machine:$missing. Nothing was measured; of a real Kong this project claims no figure." >&2
  exit 3
fi
PATH="$root/node_modules/.bin:$PATH"
work="$(mktemp -d)"
started=""
finish() {
  for pid in $started; do kill "$pid" 2>/dev/null || true; done
  if [ -d "$work/kong" ]; then kong stop -p "$work/kong" >/dev/null 2>&1 || true; fi
  rm -rf "$work"
}
trap finish EXIT

proxy=18000 tls=18443 provider=19500 sink=19086 collector=19318
ticks="$(getconf CLK_TCK)"

# A provider that answers at once, with 4 KB or as a stream of 100 chunks; a sidecar, an http-log and a collector that take all.
node "$root/bench/kong-stand-ins.ts" "$provider" "$sink" "$collector" > "$work/stand-ins.log" 2>&1 &
started="$started $!"
mkdir -p "$work/socket"
node --require "$root/plugin/without-ts-node.cjs" "$root/node_modules/kong-pdk/bin/kong-js-pluginserver" \
  -d "$root/plugin/load" -p "$work/socket" --sock-name js.sock > "$work/plugin-server.log" 2>&1 &
plugin_server=$!
started="$started $plugin_server"
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout "$work/key.pem" -out "$work/cert.pem" 2>/dev/null

node "$root/bench/kong-config.ts" "$provider" "$sink" "$collector" > "$work/kong.yml"
export KONG_DATABASE=off KONG_DECLARATIVE_CONFIG="$work/kong.yml" KONG_PREFIX="$work/kong" \
  KONG_PROXY_LISTEN="127.0.0.1:$proxy reuseport, 127.0.0.1:$tls ssl" KONG_ADMIN_LISTEN=off KONG_NGINX_WORKER_PROCESSES=1 \
  KONG_PLUGINS=bundled,llm-observer KONG_PLUGINSERVER_NAMES=js KONG_PLUGINSERVER_JS_SOCKET="$work/socket/js.sock" \
  KONG_PLUGINSERVER_JS_QUERY_CMD="/bin/cat $root/deploy/kong/dump.json" KONG_PROXY_ACCESS_LOG=off \
  KONG_SSL_CERT="$work/cert.pem" KONG_SSL_CERT_KEY="$work/key.pem" KONG_TRACING_INSTRUMENTATIONS=all
kong start >/dev/null
for _ in $(seq 50); do curl -sf "127.0.0.1:$proxy/none/small" -d '{}' >/dev/null && break; sleep 0.2; done

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
post='wrk.method="POST"; wrk.headers["content-type"]="application/json"; wrk.body=string.rep("x", 2048)'
echo "$post" > "$work/post.lua"
kong_pid="$(cat "$work/kong/pids/nginx.pid")"

measure() { # measure NAME URL CONNECTIONS
  local before_kong before_node requests rate p50 p99 kong_us node_us out
  wrk -t1 -c"$3" -d3s -s "$work/post.lua" "$2" >/dev/null
  before_kong="$(cpu_of "$kong_pid")"; before_node="$(cpu_of "$plugin_server")"
  out="$(wrk -t1 -c"$3" -d"${seconds}s" --latency -s "$work/post.lua" "$2")"
  requests="$(echo "$out" | awk '/requests in/ { print $1 }')"
  rate="$(echo "$out" | awk '/Requests\/sec/ { print $2 }')"
  p50="$(echo "$out" | awk '$1 == "50%" { print $2 }')"; p99="$(echo "$out" | awk '$1 == "99%" { print $2 }')"
  sleep 2 # log timers run after the answers
  kong_us=$(( ($(cpu_of "$kong_pid") - before_kong) * 1000000 / ticks / (requests > 0 ? requests : 1) ))
  node_us=$(( ($(cpu_of "$plugin_server") - before_node) * 1000000 / ticks / (requests > 0 ? requests : 1) ))
  printf '%-16s %10s req/s   p50 %8s   p99 %8s   CPU a request: Kong %5d µs, Node %5d µs\n' "$1" "$rate" "$p50" "$p99" "$kong_us" "$node_us"
}

echo "Kong $(kong version), one worker, $seconds s each, $(nproc) cores shared by all of it"
echo; echo "4 KB answers, 16 connections, at saturation:"
for way in none tap http-log opentelemetry observed; do measure "$way" "http://127.0.0.1:$proxy/$way/small" 16; done
echo; echo "at 300 requests a second:"
for way in none tap http-log opentelemetry observed; do
  printf '%-16s %s\n' "$way" "$(node "$root/bench/constant-rate.ts" "http://127.0.0.1:$proxy/$way/small" 300 "$seconds")"
done
echo; echo "LLM workload: TLS, 2 KB prompts, streams of 100 chunks; the share that observing adds to Kong's CPU:"
for way in none tap observed; do measure "$way" "https://127.0.0.1:$tls/$way/stream" 16; done
