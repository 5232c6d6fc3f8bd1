"""Starts it0 as a process of its own that kills or freezes itself at a named point, for fault tests.

A point is ``before:NAME``, ``inside:NAME``, ``committed:NAME`` or ``after:NAME``: around the commit of the
transaction that the function NAME opens (one that is a single statement has no inside); or
``before:shell.run``, ``during:shell.run`` (its first output) or ``after:shell.run``.
NAME carries in brackets what tells its calls apart: an audit entry's action, or ``took`` where a look for
work found some. The environment says what to do::

    IT0_TEST_POINTS=file   write every point that is passed
    IT0_TEST_ARM=file      while it holds "die POINT@N", "freeze POINT@N" or "lose POINT@N": at the N-th such
                           point from then on, remove the file and get SIGKILL, get SIGSTOP, or (at a
                           ``committed:`` point) never hear that the transaction was committed
"""

import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from bot.cli import run
from bot.process.roles import serve
from bot.process.up import up
from bot.wiring import Parts
from core.errors import StoreUnavailable
from core.store import inbox, outbox, processes, timers
from core.store.database import Database, Statement

POINTS = os.environ.get("IT0_TEST_POINTS", "")
ARM = os.environ.get("IT0_TEST_ARM", "")
CLAIMS = (inbox.CLAIM_FREE, inbox.CLAIM_LANED, processes.RECLAIM_INBOX, outbox.CLAIM, timers.CLAIM)
OURS = ("agent", "bot", "channels", "scheduler", "core.audit")
order = ""
seen: dict[str, int] = {}


def reach(point: str) -> None:
    """Note a point, and die or freeze if it is the one."""
    if POINTS:
        with open(POINTS, "a") as file:
            file.write(point + "\n")
    if not ARM or not _is_armed_at(point):
        return
    os.unlink(ARM)
    match order.partition(" ")[0]:
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "freeze":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "lose":
            raise StoreUnavailable(reason="the answer was lost")


def _is_armed_at(point: str) -> bool:
    global order
    try:
        with open(ARM) as file:
            given = file.read()
    except FileNotFoundError:
        return False
    if given != order:
        order = given
        seen.clear()
    seen[point] = seen.get(point, 0) + 1
    return given.partition(" ")[2] == f"{point}@{seen[point]}"


def opener() -> str:
    """Return the function that opens the transaction, such as ``turns.Turns.start``."""
    frame = sys._getframe(1)
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module.startswith(OURS):
            entry = frame.f_locals.get("entry") if module == "core.audit" else None
            return f"{module}.{frame.f_code.co_qualname}" + (f"[{entry.action}]" if entry else "")
        frame = frame.f_back
    return "?"


class Watched:
    """A transaction that notes whether a look for work found some."""

    def __init__(self, tx: Any) -> None:
        self._tx = tx
        self.took = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tx, name)

    async def all(self, statement: Statement, /, **params: Any) -> Any:
        """Ask as the real one does."""
        rows = await self._tx.all(statement, **params)
        if rows and statement in CLAIMS:
            self.took = "[took]"
        return rows


class PointedDatabase(Database):
    """A database whose commits are points."""

    @asynccontextmanager
    async def transaction(
        self, schema: str = "", tenant_id: str = "", *, flushed: bool = True
    ) -> AsyncIterator[Any]:
        """Yield a transaction as the real one does."""
        name = opener()
        reach(f"before:{name}")
        async with super().transaction(schema, tenant_id, flushed=flushed) as tx:
            watched = Watched(tx)
            yield watched
            name += watched.took
            tx.after_commit.insert(0, lambda: reach(f"committed:{name}"))
            reach(f"inside:{name}")
        reach(f"after:{name}")

    @asynccontextmanager
    async def statement(
        self, schema: str = "", tenant_id: str = "", *, flushed: bool = True
    ) -> AsyncIterator[Any]:
        """Yield a connection as the real one does."""
        name = opener()
        reach(f"before:{name}")
        async with super().statement(schema, tenant_id, flushed=flushed) as tx:
            yield tx
            tx.after_commit.insert(0, lambda: reach(f"committed:{name}"))
        reach(f"after:{name}")

    @asynccontextmanager
    async def reading(self, schema: str = "", tenant_id: str = "") -> AsyncIterator[Any]:
        """Yield a connection as the real one does; the marks of a delivery are points too."""
        name = opener()
        is_point = name.startswith("channels.delivery")
        if is_point:
            reach(f"before:{name}")
        async with super().reading(schema, tenant_id) as db:
            yield db
        if is_point:
            reach(f"after:{name}")


class PointedShell:
    """A shell whose runs are points."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell

    def __getattr__(self, name: str) -> Any:
        return getattr(self._shell, name)

    async def run(self, target: Any, order: Any, on_output: Any = None) -> Any:
        """Run as the real one does."""

        def show(stream: str, piece: str) -> None:
            reach("during:shell.run")
            if on_output:
                on_output(stream, piece)

        reach("before:shell.run")
        result = await self._shell.run(target, order, show)
        reach("after:shell.run")
        return result


if __name__ == "__main__":
    parts = Parts(database=PointedDatabase, wrap_shell=PointedShell)
    role = sys.argv[1] if len(sys.argv) > 1 else "up"
    run((lambda: up(parts)) if role == "up" else (lambda: serve(role, parts)))
