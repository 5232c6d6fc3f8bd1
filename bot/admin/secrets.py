"""Credentials and bots' tokens, from the command line."""

from collections.abc import Sequence
from typing import Any

from agent.fleet.secrets import expiry_of
from bot.admin.beside import OWNER, at
from bot.texts.visible import listed
from core.errors import Refused
from core.store import fleet


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
        own = await app.installations.reseal(tenant) + await app.step_up.reseal(tenant)
        return own + await app.fleet.credentials.reseal(tenant, None)


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
