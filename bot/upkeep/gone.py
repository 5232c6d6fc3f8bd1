"""Tenants that were deleted long enough ago: dropped by the database's own function, and on record."""

from datetime import datetime, timedelta

import structlog

from core.audit import Entry
from core.clock import Clock
from core.errors import It0Error, NotFound, StoreUnavailable
from core.store.timers import Timer
from core.tenant import Tenant, Tenants

logger = structlog.get_logger()

RECORDED_BY = "default"
"""The tenant of the installation itself, in whose audit log the end of another one stands."""
EVERY = timedelta(hours=1)


class Gone:
    """A timer's handler. keep_days: how long a deleted tenant can be restored."""

    def __init__(self, tenants: Tenants, clock: Clock, keep_days: int) -> None:
        self._tenants = tenants
        self._clock = clock
        self._keep_days = keep_days

    async def __call__(self, _: Timer) -> datetime:
        """Drop what is due; one tenant's trouble does not keep the others."""
        for tenant in await self._tenants.gone(self._keep_days):
            try:
                await self._drop(tenant)
            except StoreUnavailable:
                raise
            except It0Error as error:
                await logger.aerror("tenant_not_dropped", tenant=tenant.id, reason=str(error))
        return self._clock() + EVERY

    async def _drop(self, tenant: Tenant) -> None:
        head = await tenant.audit.head()
        detail = {"slug": tenant.row.slug, "seq": head and head.seq, "hash": head and head.hash}
        entry = Entry("tenant.drop", "system", detail=detail, key=f"tenant.drop:{tenant.id}")
        try:
            recorder = await self._tenants.by_slug(RECORDED_BY)
        except NotFound:
            await logger.awarning("tenant_drop_not_on_record", tenant=tenant.id, slug=tenant.row.slug)
        else:
            await recorder.audit.append(entry, self._clock())
        dropped = await self._tenants.drop(tenant.id, self._keep_days)
        await logger.awarning("tenant_dropped", tenant=tenant.id, slug=tenant.row.slug, dropped=dropped)
