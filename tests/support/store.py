"""A real PostgreSQL for a whole test run, and fresh databases on it that cost some 50 ms each."""

import asyncio
import itertools
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from fakes.clock import START, FakeClock

from bot.embedded import Home, Postgres
from bot.embedded import postgres as embedded
from bot.embedded.datafolder import SUPERUSER
from bot.embedded.postgres import APP, OWNER, socket_url
from core.ids import new_id
from core.store import people
from core.store.database import Database
from core.store.provisioning import create_tenant
from core.store.schema import Schemas
from core.tenant import Tenant, Tenants, console_installation
from core.texts import Language
from core.vault import Vault, new_key
from core.work import Role, User

TEMPLATE = "it0_template"
MEMORY = Path("/dev/shm")
MEMORY_BYTES = 2**30
"""Three times what a run's databases come to."""
FOLDER = "it0-tests-"
AUDIT_KEY = bytes(range(32))
READY = ("first", "second")
"""Slugs of the tenants that every fresh database has already."""


class Cluster:
    """The server of a test run. url: of a role and a database on it."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._numbers = itertools.count(1)
        self._one_at_a_time = asyncio.Lock()
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None

    def url(self, role: str, database: str) -> str:
        """Return a connection's address."""
        return socket_url(self._home, role, database)

    async def superuser(self, *statements: str) -> None:
        """Run statements as the superuser, on a connection that stays open."""
        async with self._one_at_a_time:
            if self._connection is None or self._connection.is_closed():
                self._connection = await asyncpg.connect(self.url(SUPERUSER, SUPERUSER))
            for statement in statements:
                await self._connection.execute(statement)

    async def close(self) -> None:
        """Leave."""
        if self._connection is not None:
            await self._connection.close()

    async def make_template(self) -> None:
        """Make the migrated database that the others are copies of."""
        await self.superuser(f"CREATE DATABASE {TEMPLATE} OWNER {OWNER}")
        schemas = Schemas(self.url(OWNER, TEMPLATE), APP)
        try:
            report = await schemas.upgrade_all()
            assert not any(line.error for line in report), report
            for number, slug in enumerate(READY):
                row = tenant_row(slug, FakeClock(), id=f"ready{number}")
                await create_tenant(self.url(OWNER, TEMPLATE), APP, row)
        finally:
            await schemas.close()

    async def copy(self) -> str:
        """Return the name of a fresh database with the two roles' rights of the real one.

        It is copied as files: page by page through the log, PostgreSQL's default, takes longer.
        """
        name = f"fresh{next(self._numbers)}"
        await self.superuser(
            f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} OWNER {OWNER} STRATEGY FILE_COPY",
            f"REVOKE ALL ON DATABASE {name} FROM PUBLIC; GRANT CONNECT ON DATABASE {name} TO {APP}",
        )
        return name

    async def drop(self, name: str) -> None:
        """Drop a database, whoever is connected."""
        await self.superuser(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def folder_in_memory() -> Iterator[Path]:
    """Yield an empty folder, in memory where there is room: a database is 600 files to make and to delete."""
    room = shutil.disk_usage(MEMORY).free if os.access(MEMORY, os.W_OK) else 0
    place = MEMORY if room > MEMORY_BYTES else None
    for old in MEMORY.glob(f"{FOLDER}*"):
        if not Path("/proc", old.name.split("-")[2]).exists():  # its run was killed
            shutil.rmtree(old, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"{FOLDER}{os.getpid()}-", dir=place) as folder:
        yield Path(folder)


@asynccontextmanager
async def running_cluster(folder: Path) -> AsyncIterator[Cluster]:
    """Yield a server; it need not survive a power cut. Enter it from the main thread."""
    with Home(folder) as home, pytest.MonkeyPatch.context() as patch:
        for name, value in {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}.items():
            patch.setitem(embedded.SETTINGS, name, value)
        async with Postgres(home):
            patch.undo()
            cluster = Cluster(home.path)
            try:
                await cluster.make_template()
                yield cluster
            finally:
                await cluster.close()


def tenant_row(slug: str, clock: FakeClock, **values: Any) -> dict[str, Any]:
    """Return the columns of a new tenant."""
    row = {"id": new_id(), "slug": slug, "name": slug.title(), "plan": "self-hosted", "status": "active"}
    return {**row, "created_at": clock(), **values}


@dataclass
class Store:
    """A fresh database with what works on it. first, second: tenants that are there already."""

    cluster: Cluster
    name: str
    database: Database
    tenants: Tenants
    vault: Vault
    clock: FakeClock = field(default_factory=FakeClock)

    @property
    def owner_url(self) -> str:
        """Return the owner's address."""
        return self.cluster.url(OWNER, self.name)

    @property
    def app_url(self) -> str:
        """Return the application's address."""
        return self.cluster.url(APP, self.name)

    async def first(self) -> Tenant:
        """Return a tenant."""
        return await self.tenants.by_slug(READY[0])

    async def second(self) -> Tenant:
        """Return another tenant."""
        return await self.tenants.by_slug(READY[1])

    async def make_tenant(self, slug: str, **values: Any) -> Tenant:
        """Make one more tenant as the program does."""
        await create_tenant(self.owner_url, APP, tenant_row(slug, self.clock, **values))
        return await self.tenants.by_slug(slug)

    async def with_plan(self, plan: str) -> Tenant:
        """Return the first tenant on another plan."""
        await self.as_owner("UPDATE it0_shared.tenant SET plan = $1 WHERE slug = $2", plan, READY[0])
        return await self.first()

    async def wipe(self) -> None:
        """Take everything out but the tenants: a fifth of the cost of a fresh database."""
        async with self.connection(SUPERUSER) as superuser:
            tables = await superuser.fetch(
                "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE"
                " starts_with(schemaname, 'it0_') AND tablename NOT IN ('tenant', 'version')"
            )
            deletes = "; ".join(f"DELETE FROM {table['name']}" for table in tables)
            await superuser.execute(f"SET session_replication_role = replica; {deletes}")
            await superuser.execute("UPDATE it0_shared.tenant SET plan = 'self-hosted', status = 'active'")
        self.clock.now = START
        self.tenants = Tenants(self.database, self.vault, AUDIT_KEY)

    @asynccontextmanager
    async def schemas(self) -> AsyncIterator[Schemas]:
        """Yield the owner's hands."""
        schemas = Schemas(self.owner_url, APP)
        try:
            yield schemas
        finally:
            await schemas.close()

    @asynccontextmanager
    async def connection(self, role: str = OWNER) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
        """Yield a bare connection: a judge's, or an attacker's."""
        connection = await asyncpg.connect(self.cluster.url(role, self.name))
        try:
            yield connection
        finally:
            await connection.close()

    async def as_owner(self, statement: str, *values: Any) -> list[asyncpg.Record]:
        """Run a statement as the owner and return its rows."""
        async with self.connection() as connection:
            return await connection.fetch(statement, *values)


@asynccontextmanager
async def fresh_store(cluster: Cluster, *, size: int = 10) -> AsyncIterator[Store]:
    """Yield a fresh database, dropped at the end. size: the pool's connections."""
    name = await cluster.copy()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(cluster.drop, name)
        database = await stack.enter_async_context(Database.open(cluster.url(APP, name), size=size))
        vault = Vault(new_key())
        yield Store(cluster, name, database, Tenants(database, vault, AUDIT_KEY), vault)


async def add_user(
    tenant: Tenant, clock: FakeClock, name: str, role: Role = Role.ADMIN, language: Language = "en"
) -> User:
    """Store a user without asking the plan."""
    user = User(new_id(), name, role, language)
    async with tenant.transaction() as tx:
        row = {"id": user.id, "name": name, "role": str(role), "language": language}
        await tx.run(people.ADD_USER, **row, created_at=clock())
        await people.add_identity(tx, tenant.id, console_installation(tenant.id), user.id, user.id, clock())
    return user


async def actions(tenant: Tenant) -> list[str]:
    """Return the audit log's actions in order."""
    return [row["action"] async for row in tenant.audit.rows()]
