"""Telling owners in time that a credential expires: once for each warning, whatever dies meanwhile."""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta

from agent.context import Desk
from agent.fleet.changes import note
from agent.speech import speak
from core.errors import Fenced
from core.messages import Address, Outbound
from core.store import fleet as store
from core.store import log, people, timers
from core.store.database import Row, Transaction
from core.store.timers import Timer
from core.tenant import Tenant, Tenants, console_installation
from core.texts import Say, say
from core.work import Role, User

SUSPENDED = timedelta(days=1)
"""A suspended tenant is looked at again after it: nothing is said there meanwhile."""


class Expiry:
    """Warns of credentials."""

    def __init__(self, desk: Desk, tenants: Tenants) -> None:
        self._desk = desk
        self._tenants = tenants

    async def warn(self, timer: Timer) -> datetime | None:
        """Tell who looks after the timer's credential, unless it is gone; return when to look again, if so.

        The timer is over in the same transaction: raises Fenced when another process has it.
        """
        tenant = await self._tenants.by_id(timer.tenant_id)
        if tenant.row.status == "suspended":
            return self._desk.clock() + SUSPENDED
        async with tenant.transaction() as tx:
            if not await tx.run(timers.DONE, id=timer.id, me=self._desk.me):
                raise Fenced
            row = await tx.one(store.CREDENTIAL, id=timer.ref)
            if row is not None and row["revoked_at"] is None and tenant.row.status == "active":
                await self._tell(tx, tenant, row)
        return None

    async def _tell(self, tx: Transaction, tenant: Tenant, row: Row) -> None:
        servers = [each["name"] for each in await tx.all(store.USING, credential=row["id"])]
        words = self._words(row, servers)
        owners = await _owners(tx, row["created_by"])
        for user in owners:
            for address in await _places(tx, tenant, user):
                place = await log.open_conversation(
                    tx, self._desk.ids(), address, user.id, self._desk.clock(), title="it0"
                )
                await speak(self._desk, tx, tenant, place, address, Outbound("notice", words))
        tx.after_commit.append(lambda: self._desk.changed(tenant.id, "conversations"))
        detail = {"name": row["name"], "to": [user.name for user in owners]}
        at = self._desk.clock()
        await note(tx, tenant, at, "credential.warned", None, "credential", row["id"], detail)

    def _words(self, row: Row, servers: Sequence[str]) -> list[Say]:
        left = row["expires_at"] - self._desk.clock()
        params = {"credential": row["name"], "date": row["expires_at"].strftime("%Y-%m-%d %H:%M UTC")}
        if left <= timedelta(0):
            first = say("credential.is_expired", **params)
        else:
            first = say("credential.expires_soon", **params, days=math.ceil(left / timedelta(days=1)))
        used = say("credential.used_by", servers=", ".join(servers)) if servers else say("credential.unused")
        return [first, used, say("credential.how_to_replace", credential=row["name"])]


async def _owners(tx: Transaction, created_by: str | None) -> list[User]:
    """Return who made it, if they can still replace it, else every admin."""
    admins = [user for user in await people.users(tx) if user.active and user.role is Role.ADMIN]
    return [user for user in admins if user.id == created_by] or admins


async def _places(tx: Transaction, tenant: Tenant, user: User) -> list[Address]:
    """Return the user's private chats and their console's conversation for what it0 says by itself."""
    homes = [address for _, address in await people.homes(tx, tenant.id, [user.id])]
    return [Address("console", console_installation(tenant.id), f"{user.id}:it0-says"), *homes]
