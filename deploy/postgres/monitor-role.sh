#!/bin/sh
# Run once, when the database is made: a role that may look at statistics and at nothing else.
set -eu
psql -v ON_ERROR_STOP=1 -v password="$POSTGRES_MONITOR_PASSWORD" --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
CREATE ROLE monitor LOGIN PASSWORD :'password';
GRANT pg_monitor TO monitor;
SQL
