"""The first start: schemas, the default tenant, its console, an admin, and the bot's own machine."""

from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from asyncpg import PostgresError
from sqlalchemy import select

from bot.wiring import App
from core.audit import Entry
from core.errors import NotFound, SetupError
from core.ids import new_id
from core.store import fleet, people
from core.store.database import Database, Statement
from core.store.tables import SHARED_SCHEMA, tenants
from core.tenant import SHARED_HEAD, TENANT_HEAD, Tenant, version_of
from core.texts import as_language
from core.work import Server, User

if TYPE_CHECKING:
    from core.store.schema import Upgraded

DEFAULT_SLUG = "default"
ADMIN = "admin"


def role_in(url: str) -> str:
    """Return the role's name in a database URL."""
    return unquote(urlsplit(url).username or "")


async def upgrade(database_url: str, admin_url: str) -> None:
    """Bring every schema to this version if one is not there yet.

    Raises SetupError naming the schemas that could not be upgraded.
    """
    if await _is_current(admin_url):
        return
    report = await upgrade_report(database_url, admin_url)
    failed = [line for line in report if line.error]
    if failed:
        raise SetupError("setup.upgrade_failed", schemas="; ".join(f"{f.schema}: {f.error}" for f in failed))


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


async def make_tenant(app: App, database_url: str, admin_url: str, slug: str, name: str, plan: str) -> Tenant:
    """Make a tenant with its schema and its console's installation.

    Raises SetupError for a slug that is in use or of another form.
    """
    from core.store.schema import SLUG, Schemas

    if not SLUG.fullmatch(slug):
        raise SetupError("tenant.bad_slug")
    try:
        await app.tenants.by_slug(slug)
    except NotFound:
        pass
    else:
        raise SetupError("tenant.slug_taken", slug=slug)
    tenant_id, now = new_id(), app.clock()
    schemas = Schemas(admin_url, role_in(database_url))
    row = {"id": tenant_id, "slug": slug, "name": name, "plan": plan, "status": "active", "created_at": now}
    try:
        await schemas.create_tenant(row)
    finally:
        await schemas.close()
    tenant = await app.tenants.by_id(tenant_id)
    await _note_made(app, tenant)
    return tenant


async def _note_made(app: App, tenant: Tenant) -> None:
    """Begin the tenant's audit log, once."""
    detail = {"slug": tenant.row.slug, "plan": tenant.row.plan}
    entry = Entry("tenant.create", "system", detail=detail, key="tenant.create")
    await tenant.audit.append(entry, app.clock())


async def first_start(app: App, database_url: str, admin_url: str) -> User | None:
    """Make what is missing of the default tenant; return its admin while nobody has signed in yet.

    The admin comes last: until there is one, a start that was killed is gone through again.
    """
    try:
        tenant = await app.tenants.by_slug(DEFAULT_SLUG)
    except NotFound:
        tenant = await make_tenant(app, database_url, admin_url, DEFAULT_SLUG, "Default", "self-hosted")
    async with tenant.reading() as db:
        admin = await people.user_named(db, ADMIN)
        everybody = await people.users(db)
        signed_in = await db.all(people.SIGN_INS, tenant=tenant.id)
    if not everybody:
        await _note_made(app, tenant)
        if app.settings.it0_local_server:
            await _add_local(app, tenant)
        language = as_language(app.settings.it0_language)
        admin = await app.staff.add(tenant, None, ADMIN, "admin", language)
    return None if signed_in else admin


async def _add_local(app: App, tenant: Tenant) -> None:
    """Offer the bot's own machine, so that there is something to look after from the first minute."""
    server = Server(
        id=new_id(),
        name="local",
        connection="local",
        host="localhost",
        port=22,
        environment="dev",
        role=None,
        ssh_user="",
        credential_id=None,
        jump_server_id=None,
        ssh_options={},
        tags={},
        status="active",
        description="",
        host_key=None,
    )
    entry = Entry("server.add", "system", None, None, "server", server.id, detail={"name": server.name})
    async with tenant.transaction() as tx:
        if await fleet.server_named(tx, server.name) is None:
            await tx.run(fleet.ADD_SERVER, **fleet.server_row(server, app.clock()))
            await tenant.audit.append_in(tx, entry, app.clock())
