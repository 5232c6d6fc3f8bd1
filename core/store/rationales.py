"""What a model said when it asked for something: its own words, from the log of its turn."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, select

from core.store import tables
from core.store.database import Statement, Transaction
from core.store.statements import TEXTS, of_tenant, param

A = tables.approvals
_tool, _said = tables.events.alias("asked"), tables.events.alias("said")

_asked_at = (
    select(func.max(_tool.c.seq))
    .where(
        _tool.c.tenant_id == A.c.tenant_id,
        _tool.c.turn_id == A.c.turn_id,
        _tool.c.kind == "tool",
        _tool.c.body["no"].as_integer() == A.c.step,
    )
    .correlate(A)
    .scalar_subquery()
)
SAID = Statement(
    select(
        A.c.id,
        select(_said.c.body)
        .where(
            _said.c.tenant_id == A.c.tenant_id,
            _said.c.turn_id == A.c.turn_id,
            _said.c.kind == "message",
            _said.c.body["role"].astext == "assistant",
            _said.c.seq < _asked_at,
        )
        .order_by(_said.c.seq.desc())
        .limit(1)
        .correlate(A)
        .scalar_subquery()
        .label("body"),
    ).where(of_tenant(A), A.c.id == func.any(param("ids", TEXTS)))
)


async def rationales(db: Transaction, ids: Sequence[str]) -> Mapping[str, str]:
    """Return for approvals what a model said with the call that asked for them; none where none did."""
    if not ids:
        return {}
    found = {row["id"]: _words(row["body"]) for row in await db.all(SAID, ids=list(ids)) if row["body"]}
    return {ref: words for ref, words in found.items() if words}


def _words(body: Mapping[str, Any]) -> str:
    texts = (block["text"] for block in body["content"] if block["type"] == "text")
    return " ".join(" ".join(texts).split())
