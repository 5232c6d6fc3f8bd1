"""What a tenant uses of its plan: counted where it is refused, so that no two processes disagree."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import and_, distinct, exists, func, literal_column, select

from core.store import fleet, people, tables
from core.store.database import Statement, Transaction
from core.store.inbox import ACT
from core.store.statements import MOMENT, TEXT, of_tenant, param
from core.work import PLANS

T = tables.turns
L = tables.lanes
I = tables.inbox  # noqa: E741

SESSIONS = Statement(
    select(func.count(distinct(T.c.conversation_id))).where(
        of_tenant(T), T.c.started_at >= param("day", MOMENT)
    )
)
"""Conversations with a turn since ``day`` began."""
IS_SESSION = Statement(
    select(T.c.id)
    .where(of_tenant(T), T.c.started_at >= param("day", MOMENT), T.c.conversation_id == param("conversation"))
    .limit(1)
)
_held = exists(
    select(literal_column("1")).where(
        L.c.tenant_id == T.c.tenant_id, L.c.conversation_id == T.c.conversation_id, L.c.owner.is_not(None)
    )
)
RUNNING_TURNS = Statement(
    select(func.count(distinct(T.c.conversation_id))).where(
        of_tenant(T), T.c.status == "running", T.c.conversation_id != param("but", TEXT), _held
    )
)
"""Turns under way, beside a conversation's own: a turn whose lane nobody holds runs nowhere."""
RUNNING_ACTS = Statement(
    select(func.count()).where(
        and_(
            I.c.tenant_id == param("tenant_id"),
            I.c.state == "taken",
            I.c.event_id.startswith(literal_column(f"'{ACT}:'")),
        )
    )
)


@dataclass(frozen=True, slots=True)
class Used:
    """How much of a quota is used; limit: None without one."""

    name: str
    used: int
    limit: int | None


def day_of(at: datetime) -> datetime:
    """Return when the day of ``at`` began, in UTC."""
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


async def is_session(tx: Transaction, conversation: str, at: datetime) -> bool:
    """Return whether a conversation had a turn already on the day of ``at``."""
    return await tx.one(IS_SESSION, conversation=conversation, day=day_of(at)) is not None


async def sessions(tx: Transaction, at: datetime) -> int:
    """Return how many conversations had a turn on the day of ``at``."""
    return int(await tx.value(SESSIONS, day=day_of(at)))


async def running(tx: Transaction, but: str = "") -> int:
    """Return how many turns and approved acts run now, beside the turn of ``but``."""
    turns = await tx.value(RUNNING_TURNS, but=but)
    return int(turns) + int(await tx.value(RUNNING_ACTS))


async def used(tx: Transaction, plan: str, at: datetime) -> list[Used]:
    """Return every quota of ``plan`` with what is used of it; a skill of a tenant's own is yet to come."""
    quotas = PLANS[plan]
    return [
        Used("servers", await tx.value(fleet.COUNT_SERVERS), quotas.servers),
        Used("users", await tx.value(people.COUNT), quotas.users),
        Used("skills", 0, quotas.skills),
        Used("sessions", await sessions(tx, at), quotas.sessions_a_day),
        Used("tasks", await running(tx), quotas.running_tasks),
    ]
