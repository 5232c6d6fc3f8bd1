"""The audit log: append-only rows of a tenant, each bound to the one before by an HMAC (SECURITY L1-L3).

The chain proves that no row was changed, removed or put between; that its end was not cut off is proved by
the heads that are written to a file outside the database from time to time.
"""

import hashlib
import hmac
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal, Protocol

from sqlalchemy import and_, bindparam, func, or_, select

from core.store import tables
from core.store.database import Row, Statement, Transaction
from core.store.statements import BIG, LOCK, MOMENT, TEXT, TEXTS, insert_row, of_tenant, param
from core.work import canonical

T = tables.audit
COLUMNS = [column for column in T.c if column.name != "tenant_id"]

LAST = Statement(select(T.c.seq, T.c.hash).where(of_tenant(T)).order_by(T.c.seq.desc()).limit(1))
APPEND = insert_row(T)
BY_KEY = Statement(select(T.c.seq).where(of_tenant(T), T.c.key == bindparam("key", type_=TEXT)))
PAGE = Statement(
    select(*COLUMNS)
    .where(of_tenant(T), T.c.seq >= bindparam("first", type_=BIG))
    .order_by(T.c.seq)
    .limit(bindparam("count", type_=BIG))
)

_ASKED = T.alias("asked")
_WORD = func.unnest(param("words", TEXTS)).column_valued("word")
_OF_USER = or_(
    T.c.actor_id == param("user_id"),
    T.c.approver_id == param("user_id"),
    T.c.detail["requester"].astext == param("user_id"),
)
_OF_SERVER = or_(
    T.c.detail["servers"].has_any(param("servers", TEXTS)),
    and_(T.c.resource_type == "server", T.c.resource_id == func.any(param("servers", TEXTS))),
    and_(  # what became of a request names the request only
        T.c.resource_type == "approval",
        select(_ASKED.c.seq)
        .where(
            _ASKED.c.tenant_id == param("tenant_id"),
            _ASKED.c.resource_type == "approval",
            _ASKED.c.resource_id == T.c.resource_id,
            _ASKED.c.detail["servers"].has_any(param("servers", TEXTS)),
        )
        .exists(),
    ),
)
FOUND = Statement(
    select(*COLUMNS)
    .where(
        of_tenant(T),
        T.c.seq < param("before", BIG),
        or_(param("user_id").is_(None), _OF_USER),
        or_(func.cardinality(param("servers", TEXTS)) == 0, _OF_SERVER),
        or_(
            func.cardinality(param("words", TEXTS)) == 0,
            select(_WORD).where(func.strpos(T.c.action, _WORD) > 0).exists(),
        ),
        or_(param("since", MOMENT).is_(None), T.c.at >= param("since", MOMENT)),
        or_(param("until", MOMENT).is_(None), T.c.at < param("until", MOMENT)),
    )
    .order_by(T.c.seq.desc())
    .limit(bindparam("count", type_=BIG))
)

GENESIS = b"\x00" * 32
LOWEST = -(2**63)
MOST_MISSING = 100
"""Missing rows that are named one by one; a forged number far away would name millions."""
HASHED = (
    "seq",
    "at",
    "action",
    "actor_type",
    "actor_id",
    "approver_id",
    "resource_type",
    "resource_id",
    "channel",
    "ip",
    "detail",
    "key",
)


@dataclass(frozen=True, slots=True)
class Entry:
    """What happened, who did it, and to what.

    action: dotted, such as ``command.intent``; key: a second entry of the same key is not written.
    detail: JSON, without secrets.
    """

    action: str
    actor_type: Literal["agent", "user", "system"]
    actor_id: str | None = None
    approver_id: str | None = None
    resource_type: str = ""
    resource_id: str = ""
    channel: str | None = None
    ip: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows are asked for; what is left out narrows nothing.

    user_id: who did it, asked for it or approved it; servers: a server's name and ids; words: of which one
    stands in the action; until: exclusive.
    """

    user_id: str | None = None
    servers: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a chain at some moment, kept outside the database."""

    seq: int
    hash: str


@dataclass(frozen=True, slots=True)
class Fault:
    """Where a chain is broken. kind: altered, missing, out_of_order, cut or replaced."""

    seq: int
    kind: str


class Ledger(Protocol):
    """What an audit log needs of its tenant."""

    @property
    def id(self) -> str:
        """Return the tenant's id."""
        ...

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Return a transaction in the tenant's schema."""
        ...


class AuditLog:
    """One tenant's audit log.

    key: the 32 bytes of AUDIT_KEY.
    """

    def __init__(self, tenant: Ledger, key: bytes) -> None:
        self._tenant = tenant
        self._key = key

    async def append(self, entry: Entry, at: datetime) -> int:
        """Write ``entry`` in a transaction of its own and return its sequence number.

        Raises StoreUnavailable; then it is not written, and what it announces must not be done.
        """
        async with self._tenant.transaction() as tx:
            return await self.append_in(tx, entry, at)

    async def append_in(self, tx: Transaction, entry: Entry, at: datetime) -> int:
        """Write ``entry`` together with what it tells of: the last thing that a transaction does."""
        await tx.run(LOCK, lock=self._tenant.id)
        if entry.key is not None and (written := await tx.value(BY_KEY, key=entry.key)):
            return int(written)
        last = await tx.one(LAST)
        seq, previous = (last["seq"] + 1, last["hash"]) if last else (1, GENESIS)
        row = {**asdict(entry), "seq": seq, "at": at, "detail": dict(entry.detail)}
        digest = row_hash(self._key, previous, row)
        await tx.run(APPEND, **row, previous_hash=previous, hash=digest)
        return int(seq)

    async def page(self, before: int | None = None, count: int = 100) -> list[Row]:
        """Return the newest rows below ``before``, newest first."""
        return await self.find(Wanted(), count, before)

    async def find(self, wanted: Wanted, count: int, before: int | None = None) -> list[Row]:
        """Return the newest ``count`` rows below number ``before`` that are ``wanted``, newest first."""
        async with self._tenant.transaction() as tx:
            return await tx.all(
                FOUND,
                user_id=wanted.user_id,
                servers=list(wanted.servers),
                words=list(wanted.words),
                since=wanted.since,
                until=wanted.until,
                before=before or 2**62,
                count=count,
            )

    async def rows(self, batch: int = 500) -> AsyncIterator[Row]:
        """Yield every row in order, also one whose number the log itself would never give."""
        first = LOWEST
        while True:
            async with self._tenant.transaction() as tx:
                page = await tx.all(PAGE, first=first, count=batch)
            for row in page:
                yield row
            if len(page) < batch:
                return
            first = page[-1]["seq"] + 1

    async def head(self) -> Head | None:
        """Return the chain's end, or None while it is empty."""
        async with self._tenant.transaction() as tx:
            last = await tx.one(LAST)
        return Head(last["seq"], last["hash"].hex()) if last else None

    async def verify(self, heads: list[Head]) -> tuple[int, list[Fault]]:
        """Return how many rows stand, and every place where they are not as they were written.

        heads: what was kept outside the database, in any order.
        """
        kept: dict[int, set[str]] = {}
        for head in heads:  # an end that was cut and grew again has two hashes under one number
            kept.setdefault(head.seq, set()).add(head.hash)
        faults: list[Fault] = []
        count, expected, previous = 0, 1, GENESIS
        async for row in self.rows():
            count += 1
            faults += check_row(self._key, dict(row), expected, previous)
            if kept.pop(row["seq"], set()) - {row["hash"].hex()}:
                faults.append(Fault(row["seq"], "replaced"))
            expected, previous = row["seq"] + 1, row["hash"]
        faults += [Fault(seq, "cut") for seq in sorted(kept)]
        return count, faults


def row_hash(key: bytes, previous: bytes, row: Mapping[str, Any]) -> bytes:
    """Return HMAC-SHA256(key, previous hash | canonical row)."""
    values = {name: row[name] for name in HASHED}
    values["at"] = values["at"].astimezone(UTC).isoformat()
    values["detail"] = as_stored(values["detail"])
    return hmac.digest(key, previous + canonical(values).encode(), hashlib.sha256)


def as_stored(value: Any) -> Any:
    """Return JSON as it comes back from JSONB, which writes 1e16 in digits and knows no -0.0."""
    match value:
        case float() if value.is_integer():
            return int(Decimal(repr(value)))
        case Mapping():
            return {str(name): as_stored(inner) for name, inner in value.items()}
        case list() | tuple():
            return [as_stored(inner) for inner in value]
    return value


def check_row(key: bytes, row: Mapping[str, Any], expected: int, previous: bytes) -> list[Fault]:
    """Return what is wrong with ``row``, which ought to be number ``expected`` after ``previous``."""
    if row["seq"] > expected:
        return [Fault(seq, "missing") for seq in range(expected, row["seq"])[:MOST_MISSING]]
    if row["previous_hash"] != previous:
        return [Fault(row["seq"], "out_of_order")]
    if not hmac.compare_digest(row_hash(key, previous, row), row["hash"]):
        return [Fault(row["seq"], "altered")]
    return []
