"""Upgrading schemas, as the owner's role; the only place that uses Alembic and the engine.

A tenant's chain runs once for each tenant, each in a transaction of its own: an upgrade that stops half
way goes on with the tenants that still lack it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any

from alembic import command, context
from alembic.config import Config
from sqlalchemy import Connection, MetaData, func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from core.store import provisioning, tables
from core.store.provisioning import LOCK, VERSION_TABLE, rights, schema_of
from core.store.tables import SHARED_SCHEMA, TENANT_SCHEMA


@dataclass(frozen=True, slots=True)
class Upgraded:
    """How one schema's upgrade went; error is None when it is at the newest version."""

    schema: str
    error: str | None = None


def run_chain() -> None:
    """Run the chain that was set up; called by Alembic through ``env.py``."""
    options = context.config.attributes
    metadata: MetaData = options["metadata"]
    kept: dict[str, Any] = {"version_table": VERSION_TABLE, "version_table_schema": options["schema"]}
    if context.is_offline_mode():
        # With the driver's own style every % would be doubled.
        style = {"paramstyle": "named"}
        context.configure(dialect_name="postgresql", dialect_opts=style, target_metadata=metadata, **kept)
        context.run_migrations()
        return
    connection: Connection = options["connection"]
    context.configure(
        connection=connection,
        target_metadata=metadata,
        include_schemas=False,
        transaction_per_migration=False,
        **kept,
    )
    with context.begin_transaction():
        context.run_migrations()


def script_of(chain: str) -> str:
    """Return what the migrations of ``chain`` (shared or tenant) come to, as one script.

    A tenant's has psql's variables: ``:"schema"`` and ``:'tenant_id'``.
    """
    schema = SHARED_SCHEMA if chain == "shared" else TENANT_SCHEMA
    metadata = tables.shared if chain == "shared" else tables.tenant
    written = StringIO()
    config = _config(chain, schema=schema, metadata=metadata, tenant_id=":tenant_id")
    config.output_buffer = written
    command.upgrade(config, "head", sql=True)
    script = f"CREATE SCHEMA IF NOT EXISTS {schema};\n{written.getvalue()}"
    if chain == "tenant":
        script = re.sub(rf"""(?<![\w.:'])(?:{schema}|"{schema}")(?=[.;])""", ':"schema"', script)
        script = script.replace("':tenant_id'", ":'tenant_id'")
    lines = (line.rstrip() for line in script.splitlines())
    return "".join(f"{line}\n" for line in lines if line and not line.startswith("--"))


def _config(chain: str, **attributes: Any) -> Config:
    config = Config()
    config.set_main_option("script_location", str(provisioning.MIGRATIONS / chain))
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
    """Give the application's role its rights.

    Where one role does everything nothing is taken from it, or it could not write the next version.
    """
    if connection.scalar(select(func.current_user())) != role:
        for statement in rights(schema, connection.dialect.identifier_preparer.quote(role)):
            connection.execute(text(statement))


def _engine(admin_url: str) -> AsyncEngine:
    scheme, _, rest = admin_url.partition("://")
    return create_async_engine(f"postgresql+asyncpg://{rest}" if scheme else admin_url)


class Schemas:
    """The owner's hands: brings schemas to the newest version.

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
