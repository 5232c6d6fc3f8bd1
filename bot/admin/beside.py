"""The it0 that runs, from beside it: the same database, the same doors."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pydantic import SecretStr

from bot.embedded import postgres, read_keys, valkey
from bot.inbound.workers import CONTROL_TOPIC
from bot.process.addresses import urls
from bot.wiring import App, build
from core.errors import Refused, SetupError, StoreUnavailable
from core.settings import load_settings
from core.tenant import Tenant
from core.work import Role, User

OWNER = User("", "owner", Role.ADMIN, "en")
"""Whoever may run the command line beside the database has an admin's rights already."""


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


async def tell(app: App, tenant: Tenant) -> None:
    """Let the processes that run look at a tenant and its people anew, at once where Redis carries it."""
    app.tenants.forget(tenant.id)
    await app.desk.bus.publish(CONTROL_TOPIC, {"tenant": tenant.id})
    await app.desk.bus.publish(f"user:{tenant.id}", {"changed": "people"})
