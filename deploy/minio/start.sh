#!/bin/sh
# Starts MinIO, makes Langfuse's bucket and gives it its lifecycle: deleting what is old is the bucket's work, since Langfuse
# itself does it only with an Enterprise licence.
set -eu
# A folder of the one drive is a bucket: it is there before Langfuse asks.
data="${MINIO_DATA:-/data}"
mkdir -p "$data/langfuse"
minio server --address :9000 "$data" &
server=$!
trap 'kill -TERM "$server"' TERM INT
until mc ready local >/dev/null 2>&1; do
  kill -0 "$server" || exit 1
  sleep 1
done
# Replaces the rules that were there. Without them MinIO serves all the same, and its disk fills.
mc alias set here http://127.0.0.1:9000 "$MINIO_ROOT_USER" "$MINIO_ROOT_PASSWORD" >/dev/null &&
  mc ilm rule import here/langfuse <<RULES || echo "start.sh: the bucket has no lifecycle: nothing old is deleted" >&2
{"Rules":[
  {"ID":"events","Status":"Enabled","Filter":{"Prefix":"events/"},"Expiration":{"Days":${EVENT_RETENTION_DAYS:?}}},
  {"ID":"media","Status":"Enabled","Filter":{"Prefix":"media/"},"Expiration":{"Days":${MEDIA_RETENTION_DAYS:?}}},
  {"ID":"exports","Status":"Enabled","Filter":{"Prefix":"exports/"},"Expiration":{"Days":7}}
]}
RULES
# A signal ends the first wait; the second one waits for the server's own end.
wait "$server" || wait "$server"
