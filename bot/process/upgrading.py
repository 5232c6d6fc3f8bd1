"""Bringing every schema to this version, as the owner; it knows nothing of what is built on them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from asyncpg import InterfaceError, PostgresError
from sqlalchemy import select

from core.errors import SetupError
from core.store.database import Database, Statement
from core.store.provisioning import create_shared
from core.store.tables import SHARED_SCHEMA, tenants
from core.tenant import SHARED_HEAD, TENANT_HEAD, version_of

if TYPE_CHECKING:
    from core.store.schema import Upgraded


def role_in(url: str) -> str:
    """Return the role's name in a database URL."""
    return unquote(urlsplit(url).username or "")


async def upgrade(database_url: str, admin_url: str, is_new: bool = False) -> None:
    """Bring every schema to this version if one is not there yet.

    is_new: nothing is there, so that nobody needs to look. Raises SetupError naming the schemas that could
    not be upgraded.
    """
    if is_new:
        await _create_shared(database_url, admin_url)
        return
    if await _is_current(admin_url):
        return
    report = await upgrade_report(database_url, admin_url)
    failed = [line for line in report if line.error]
    if failed:
        raise SetupError("setup.upgrade_failed", schemas="; ".join(f"{f.schema}: {f.error}" for f in failed))


async def _create_shared(database_url: str, admin_url: str) -> None:
    try:
        await create_shared(admin_url, role_in(database_url))
    except (PostgresError, InterfaceError, OSError) as error:
        reason = f"{SHARED_SCHEMA}: {type(error).__name__}: {error}".splitlines()[0]
        raise SetupError("setup.upgrade_failed", schemas=reason) from error


async def upgrade_report(database_url: str, admin_url: str) -> Sequence["Upgraded"]:
    """Bring every schema to this version and return a line for each."""
    # Alembic and the engine are imported only when there is something to upgrade: they cost 0.2 s.
    from core.store.schema import Schemas

    schemas = Schemas(admin_url, role_in(database_url))
    try:
        return await schemas.upgrade_all()
    finally:
        await schemas.close()


async def _is_current(admin_url: str) -> bool:
    async with Database.open(admin_url, size=2) as database:
        try:
            async with database.reading() as db:
                if await db.value(version_of(SHARED_SCHEMA)) != SHARED_HEAD:
                    return False
                rows = await db.all(Statement(select(tenants.c.id)))
                heads = [await db.value(version_of(f"it0_t_{row['id']}")) for row in rows]
        except PostgresError:
            return False
    return all(head == TENANT_HEAD for head in heads)
