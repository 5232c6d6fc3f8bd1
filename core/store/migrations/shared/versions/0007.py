"""Deleted tenants are dropped by the owner's function, and by nothing else."""

from alembic import op

revision = "0007"
down_revision = "0005"

SINCE_WHEN = """
CREATE FUNCTION it0_shared.tenant_deleted_at() RETURNS trigger LANGUAGE plpgsql AS
$$
BEGIN
  IF TG_OP = 'UPDATE' AND NEW.id <> OLD.id THEN
    RAISE EXCEPTION 'a tenant keeps its id';
  END IF;
  NEW.deleted_at := CASE
    WHEN NEW.status <> 'deleted' THEN NULL
    WHEN TG_OP = 'UPDATE' AND OLD.status = 'deleted' THEN OLD.deleted_at
    ELSE pg_catalog.now()
  END;
  RETURN NEW;
END
$$
"""
TRIGGER = """
CREATE TRIGGER tenant_deleted_at BEFORE INSERT OR UPDATE ON it0_shared.tenant
FOR EACH ROW EXECUTE FUNCTION it0_shared.tenant_deleted_at()
"""
# The lock is that of migrations. Strangers have no tenant_id, so they go first, by their installation.
DROP = """
CREATE FUNCTION it0_shared.drop_tenant(wanted text, keep_days integer) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '10s' AS
$$
DECLARE
  each name;
BEGIN
  PERFORM pg_advisory_xact_lock(6911024);
  PERFORM 1 FROM it0_shared.tenant
    WHERE id = wanted AND status = 'deleted'
      AND deleted_at <= now() - make_interval(days => greatest(keep_days, 7))
    FOR UPDATE;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  EXECUTE format('DROP SCHEMA IF EXISTS %I CASCADE', 'it0_t_' || wanted);
  DELETE FROM it0_shared.stranger
    WHERE installation_id IN (SELECT id FROM it0_shared.installation WHERE tenant_id = wanted);
  FOR each IN
    SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relnamespace = 'it0_shared'::regnamespace AND c.relkind = 'r'
      AND a.attname = 'tenant_id' AND NOT a.attisdropped
  LOOP
    EXECUTE format('DELETE FROM it0_shared.%I WHERE tenant_id = $1', each) USING wanted;
  END LOOP;
  DELETE FROM it0_shared.tenant WHERE id = wanted;
  RETURN true;
END
$$
"""


def upgrade() -> None:
    """Let the database keep since when a tenant is deleted, and drop it once that is long enough ago."""
    for statement in (SINCE_WHEN, TRIGGER, DROP):
        op.execute(statement)
    op.execute("REVOKE ALL ON FUNCTION it0_shared.drop_tenant(text, integer) FROM PUBLIC")
