"""The tenant's handle: the only door to its data."""

import time
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

import structlog
from sqlalchemy import column, func, select, table

from core.audit import AuditLog
from core.errors import NotFound, StoreUnavailable, Unavailable
from core.store import tables
from core.store.database import Database, Row, Statement, Transaction
from core.store.statements import INT, param
from core.vault import Vault

logger = structlog.get_logger()

SHARED_HEAD = "0008"
TENANT_HEAD = "0014"
"""The newest revision of each chain; a test holds them against the scripts."""

CACHE_S = 5.0

T = tables.tenants
BY_ID = Statement(select(T).where(T.c.id == param("id")))
BY_SLUG = Statement(select(T).where(T.c.slug == param("slug")))
ALL = Statement(select(T).order_by(T.c.created_at))
GONE = Statement(
    select(T)
    .where(
        T.c.status == "deleted",
        T.c.deleted_at <= func.now() - func.make_interval(0, 0, 0, param("keep_days", INT)),
    )
    .order_by(T.c.deleted_at)
)
DROP = Statement(select(func.it0_shared.drop_tenant(param("tenant"), param("keep_days", INT))))


def console_installation(tenant_id: str) -> str:
    """Return the id of a tenant's console as an installation."""
    return f"console-{tenant_id}"


def version_of(schema: str) -> Statement:
    """Return the question for a schema's revision."""
    return Statement(select(table("version", column("version_num"), schema=schema).c.version_num))


@dataclass(frozen=True, slots=True)
class TenantRow:
    """What the shared schema knows of a tenant."""

    id: str
    slug: str
    name: str
    plan: str
    status: str


class Tenant:
    """A tenant with its data, vault and audit log.

    Nothing that belongs to a tenant is reachable without one of these.
    """

    def __init__(self, row: TenantRow, database: Database, vault: Vault, audit_key: bytes) -> None:
        self.id = row.id
        self.row = row
        self.schema = f"it0_t_{row.id}"
        self.vault = vault
        self.audit = AuditLog(self, audit_key)
        self._database = database

    def __repr__(self) -> str:
        """Name it."""
        return f"Tenant({self.row.slug})"

    def transaction(self, *, flushed: bool = True) -> AbstractAsyncContextManager[Transaction]:
        """Yield a transaction in this tenant's schema and the shared one; flushed: as ``Database`` has it."""
        return self._database.transaction(self.schema, self.id, flushed=flushed)

    def statement(self, *, flushed: bool = True) -> AbstractAsyncContextManager[Transaction]:
        """Yield a connection for one statement; flushed: as ``Database`` has it."""
        return self._database.statement(self.schema, self.id, flushed=flushed)

    def reading(self) -> AbstractAsyncContextManager[Transaction]:
        """Yield a connection for questions that need no transaction."""
        return self._database.reading(self.schema, self.id)


class Tenants:
    """Finds tenants; a handle is kept for some seconds, because each message needs one."""

    def __init__(self, database: Database, vault: Vault, audit_key: bytes) -> None:
        self._database = database
        self._vault = vault
        self._audit_key = audit_key
        self._kept: dict[str, tuple[float, Tenant]] = {}

    async def by_id(self, tenant_id: str) -> Tenant:
        """Return the tenant.

        Raises NotFound, or Unavailable while its schema is not at this program's version.
        """
        kept = self._kept.get(tenant_id)
        if kept and kept[0] > time.monotonic():
            return kept[1]
        async with self._database.transaction() as tx:
            row = await tx.one(BY_ID, id=tenant_id)
        return await self._open(row)

    async def by_slug(self, slug: str) -> Tenant:
        """Return the tenant of that slug; raises as ``by_id``."""
        async with self._database.transaction() as tx:
            row = await tx.one(BY_SLUG, slug=slug)
        return await self._open(row)

    async def all(self) -> list[Tenant]:
        """Return every tenant that is not deleted and is at this program's version."""
        async with self._database.transaction() as tx:
            rows = await tx.all(ALL)
        found = []
        for row in rows:
            if row["status"] == "deleted":
                continue
            try:
                found.append(await self._open(row))
            except StoreUnavailable:
                raise
            except Unavailable:
                logger.warning("tenant_left_out", tenant=row["id"], reason="not at this program's version")
        return found

    async def gone(self, keep_days: int) -> list[Tenant]:
        """Return the tenants that were deleted at least ``keep_days`` ago; raises as ``by_id``."""
        async with self._database.transaction() as tx:
            rows = await tx.all(GONE, keep_days=keep_days)
        return [await self._open(row) for row in rows]

    async def drop(self, tenant_id: str, keep_days: int) -> bool:
        """Drop all that there is of a tenant; False if the database finds it not deleted for so long."""
        async with self._database.transaction() as tx:
            dropped: bool = await tx.value(DROP, tenant=tenant_id, keep_days=keep_days)
        self.forget(tenant_id)
        return dropped

    def forget(self, tenant_id: str) -> None:
        """Read the tenant anew next time."""
        self._kept.pop(tenant_id, None)

    async def _open(self, row: Row | None) -> Tenant:
        if row is None:
            raise NotFound("error.no_such_tenant")
        kept = self._kept.get(row["id"])
        fresh = TenantRow(row["id"], row["slug"], row["name"], row["plan"], row["status"])
        if kept and kept[1].row == fresh:
            tenant = kept[1]
        else:
            tenant = Tenant(fresh, self._database, self._vault, self._audit_key)
            await self._check_version(tenant)
        self._kept[tenant.id] = (time.monotonic() + CACHE_S, tenant)
        return tenant

    async def _check_version(self, tenant: Tenant) -> None:
        async with self._database.transaction() as tx:
            version = await tx.value(version_of(tenant.schema))
        if version != TENANT_HEAD:
            raise Unavailable("error.tenant_being_upgraded")
