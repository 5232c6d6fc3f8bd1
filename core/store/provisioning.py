"""Making a schema that is not there yet, as the owner: one script, the sum of its chain's migrations.

``make schema`` writes the scripts, and a test holds them against the migrations. One script is one round
trip, where the migrations are some hundred, and it needs neither Alembic nor the engine.
"""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg

from core.store import tables
from core.store.database import Transaction
from core.store.statements import insert_row
from core.store.tables import SHARED_SCHEMA
from core.tenant import console_installation

MIGRATIONS = Path(__file__).parent / "migrations"
VERSION_TABLE = "version"
SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
TENANT_ID = re.compile(r"[a-z0-9]{1,32}")
LOCK = 0x697430
"""Key of the advisory lock that lets one migration run at a time."""

ADD_TENANT = insert_row(tables.tenants, leave_out=["owner_id", "deleted_at"])
ADD_INSTALLATION = insert_row(tables.installations)


def schema_of(tenant_id: str) -> str:
    """Return the name of a tenant's schema (SPEC 1).

    Raises ValueError for an id that is not 1-32 lower-case letters and digits.
    """
    if not TENANT_ID.fullmatch(tenant_id):
        raise ValueError(f"not a tenant id: {tenant_id!r}")
    return f"it0_t_{tenant_id}"


def script_file(chain: str) -> Path:
    """Return where the script of ``chain`` (shared or tenant) is kept."""
    return MIGRATIONS / chain / "head.sql"


def rights(schema: str, role: str) -> list[str]:
    """Return what gives the application's role its rights; the audit may only be read and appended to.

    role: quoted where its name needs it.
    """
    given = [
        f'GRANT USAGE ON SCHEMA "{schema}" TO {role}',
        f'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "{schema}" TO {role}',
        f'REVOKE INSERT, UPDATE, DELETE ON "{schema}".{VERSION_TABLE} FROM {role}',
    ]
    if schema == SHARED_SCHEMA:
        given.append(f"GRANT EXECUTE ON FUNCTION {SHARED_SCHEMA}.drop_tenant(text, integer) TO {role}")
    else:
        given.append(f'REVOKE UPDATE, DELETE, TRUNCATE ON "{schema}".audit FROM {role}')
    return given


async def create_shared(admin_url: str, app_role: str) -> None:
    """Make the shared schema in an empty database.

    admin_url: the owner's; app_role: the role that is granted its rights.
    """
    async with _as_owner(admin_url) as connection:
        await _make(connection, SHARED_SCHEMA, "", app_role)


async def create_tenant(admin_url: str, app_role: str, row: dict[str, Any]) -> None:
    """Make a tenant's row, schema and console in one transaction.

    row: the columns of ``it0_shared.tenant`` but its owner and its end.

    Raises ValueError for an id of another form.
    """
    schema = schema_of(row["id"])
    console = {
        "id": console_installation(row["id"]),
        "tenant_id": row["id"],
        "channel": "console",
        "name": "console",
        "sealed": None,
        "active": True,
        "created_at": row["created_at"],
    }
    async with _as_owner(admin_url) as connection:
        shared = Transaction(connection, "", "")
        await shared.run(ADD_TENANT, **row)
        await shared.run(ADD_INSTALLATION, **console)
        await _make(connection, schema, row["id"], app_role)


@asynccontextmanager
async def _as_owner(admin_url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """Yield the owner's connection in a transaction that keeps migrations out."""
    connection = await asyncpg.connect(admin_url, timeout=30, command_timeout=60)
    try:
        async with connection.transaction():
            await connection.execute(f"SELECT pg_advisory_xact_lock({LOCK})")
            yield connection
    finally:
        await connection.close(timeout=5)


async def _make(
    connection: "asyncpg.Connection[asyncpg.Record]", schema: str, tenant_id: str, app_role: str
) -> None:
    chain = "tenant" if tenant_id else "shared"
    script = script_file(chain).read_text("utf-8")
    script = script.replace(':"schema"', f'"{schema}"').replace(":'tenant_id'", f"'{tenant_id}'")
    role = await connection.fetchval("SELECT quote_ident($1)", app_role)
    one_role = await connection.fetchval("SELECT current_user = $1", app_role)
    # Where one role does everything nothing is taken from it, or it could not write the next version.
    await connection.execute(";\n".join([script, *([] if one_role else rights(schema, role))]))
