"""Command records: a run's row is written before the command is sent, and only whoever wrote it may send."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, exists, func, literal_column, not_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from core.store import tables
from core.store.database import Row, Statement, Transaction
from core.store.statements import INT, MOMENT, TEXTS, insert_row, of_tenant, param
from core.work import Risk, RunTarget

I = tables.inbox  # noqa: E741
P = tables.processes
R = tables.runs
RT = tables.run_targets

FORSAKEN = timedelta(hours=1)
"""So long a run is left to itself: the command line's own processes show no sign of life."""

START = Statement(
    upsert(R)
    .values(
        {c: param(c.name, c.type) for c in R.c if c.name not in ("state", "ended_at")}
        | {R.c.state: "running"}
    )
    .on_conflict_do_nothing(index_elements=[R.c.id])
    .returning(R.c.id)
)
TARGET = insert_row(RT)
GET = Statement(select(R).where(of_tenant(R), R.c.id == param("id")))
TARGETS = Statement(select(RT).where(of_tenant(RT), RT.c.run_id == param("id")).order_by(RT.c.server))
_mine = and_(of_tenant(R), R.c.id == param("id"), R.c.state == "running", R.c.owner == param("me"))
END = Statement(update(R).where(_mine).values(state=param("new_state"), ended_at=param("at", MOMENT)))
TAKE_OVER = Statement(
    update(R)
    .where(of_tenant(R), R.c.id == param("id"), R.c.state == "running")
    .values(owner=param("me"))
    .returning(R.c.id)
)
END_TARGET = Statement(
    update(RT)
    .where(of_tenant(RT), RT.c.run_id == param("id"), RT.c.server_id == param("server"))
    .values(
        state=param("state"),
        exit_code=param("exit_code", INT),
        duration_ms=param("duration_ms", RT.c.duration_ms.type),
        stdout=param("stdout"),
        stderr=param("stderr"),
        dropped=param("dropped", RT.c.dropped.type),
        error=param("error", RT.c.error.type),
        os_user=param("os_user"),
    )
)
RUNNING_IN = Statement(
    select(R.c.id, R.c.owner, R.c.turn_id, R.c.approval_id).where(
        of_tenant(R), R.c.conversation_id == param("conversation"), R.c.state == "running"
    )
)
_owner_lives = R.c.owner.in_(select(P.c.id).scalar_subquery())
_is_worked_on = exists(
    select(literal_column("1"))
    .select_from(I)
    .where(
        I.c.tenant_id == R.c.tenant_id,
        I.c.conversation_id == R.c.conversation_id,
        I.c.state.in_([literal_column("'new'"), literal_column("'taken'")]),
    )
)
FORSAKE = Statement(
    update(R)
    .where(
        of_tenant(R),
        R.c.state == "running",
        R.c.started_at < param("before", MOMENT),
        not_(_owner_lives),
        not_(_is_worked_on),
    )
    .values(state="unknown", ended_at=param("at", MOMENT))
    .returning(R.c.id)
)
FORSAKE_TARGETS = Statement(
    update(RT)
    .where(of_tenant(RT), RT.c.run_id == func.any(param("ids", TEXTS)), RT.c.state == "running")
    .values(state="unknown")
)
NEWEST = Statement(select(R).where(of_tenant(R)).order_by(R.c.started_at.desc()).limit(param("count", INT)))
RUNNING = Statement(select(func.count()).select_from(R).where(of_tenant(R), R.c.state == "running"))


@dataclass(frozen=True, slots=True)
class Run:
    """A command about to be sent. id: the approval's, or the turn's with the step's number."""

    id: str
    conversation_id: str
    turn_id: str
    approval_id: str | None
    command: str
    level: Risk
    servers: tuple[tuple[str, str], ...]
    requester_id: str
    approver_id: str | None


async def start(tx: Transaction, run: Run, me: str, at: datetime) -> bool:
    """Write that a run begins; return False if it was begun before: then it must not be sent."""
    begun = await tx.one(
        START,
        id=run.id,
        conversation_id=run.conversation_id,
        turn_id=run.turn_id,
        approval_id=run.approval_id,
        command=run.command,
        level=int(run.level),
        server_ids=[server_id for server_id, _ in run.servers],
        requester_id=run.requester_id,
        approver_id=run.approver_id,
        owner=me,
        started_at=at,
    )
    if begun is None:
        return False
    await tx.many(TARGET, [_new_target(run.id, server_id, name) for server_id, name in run.servers])
    return True


def _new_target(run_id: str, server_id: str, name: str) -> dict[str, Any]:
    empty = {"exit_code": None, "duration_ms": None, "stdout": "", "stderr": "", "dropped": 0, "error": None}
    empty["os_user"] = ""
    return {"run_id": run_id, "server_id": server_id, "server": name, "state": "running", **empty}


async def end(tx: Transaction, run_id: str, me: str, results: Sequence[RunTarget], at: datetime) -> bool:
    """Write how a run went; return False if another process has taken it over."""
    state = "unknown" if any(result.state in ("unknown", "running") for result in results) else "done"
    if not await tx.run(END, id=run_id, me=me, new_state=state, at=at):
        return False
    await tx.many(
        END_TARGET,
        [
            {
                "id": run_id,
                "server": result.server_id,
                "state": "unknown" if result.state == "running" else result.state,
                "exit_code": result.exit_code,
                "duration_ms": result.duration_ms,
                "stdout": result.stdout.replace("\0", ""),
                "stderr": result.stderr.replace("\0", ""),
                "dropped": result.dropped,
                "error": dict(result.error) if result.error else None,
                "os_user": result.os_user,
            }
            for result in results
        ],
    )
    return True


async def get(tx: Transaction, run_id: str) -> tuple[Row, list[RunTarget]] | None:
    """Return a run's row and its targets."""
    row = await tx.one(GET, id=run_id)
    if row is None:
        return None
    targets = await tx.all(TARGETS, id=run_id)
    return row, [RunTarget(**{name: each[name] for name in RunTarget.__slots__}) for each in targets]


def run_of(row: Row, targets: Sequence[RunTarget]) -> Run:
    """Return a stored run."""
    return Run(
        row["id"],
        row["conversation_id"],
        row["turn_id"],
        row["approval_id"],
        row["command"],
        Risk(row["level"]),
        tuple((target.server_id, target.server) for target in targets),
        row["requester_id"],
        row["approver_id"],
    )


async def forsake(tx: Transaction, at: datetime) -> Sequence[str]:
    """Call unknown what ran for a process that is gone, and that no work asks about any more; return the ids.

    Such are the questions that no turn repeats: what an account may do, and a file that was to be sent.
    """
    ids = [row["id"] for row in await tx.all(FORSAKE, at=at, before=at - FORSAKEN)]
    if ids:
        await tx.run(FORSAKE_TARGETS, ids=ids)
    return ids


async def take_over(tx: Transaction, run_id: str, me: str) -> bool:
    """Become the owner of a run that still counts as running, to find out what became of it."""
    return await tx.one(TAKE_OVER, id=run_id, me=me) is not None
