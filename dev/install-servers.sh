#!/usr/bin/env bash
# Builds the servers that tests and benches of monitoring run on, at pinned versions, into .cache/tools/bin.
#   dev/install-servers.sh [prometheus|promtool|alertmanager|amtool|otelcol|caddy|prom-label-proxy|docker-compose …]
#                                     without names: the first four, which the alerts and boards are tested on
# Grafana, Loki and Tempo are not built: they come as images (docker-compose.yml).
# Needs Go (its module proxy) and, the first time, about five minutes on two cores. What is there at its version stays.
set -euo pipefail
cd "$(dirname "$0")/.."
export GOBIN="$PWD/.cache/tools/bin" GOFLAGS=-buildvcs=false CGO_ENABLED=0

command -v go >/dev/null 2>&1 || { echo "dev/install-servers.sh: go is not on PATH; install Go 1.26 or newer" >&2; exit 3; }
mkdir -p "$GOBIN"

install() { # install MODULE VERSION COMMAND [TAGS] [PACKAGE]
  local binary="$GOBIN/$3"
  if [ -x "$binary" ] && go version -m "$binary" 2>/dev/null | awk '$1 == "mod" { print $2, $3 }' | grep -qxF "$1 $2"; then
    echo "$3 $2 is there"
    return 0
  fi
  echo "building $3 $2"
  rm -f "$binary" # never through a link into somebody else's file
  go install ${4:+-tags "$4"} "${5-$1/cmd/$3}@$2"
}

# What cannot be installed by name – its go.mod replaces modules, or it is generated – is built in a folder of its own.
# `go install` keeps no version there, so a file beside the binary says it.
is_there() { # is_there NAME VERSION
  [ -x "$GOBIN/$1" ] && [ "$(cat "$GOBIN/.$1.version" 2>/dev/null)" = "$2" ] && echo "$1 $2 is there"
}
workspace() { # workspace NAME: an empty folder; the old binary goes first, never through a link into somebody else's file
  rm -f "$GOBIN/$1" "$GOBIN/.$1.version"
  local folder="$PWD/.cache/tools/src/$1"
  chmod -R u+w "$folder" 2>/dev/null || true
  rm -rf "$folder"
  mkdir -p "$folder"
  echo "$folder"
}
copy_module() { # copy_module MODULE VERSION FOLDER
  local source
  source="$(cd / && GOFLAGS= go mod download -json "$1@$2" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')"
  mkdir -p "$3"
  cp -r "$source/." "$3"
  chmod -R u+w "$3"
}

install_otelcol() {
  local version=v0.155.0 folder
  is_there otelcol "$version-$(cksum < deploy/otel-collector/builder.yaml | cut -d' ' -f1)" && return 0
  echo "building otelcol $version"
  folder="$(workspace otelcol)"
  GOBIN="$folder" go install "go.opentelemetry.io/collector/cmd/builder@$version"
  sed "s#output_path: .*#output_path: $folder/main#" deploy/otel-collector/builder.yaml > "$folder/builder.yaml"
  # The builder's own `go mod tidy` fails where a module of some module's tests is not served: -e goes on without it.
  "$folder/builder" --config "$folder/builder.yaml" --skip-compilation >/dev/null 2>&1 || true
  (cd "$folder/main" && { go mod tidy -e >/dev/null 2>&1 || true; } && go build -trimpath -ldflags '-s -w' -o "$GOBIN/otelcol" .)
  echo "$version-$(cksum < deploy/otel-collector/builder.yaml | cut -d' ' -f1)" > "$GOBIN/.otelcol.version"
}
install_docker_compose() { # `docker-compose config` needs no Docker
  local version=v5.4.0 folder
  is_there docker-compose "$version" && return 0
  echo "building docker-compose $version"
  folder="$(workspace docker-compose)"
  copy_module github.com/docker/compose/v5 "$version" "$folder"
  (cd "$folder" && go build -mod=mod -trimpath -ldflags '-s -w' -o "$GOBIN/docker-compose" ./cmd)
  echo "$version" > "$GOBIN/.docker-compose.version"
}
[ $# -gt 0 ] || set -- prometheus promtool alertmanager amtool
for name in "$@"; do
  case "$name" in
    # No service discovery but file, http and static, and no web UI: only what is used here is built.
    prometheus | promtool) install github.com/prometheus/prometheus v0.316.0 "$name" remove_all_sd,netgo ;;
    alertmanager) install github.com/prometheus/alertmanager v0.28.1 alertmanager ;;
    # Newer than the server: it lints receivers and verifies routes as no older one does.
    amtool) install github.com/prometheus/alertmanager v0.34.2 amtool ;;
    caddy) install github.com/caddyserver/caddy/v2 v2.11.7 caddy ;;
    prom-label-proxy) install github.com/prometheus-community/prom-label-proxy v0.11.1 prom-label-proxy "" github.com/prometheus-community/prom-label-proxy ;;
    otelcol) install_otelcol ;;
    docker-compose) install_docker_compose ;;
    *) echo "dev/install-servers.sh: $name is not known; the names stand in its head" >&2; exit 2 ;;
  esac
done
