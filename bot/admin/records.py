"""What is on record, from the command line: approvals, the audit log, the doctor."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

from agent.gate.deciding.approvals import Approvals
from agent.gate.deciding.grants import Grants
from agent.gate.deciding.votes import Click
from agent.gate.proving.stepup import StepUpNeeded
from bot.admin.beside import OWNER, at, beside
from bot.api.resources.grants import shown
from bot.texts.render import Renderer
from bot.texts.visible import json_line
from bot.upkeep.doctor import Finding
from core.audit import Fault
from core.errors import NotFound
from core.ids import new_id
from core.store import approvals as approval_store
from core.store import people
from core.texts import Language

TOLD_OF_APPROVALS = (
    "id", "code", "status", "level", "kind", "command", "servers", "requester", "reasons",
    "created_at", "expires_at", "then", "read", "grant_minutes", "needed", "approvals", "voters",
    "went_ahead", "settled_by", "settled_at",
)  # fmt: skip
"""Of what the console shows; whether the reader may decide is not for whoever names the one who does."""

MOST_APPROVALS = 500
"""The newest that are listed, or looked through for a code."""


async def doctor() -> Sequence[Finding]:
    """Return everything that the doctor looked at."""
    async with beside() as (app, _, _):
        return await app.doctor.findings()


async def approvals(slug: str, status: str, language: Language) -> list[dict[str, Any]]:
    """Return the newest approvals of a status, each with all that a decision needs."""
    reader = replace(OWNER, language=language)
    async with at(slug) as (app, tenant), tenant.reading() as db:
        found, _ = await approval_store.page_of(db, status, count=MOST_APPROVALS)
        names = {user.id: user.name for user in await people.users(db)}
        shown = await Renderer(app.texts, reader).approvals(db, found, names)
    return [{key: shown[approval.id][key] for key in TOLD_OF_APPROVALS} for approval in found]


async def decide(
    slug: str,
    name: str,
    ref: str,
    verdict: Literal["approve", "reject"],
    grants: bool,
    code: Callable[[], str | None],
) -> str:
    """Cast ``name``'s vote; return the approval's status after it.

    grants: it is for the grant, too. code: gives a code of their second factor, None for none; called where
    one is asked for.
    """
    async with at(slug) as (app, tenant):
        user = await app.staff.named(tenant, name)
        async with tenant.reading() as db:
            pending, _ = await approval_store.page_of(db, count=MOST_APPROVALS)
        found = next((a for a in pending if ref in (a.id, a.code)), None)
        if found is None:
            raise NotFound("approval.unknown")
        click = Click(found.id, verdict, "command line", f"cli:{os.getpid()}:{new_id()}", grants=grants)
        approvals = Approvals(app.desk)
        try:
            return (await approvals.decide(tenant, user, click)).status
        except StepUpNeeded:
            if (given := code()) is None:
                raise
            await app.step_up.prove(tenant, user, "".join(given.split()), click.channel)
        return (await approvals.decide(tenant, user, click)).status


async def grants(slug: str) -> list[dict[str, Any]]:
    """Return the grants that hold now."""
    async with at(slug) as (app, tenant):
        found = await shown(tenant, await Grants(app.desk).live(tenant))
    return [each.model_dump(mode="json") for each in found]


async def revoke(slug: str, name: str, ref: str) -> None:
    """End a grant, by its id or code, in ``name``'s name."""
    async with at(slug) as (app, tenant):
        user = await app.staff.named(tenant, name)
        await Grants(app.desk).revoke(tenant, user, ref, "command line")


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
