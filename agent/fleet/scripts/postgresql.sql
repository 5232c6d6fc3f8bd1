-- A role that reads. As a superuser: psql; then give it a password by \password it0_ro
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'it0_ro') THEN
    CREATE ROLE it0_ro;
  END IF;
END
$$;
ALTER ROLE it0_ro LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS CONNECTION LIMIT 5;
ALTER ROLE it0_ro SET default_transaction_read_only = on;
ALTER ROLE it0_ro SET statement_timeout = '60s';
GRANT pg_monitor TO it0_ro;
-- Every table's rows as well (PostgreSQL 14 and later). Leave this line out if statistics are enough.
GRANT pg_read_all_data TO it0_ro;
