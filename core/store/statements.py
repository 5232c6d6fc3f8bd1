"""Small builders, so that a repository reads as what it asks for."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    DateTime,
    Double,
    FromClause,
    Integer,
    Table,
    Text,
    bindparam,
    func,
    insert,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from core.store.database import Statement

TEXT = Text()
BIG = BigInteger()
INT = Integer()
DOUBLE: Double[float] = Double()
BOOL = Boolean()
MOMENT = DateTime(timezone=True)
JSON = JSONB()
TEXTS = ARRAY(Text)
BIGS = ARRAY(BigInteger)


def of_tenant(table: FromClause) -> ColumnElement[bool]:
    """Return the condition that every statement on a tenant's table carries."""
    return table.c.tenant_id == bindparam("tenant_id", type_=TEXT)


def param(name: str, kind: Any = TEXT) -> Any:
    """Return a named parameter of a statement."""
    return bindparam(name, type_=kind)


def insert_row(table: Table, leave_out: Iterable[str] = ()) -> Statement:
    """Return an insert of one row that takes every column but ``leave_out`` as a parameter."""
    columns = [column for column in table.c if column.name not in set(leave_out)]
    return Statement(insert(table).values({c: bindparam(c.name, type_=c.type) for c in columns}))


LOCK = Statement(select(func.pg_advisory_xact_lock(func.hashtextextended(param("lock"), 7))))
"""Waits for every other transaction that took the same ``lock``, a text, and holds it to the end."""
