"""Writes down what one message asks of PostgreSQL, so that a baseline can ask for exactly the same.

What differs from message to message (ids, numbers, moments) is made out from the record itself: a number that
an earlier statement of the same message returned refers to it, and the rest is known by its name.
"""

import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from core.store.database import Database, Statement, Transaction

LONG_S = 86_400 * 365
"""How long ago a conversation may have been written to last (``since``)."""

BASELINE = "baseline"
"""As what process a baseline works."""

RETURNED = {"id": "id", "work": "id", "fence": "fence", "seq": "seq"}
"""What statements return by which later ones of the same message are asked, with their parameter's name."""


@dataclass(frozen=True, slots=True)
class Call:
    """One statement as it ran. how: the driver's method."""

    how: str
    sql: str
    names: Sequence[str]
    values: Sequence[Any]
    result: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Group:
    """What ran on one connection. transaction: between BEGIN and COMMIT; flushed: it waits for the disk."""

    transaction: bool
    flushed: bool
    calls: Sequence[Call]

    @property
    def shape(self) -> tuple[Any, ...]:
        """Return what is the same for every message."""
        return (self.transaction, self.flushed, *(call.sql for call in self.calls))


def recording(file: Path) -> type[Database]:
    """Return a database that writes every group into ``file``."""

    class Recording(Database):
        @asynccontextmanager
        async def transaction(
            self, schema: str = "", tenant_id: str = "", *, flushed: bool = True
        ) -> AsyncIterator[Transaction]:
            async with super().transaction(schema, tenant_id, flushed=flushed) as tx:
                yield _noting(tx)
            _write(file, True, flushed, tx)

        @asynccontextmanager
        async def reading(self, schema: str = "", tenant_id: str = "") -> AsyncIterator[Transaction]:
            async with super().reading(schema, tenant_id) as tx:
                yield _noting(tx)
            _write(file, False, True, tx)

    return Recording


class _Noting(Transaction):
    """A transaction that notes its statements."""

    calls: list[dict[str, Any]]

    def _note(self, how: str, statement: Statement, params: Mapping[str, Any], result: Any) -> None:
        sql, values = self._bound(statement, params)
        call = {"how": how, "sql": sql, "names": statement.on(self._schema)[1], "values": values}
        self.calls.append({**call, "result": result})

    async def all(self, statement: Statement, /, **params: Any) -> Any:
        rows = await super().all(statement, **params)
        last = max(map(dict, rows), key=lambda row: row.get("seq") or 0, default={})
        self._note("fetch", statement, params, last)
        return rows

    async def one(self, statement: Statement, /, **params: Any) -> Any:
        row = await super().one(statement, **params)
        self._note("fetchrow", statement, params, dict(row) if row else {})
        return row

    async def run(self, statement: Statement, /, **params: Any) -> int:
        touched = await super().run(statement, **params)
        self._note("execute", statement, params, {})
        return touched


def _noting(tx: Transaction) -> Transaction:
    tx.__class__ = _Noting
    tx.calls = []  # type: ignore[attr-defined]
    return tx


def _write(file: Path, transaction: bool, flushed: bool, tx: Any) -> None:
    if tx.calls:
        group = {"transaction": transaction, "flushed": flushed, "calls": tx.calls}
        line = json.dumps(group, default=_as_json)
        with file.open("a") as out:
            out.write(line + "\n")


def _as_json(value: Any) -> Any:
    return {"moment": value.isoformat()} if isinstance(value, datetime) else str(value)


def read(lines: Sequence[str]) -> list[Group]:
    """Return the groups of a record."""
    raw = [json.loads(line) for line in lines]
    return [Group(**{**each, "calls": [Call(**call) for call in each["calls"]]}) for each in raw]


def usual(messages: Sequence[Sequence[Group]]) -> Sequence[Group]:
    """Return the last message that ran the statements which most of ``messages`` ran."""
    shapes = [tuple(sorted(str(group.shape) for group in message)) for message in messages]
    most = Counter(shapes).most_common(1)[0][0]
    return next(m for m, shape in zip(reversed(messages), reversed(shapes), strict=True) if shape == most)


def replayed(message: Sequence[Group], known: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return ``message`` as a recipe, JSON: each value is a constant or says what takes its place.

    known: values of the recorded message with the names of their places: conversation, thread, event, turn.
    """
    returned: dict[tuple[str, int], tuple[int, str]] = {}
    said: int | None = None
    number, recipe = 0, []
    for group in message:
        calls = []
        for call in group.calls:
            values = [
                _place(name, value, known, returned, said)
                for name, value in zip(call.names, call.values, strict=True)
            ]
            calls.append({"how": call.how, "sql": call.sql, "values": values})
            for column, value in call.result.items():
                if column in RETURNED and isinstance(value, int):
                    returned[RETURNED[column], value] = (number, column)
                    said = value if said is None and column == "seq" else said
            number += 1
        recipe.append({"transaction": group.transaction, "flushed": group.flushed, "calls": calls})
    return recipe


def _place(
    name: str,
    value: Any,
    known: Mapping[str, str],
    returned: Mapping[tuple[str, int], tuple[int, str]],
    said: int | None,
) -> Any:
    if name == "me":
        return {"constant": BASELINE}
    if isinstance(value, dict) and "moment" in value:
        return {"ago_s": LONG_S if name == "since" else 0}
    if isinstance(value, int) and (name, value) in returned:
        return {"from": returned[name, value]}
    if isinstance(value, int) and name in ("after", "seq") and said is not None:
        return {"said": value - said}
    if isinstance(value, list | dict):  # a JSON parameter, which goes to the driver as text
        value = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if isinstance(value, str):
        for text, place in known.items():
            value = value.replace(text, "{" + place + "}")
        return {"text": value}
    return {"constant": value}
