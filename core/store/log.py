"""Conversations and their event log: everything said, heard and done, in one order.

The log's sequence number is taken under the conversation's row lock, so the order of numbers is the order
of commits, and whoever reads on from a number misses nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    and_,
    bindparam,
    case,
    column,
    exists,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.sql.dml import ReturningInsert

from core.messages import DATA, Address
from core.store import tables
from core.store.database import Row, Statement, Transaction
from core.store.statements import BIG, BOOL, INT, JSON, MOMENT, TEXT, of_tenant, param
from core.texts import Say

TITLE_LENGTH = 80

C = tables.conversations
E = tables.events

BY_ID = Statement(select(C).where(of_tenant(C), C.c.id == param("id")))
_at_place = and_(C.c.installation_id == param("installation_id"), C.c.thread == param("thread"))
BY_THREAD = Statement(select(C).where(of_tenant(C), _at_place, C.c.status == "open"))
OPEN = Statement(
    upsert(C)
    .values(
        {
            C.c.tenant_id: bindparam("tenant_id", type_=TEXT),
            C.c.id: param("id"),
            C.c.channel: param("channel"),
            C.c.installation_id: param("installation_id"),
            C.c.thread: param("thread"),
            C.c.user_id: param("user_id"),
            C.c.title: param("title"),
            C.c.created_at: param("at", MOMENT),
            C.c.updated_at: param("at", MOMENT),
        }
    )
    .on_conflict_do_nothing()
    .returning(C.c.id)
)
_moves = and_(
    of_tenant(C),
    C.c.installation_id == param("installation_id"),
    C.c.thread.startswith(param("old"), autoescape=False),
)
_moved = param("new").op("||")(func.substr(C.c.thread, func.length(param("old")) + 1))
_there = C.alias("there")
GIVE_WAY = Statement(
    update(C)
    .where(
        _moves,
        C.c.status == "open",
        exists(
            select(_there.c.id).where(
                _there.c.tenant_id == C.c.tenant_id,
                _there.c.installation_id == C.c.installation_id,
                _there.c.thread == _moved,
                _there.c.status == "open",
            )
        ),
    )
    .values(status="closed")
)
"""Closes what would move to a place where another conversation is open by then."""
MOVE = Statement(update(C).where(_moves).values(thread=_moved))
"""Lets conversations go on at another place, as those of a group do that became a supergroup."""
HOLD = Statement(select(C.c.id).where(of_tenant(C), C.c.id == param("id")).with_for_update())
"""Keeps others from appending; whoever holds a lane as well takes this first, as they do who append."""
SET_ENGINE = Statement(update(C).where(of_tenant(C), C.c.id == param("id")).values(engine=param("engine")))
TITLE = Statement(
    update(C).where(of_tenant(C), C.c.id == param("id"), C.c.title == "").values(title=param("new_title"))
)

RETELL = Statement(
    update(E)
    .where(of_tenant(E), E.c.conversation_id == param("conversation"), E.c.seq == param("seq", BIG))
    .values(body=param("new_body", JSON))
)
RETITLE = Statement(
    update(C)
    .where(of_tenant(C), C.c.id == param("id"), C.c.title == param("old_title"))
    .values(title=param("new_title"))
)

_each = (
    func.jsonb_array_elements(bindparam("events", type_=JSON))
    .table_valued(column("value", JSON), with_ordinality="n", name="each")
    .render_derived()
)
_value = _each.c.value


def appending(
    *conditions: ColumnElement[bool], **values: ColumnElement[Any]
) -> tuple[CTE, ReturningInsert[Any]]:
    """Return what counts the conversation up that meets ``conditions``, and what appends events to it then.

    values: what else is written of the conversation.
    """
    bump = (
        update(C)
        .where(of_tenant(C), *conditions)
        .values(last_seq=C.c.last_seq + param("count", BIG), updated_at=param("at", MOMENT), **values)
        .returning(C.c.id, C.c.last_seq)
        .cte("bump")
    )
    rows = select(
        bindparam("tenant_id", type_=TEXT),
        bump.c.id,
        bump.c.last_seq - param("count", BIG) + _each.c.n,
        _value["kind"].astext,
        _value["turn_id"].astext,
        _value["user_id"].astext,
        _value["body"],
        param("at", MOMENT),
    ).select_from(bump.join(_each, literal_column("true")))
    columns = ["tenant_id", "conversation_id", "seq", "kind", "turn_id", "user_id", "body", "at"]
    return bump, insert(E).from_select(columns, rows).returning(E.c.seq, E.c.conversation_id)


def counted_by_snapshot(conversation: ColumnElement[str]) -> ColumnElement[int]:
    """Return how far a conversation had been counted when the statement began.

    A statement that locks the conversation itself sees by that whether anything was written there while it
    waited, which the rest of it cannot see.
    """
    then = C.alias("then")
    return select(then.c.last_seq).where(of_tenant(then), then.c.id == conversation).scalar_subquery()


_by_id = C.c.id == param("conversation")
APPEND = Statement(appending(_by_id)[1])
APPEND_AT = Statement(appending(_by_id, _at_place, or_(C.c.status == "open", param("or_closed", BOOL)))[1])
BUMP_OPEN, INTO_OPEN = appending(
    _at_place,
    C.c.status == "open",
    C.c.updated_at > param("since", MOMENT),
    title=case((C.c.title == "", param("title")), else_=C.c.title),
)
"""For a statement that does more than to append to what is open at a place."""
APPEND_OPEN = Statement(INTO_OPEN)
AFTER = Statement(
    select(E.c.seq, E.c.kind, E.c.turn_id, E.c.user_id, E.c.body, E.c.at)
    .where(of_tenant(E), E.c.conversation_id == param("conversation"), E.c.seq > param("after", BIG))
    .order_by(E.c.seq)
    .limit(param("count", INT))
)
BEFORE = Statement(
    select(E.c.seq, E.c.kind, E.c.turn_id, E.c.user_id, E.c.body, E.c.at)
    .where(of_tenant(E), E.c.conversation_id == param("conversation"), E.c.seq < param("before", BIG))
    .order_by(E.c.seq.desc())
    .limit(param("count", INT))
)
AT = Statement(
    select(E.c.seq, E.c.kind, E.c.turn_id, E.c.user_id, E.c.body, E.c.at).where(
        of_tenant(E), E.c.conversation_id == param("conversation"), E.c.seq == param("seq", BIG)
    )
)
OF_TURN = Statement(
    select(E.c.seq, E.c.kind, E.c.body)
    .where(of_tenant(E), E.c.turn_id == param("turn_id"), or_(E.c.kind == "tool", E.c.kind == "result"))
    .order_by(E.c.seq)
)

PERFORMED = Statement(
    select(E.c.body).where(
        of_tenant(E),
        E.c.turn_id == param("turn_id"),
        E.c.kind == "performed",
        E.c.body["approval_id"].astext == param("approval_id"),
    )
)


@dataclass(frozen=True, slots=True)
class Event:
    """A row to be appended to a conversation's log.

    kind: said, clicked, withheld (a message that is not kept), act, decided (inbound); tool, result, steered
    (a turn's steps); performed (an approved act is over); settled (an approval's state changed); reply,
    notice, card (outbound).
    """

    kind: str
    body: Mapping[str, Any] = field(default_factory=dict)
    turn_id: str | None = None
    user_id: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the form in which the append statement takes it."""
        return {"kind": self.kind, "turn_id": self.turn_id, "user_id": self.user_id, "body": dict(self.body)}


@dataclass(frozen=True, slots=True)
class Spot:
    """The conversation that is open at a place, if something was said in it ``since`` then.

    title: what it is called if it has no name yet.
    """

    address: Address
    title: str
    since: datetime

    def as_params(self) -> dict[str, object]:
        """Return the parameters of the statements that append to it."""
        return {
            "installation_id": self.address.installation_id,
            "thread": self.address.thread,
            "title": self.title,
            "since": self.since,
        }


async def append(tx: Transaction, conversation_id: str, events: Sequence[Event], at: datetime) -> int:
    """Append ``events`` in order and return the sequence number of the last.

    Raises LookupError when there is no such conversation.
    """
    rows = await tx.all(
        APPEND, conversation=conversation_id, count=len(events), at=at, events=[e.as_json() for e in events]
    )
    if not rows:
        raise LookupError(f"no conversation {conversation_id}")
    return int(max(row[0] for row in rows))


async def append_at(
    tx: Transaction, conversation_id: str, address: Address, event: Event, at: datetime, *, or_closed: bool
) -> int | None:
    """Append what came in at ``address``; None if its conversation is no longer open there.

    or_closed: it need not be open, only be there.
    """
    place = {"installation_id": address.installation_id, "thread": address.thread, "or_closed": or_closed}
    row = await tx.one(
        APPEND_AT, conversation=conversation_id, count=1, at=at, events=[event.as_json()], **place
    )
    return int(row[0]) if row else None


async def append_open(tx: Transaction, spot: Spot, event: Event, at: datetime) -> tuple[str, int] | None:
    """Append what came in to the conversation that is open at ``spot``; return its id and the number.

    None where there is none.
    """
    row = await tx.one(APPEND_OPEN, count=1, at=at, events=[event.as_json()], **spot.as_params())
    return (row["conversation_id"], row["seq"]) if row else None


async def open_conversation(
    tx: Transaction, new_id: str, address: Address, user_id: str | None, at: datetime, title: str = ""
) -> str:
    """Return the open conversation at ``address``, made now if there is none, with ``new_id``."""
    place = {"installation_id": address.installation_id, "thread": address.thread}
    row = await tx.one(BY_THREAD, **place)
    if row is None:
        made = await tx.one(
            OPEN, id=new_id, channel=address.channel, user_id=user_id, title=title, at=at, **place
        )
        row = made or await tx.one(BY_THREAD, **place)
    assert row is not None
    return str(row["id"])


async def open_at(tx: Transaction, address: Address) -> Row | None:
    """Return the row of the open conversation at ``address``, None if there is none."""
    return await tx.one(BY_THREAD, installation_id=address.installation_id, thread=address.thread)


async def conversation(tx: Transaction, conversation_id: str) -> Row | None:
    """Return the conversation's row."""
    return await tx.one(BY_ID, id=conversation_id)


def address_of(row: Row) -> Address:
    """Return where a conversation takes place."""
    return Address(row["channel"], row["installation_id"], row["thread"])


async def events_after(tx: Transaction, conversation_id: str, after: int, count: int = 500) -> list[Row]:
    """Return events above ``after``, in order."""
    return await tx.all(AFTER, conversation=conversation_id, after=after, count=count)


async def events_before(tx: Transaction, conversation_id: str, before: int, count: int = 100) -> list[Row]:
    """Return the newest events below ``before``, in order."""
    return list(reversed(await tx.all(BEFORE, conversation=conversation_id, before=before, count=count)))


async def event_at(tx: Transaction, conversation_id: str, seq: int) -> Row | None:
    """Return one event."""
    return await tx.one(AT, conversation=conversation_id, seq=seq)


async def retell(tx: Transaction, conversation_id: str, seq: int, text: str) -> None:
    """Replace a typed message's words: the log's one exception, for words that may not be kept."""
    await tx.run(RETELL, conversation=conversation_id, seq=seq, new_body={"text": text})


async def retitle(tx: Transaction, conversation_id: str, old_text: str, new_text: str) -> None:
    """Name a conversation anew, if ``old_text`` is the message that it was named by."""
    await tx.run(RETITLE, id=conversation_id, old_title=title_of(old_text), new_title=title_of(new_text))


def title_of(text: str) -> str:
    """Return what a conversation is called that begins with ``text``."""
    words, _, _ = text.partition(DATA)  # what was sent with them is no title
    return " ".join(words.split())[:TITLE_LENGTH]


async def steps_of(tx: Transaction, turn_id: str) -> list[Row]:
    """Return a turn's tool and result events in order."""
    return await tx.all(OF_TURN, turn_id=turn_id)


async def performed(tx: Transaction, turn_id: str, approval_id: str) -> Say | None:
    """Return why an approved act was not performed, or None."""
    body = await tx.value(PERFORMED, turn_id=turn_id, approval_id=approval_id)
    refusal = body and body["refusal"]
    return Say(refusal["say"], refusal["params"]) if refusal else None
