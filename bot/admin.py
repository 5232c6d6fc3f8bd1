"""What the command line does beside a running it0: each on the same database, through the same doors."""

import json
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

from pydantic import SecretStr

from agent.approvals import Approvals, Click
from agent.fleet import NewServer
from bot.doctor import Finding
from bot.embedded import postgres, read_keys, valkey
from bot.first import make_tenant
from bot.wiring import App, build
from core.audit import Entry, Fault
from core.errors import BadInput, NotFound, SetupError, StoreUnavailable
from core.ids import new_id
from core.settings import load_settings
from core.store import approvals as approval_store
from core.store import fleet, people, preferences
from core.store.database import Row
from core.tenant import ALL, Tenant
from core.texts import LANGUAGES, Language, Say
from core.work import Approval, Role, Server, User

OWNER = User("", "owner", Role.ADMIN, "en")
"""Whoever may run the command line beside the database has an admin's rights already."""


@asynccontextmanager
async def beside() -> AsyncIterator[tuple[App, str, str]]:
    """Yield (app, database URL, owner's URL) on the database of the running it0.

    Raises StoreUnavailable when none runs and no DATABASE_URL is set.
    """
    settings = load_settings()
    if settings.database_url is not None:
        database_url = settings.database_url.get_secret_value()
        admin = settings.database_admin_url
        admin_url = admin.get_secret_value() if admin else database_url
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
async def at(slug: str) -> AsyncIterator[tuple[App, Tenant]]:
    """Yield the app and a tenant."""
    async with beside() as (app, _, _):
        yield app, await app.tenants.by_slug(slug)


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
        return await people.users(db)


async def change_user(slug: str, name: str, role: str | None, active: bool | None) -> None:
    """Change a person's rights."""
    async with at(slug) as (app, tenant):
        await app.staff.change(tenant, None, name, role=role, active=active)


async def user_link(slug: str, name: str) -> str:
    """Return a one-time sign-in link."""
    async with at(slug) as (app, tenant):
        return await app.sessions.make_link(tenant, await app.staff.named(tenant, name), app.settings.url)


async def pairing_code(slug: str, name: str) -> str:
    """Return a one-time pairing code."""
    async with at(slug) as (app, tenant):
        return await app.staff.pairing_code(tenant, None, name)


async def add_credential(slug: str, name: str, kind: str, secret: bytes) -> str:
    """Seal a secret; return its fingerprint."""
    async with at(slug) as (app, tenant):
        return await app.fleet.add_credential(tenant, OWNER, name, kind, secret)


async def credentials(slug: str) -> list[dict[str, Any]]:
    """Return what is known of each credential that is not revoked."""
    async with at(slug) as (_, tenant), tenant.reading() as db:
        rows = await db.all(fleet.CREDENTIALS)
    shown = ("name", "kind", "fingerprint", "created_at", "used_at", "expires_at")
    return [{key: row[key] for key in shown} for row in rows if row["revoked_at"] is None]


async def revoke_credential(slug: str, name: str) -> Sequence[str]:
    """Destroy a secret; return the servers that used it."""
    async with at(slug) as (app, tenant):
        return await app.fleet.revoke_credential(tenant, OWNER, name)


async def rotate(slug: str) -> int:
    """Seal every secret under the newest key."""
    async with at(slug) as (app, tenant):
        return await app.fleet.reseal(tenant, None)


async def servers(slug: str) -> list[Server]:
    """Return the servers."""
    async with at(slug) as (app, tenant):
        return await app.fleet.servers(tenant)


async def add_server(slug: str, new: NewServer, trust: str) -> tuple[Server, str]:
    """Add a server; pin its key if it has the fingerprint ``trust``."""
    async with at(slug) as (app, tenant):
        return await app.fleet.add_server(tenant, OWNER, new, trust)


async def trust_server(slug: str, name: str, fingerprint: str) -> None:
    """Pin the key that a server shows."""
    async with at(slug) as (app, tenant):
        await app.fleet.trust(tenant, OWNER, await app.fleet.server(tenant, name), fingerprint)


async def distrust_server(slug: str, name: str) -> str:
    """Drop a pinned key; return the fingerprint of the one that is shown now."""
    async with at(slug) as (app, tenant):
        server = await app.fleet.server(tenant, name)
        await app.fleet.distrust(tenant, OWNER, server)
        return (await app.fleet.shown_key(tenant, server))[1]


async def check_server(slug: str, name: str) -> tuple[bool, Say, str]:
    """Connect and log in."""
    async with at(slug) as (app, tenant):
        return await app.fleet.check(tenant, OWNER, await app.fleet.server(tenant, name))


async def remove_server(slug: str, name: str) -> None:
    """Remove a server."""
    async with at(slug) as (app, tenant):
        await app.fleet.remove_server(tenant, OWNER, await app.fleet.server(tenant, name))


async def approvals(slug: str, status: str) -> Sequence[Approval]:
    """Return the newest approvals of a status."""
    async with at(slug) as (_, tenant), tenant.reading() as db:
        return await approval_store.newest(db, status)


async def decide(slug: str, name: str, ref: str, verdict: Literal["approve", "reject"]) -> str:
    """Cast ``name``'s vote; return the approval's status after it."""
    async with at(slug) as (app, tenant):
        user = await app.staff.named(tenant, name)
        async with tenant.reading() as db:
            pending = await approval_store.newest(db, "", 500)
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


async def set_preference(slug: str, key: str, value: str) -> None:
    """Change a tenant's setting; raises BadInput for a value that it does not take."""
    parsed: Any = value
    match key:
        case "four_eyes" if value in ("on", "off"):
            parsed = value == "on"
        case "approvals_needed" if value.isdecimal() and 1 <= int(value) <= 20:
            parsed = int(value)
        case "language" if value in LANGUAGES:
            pass
        case _:
            raise BadInput("tenant.bad_value", key=key)
    async with at(slug) as (app, tenant):
        entry = Entry("tenant.set", "system", detail={"key": key, "value": parsed})
        async with tenant.transaction() as tx:
            await preferences.put(tx, key, parsed, app.clock(), None)
            await tenant.audit.append_in(tx, entry, app.clock())


async def verify_audit(slug: str) -> tuple[int, list[Fault]]:
    """Check the chain against itself and the heads that were kept."""
    async with at(slug) as (app, tenant):
        return await tenant.audit.verify(app.heads.read(tenant.id))


async def export_audit(slug: str, write: Callable[[str], Any]) -> None:
    """Write every row as a JSON line."""
    async with at(slug) as (_, tenant):
        async for row in tenant.audit.rows():
            plain = {k: v.hex() if isinstance(v, bytes) else v for k, v in dict(row).items()}
            write(json.dumps(plain, ensure_ascii=False, default=str))
