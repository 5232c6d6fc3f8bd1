"""What a schema consists of, for comparisons, and chains of migrations with a step that is still to come."""

import shutil
from pathlib import Path

import pytest
from support.store import Store

from core.store import provisioning
from core.store import schema as schema_module
from core.tenant import SHARED_HEAD, TENANT_HEAD

PARTS = {
    "columns": """
        SELECT table_name, column_name, data_type, is_nullable, column_default, identity_generation
        FROM information_schema.columns WHERE table_schema = $1""",
    "constraints": """
        SELECT conrelid::regclass::text, conname, convalidated, pg_get_constraintdef(oid)
        FROM pg_constraint WHERE connamespace = $1::text::regnamespace""",
    "indexes": "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = $1",
    "triggers": """
        SELECT tgname, tgenabled::text, pg_get_triggerdef(t.oid) FROM pg_trigger t
        JOIN pg_class c ON c.oid = tgrelid
        WHERE NOT tgisinternal AND relnamespace = $1::text::regnamespace""",
    "functions": """
        SELECT proname, pg_get_functiondef(oid), proacl::text FROM pg_proc
        WHERE pronamespace = $1::text::regnamespace""",
    "rights": """
        SELECT relname, relkind::text, relacl::text, relowner::regrole::text FROM pg_class
        WHERE relnamespace = $1::text::regnamespace AND relkind IN ('r', 'S', 'v', 'p')""",
    "schema's rights": """
        SELECT nspacl::text, nspowner::regrole::text FROM pg_namespace WHERE nspname = $1""",
}
NEXT = "9999"
"""The revision that is still to come."""

NEXT_REVISION = '''"""Adds a column."""

import sqlalchemy as sa
from alembic import context, op

revision = "{revision}"
down_revision = "{before}"

SCHEMA = context.config.attributes["schema"]


def upgrade() -> None:
    op.add_column("{table}", sa.Column("note", sa.Text(), nullable=True), schema=SCHEMA)
'''


async def parts_of(store: Store, schema: str) -> dict[str, list[str]]:
    """Return everything in a schema as sorted lines that do not name it."""
    found = {}
    tenant_id = schema.removeprefix("it0_t_")
    for kind, question in PARTS.items():
        rows = await store.as_owner(question, schema)
        lines = [" | ".join(map(str, row.values())) for row in rows]
        found[kind] = sorted(
            line.replace(schema, "SCHEMA").replace(f"'{tenant_id}'", "'ID'") for line in lines
        )
    return found


def add_revision(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let both chains have one step more than the program's own, from a copy in ``folder``."""
    copy = folder / "migrations"
    shutil.copytree(provisioning.MIGRATIONS, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for chain, table, before in (("shared", "process", SHARED_HEAD), ("tenant", "setting", TENANT_HEAD)):
        step = NEXT_REVISION.format(table=table, revision=NEXT, before=before)
        (copy / chain / "versions" / f"{NEXT}.py").write_text(step)
    patch.setattr(provisioning, "MIGRATIONS", copy)
    for chain in ("shared", "tenant"):
        provisioning.script_file(chain).write_text(schema_module.script_of(chain))
