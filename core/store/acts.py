"""What became of approved acts, read from the stored rows: which are under way, and how the others ended."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import and_, func, literal_column, select

from core.store import inbox, tables
from core.store.database import Statement, Transaction
from core.store.statements import TEXTS, of_tenant, param
from core.work import Approval

A = tables.approvals
E = tables.events
I = tables.inbox  # noqa: E741
RT = tables.run_targets

UNDER_WAY = "running"
WORST_FIRST = ("running", "unknown", "timeout", "stopped", "exit", "failed")
"""A command on several servers stands as badly as where it went worst; what a failure kept from starting
comes after the failure."""

act_of = and_(
    I.c.tenant_id == A.c.tenant_id,
    I.c.event_id == literal_column(f"'{inbox.ACT}:'").op("||")(A.c.id),
    I.c.state.in_([literal_column("'new'"), literal_column("'taken'")]),
)
ACTING = Statement(
    select(A.c.id)
    .join(I, act_of)
    .where(of_tenant(A), A.c.status == "approved", A.c.id == func.any(param("ids", TEXTS)))
)
ACTING_IN = Statement(
    select(A.c.turn_id)
    .join(I, act_of)
    .where(of_tenant(A), A.c.status == "approved", A.c.conversation_id == param("conversation"))
    .limit(1)
)
ENDED = Statement(
    select(RT.c.run_id, RT.c.state, RT.c.exit_code).where(
        of_tenant(RT), RT.c.run_id == func.any(param("ids", TEXTS))
    )
)
PERFORMED = Statement(
    select(E.c.body).where(
        of_tenant(E), E.c.turn_id == func.any(param("turns", TEXTS)), E.c.kind == "performed"
    )
)


async def turn_of_act(db: Transaction, conversation: str) -> str | None:
    """Return the turn whose approved act is under way in ``conversation``, from its approval to its end."""
    turn = await db.value(ACTING_IN, conversation=conversation)
    return None if turn is None else str(turn)


def outcome_of(results: Iterable[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return how a command went on all its servers together: ``{"state", "exit_code"}``; None without any."""
    found = [_how(each["state"], each["exit_code"]) for each in results]
    for state in WORST_FIRST:
        for one in found:
            if one["state"] == state:
                return one
    return found[0] if found else None


def _how(state: str, code: int | None) -> dict[str, Any]:
    return {"state": "exit" if state == "done" and code else state, "exit_code": code}


async def acts_of(db: Transaction, approvals: Sequence[Approval]) -> Mapping[str, dict[str, Any]]:
    """Return how the act of each approved one of ``approvals`` stands, by the approval's id.

    state: running, done, exit (with another code than 0), failed, stopped, timeout, unknown or refused;
    why: the stored sentence of what was refused after all.
    """
    approved = [each for each in approvals if each.status == "approved"]
    if not approved:
        return {}
    ids = [each.id for each in approved]
    # Asked first: an act that ends between two of these questions still counts as under way.
    acting = {row["id"] for row in await db.all(ACTING, ids=ids)}
    over = [each for each in approved if each.id not in acting]
    ended = await _ended(db, [each.id for each in over])
    performed = await _performed(db, [each.turn_id for each in over if each.id not in ended])
    found = {each: {"state": UNDER_WAY, "exit_code": None, "why": None} for each in acting}
    for each in over:
        how = ended.get(each.id) or performed.get(each.id) or {"state": "unknown", "exit_code": None}
        found[each.id] = {"why": None, **how}
    return found


async def _ended(db: Transaction, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    results: dict[str, list[Mapping[str, Any]]] = {}
    for row in await db.all(ENDED, ids=list(ids)) if ids else ():
        results.setdefault(row["run_id"], []).append({"state": row["state"], "exit_code": row["exit_code"]})
    return {each: how for each, rows in results.items() if (how := outcome_of(rows)) is not None}


async def _performed(db: Transaction, turns: Sequence[str]) -> dict[str, dict[str, Any]]:
    found = {}
    for row in await db.all(PERFORMED, turns=list(turns)) if turns else ():
        why = row["body"].get("refusal")
        state = "refused" if why else "done"
        found[row["body"]["approval_id"]] = {"state": state, "exit_code": None, "why": why}
    return found
