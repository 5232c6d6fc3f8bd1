"""What is under way in a tenant: conversations worked in, commands, approved acts, warnings to come."""

from sqlalchemy import and_, func, literal_column, or_, select

from core.store import tables
from core.store.acts import act_of
from core.store.approvals import approval_of
from core.store.database import Row, Statement, Transaction
from core.store.statements import INT, of_tenant, param
from core.work import Approval

A = tables.approvals
C = tables.conversations
CR = tables.credentials
I = tables.inbox  # noqa: E741
L = tables.lanes
R = tables.runs
T = tables.timers

WARNING = "credential_expires"
"""The kind of the timers by which people are told that a credential expires; a timer's ref is its id."""

_waiting = (
    select(func.count())
    .where(
        I.c.tenant_id == C.c.tenant_id,
        I.c.conversation_id == C.c.id,
        I.c.laned,
        I.c.state == literal_column("'new'"),
    )
    .scalar_subquery()
)
TALKS = Statement(
    select(C.c.id, C.c.title, C.c.user_id, L.c.since, _waiting.label("waiting"))
    .join(L, and_(L.c.tenant_id == C.c.tenant_id, L.c.conversation_id == C.c.id))
    .where(
        of_tenant(C),
        L.c.owner.is_not(None),
        C.c.id != param("but"),
        or_(param("user_id") == "", C.c.user_id == param("user_id")),
    )
    .order_by(L.c.since)
    .limit(param("count", INT))
)
RUNS = Statement(
    select(R.c.command, R.c.server_ids, R.c.requester_id, R.c.started_at)
    .where(
        of_tenant(R),
        R.c.state == "running",
        R.c.approval_id.is_(None),
        or_(param("user_id") == "", R.c.requester_id == param("user_id")),
    )
    .order_by(R.c.started_at)
    .limit(param("count", INT))
)
ACTS = Statement(
    select(A)
    .join(I, act_of)
    .where(of_tenant(A), A.c.status == "approved")
    .order_by(A.c.settled_at)
    .limit(param("count", INT))
)
WARNINGS = Statement(
    select(CR.c.name, CR.c.expires_at, T.c.due_at)
    .join(T, and_(T.c.tenant_id == CR.c.tenant_id, T.c.ref == CR.c.id))
    .where(of_tenant(CR), T.c.kind == WARNING, T.c.state == "new", CR.c.revoked_at.is_(None))
    .order_by(T.c.due_at)
    .limit(param("count", INT))
)


async def talks(db: Transaction, user_id: str, but: str, count: int) -> list[Row]:
    """Return conversations that are worked in, but one. user_id: only this person's, "" for everybody's."""
    return list(await db.all(TALKS, user_id=user_id, but=but, count=count))


async def unasked_runs(db: Transaction, user_id: str, count: int) -> list[Row]:
    """Return commands that run and needed no approval. user_id: only for this person, "" for everybody."""
    return list(await db.all(RUNS, user_id=user_id, count=count))


async def acts(db: Transaction, count: int) -> list[Approval]:
    """Return what was approved and has not come to its end."""
    return [approval_of(row) for row in await db.all(ACTS, count=count)]


async def warnings(db: Transaction, count: int) -> list[Row]:
    """Return the warnings of credentials that are to come."""
    return list(await db.all(WARNINGS, count=count))
