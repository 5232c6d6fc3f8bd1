"""What of data from outside a turn has read: servers' output, files, what others wrote.

A source is ``server:NAME``, ``tool:NAME`` for an answer that no server gave, ``message:NUMBER`` for a file or
a forwarded text that came with a message, ``person:ID`` for what somebody else wrote in the conversation.
"""

from collections.abc import Iterator, Sequence

from sqlalchemy import cast, func, literal_column, or_, select
from sqlalchemy.dialects.postgresql import JSONPATH

from core.messages import DATA
from core.store import tables, turns
from core.store.database import Row, Statement, Transaction
from core.store.statements import of_tenant, param

E = tables.events

WITHOUT_MEMORY = ("direct",)
"""Engines that read nothing but the turn itself."""

OWN_WORDS = ("gate.", "risk.")
"""Begin the sentences of a refusal that tells nothing from outside."""

_text = E.c.body["text"].astext

_SAYS = cast(literal_column("'$.parts[*].say'"), JSONPATH)
_RAN_ON = cast(literal_column("'$.data.results[*].server'"), JSONPATH)
_PERFORMED_ON = cast(literal_column("'$.results[*].server'"), JSONPATH)
READ = Statement(
    select(
        E.c.seq,
        E.c.kind,
        E.c.turn_id,
        E.c.user_id,
        E.c.body["no"].astext.label("no"),
        E.c.body["tool"].astext.label("tool"),
        E.c.body["status"].astext.label("status"),
        func.jsonb_path_query_array(E.c.body, _SAYS).label("says"),
        func.jsonb_array_length(func.coalesce(E.c.body["parts"], func.jsonb_build_array())).label("parts"),
        func.jsonb_path_query_array(E.c.body, _RAN_ON).label("ran_on"),
        func.jsonb_path_query_array(E.c.body, _PERFORMED_ON).label("performed_on"),
        func.coalesce(or_(func.strpos(_text, DATA) > 0, _text.regexp_match("(^|\n)> ")), False).label(
            "holds_data"
        ),
    )
    .where(
        of_tenant(E),
        E.c.conversation_id == param("conversation"),
        or_(*(E.c.kind == kind for kind in ("said", "tool", "result", "performed"))),
        or_(param("turn_id") == "", E.c.turn_id == param("turn_id")),
    )
    .order_by(E.c.seq)
)


async def seen_by(tx: Transaction, conversation_id: str, turn_id: str, user_id: str) -> tuple[str, ...]:
    """Return the sources that a turn of ``user_id`` may have read, in order.

    An engine with a memory reads its whole conversation, so whatever stands there counts.
    """
    turn = await turns.get(tx, turn_id)
    alone = turn is not None and turn["engine"] in WITHOUT_MEMORY
    rows = await tx.all(READ, conversation=conversation_id, turn_id=turn_id if alone else "")
    return tuple(sorted(set(_sources(rows, user_id))))


def _sources(rows: Sequence[Row], user_id: str) -> Iterator[str]:
    tools = {(row["turn_id"], row["no"]): row["tool"] for row in rows if row["kind"] == "tool"}
    for row in rows:
        match row["kind"]:
            case "said":
                if row["user_id"] != user_id:
                    yield f"person:{row['user_id']}"
                if row["holds_data"]:
                    yield f"message:{row['seq']}"
            case "performed":
                yield from (f"server:{name}" for name in row["performed_on"])
            case "result" if row["ran_on"]:
                yield from (f"server:{name}" for name in row["ran_on"])
            case "result" if not _is_ours(row):
                yield f"tool:{tools.get((row['turn_id'], row['no']))}"


def _is_ours(row: Row) -> bool:
    """Return whether an answer has nothing but words of ours in it."""
    says = row["says"]
    in_words = len(says) == row["parts"] and all(each.startswith(OWN_WORDS) for each in says)
    return row["status"] == "waiting" or (row["status"] == "refused" and in_words)
