"""Approvals: stored acts that wait for people. One statement casts the vote and settles."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import and_, bindparam, case, func, literal_column, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert

from core.errors import NotFound
from core.store import tables
from core.store.database import Row, Statement, Transaction
from core.store.statements import INT, MOMENT, TEXTS, insert_row, of_tenant, param
from core.work import Action, Approval, Risk

A = tables.approvals
V = tables.votes
PL = tables.approval_places

ASK = Statement(
    upsert(A)
    .values(
        {
            column: param(column.name, column.type)
            for column in A.c
            if column.name not in ("approvals", "status", "settled_at", "settled_by", "settled_event")
        }
    )
    .on_conflict_do_nothing()
    .returning(A.c.id)
)
GET = Statement(select(A).where(of_tenant(A), A.c.id == param("id")))
PAGE = Statement(
    select(A)
    .where(
        of_tenant(A),
        or_(param("status") == "", A.c.status == param("status")),
        or_(
            param("before") == "",
            tuple_(A.c.created_at, A.c.id) < tuple_(param("moment", MOMENT), param("before")),
        ),
    )
    .order_by(A.c.created_at.desc(), A.c.id.desc())
    .limit(param("count", INT))
)
OF_STEP = Statement(
    select(A).where(of_tenant(A), A.c.turn_id == param("turn_id"), A.c.step == param("step", INT))
)
APPROVED_BY_CODE = Statement(
    select(A)
    .where(of_tenant(A), A.c.code == param("code"), A.c.status == "approved")
    .order_by(A.c.created_at.desc())
)
PENDING_IN = Statement(
    select(A).where(of_tenant(A), A.c.conversation_id == param("conversation"), A.c.status == "pending")
)
PENDING_AT = Statement(
    select(A)
    .where(
        of_tenant(A),
        A.c.status == "pending",
        select(PL.c.seq)
        .where(of_tenant(PL), PL.c.approval_id == A.c.id, PL.c.conversation_id == param("conversation"))
        .exists(),
    )
    .order_by(A.c.created_at)
)
"""What waits with a card in a conversation."""
RECENT = Statement(
    select(A.c.id, A.c.code, A.c.nonce, A.c.status)
    .where(of_tenant(A), or_(A.c.status == "pending", A.c.settled_at > param("since", MOMENT)))
    .order_by(A.c.created_at.desc())
)
"""What waits, and what was decided since, by which codes are found."""
PENDING = Statement(select(func.count()).select_from(A).where(of_tenant(A), A.c.status == "pending"))
_open = and_(
    of_tenant(A),
    A.c.id == param("id"),
    A.c.status == "pending",
    A.c.expires_at > param("now", MOMENT),
    A.c.digest == param("digest"),
)
_vote = (
    upsert(V)
    .from_select(
        ["tenant_id", "approval_id", "user_id", "verdict", "channel", "event_id", "at"],
        select(
            param("tenant_id"),
            A.c.id,
            param("user_id"),
            param("verdict"),
            param("channel"),
            param("event_id"),
            param("now", MOMENT),
        ).where(_open),
    )
    .on_conflict_do_nothing()
    .returning(V.c.approval_id)
    .cte("cast_vote")
)
_approves = case((param("verdict") == "approve", literal_column("1")), else_=literal_column("0"))
_settles = or_(param("verdict") == "reject", A.c.approvals + 1 >= A.c.needed)
VOTE = Statement(
    update(A)
    .where(_open, A.c.id == _vote.c.approval_id)
    .values(
        approvals=A.c.approvals + _approves,
        status=case(
            (param("verdict") == "reject", "rejected"),
            (A.c.approvals + 1 >= A.c.needed, "approved"),
            else_=A.c.status,
        ),
        settled_at=case((_settles, param("now", MOMENT)), else_=None),
        settled_by=case((_settles, param("user_id")), else_=None),
        settled_event=case((_settles, param("event_id")), else_=None),
    )
    .returning(A.c.status, A.c.approvals, A.c.needed)
)
ASK_MORE = Statement(
    update(A)
    .where(of_tenant(A), A.c.id == param("id"), A.c.status == "pending", A.c.needed < param("needed", INT))
    .values(needed=param("needed", INT))
)
"""Raises the number of approvals that are needed, and never lowers it."""
LAPSE = Statement(
    update(A)
    .where(
        of_tenant(A),
        A.c.id == param("id"),
        A.c.status == "pending",
        A.c.expires_at <= param("now", MOMENT),
    )
    .values(status="expired", settled_at=param("now", MOMENT))
    .returning(A.c.id)
)
CANCEL = Statement(
    update(A)
    .where(of_tenant(A), A.c.id == param("id"), A.c.status == "pending")
    .values(status="cancelled", settled_at=param("now", MOMENT), settled_by=param("user_id"))
    .returning(A.c.id)
)
VOTES = Statement(
    select(V.c.user_id, V.c.verdict, V.c.channel, V.c.event_id, V.c.at)
    .where(of_tenant(V), V.c.approval_id == param("id"))
    .order_by(V.c.at)
)
APPROVERS = Statement(
    select(V.c.approval_id, V.c.user_id)
    .where(of_tenant(V), V.c.approval_id == func.any(bindparam("ids", type_=TEXTS)), V.c.verdict == "approve")
    .order_by(V.c.at)
)
PLACE = insert_row(PL)
PLACES = Statement(
    select(PL.c.conversation_id, PL.c.seq, PL.c.user_id).where(of_tenant(PL), PL.c.approval_id == param("id"))
)


def approval_of(row: Row) -> Approval:
    """Return a stored approval."""
    values: dict[str, Any] = {name: row[name] for name in Approval.__slots__}
    values["action"] = Action.from_json(row["action"])
    values["level"] = Risk(row["level"])
    values["reasons"] = tuple(row["reasons"])
    return Approval(**values)


async def ask(tx: Transaction, approval: Approval) -> bool:
    """Store a request; return False if this step of its turn asked before."""
    return await tx.one(ASK, **_columns(approval)) is not None


def _columns(approval: Approval) -> Mapping[str, Any]:
    values: dict[str, Any] = {name: getattr(approval, name) for name in Approval.__slots__}
    values["action"] = approval.action.as_json()
    values["level"] = int(approval.level)
    values["reasons"] = [dict(reason) for reason in approval.reasons]
    return values


async def get(tx: Transaction, approval_id: str) -> Approval | None:
    """Return an approval."""
    row = await tx.one(GET, id=approval_id)
    return approval_of(row) if row else None


async def newest_write(tx: Transaction, code: str) -> Approval | None:
    """Return the newest approved change of a file that is known by ``code``."""
    found = [approval_of(row) for row in await tx.all(APPROVED_BY_CODE, code=code)]
    return next((each for each in found if each.action.kind == "write"), None)


async def of_step(tx: Transaction, turn_id: str, step: int) -> Approval | None:
    """Return what a step of a turn asked for."""
    row = await tx.one(OF_STEP, turn_id=turn_id, step=step)
    return approval_of(row) if row else None


async def page_of(
    db: Transaction, status: str = "", before: str = "", count: int = 100
) -> tuple[list[Approval], bool]:
    """Return the newest approvals of a status, any if "", and whether there are more.

    before: the id of the one that they are older than, "" to begin. Raises NotFound for one that is none.
    """
    last = await get(db, before) if before else None
    if before and last is None:
        raise NotFound("approval.unknown")
    moment = last.created_at if last else None
    rows = await db.all(PAGE, status=status, before=before, moment=moment, count=count + 1)
    return [approval_of(row) for row in rows[:count]], len(rows) > count


async def approvers(tx: Transaction, ids: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """Return who has approved each of ``ids`` so far, the first first."""
    found: dict[str, list[str]] = {}
    for row in await tx.all(APPROVERS, ids=list(ids)):
        found.setdefault(row["approval_id"], []).append(row["user_id"])
    return found


async def vote(
    tx: Transaction,
    approval: Approval,
    user_id: str,
    verdict: Literal["approve", "reject"],
    channel: str,
    event_id: str,
    now: datetime,
) -> Row | None:
    """Cast one person's vote and settle if it is enough: one statement under the row's lock.

    Returns (status, approvals, needed), or None when it was too late, was changed, or this person voted
    before; then the transaction must be rolled back.
    """
    return await tx.one(
        VOTE,
        id=approval.id,
        digest=approval.digest,
        user_id=user_id,
        verdict=verdict,
        channel=channel,
        event_id=event_id,
        now=now,
    )
