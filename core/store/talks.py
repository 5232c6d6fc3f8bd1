"""A person's conversations: which of them is open at a place, how one is found again, and brought back."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    and_,
    exists,
    func,
    literal_column,
    not_,
    or_,
    select,
    tuple_,
    union_all,
    update,
)

from core.errors import NotFound
from core.messages import Address
from core.store import tables
from core.store.database import Row, Statement, Transaction
from core.store.statements import BIG, BOOL, INT, JSON, MOMENT, TEXTS, of_tenant, param

C = tables.conversations
E = tables.events
I = tables.inbox  # noqa: E741
A = tables.approvals
PL = tables.approval_places
L = tables.lanes
O = tables.outbox  # noqa: E741
P = tables.passing

CODE_LENGTH = 6
"""Last digits of a conversation's id, which are random: enough to tell one person's from each other."""

_LISTING = "/conversations"
"""A search is not what it looks for."""

_one: ColumnElement[int] = literal_column("1")
_runs = exists(
    select(_one)
    .select_from(I)
    .where(
        I.c.tenant_id == C.c.tenant_id,
        I.c.conversation_id == C.c.id,
        I.c.state.in_([literal_column("'new'"), literal_column("'taken'")]),
    )
)
_waits = exists(
    select(_one)
    .select_from(A)
    .where(
        A.c.tenant_id == C.c.tenant_id,
        A.c.conversation_id == C.c.id,
        A.c.status == literal_column("'pending'"),
    )
)
_shows_card = exists(
    select(_one)
    .select_from(PL.join(A, and_(A.c.tenant_id == PL.c.tenant_id, A.c.id == PL.c.approval_id)))
    .where(
        PL.c.tenant_id == C.c.tenant_id,
        PL.c.conversation_id == C.c.id,
        A.c.status == literal_column("'pending'"),
    )
)
_at_place = and_(C.c.installation_id == param("installation_id"), C.c.thread == param("thread"))
_word = func.unnest(param("words", TEXTS)).column_valued("word")
_is_said = exists(
    select(_one)
    .select_from(E)
    .where(
        E.c.tenant_id == C.c.tenant_id,
        E.c.conversation_id == C.c.id,
        E.c.kind == literal_column("'said'"),
        not_(E.c.body["text"].astext.startswith(_LISTING, autoescape=False)),
        func.strpos(func.lower(E.c.body["text"].astext), _word) > 0,
    )
    .correlate_except(E)
)
_lacks_a_word = exists(
    select(_word).where(not_(or_(func.strpos(func.lower(C.c.title), _word) > 0, _is_said))).correlate(C)
)
_mine = and_(
    of_tenant(C),
    C.c.user_id == param("user_id"),
    C.c.last_seq > 0,
    not_(C.c.thread.startswith("feed:", autoescape=False)),
    or_(not_(param("only_here", BOOL)), _at_place),
)
_listed = and_(
    C.c.user_id == param("user_id"),
    or_(param("everywhere", BOOL), C.c.channel == "console"),
    C.c.last_seq > 0,
    not_(C.c.thread.startswith("feed:", autoescape=False)),
)
_taken = exists(
    select(_one)
    .select_from(L)
    .where(L.c.tenant_id == C.c.tenant_id, L.c.conversation_id == C.c.id, L.c.owner.is_not(None))
)
_columns = (C, _runs.label("runs"), _waits.label("waits"), _shows_card.label("shows_card"))

BUSY = Statement(select(C.c.id).where(of_tenant(C), C.c.id == param("id"), or_(_runs, _waits)))
BUSY_AT = Statement(
    select(C.c.id)
    .where(of_tenant(C), _at_place, C.c.status == "closed", or_(_runs, _waits))
    .order_by(C.c.updated_at.desc())
)
MINE = Statement(
    select(*_columns)
    .where(_mine, not_(_lacks_a_word))
    .order_by(C.c.updated_at.desc(), C.c.id.desc())
    .limit(param("count", INT))
)
LISTED = Statement(
    select(C, _taken.label("running"))
    .where(
        of_tenant(C),
        _listed,
        not_(_lacks_a_word),
        or_(
            param("before") == "",
            tuple_(C.c.updated_at, C.c.id) < tuple_(param("moment", MOMENT), param("before")),
        ),
    )
    .order_by(C.c.updated_at.desc(), C.c.id.desc())
    .limit(param("count", INT))
)
ONE = Statement(select(C, _taken.label("running")).where(of_tenant(C), _listed, C.c.id == param("id")))
BY_CODE = Statement(
    select(*_columns)
    .where(_mine, func.right(C.c.id, CODE_LENGTH) == param("code"))
    .order_by(C.c.updated_at.desc())
    .limit(1)
)
_spoken = union_all(
    select(O.c.conversation_id).where(
        O.c.tenant_id == param("tenant_id"),
        O.c.installation_id == param("installation_id"),
        O.c.receipt.contains(param("receipt", JSON)),
    ),
    select(P.c.conversation_id).where(
        P.c.installation_id == param("installation_id"),
        P.c.thread == param("thread"),
        P.c.message_id == param("message_id", BIG),
    ),
)
ANSWERED = Statement(select(C).where(of_tenant(C), _at_place, C.c.id.in_(_spoken)).limit(1))
HOLD_SILENT = Statement(
    select(C.c.id)
    .where(
        of_tenant(C),
        _at_place,
        C.c.status == "open",
        C.c.last_seq > 0,
        C.c.updated_at <= param("before", MOMENT),
    )
    .with_for_update()
)
CLOSE_AT = Statement(
    update(C).where(of_tenant(C), _at_place, C.c.status == "open").values(status="closed").returning(C.c.id)
)
BRING = Statement(
    update(C)
    .where(of_tenant(C), C.c.id == param("id"), C.c.user_id == param("user_id"))
    .values(
        status="open",
        channel=param("channel"),
        installation_id=param("installation_id"),
        thread=param("thread"),
        updated_at=param("at", MOMENT),
    )
    .returning(C.c.id)
)
RENAME = Statement(update(C).where(of_tenant(C), C.c.id == param("id")).values(title=param("new_title")))


def code_of(conversation_id: str) -> str:
    """Return what a person types to open a conversation."""
    return conversation_id[-CODE_LENGTH:]


def _place(address: Address) -> dict[str, Any]:
    return {"installation_id": address.installation_id, "thread": address.thread}


async def is_busy(tx: Transaction, conversation_id: str) -> bool:
    """Return whether a message or an act is being handled in a conversation, or an approval waits in it."""
    return await tx.one(BUSY, id=conversation_id) is not None


async def busy_at(tx: Transaction, address: Address) -> list[str]:
    """Return the closed conversations at a place in which something still goes on."""
    return [row["id"] for row in await tx.all(BUSY_AT, **_place(address))]


async def hold_silent(tx: Transaction, address: Address, before: datetime) -> str | None:
    """Return the open conversation of a place in which nothing was said since ``before``, and keep it so."""
    row = await tx.one(HOLD_SILENT, **_place(address), before=before)
    return str(row["id"]) if row else None


async def answered_at(tx: Transaction, address: Address, message_id: int) -> Row | None:
    """Return the conversation of a place in which we said what its platform calls ``message_id``.

    None if that is not known, or not any more: what was sent is forgotten with its outbox row.
    """
    return await tx.one(ANSWERED, **_place(address), message_id=message_id, receipt=[message_id])


async def close_at(tx: Transaction, address: Address) -> str | None:
    """Close the conversation that is open at a place, and return which that was."""
    row = await tx.one(CLOSE_AT, **_place(address))
    return str(row["id"]) if row else None


async def mine(
    tx: Transaction, user_id: str, words: Sequence[str], only_at: Address | None, count: int
) -> list[Row]:
    """Return a person's newest conversations.

    words: each is in the title or in what was said, whatever its case. only_at: of this place alone.
    """
    place = _place(only_at or Address("", "", ""))
    lowered = [word.lower() for word in words]
    return await tx.all(
        MINE, user_id=user_id, words=lowered, only_here=only_at is not None, count=count, **place
    )


async def listed(
    tx: Transaction, user_id: str, words: Sequence[str], before: str, count: int, everywhere: bool = False
) -> tuple[list[Row], bool]:
    """Return a person's newest conversations of console and API, and whether there are older ones.

    words: as ``mine``; before: the id of the one that they are older than, "" to begin; everywhere: those of
    all other channels too. Raises NotFound for a ``before`` that is none.
    """
    last = await tx.one(ONE, user_id=user_id, id=before, everywhere=everywhere) if before else None
    if before and last is None:
        raise NotFound("error.no_such_conversation")
    rows = await tx.all(
        LISTED,
        user_id=user_id,
        everywhere=everywhere,
        words=[word.lower() for word in words],
        before=before,
        moment=last["updated_at"] if last else None,
        count=count + 1,
    )
    return rows[:count], len(rows) > count


async def by_code(tx: Transaction, user_id: str, code: str, only_at: Address | None) -> Row | None:
    """Return a person's conversation by its code; only_at: of this place alone."""
    place = _place(only_at or Address("", "", ""))
    return await tx.one(BY_CODE, user_id=user_id, code=code, only_here=only_at is not None, **place)


async def bring(tx: Transaction, conversation_id: str, user_id: str, address: Address, at: datetime) -> bool:
    """Let a person's conversation go on at a place where none is open; False if it is not theirs."""
    place = {**_place(address), "channel": address.channel}
    return await tx.one(BRING, id=conversation_id, user_id=user_id, at=at, **place) is not None
