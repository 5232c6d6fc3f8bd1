"""The first start: schemas, the default tenant, its console, an admin, and the bot's own machine."""

from bot.process.upgrading import role_in
from bot.wiring import App
from core.audit import Entry
from core.errors import NotFound, SetupError
from core.ids import new_id
from core.store import fleet, people
from core.store.provisioning import SLUG, create_tenant
from core.tenant import Tenant
from core.texts import as_language
from core.work import Server, User

DEFAULT_SLUG = "default"
ADMIN = "admin"


async def make_tenant(app: App, database_url: str, admin_url: str, slug: str, name: str, plan: str) -> Tenant:
    """Make a tenant with its schema and its console's installation.

    Raises SetupError for a slug that is in use or of another form.
    """
    if not SLUG.fullmatch(slug):
        raise SetupError("tenant.bad_slug")
    try:
        await app.tenants.by_slug(slug)
    except NotFound:
        pass
    else:
        raise SetupError("tenant.slug_taken", slug=slug)
    tenant_id, now = new_id(), app.clock()
    row = {"id": tenant_id, "slug": slug, "name": name, "plan": plan, "status": "active", "created_at": now}
    await create_tenant(admin_url, role_in(database_url), row)
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
