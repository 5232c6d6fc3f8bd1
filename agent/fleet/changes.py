"""What every change of the fleet has: who may make it, what ends with it, its row in the audit."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol

from core.audit import Entry
from core.errors import NotAllowed
from core.store.database import Transaction
from core.tenant import Tenant
from core.texts import Say, say
from core.work import Cluster, Role, Server, User


def admins_only(by: User) -> None:
    """Raise NotAllowed unless ``by`` is an admin."""
    if not by.role.covers(Role.ADMIN):
        raise NotAllowed("error.admins_only")


class Granted(Protocol):
    """What people have allowed beforehand, which ends with the server that it names."""

    async def void(self, tx: Transaction, tenant: Tenant, why: Say, *, place: str = "") -> Sequence[Entry]:
        """End what names a server or cluster; return what is to be recorded with the last statements."""
        ...


ABOUT = {"role", "description", "tags", "cluster"}
"""Fields that only tell of a server; of whichever else it has another, what was granted for it ends."""


async def end_grants(
    granted: Granted | None,
    tx: Transaction,
    tenant: Tenant,
    place: Server | Cluster,
    changes: Collection[str] | None = None,
) -> Sequence[Entry]:
    """End what was granted for a server or cluster that is removed or changed, as ``Granted.void`` does.

    changes: its fields that will be other, None when it is removed. To be called before its row is touched:
    a run's start takes them in this order.
    """
    if granted is None or (changes is not None and not set(changes) - ABOUT):
        return ()
    why = say("grant.why_removed" if changes is None else "grant.why_changed", server=place.name)
    return await granted.void(tx, tenant, why, place=place.id)


async def record(tx: Transaction, tenant: Tenant, at: datetime, entries: Sequence[Entry]) -> None:
    """Audit what a change has ended, last as ``note`` does."""
    for entry in entries:
        await tenant.audit.append_in(tx, entry, at)


async def note(
    tx: Transaction,
    tenant: Tenant,
    at: datetime,
    action: str,
    by: User | None,
    kind: str,
    ref: str,
    detail: Mapping[str, Any],
) -> None:
    """Audit a change within its own transaction, last: it holds the chain's lock.

    by: None for what the system does of itself; kind and ref: what was changed.
    """
    actor: Literal["user", "system"] = "user" if by else "system"
    entry = Entry(action, actor, by.id if by else None, None, kind, ref, detail=detail)
    await tenant.audit.append_in(tx, entry, at)
