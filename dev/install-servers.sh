#!/usr/bin/env bash
# Builds the servers that tests and benches of monitoring run on, at pinned versions, into .cache/tools/bin.
#   dev/install-servers.sh [prometheus|promtool|alertmanager|amtool …]      without names: all four
# Needs Go (its module proxy) and, the first time, about five minutes on two cores. What is there at its version stays.
set -euo pipefail
cd "$(dirname "$0")/.."
export GOBIN="$PWD/.cache/tools/bin" GOFLAGS=-buildvcs=false CGO_ENABLED=0

command -v go >/dev/null 2>&1 || { echo "dev/install-servers.sh: go is not on PATH; install Go 1.26 or newer" >&2; exit 3; }
mkdir -p "$GOBIN"

install() { # install MODULE VERSION COMMAND [TAGS]
  local binary="$GOBIN/$3"
  if [ -x "$binary" ] && go version -m "$binary" 2>/dev/null | awk '$1 == "mod" { print $2, $3 }' | grep -qxF "$1 $2"; then
    echo "$3 $2 is there"
    return 0
  fi
  echo "building $3 $2"
  rm -f "$binary" # never through a link into somebody else's file
  go install ${4:+-tags "$4"} "$1/cmd/$3@$2"
}

[ $# -gt 0 ] || set -- prometheus promtool alertmanager amtool
for name in "$@"; do
  case "$name" in
    # No service discovery but file, http and static, and no web UI: only what is used here is built.
    prometheus | promtool) install github.com/prometheus/prometheus v0.316.0 "$name" remove_all_sd,netgo ;;
    alertmanager) install github.com/prometheus/alertmanager v0.28.1 alertmanager ;;
    # Newer than the server: it lints receivers and verifies routes as no older one does.
    amtool) install github.com/prometheus/alertmanager v0.34.2 amtool ;;
    *) echo "dev/install-servers.sh: $name is none of prometheus, promtool, alertmanager, amtool" >&2; exit 2 ;;
  esac
done
