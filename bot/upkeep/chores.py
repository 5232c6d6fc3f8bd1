"""What it0 does by itself from time to time, as timers that repeat."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import structlog

from agent.fleet.credentials import EXPIRES
from agent.fleet.expiry import Expiry
from agent.gate.deciding.approvals import EXPIRY, Approvals
from agent.gate.deciding.grants import GRANT_END
from bot.upkeep.gone import Gone
from bot.upkeep.heads import Heads
from core.clock import Clock
from core.settings import Settings
from core.store import files, inbox, outbox, people, runs, timers
from core.store.database import Database
from core.store.timers import Timer, set_timer
from core.tenant import Tenants
from scheduler.timers import OnTimer

logger = structlog.get_logger()

PURGE = "purge"
HEADS = "audit_heads"
GONE = "tenants_gone"
KEPT = timedelta(days=30)
"""Links, codes, forms, sessions, timers that are over, strangers that were told: forgotten after it."""


async def plan(database: Database, clock: Clock) -> None:
    """Write the timers that repeat, where they are not there yet."""
    async with database.transaction() as tx:
        for kind in (PURGE, HEADS, GONE):
            await set_timer(tx, "", kind, "", clock())


def timer_handlers(
    settings: Settings,
    database: Database,
    tenants: Tenants,
    clock: Clock,
    approvals: Approvals,
    heads: Heads,
    expiry: Expiry,
) -> Mapping[str, OnTimer]:
    """Return what each kind of timer does."""

    async def expire(timer: Timer) -> None:
        await approvals.expire(await tenants.by_id(timer.tenant_id), timer.ref)

    async def end_grant(timer: Timer) -> None:
        await approvals.grants.expire(await tenants.by_id(timer.tenant_id), timer.ref)

    async def purge(_: Timer) -> datetime:
        before = clock() - max(KEPT, timedelta(hours=settings.session_hours))
        async with database.transaction() as tx:
            await tx.run(inbox.PURGE, keep_hours=settings.inbox_keep_hours)
            await tx.run(outbox.PURGE, keep_hours=settings.inbox_keep_hours)
            for old in (*people.PURGES, timers.PURGE):
                await tx.run(old, before=before)
        for tenant in await tenants.all():
            async with tenant.transaction() as tx:
                await tx.run(people.FORMS_PURGE, before=before)
                await tx.run(files.PURGE, before=clock() - files.KEPT)
                forsaken = await runs.forsake(tx, clock())
            if forsaken:
                await logger.awarning("runs_forsaken", tenant=tenant.id, runs=forsaken)
        return clock() + timedelta(hours=1)

    async def write_heads(_: Timer) -> datetime:
        await heads.write(await tenants.all(), clock())
        return clock() + timedelta(minutes=settings.audit_head_minutes)

    gone = Gone(tenants, clock, settings.tenant_keep_days)
    return {
        EXPIRY: expire,
        GRANT_END: end_grant,
        EXPIRES: expiry.warn,
        PURGE: purge,
        HEADS: write_heads,
        GONE: gone,
    }
