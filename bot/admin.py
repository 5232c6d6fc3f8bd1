"""What the command line does beside a running it0: each on the same database, through the same doors."""

import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from pydantic import SecretStr
from sqlalchemy import select, update

from agent.fleet.clusters import NewCluster
from agent.fleet.credentials import expiry_of
from agent.fleet.forms import NewServer
from agent.gate.approvals import Approvals, Click
from agent.keys import ApiKey
from agent.shell.hostkeys import fingerprint
from bot.addresses import urls
from bot.doctor import Finding
from bot.embedded import postgres, read_keys, valkey
from bot.first import DEFAULT_SLUG, make_tenant
from bot.render import Renderer
from bot.visible import json_line, listed
from bot.wiring import App, build
from bot.workers import CONTROL_TOPIC
from core.audit import Entry, Fault
from core.errors import BadInput, NotFound, Refused, SetupError, StoreUnavailable
from core.ids import new_id
from core.settings import load_settings
from core.store import approvals as approval_store
from core.store import clusters as cluster_store
from core.store import fleet, people, preferences, quotas
from core.store.database import Row, Statement
from core.store.statements import param
from core.store.tables import tenants as tenants_table
from core.tenant import ALL, Tenant
from core.texts import LANGUAGES, Language, Say
from core.work import PLANS, Role, Server, User

OWNER = User("", "owner", Role.ADMIN, "en")
"""Whoever may run the command line beside the database has an admin's rights already."""

TOLD_OF_APPROVALS = (
    "id", "code", "status", "level", "kind", "command", "servers", "requester", "reasons",
    "created_at", "expires_at", "needed", "approvals", "voters", "settled_by", "settled_at",
)  # fmt: skip
"""Of what the console shows; whether the reader may decide is not for whoever names the one who does."""

MOST_APPROVALS = 500
"""The newest that are listed, or looked through for a code."""

TenantStatus = Literal["active", "suspended", "deleted"]
SET_STATUS = Statement(
    update(tenants_table)
    .where(tenants_table.c.id == param("tenant"), tenants_table.c.status != param("status"))
    .values(status=param("status"))
    .returning(tenants_table.c.id)
)
"""The database itself writes since when a tenant is deleted."""
DELETED_AT = Statement(select(tenants_table.c.deleted_at).where(tenants_table.c.id == param("tenant")))
SET_PLAN = Statement(
    update(tenants_table).where(tenants_table.c.id == param("tenant")).values(plan=param("plan"))
)


@asynccontextmanager
async def beside() -> AsyncIterator[tuple[App, str, str]]:
    """Yield (app, database URL, owner's URL) on the database of the running it0.

    Raises StoreUnavailable when none runs and no DATABASE_URL is set.
    """
    settings = load_settings()
    given, admin = urls(settings)
    if given is not None:
        database_url, admin_url = given, admin or given
        redis_url = settings.redis_url.get_secret_value() if settings.redis_url else None
    else:
        database_url = postgres.socket_url(settings.home, "it0_app")
        admin_url = postgres.socket_url(settings.home, "it0_owner")
        redis_url = valkey.socket_url(settings.home)
        keys = read_keys(settings.home)
        settings = settings.model_copy(
            update={
                "public_url": settings.public_url or _url_of(settings.home),
                "vault_master_key": settings.vault_master_key or SecretStr(keys.vault),
                "audit_key": settings.audit_key or SecretStr(keys.audit),
            }
        )
    try:
        async with build(settings, database_url, redis_url, "cli") as app:
            yield app, database_url, admin_url
    except StoreUnavailable as error:
        if settings.database_url is None:
            raise SetupError("setup.not_running", home=str(settings.home)) from error
        raise


def _url_of(home: Path) -> str:
    """Return where the it0 of ``home`` was reached last, "" if it never ran."""
    try:
        return (home / "url").read_text()
    except FileNotFoundError:
        return ""


@asynccontextmanager
async def at(slug: str, *, also_deleted: bool = False) -> AsyncIterator[tuple[App, Tenant]]:
    """Yield the app and a tenant; raises Refused for a deleted one, whose records only are still read."""
    async with beside() as (app, _, _):
        tenant = await app.tenants.by_slug(slug)
        if tenant.row.status == "deleted" and not also_deleted:
            raise Refused("tenant.is_deleted", slug=slug)
        yield app, tenant


async def doctor() -> Sequence[Finding]:
    """Return everything that the doctor looked at."""
    async with beside() as (app, _, _):
        return await app.doctor.findings()


async def add_user(slug: str, name: str, role: str, language: Language) -> User:
    """Add a person."""
    async with at(slug) as (app, tenant):
        return await app.staff.add(tenant, None, name, role, language)


async def users(slug: str) -> list[User]:
    """Return the people."""
    async with at(slug) as (_, tenant), tenant.reading() as db:
        return await people.persons(db)


async def change_user(slug: str, name: str, role: str | None, active: bool | None) -> None:
    """Change a person's rights."""
    async with at(slug) as (app, tenant):
        await app.staff.change(tenant, None, name, role=role, active=active)
        await _tell(app, tenant)


async def user_link(slug: str, name: str) -> str:
    """Return a one-time sign-in link."""
    async with at(slug) as (app, tenant):
        return await app.sessions.make_link(tenant, await app.staff.named(tenant, name), app.settings.url)


async def pairing_code(slug: str, name: str) -> str:
    """Return a one-time pairing code."""
    async with at(slug) as (app, tenant):
        return await app.staff.pairing_code(tenant, None, name)


async def add_key(
    slug: str, name: str, role: str, language: Language, expires_at: datetime | None
) -> tuple[ApiKey, str]:
    """Make an API key; return it with its token."""
    async with at(slug) as (app, tenant):
        return await app.keys.new(tenant, None, name, role, language, expires_at)


async def api_keys(slug: str) -> Sequence[ApiKey]:
    """Return every API key."""
    async with at(slug) as (app, tenant):
        return await app.keys.listed(tenant)


async def revoke_key(slug: str, name: str) -> None:
    """Let an API key in no more."""
    async with at(slug) as (app, tenant):
        await app.keys.revoke(tenant, None, name)


async def add_credential(slug: str, name: str, kind: str, secret: bytes, expires: str = "") -> str:
    """Seal a secret; return its fingerprint. expires: a day or a moment in ISO 8601, "" for never."""
    until = expiry_of(expires)
    async with at(slug) as (app, tenant):
        return await app.fleet.credentials.add(tenant, OWNER, name, kind, secret, until)


async def credentials(slug: str) -> list[dict[str, Any]]:
    """Return what is known of each credential that is not revoked."""
    async with at(slug) as (_, tenant), tenant.reading() as db:
        rows = await db.all(fleet.CREDENTIALS)
    shown = ("name", "kind", "fingerprint", "created_at", "used_at", "expires_at")
    return [{key: row[key] for key in shown} for row in rows if row["revoked_at"] is None]


async def revoke_credential(slug: str, name: str, is_sure: bool) -> Sequence[str]:
    """Destroy a secret; return the servers that used it.

    is_sure: also if there are some; else that raises Refused with their names.
    """
    async with at(slug) as (app, tenant):
        async with tenant.reading() as db:
            found = await db.one(fleet.CREDENTIAL_NAMED, name=name)
            using = await db.all(fleet.USING, credential=found["id"]) if found else []
        if using and not is_sure:
            servers = listed([row["name"] for row in using], most=len(using))
            raise Refused("credential.in_use", credential=name, servers=servers)
        return await app.fleet.credentials.revoke(tenant, OWNER, name)


async def rotate(slug: str) -> int:
    """Seal every secret under the newest key."""
    async with at(slug) as (app, tenant):
        return await app.installations.reseal(tenant) + await app.fleet.credentials.reseal(tenant, None)


async def add_channel(slug: str, channel: str, secret: bytes) -> str:
    """Seal a bot's token; return the installation's id."""
    async with at(slug) as (app, tenant):
        return await app.installations.add(tenant, channel, secret)


async def channels(slug: str) -> list[dict[str, Any]]:
    """Return a tenant's bots on platforms."""
    async with at(slug) as (app, tenant):
        return await app.installations.listed(tenant)


async def remove_channel(slug: str, installation_id: str) -> None:
    """Destroy a bot's token."""
    async with at(slug) as (app, tenant):
        await app.installations.remove(tenant, installation_id)


async def servers(slug: str) -> list[dict[str, Any]]:
    """Return what is known of each server; others that it leans on are named."""
    async with at(slug) as (_, tenant), tenant.reading() as db:
        found = await fleet.servers(db)
        credentials = {row["id"]: row["name"] for row in await db.all(fleet.CREDENTIALS)}
        clusters = {each.id: each.name for each in await cluster_store.all_of(db)}
    names = {server.id: server.name for server in found}
    return [
        {
            "name": server.name,
            "connection": server.connection,
            "host": server.host,
            "port": server.port,
            "user": server.ssh_user,
            "environment": server.environment,
            "role": server.role,
            "tags": dict(server.tags),
            "credential": credentials.get(server.credential_id or ""),
            "jump": names.get(server.jump_server_id or ""),
            "status": server.status,
            "fingerprint": fingerprint(server.host_key) if server.host_key else None,
            "description": server.description,
            "restricted": server.restricted,
            "shell": server.shell,
            "ssh_options": dict(server.ssh_options),
            "cluster": clusters.get(server.cluster_id or ""),
            "read_user": server.read_user,
            "read_credential": credentials.get(server.read_credential_id or ""),
            "accounts": dict(server.accounts),
        }
        for server in found
    ]


async def add_server(slug: str, new: NewServer, trust: str) -> tuple[Server, str, Sequence[Say]]:
    """Add a server; pin its key if it has the fingerprint ``trust``, and tell what it0 can do there."""
    async with at(slug) as (app, tenant):
        server, shown = await app.fleet.add_server(tenant, OWNER, new, trust)
        can = await app.probing.learn(tenant, OWNER, server) if server.host_key else ()
        return server, shown, can


async def change_server(slug: str, name: str, changes: Mapping[str, Any]) -> str:
    """Change some of a server's fields; return its status after it."""
    async with at(slug) as (app, tenant):
        server = await app.fleet.server(tenant, name)
        return (await app.fleet.change_server(tenant, OWNER, server, changes)).status


async def trust_server(slug: str, name: str, fingerprint: str) -> Sequence[Say]:
    """Pin the key that a server shows; return what it0 can do there."""
    async with at(slug) as (app, tenant):
        await app.fleet.trust(tenant, OWNER, await app.fleet.server(tenant, name), fingerprint)
        return await app.probing.learn(tenant, OWNER, await app.fleet.server(tenant, name))


async def distrust_server(slug: str, name: str) -> str:
    """Drop a pinned key; return the fingerprint of the one that is shown now."""
    async with at(slug) as (app, tenant):
        server = await app.fleet.server(tenant, name)
        await app.fleet.distrust(tenant, OWNER, server)
        return (await app.fleet.shown_key(tenant, server))[1]


async def check_server(slug: str, name: str) -> tuple[bool, Sequence[Say], str]:
    """Connect, log in, and ask what the accounts can do."""
    async with at(slug) as (app, tenant):
        return await app.probing.check(tenant, OWNER, await app.fleet.server(tenant, name))


async def harden_server(slug: str, name: str, kinds: Sequence[str]) -> str:
    """Return the script that narrows what it0 can do on a server."""
    async with at(slug) as (app, tenant):
        return await app.fleet.hardening(tenant, OWNER, await app.fleet.server(tenant, name), kinds)


async def remove_server(slug: str, name: str) -> None:
    """Remove a server."""
    async with at(slug) as (app, tenant):
        await app.fleet.remove_server(tenant, OWNER, await app.fleet.server(tenant, name))


async def add_cluster(slug: str, new: NewCluster) -> None:
    """Add a cluster."""
    async with at(slug) as (app, tenant):
        await app.fleet.clusters.add(tenant, OWNER, new)


async def clusters(slug: str) -> list[dict[str, Any]]:
    """Return what is known of each cluster."""
    async with at(slug) as (app, tenant):
        known = await app.fleet.clusters.known(tenant)
    return [
        {
            "name": each.cluster.name,
            "type": each.cluster.kind,
            "environment": each.cluster.environment,
            "entry": each.entry or None,
            "servers": list(each.servers),
            "description": each.cluster.description,
        }
        for each in known
    ]


async def check_cluster(slug: str, name: str) -> Sequence[tuple[str, bool, Sequence[Say]]]:
    """Check each server by which a cluster is reached; return (server, whether it can be used, words)."""
    async with at(slug) as (app, tenant):
        found = await app.fleet.clusters.checked_by(tenant, name)
        checks = [(server.name, await app.probing.check(tenant, OWNER, server)) for server in found]
    return [(server, ok, words) for server, (ok, words, _) in checks]


async def remove_cluster(slug: str, name: str) -> Sequence[str]:
    """Remove a cluster; return the servers that were in it."""
    async with at(slug) as (app, tenant):
        return await app.fleet.clusters.remove(tenant, OWNER, name)


async def approvals(slug: str, status: str, language: Language) -> list[dict[str, Any]]:
    """Return the newest approvals of a status, each with all that a decision needs."""
    reader = replace(OWNER, language=language)
    async with at(slug) as (app, tenant), tenant.reading() as db:
        found, _ = await approval_store.page_of(db, status, count=MOST_APPROVALS)
        names = {user.id: user.name for user in await people.users(db)}
        shown = await Renderer(app.texts, reader).approvals(db, found, names)
    return [{key: shown[approval.id][key] for key in TOLD_OF_APPROVALS} for approval in found]


async def decide(slug: str, name: str, ref: str, verdict: Literal["approve", "reject"]) -> str:
    """Cast ``name``'s vote; return the approval's status after it."""
    async with at(slug) as (app, tenant):
        user = await app.staff.named(tenant, name)
        async with tenant.reading() as db:
            pending, _ = await approval_store.page_of(db, count=MOST_APPROVALS)
        found = next((a for a in pending if ref in (a.id, a.code)), None)
        if found is None:
            raise NotFound("approval.unknown")
        click = Click(found.id, verdict, "command line", f"cli:{os.getpid()}:{new_id()}")
        ballot = await Approvals(app.desk).decide(tenant, user, click)
        return ballot.status


async def create_tenant(slug: str, name: str, plan: str) -> str:
    """Make a tenant; return its id."""
    async with beside() as (app, database_url, admin_url):
        return (await make_tenant(app, database_url, admin_url, slug, name, plan)).id


async def tenants() -> list[dict[str, Any]]:
    """Return every tenant."""
    async with beside() as (app, _, _), app.database.reading() as db:
        rows: list[Row] = await db.all(ALL)
    return [{key: row[key] for key in ("id", "slug", "name", "plan", "status")} for row in rows]


async def set_tenant_status(slug: str, status: TenantStatus, verb: str) -> str:
    """Suspend, delete, resume or restore a tenant (``verb``), and record it; return its status before.

    Raises Refused for a deleted tenant that is not to be restored, and for deleting the default one.
    """
    async with at(slug, also_deleted=True) as (app, tenant):
        before = tenant.row.status
        if before == "deleted" and verb not in ("restore", "delete"):
            raise Refused("tenant.is_deleted", slug=slug)
        if before == status or (verb == "restore" and before != "deleted"):
            return before
        if verb == "delete" and slug == DEFAULT_SLUG:
            raise Refused("tenant.is_default", slug=slug)
        now = app.clock()
        entry = Entry(f"tenant.{verb}", "system", detail={"slug": slug, "before": before})
        async with tenant.transaction() as tx:
            if await tx.one(SET_STATUS, tenant=tenant.id, status=status) is None:
                return status
            if status == "deleted":
                for user in await people.users(tx):
                    gone = {"tenant": tenant.id, "user_id": user.id, "now": now}
                    await tx.run(people.VOID_LINKS, **gone)
                    await tx.run(people.VOID_CODES, **gone)
                    await tx.all(people.END_SESSIONS_OF, **gone)
            await tenant.audit.append_in(tx, entry, now)
        await _tell(app, tenant)
        return before


async def _tell(app: App, tenant: Tenant) -> None:
    """Let the processes that run look at a tenant and its people anew, at once where Redis carries it."""
    app.tenants.forget(tenant.id)
    await app.desk.bus.publish(CONTROL_TOPIC, {"tenant": tenant.id})
    await app.desk.bus.publish(f"user:{tenant.id}", {"changed": "people"})


async def set_preference(slug: str, key: str, value: str) -> None:
    """Change a tenant's plan or one of its settings; raises BadInput for a value that it does not take."""
    parsed: Any = value
    match key:
        case "four_eyes" if value in ("on", "off"):
            parsed = value == "on"
        case "approvals_needed" if value.isdecimal() and 1 <= int(value) <= 20:
            parsed = int(value)
        case "language" if value in LANGUAGES:
            pass
        case "plan" if value in PLANS:
            pass
        case _:
            raise BadInput("tenant.bad_value", key=key)
    async with at(slug) as (app, tenant):
        entry = Entry("tenant.set", "system", detail={"key": key, "value": parsed})
        async with tenant.transaction() as tx:
            if key == "plan":
                await tx.run(SET_PLAN, tenant=tenant.id, plan=value)
            else:
                await preferences.put(tx, key, parsed, app.clock(), None)
            await tenant.audit.append_in(tx, entry, app.clock())
        await _tell(app, tenant)


async def show_tenant(slug: str) -> dict[str, Any]:
    """Return what is known of a tenant, with what it uses of its plan; of a deleted one, until when."""
    async with at(slug, also_deleted=True) as (app, tenant):
        async with tenant.reading() as db:
            used = await quotas.used(db, tenant.row.plan, app.clock())
            deleted_at = await db.value(DELETED_AT, tenant=tenant.id)
        keep = timedelta(days=app.settings.tenant_keep_days)
        row = tenant.row
        return {
            "id": row.id,
            "slug": row.slug,
            "name": row.name,
            "plan": row.plan,
            "status": row.status,
            "dropped_after": (deleted_at + keep).isoformat() if deleted_at else None,
            "quotas": [{"name": each.name, "used": each.used, "limit": each.limit} for each in used],
            "engines": PLANS[row.plan].engines,
        }


async def verify_audit(slug: str) -> tuple[int, list[Fault]]:
    """Check the chain against itself and the heads that were kept."""
    async with at(slug, also_deleted=True) as (app, tenant):
        return await tenant.audit.verify(app.heads.read(tenant.id))


async def export_audit(slug: str, write: Callable[[str], Any]) -> None:
    """Write every row as a JSON line."""
    async with at(slug, also_deleted=True) as (_, tenant):
        async for row in tenant.audit.rows():
            plain = {k: v.hex() if isinstance(v, bytes) else v for k, v in dict(row).items()}
            write(json_line(plain))
