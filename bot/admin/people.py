"""People and API keys, from the command line."""

from collections.abc import Sequence
from datetime import datetime

from agent.keys import ApiKey
from bot.admin.beside import at, tell
from core.store import people
from core.texts import Language
from core.work import User


async def add_user(slug: str, name: str, role: str, language: Language) -> User:
    """Add a person."""
    async with at(slug) as (app, tenant):
        return await app.staff.add(tenant, None, name, role, language)


async def users(slug: str) -> list[User]:
    """Return the people."""
    async with at(slug) as (_, tenant), tenant.reading() as db:
        return await people.persons(db)


async def change_user(slug: str, name: str, role: str | None, active: bool | None) -> list[str]:
    """Change a person's rights; return the names of the keys that were revoked with them."""
    async with at(slug) as (app, tenant):
        revoked = await app.staff.change(tenant, None, name, role=role, active=active)
        await tell(app, tenant)
        return revoked


async def user_link(slug: str, name: str) -> str:
    """Return a one-time sign-in link."""
    async with at(slug) as (app, tenant):
        return await app.sessions.make_link(tenant, await app.staff.named(tenant, name), app.settings.url)


async def pairing_code(slug: str, name: str) -> str:
    """Return a one-time pairing code."""
    async with at(slug) as (app, tenant):
        return await app.staff.pairing_code(tenant, None, name)


async def take_away_factor(slug: str, name: str) -> None:
    """Remove a person's second factor; they are told so."""
    async with at(slug) as (app, tenant):
        await app.step_up.take_away(tenant, None, await app.staff.named(tenant, name))


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
