"""The driver's connection behind compiled SQLAlchemy Core: the one way in which it0 speaks to PostgreSQL.

A statement is compiled once per schema and then runs on asyncpg without SQLAlchemy's execution layer
(decision 10: less than half of the client CPU of a session or an engine on the message path).
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import cached_property
from typing import Any

import asyncpg
from asyncpg.pool import PoolConnectionProxy
from sqlalchemy import UpdateBase, func, select, true
from sqlalchemy.dialects.postgresql import asyncpg as dialect_module
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.compiler import SQLCompiler

from core.errors import StoreUnavailable
from core.store.flushes import Flushes
from core.store.tables import TENANT_SCHEMA

DIALECT = dialect_module.dialect()  # type: ignore[no-untyped-call]
Row = asyncpg.Record
PLACE = re.compile(r"\$(\d+)")
TENANT_TABLE = re.compile(rf"(?<![.\w]){TENANT_SCHEMA}\.")

IDLE = {"idle_in_transaction_session_timeout": "10s"}
"""A process that froze within a transaction must not keep its locks. PgBouncer knows no such parameter."""

UNREACHABLE = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the server ended the connection between two messages
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InsufficientResourcesError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.PostgresIOError,
    asyncpg.DeadlockDetectedError,
    asyncpg.IdleInTransactionSessionTimeoutError,
)
"""What asyncpg raises when the server or its disk is the trouble, not the statement."""


class Statement:
    """A Core statement, compiled on first use for each schema.

    tenant: whether it touches a tenant's tables; then it must name ``tenant_id``, the second line of
    defence, which the transaction fills in.
    """

    def __init__(self, clause: ClauseElement) -> None:
        self._clause = clause
        self._compiled: dict[str, tuple[str, tuple[str, ...], Mapping[str, Any]]] = {}

    def on(self, schema: str) -> tuple[str, tuple[str, ...], Mapping[str, Any]]:
        """Return (SQL, names of its parameters in order, constants among them) for ``schema``.

        Raises RuntimeError when a tenant's table is used without a tenant, or without ``tenant_id``.
        """
        if schema not in self._compiled:
            self._compiled[schema] = self._compile(schema)
        return self._compiled[schema]

    def _compile(self, schema: str) -> tuple[str, tuple[str, ...], Mapping[str, Any]]:
        of_tenant = _touches_tenant(self._clause)
        if of_tenant and not schema:
            raise RuntimeError("a statement on a tenant's tables needs a tenant's transaction")
        compiled = self._clause.compile(
            dialect=DIALECT,
            schema_translate_map={TENANT_SCHEMA: schema or None},
            render_schema_translate=True,
            compile_kwargs={"render_postcompile": True},
        )
        assert isinstance(compiled, SQLCompiler)
        names = tuple(compiled.positiontup or ())
        if of_tenant and "tenant_id" not in names:
            raise RuntimeError(f"a statement on a tenant's tables must name tenant_id: {compiled}")
        constants = {k: v for k, v in compiled.params.items() if not compiled.binds[k].required}
        return _written_out(str(compiled), names, constants)

    @cached_property
    def writes(self) -> bool:
        """Whether the rows that it touches or returns are rows that it writes."""
        return isinstance(self._clause, UpdateBase)


def _written_out(
    sql: str, names: tuple[str, ...], constants: Mapping[str, Any]
) -> tuple[str, tuple[str, ...], Mapping[str, Any]]:
    """Return the statement with its plain constants in the text instead of among its parameters.

    PostgreSQL plans a prepared statement once, for any parameters: only constants that it sees let such a
    plan use a partial index (``state = 'new'``). With parameters it plans those statements at every call.
    """
    texts = {k: text for k, v in constants.items() if (text := _literal(v)) is not None}
    kept = tuple(name for name in names if name not in texts)

    def place(found: re.Match[str]) -> str:
        name = names[int(found[1]) - 1]
        return texts[name] if name in texts else f"${kept.index(name) + 1}"

    return PLACE.sub(place, sql), kept, {k: v for k, v in constants.items() if k not in texts}


def _literal(value: Any) -> str | None:
    """Return a constant as SQL, None for what is better left a parameter."""
    match value:
        case None:
            return "NULL"
        case bool() | int():
            return str(value).lower()
        case str() if "\\" not in value and "\0" not in value:
            return "'" + value.replace("'", "''") + "'"
    return None


def _touches_tenant(clause: ClauseElement) -> bool:
    return bool(TENANT_TABLE.search(str(clause.compile(dialect=DIALECT)).replace('"', "")))


class Transaction:
    """One database transaction, of one tenant or of the shared schema only.

    wrote: whether a row of it was certainly written, so that its commit waits for the disk.
    """

    def __init__(
        self, connection: "PoolConnectionProxy[Row] | asyncpg.Connection[Row]", schema: str, tenant_id: str
    ) -> None:
        self._connection = connection
        self._schema = schema
        self._fixed: Mapping[str, Any] = {"tenant_id": tenant_id} if tenant_id else {}
        self.after_commit: list[Callable[[], None]] = []
        self.wrote = False

    def _bound(self, statement: Statement, params: Mapping[str, Any]) -> tuple[str, list[Any]]:
        sql, names, constants = statement.on(self._schema)
        given = {**constants, **params, **self._fixed}
        return sql, [given[name] for name in names]

    async def all(self, statement: Statement, /, **params: Any) -> list[Row]:
        """Return every row."""
        sql, values = self._bound(statement, params)
        rows = await self._connection.fetch(sql, *values)
        self.wrote |= statement.writes and bool(rows)
        return rows

    async def one(self, statement: Statement, /, **params: Any) -> Row | None:
        """Return the first row, or None."""
        sql, values = self._bound(statement, params)
        row = await self._connection.fetchrow(sql, *values)
        self.wrote |= statement.writes and row is not None
        return row

    async def value(self, statement: Statement, /, **params: Any) -> Any:
        """Return the first column of the first row, or None."""
        row = await self.one(statement, **params)
        return None if row is None else row[0]

    async def run(self, statement: Statement, /, **params: Any) -> int:
        """Run without rows to return; return how many rows it touched."""
        sql, values = self._bound(statement, params)
        status = await self._connection.execute(sql, *values)
        last = status.rsplit(" ", 1)[-1]
        touched = int(last) if last.isdigit() else 0
        self.wrote |= statement.writes and touched > 0
        return touched

    async def many(self, statement: Statement, rows: list[dict[str, Any]], /) -> None:
        """Run once for each of ``rows``, in one round trip."""
        bound = [self._bound(statement, row) for row in rows]
        if bound:
            await self._connection.executemany(bound[0][0], [values for _, values in bound])


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


async def _prepare(connection: "asyncpg.Connection[Row]") -> None:
    await connection.set_type_codec("jsonb", encoder=_encode, decoder=json.loads, schema="pg_catalog")


async def _no_reset(connection: "asyncpg.Connection[Row]") -> None:
    """Leave a returned connection as it is: it0 sets no session state, and a reset is a round trip."""


BEGIN_UNFLUSHED = "BEGIN; SET LOCAL synchronous_commit TO off"
UNFLUSHED = func.set_config("synchronous_commit", "off", true())
"""Selected by a statement that is a transaction of its own: its commit does not wait for the disk."""
FLUSH = Statement(select(func.pg_logical_emit_message(true(), "it0", "")))
"""Writes nothing but a record to PostgreSQL's log, and its commit waits for the disk."""


@asynccontextmanager
async def _unflushed(connection: "PoolConnectionProxy[Row]") -> AsyncIterator[None]:
    """Enclose a transaction whose commit does not wait for the disk."""
    await connection.execute(BEGIN_UNFLUSHED)
    try:
        yield
    except BaseException:
        if not connection.is_closed():
            await connection.execute("ROLLBACK")
        raise
    await connection.execute("COMMIT")


class Database:
    """A pool of connections of one role."""

    def __init__(self, pool: "asyncpg.Pool[Row]") -> None:
        self._pool = pool
        self._flushes = Flushes(self._flush)

    @classmethod
    @asynccontextmanager
    async def open(
        cls, url: str, *, size: int = 10, statement_cache: int = 1024, timeout_s: float = 10
    ) -> AsyncIterator["Database"]:
        """Yield a database on ``url``.

        size: connections at most; statement_cache: prepared statements kept per connection (0 behind
        PgBouncer). Raises StoreUnavailable when it cannot be reached.
        """
        try:
            pool = await asyncpg.create_pool(
                url,
                min_size=1,
                max_size=size,
                init=_prepare,
                reset=_no_reset,
                timeout=timeout_s,
                command_timeout=60,
                statement_cache_size=statement_cache,
                max_inactive_connection_lifetime=300,
                server_settings={"application_name": "it0", "timezone": "UTC"}
                | (IDLE if statement_cache else {}),
            )
        except (*UNREACHABLE, TimeoutError, asyncpg.PostgresError) as error:
            raise StoreUnavailable("error.store_unreachable", reason=type(error).__name__) from error
        try:
            yield cls(pool)
        finally:
            await _close(pool)

    @asynccontextmanager
    async def transaction(
        self, schema: str = "", tenant_id: str = "", *, flushed: bool = True
    ) -> AsyncIterator[Transaction]:
        """Yield a transaction; leaving it commits, an exception rolls back.

        flushed: whether the commit waits for the disk. One that does not is seen by everybody at once; until
        ``flush`` a crash of the database may lose it, but never without all that was committed later.
        Raises StoreUnavailable when the database cannot be reached or cannot write.
        """
        try:
            async with (
                self._pool.acquire(timeout=15) as connection,
                connection.transaction() if flushed else _unflushed(connection),
            ):
                transaction = Transaction(connection, schema, tenant_id)
                yield transaction
                mark = self._flushes.committed
        except (*UNREACHABLE, TimeoutError) as error:
            raise StoreUnavailable(reason=type(error).__name__) from error
        self._committed(transaction, mark, flushed)

    @asynccontextmanager
    async def statement(
        self, schema: str = "", tenant_id: str = "", *, flushed: bool = True
    ) -> AsyncIterator[Transaction]:
        """Yield a connection for one statement, a transaction of its own in one round trip.

        flushed: False for a statement that selects UNFLUSHED; it stands as an unflushed ``transaction`` does.
        Raises StoreUnavailable.
        """
        mark = self._flushes.committed
        async with self.reading(schema, tenant_id) as transaction:
            yield transaction
        self._committed(transaction, mark, flushed)

    def _committed(self, transaction: Transaction, mark: int, flushed: bool) -> None:
        """Note a commit. mark: the number of the last unflushed one that was there before it."""
        if not flushed:
            self._flushes.committed += 1
        elif transaction.wrote:
            self._flushes.flushed_up_to(mark)
        for call in transaction.after_commit:
            call()

    async def flush(self) -> None:
        """Wait until all that this process committed before is on the disk.

        Most often something else that is committed soon takes it there. Raises StoreUnavailable.
        """
        await self._flushes.wait()

    async def flush_all(self) -> None:
        """Wait until all that anybody committed before is on the disk. Raises StoreUnavailable."""
        await self._flush()

    async def _flush(self) -> None:
        async with self.reading() as db:
            await db.run(FLUSH)

    @asynccontextmanager
    async def reading(self, schema: str = "", tenant_id: str = "") -> AsyncIterator[Transaction]:
        """Yield a connection without a transaction: each statement stands alone.

        Raises StoreUnavailable when the database cannot be reached.
        """
        try:
            async with self._pool.acquire(timeout=15) as connection:
                yield Transaction(connection, schema, tenant_id)
        except (*UNREACHABLE, TimeoutError) as error:
            raise StoreUnavailable(reason=type(error).__name__) from error


async def _close(pool: "asyncpg.Pool[Row]") -> None:
    try:
        await asyncio.wait_for(pool.close(), 5)
    except (TimeoutError, *UNREACHABLE):
        pool.terminate()
