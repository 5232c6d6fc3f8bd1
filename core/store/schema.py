"""Making and upgrading schemas, as the owner's role; the only place that uses Alembic and the engine.

A tenant's chain runs once for each tenant, each in a transaction of its own: an upgrade that stops half
way goes on with the tenants that still lack it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alembic import command, context
from alembic.config import Config
from sqlalchemy import Connection, MetaData, func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from core.store import tables
from core.store.tables import SHARED_SCHEMA, TENANT_SCHEMA
from core.tenant import console_installation

HERE = Path(__file__).parent / "migrations"
VERSION_TABLE = "version"
SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
TENANT_ID = re.compile(r"[a-z0-9]{1,32}")
LOCK = 0x697430
"""Key of the advisory lock that lets one migration run at a time."""


def schema_of(tenant_id: str) -> str:
    """Return the name of a tenant's schema (SPEC 1).

    Raises ValueError for an id that is not 1-32 lower-case letters and digits.
    """
    if not TENANT_ID.fullmatch(tenant_id):
        raise ValueError(f"not a tenant id: {tenant_id!r}")
    return f"it0_t_{tenant_id}"


@dataclass(frozen=True, slots=True)
class Upgraded:
    """How one schema's upgrade went; error is None when it is at the newest version."""

    schema: str
    error: str | None = None


def run_chain() -> None:
    """Run the chain that ``_upgrade`` set up; called by Alembic through ``env.py``."""
    options = context.config.attributes
    metadata: MetaData = options["metadata"]
    connection: Connection = options["connection"]
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table=VERSION_TABLE,
        version_table_schema=options["schema"],
        include_schemas=False,
        transaction_per_migration=False,
    )
    with context.begin_transaction():
        context.run_migrations()


def _config(chain: str, **attributes: Any) -> Config:
    config = Config()
    config.set_main_option("script_location", str(HERE / chain))
    config.set_main_option("path_separator", "os")
    config.attributes.update(attributes)
    return config


def _upgrade(connection: Connection, chain: str, schema: str, app_role: str, tenant_id: str = "") -> None:
    connection.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{schema}"'))
    mapped = connection.execution_options(schema_translate_map={TENANT_SCHEMA: schema})
    metadata = tables.tenant if chain == "tenant" else tables.shared
    config = _config(chain, connection=mapped, schema=schema, metadata=metadata, tenant_id=tenant_id)
    command.upgrade(config, "head")
    _grant(connection, schema, app_role)


def _grant(connection: Connection, schema: str, role: str) -> None:
    """Give the application's role its rights; the audit may only be read and appended to.

    Where one role does everything nothing is taken from it, or it could not write the next version.
    """
    if connection.scalar(select(func.current_user())) == role:
        return
    quoted = connection.dialect.identifier_preparer.quote(role)
    for statement in (
        f'GRANT USAGE ON SCHEMA "{schema}" TO {quoted}',
        f'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "{schema}" TO {quoted}',
        f'REVOKE INSERT, UPDATE, DELETE ON "{schema}".{VERSION_TABLE} FROM {quoted}',
    ):
        connection.execute(text(statement))
    if schema == SHARED_SCHEMA:
        drop = f"{SHARED_SCHEMA}.drop_tenant(text, integer)"
        connection.execute(text(f"GRANT EXECUTE ON FUNCTION {drop} TO {quoted}"))
    else:
        connection.execute(text(f'REVOKE UPDATE, DELETE, TRUNCATE ON "{schema}".audit FROM {quoted}'))


def _engine(admin_url: str) -> AsyncEngine:
    scheme, _, rest = admin_url.partition("://")
    return create_async_engine(f"postgresql+asyncpg://{rest}" if scheme else admin_url)


class Schemas:
    """The owner's hands: makes schemas, and brings them to the newest version.

    admin_url: the owner's database URL; app_role: the role that is granted its rights.
    """

    def __init__(self, admin_url: str, app_role: str) -> None:
        self._engine = _engine(admin_url)
        self._role = app_role

    async def close(self) -> None:
        """Close the owner's connections."""
        await self._engine.dispose()

    async def upgrade_all(self) -> Sequence[Upgraded]:
        """Upgrade the shared schema, then every tenant's; return a line for each."""
        report = [await self._attempt("shared", SHARED_SCHEMA, "")]
        if report[0].error is None:
            async with self._engine.connect() as connection:
                ids = (await connection.execute(select(tables.tenants.c.id))).scalars().all()
            report += [await self._attempt("tenant", schema_of(each), each) for each in ids]
        return report

    async def _attempt(self, chain: str, schema: str, tenant_id: str) -> Upgraded:
        try:
            async with self._engine.begin() as connection:
                await connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
                await connection.run_sync(_upgrade, chain, schema, self._role, tenant_id)
        except Exception as error:  # a tenant that fails must not keep the others from their upgrade
            return Upgraded(schema, f"{type(error).__name__}: {error}".splitlines()[0])
        return Upgraded(schema)

    async def create_tenant(self, row: dict[str, Any]) -> None:
        """Make a tenant's row, schema and console in one transaction.

        row: the columns of ``it0_shared.tenant``.
        """
        console = {
            "id": console_installation(row["id"]),
            "tenant_id": row["id"],
            "channel": "console",
            "name": "console",
            "active": True,
            "created_at": row["created_at"],
        }
        async with self._engine.begin() as connection:
            await connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
            await connection.execute(tables.tenants.insert().values(**row))
            await connection.execute(tables.installations.insert().values(**console))
            await connection.run_sync(_upgrade, "tenant", schema_of(row["id"]), self._role, row["id"])
