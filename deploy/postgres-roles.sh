#!/bin/sh
# Makes it0's two roles: the owner migrates, the application can neither alter nor delete the audit log.
set -eu
psql -v ON_ERROR_STOP=1 -U postgres -d it0 \
    -v owner="$IT0_OWNER_PASSWORD" -v app="$IT0_APP_PASSWORD" <<'SQL'
CREATE ROLE it0_owner LOGIN PASSWORD :'owner';
CREATE ROLE it0_app LOGIN PASSWORD :'app';
ALTER DATABASE it0 OWNER TO it0_owner;
SQL
