"""Grants: an approved command that may be run again unasked, until an end time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, func, or_, select, update

from core.store import tables
from core.store.approvals import approval_of
from core.store.database import Row, Statement, Transaction
from core.store.statements import MOMENT, of_tenant, param
from core.work import Action, Approval

G = tables.timed_grants
A = tables.approvals
V = tables.votes

_joined = select(G.c.given_at, G.c.ends_at, G.c.ended_at, *A.c).select_from(
    G.join(A, and_(A.c.tenant_id == G.c.tenant_id, A.c.id == G.c.approval_id))
)
_live = and_(of_tenant(G), G.c.ended_at.is_(None), G.c.ends_at > param("now", MOMENT))
LIVE = Statement(
    _joined.where(_live, or_(param("requester") == "", A.c.requester_id == param("requester"))).order_by(
        G.c.ends_at, A.c.id
    )
)
GET = Statement(_joined.where(of_tenant(G), G.c.approval_id == param("id")))
HOLD = Statement(select(G.c.approval_id).where(_live, G.c.approval_id == param("id")).with_for_update())
GIVE = Statement(
    G.insert().values(
        tenant_id=param("tenant_id"),
        approval_id=param("id"),
        given_at=param("now", MOMENT),
        ends_at=param("until", MOMENT),
    )
)
WISH = Statement(
    update(V)
    .where(of_tenant(V), V.c.approval_id == param("id"), V.c.user_id == param("user_id"))
    .values(grants=True)
)
"""Notes that somebody's approval was for the grant, too."""
WISHES = Statement(
    select(func.count())
    .select_from(V)
    .where(of_tenant(V), V.c.approval_id == param("id"), V.c.verdict == "approve", V.c.grants)
)
REVOKE = Statement(
    update(G)
    .where(_live, G.c.approval_id == param("id"))
    .values(ended_at=param("now", MOMENT), ended_as="revoked", ended_by=param("user_id"))
    .returning(G.c.approval_id)
)
EXPIRE = Statement(
    update(G)
    .where(
        of_tenant(G),
        G.c.approval_id == param("id"),
        G.c.ended_at.is_(None),
        G.c.ends_at <= param("now", MOMENT),
    )
    .values(ended_at=param("now", MOMENT), ended_as="expired")
    .returning(G.c.approval_id)
)
VOID = Statement(
    update(G)
    .where(_live, G.c.approval_id == param("id"))
    .values(ended_at=param("now", MOMENT), ended_as="void")
    .returning(G.c.approval_id)
)
COUNT = Statement(select(func.count()).select_from(G).where(_live))


@dataclass(frozen=True, slots=True)
class Grant:
    """An approval whose command may be run again by its requester.

    approval: what was approved; its id and code are the grant's.
    """

    approval: Approval
    given_at: datetime
    ends_at: datetime
    ended_at: datetime | None

    @property
    def id(self) -> str:
        """Return the grant's id, which is its approval's."""
        return self.approval.id

    def covers(self, action: Action) -> bool:
        """Return whether ``action`` is the granted one, on some or all of its servers and nowhere else."""
        granted = self.approval.action
        return (
            granted.kind == action.kind == "run"
            and granted.command == action.command
            and granted.cwd == action.cwd
            and action.timeout_s <= granted.timeout_s
            and _places(action) <= _places(granted)
        )


def _places(action: Action) -> set[tuple[str, str, str]]:
    return set(zip(action.server_ids, action.host_keys, action.os_users, strict=True))


def _grant_of(row: Row) -> Grant:
    return Grant(approval_of(row), row["given_at"], row["ends_at"], row["ended_at"])


async def live(tx: Transaction, now: datetime, requester: str = "") -> Sequence[Grant]:
    """Return the grants that hold at ``now``, of one requester or of all; the first to end first."""
    return [_grant_of(row) for row in await tx.all(LIVE, now=now, requester=requester)]


async def get(tx: Transaction, grant_id: str) -> Grant | None:
    """Return a grant, whether it still holds or not."""
    row = await tx.one(GET, id=grant_id)
    return _grant_of(row) if row else None
