#!/bin/sh
# Starts Kong in a container, on a copy of kong.yml in which loopback addresses are those of this composition: containers share
# no network, so that one that restarts never cuts off another.
#   KONG_YML        the file to read     (default /etc/kong/kong.yml)
#   SIDECAR_URL     stands for http://127.0.0.1:8086, the sidecar of kong.yml; plugin and tap take unix:/… too
#   DEMO_PROVIDER   stands for 127.0.0.1:9500, the mock provider of dev/demo-kong.yml
# A file that names other addresses is taken as it is. The file is read at each start: `docker compose restart kong`.
set -eu
copy="${KONG_DECLARATIVE_CONFIG:?start.sh writes the copy there}"
sed -e "s#http://127\.0\.0\.1:8086\([^0-9]\|\$\)#${SIDECAR_URL:?address of the sidecar}\1#g" \
    -e "s#127\.0\.0\.1:9500\([^0-9]\|\$\)#${DEMO_PROVIDER:-127.0.0.1:9500}\1#g" "${KONG_YML:-/etc/kong/kong.yml}" > "$copy"
# Images of the open-source Kong and of Kong Enterprise name their own start differently.
for start in /docker-entrypoint.sh /entrypoint.sh; do
  if [ -x "$start" ]; then exec "$start" kong docker-start; fi
done
echo "start.sh: this image has neither /docker-entrypoint.sh nor /entrypoint.sh: no image of Kong's" >&2
exit 1
