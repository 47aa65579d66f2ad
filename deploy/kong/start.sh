#!/bin/sh
# Kong in a container, on a copy of kong.yml in which loopback addresses are those of this composition: containers share no
# network, so that one that restarts never cuts off another.
#   KONG_YML        the file to read     (default /etc/kong/kong.yml)
#   SIDECAR_URL     stands for http://127.0.0.1:8086, the sidecar of kong.yml; plugin and tap take unix:/… too
#   DEMO_PROVIDER   stands for 127.0.0.1:9500, the mock provider of dev/demo-kong.yml
# A file that names other addresses is taken as it is.
# As start.sh it is the container's entrypoint. As `kong`, before the image's own in PATH, it makes the copy anew for commands
# that read it – `docker compose exec kong kong reload` – and is Kong's command for the rest.
set -eu

copy() {
  target="${KONG_DECLARATIVE_CONFIG:?start.sh writes the copy there}"
  sed -e "s#http://127\.0\.0\.1:8086\([^0-9]\|\$\)#${SIDECAR_URL:?address of the sidecar}\1#g" \
      -e "s#127\.0\.0\.1:9500\([^0-9]\|\$\)#${DEMO_PROVIDER:-127.0.0.1:9500}\1#g" \
      "${KONG_YML:-/etc/kong/kong.yml}" > "$target.new"
  mv "$target.new" "$target"
}

if [ "$(basename "$0")" = kong ]; then
  case "${1:-}" in start|restart|reload|prepare) copy ;; esac
  exec "${KONG_BINARY:-/usr/local/bin/kong}" "$@"
fi

copy
if ! cmp -s "$0" "$(command -v kong || echo /dev/null)"; then
  echo "start.sh: another kong comes first in PATH: 'kong reload' will not see a change of kong.yml; restart the container" >&2
fi
# Images of the open-source Kong and of Kong Enterprise name their own start differently.
for start in /docker-entrypoint.sh /entrypoint.sh; do
  if [ -x "$start" ]; then exec "$start" kong docker-start; fi
done
echo "start.sh: this image has neither /docker-entrypoint.sh nor /entrypoint.sh: no image of Kong's" >&2
exit 1
