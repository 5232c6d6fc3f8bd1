"""Starts ``it0 up`` as a process of its own that kills itself at a named point, for fault tests.

A point is ``before:FUNCTION``, ``inside:FUNCTION`` or ``after:FUNCTION``: around the commit of the
transaction that FUNCTION opens, or ``before:shell.run`` and ``after:shell.run``. The environment says which:
IT0_TEST_KILL=point[@n] (the n-th time, from 1), IT0_TEST_POINTS=file (write every point that is passed).
"""

import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from bot.cli import run
from bot.up import serve, up
from bot.wiring import Parts
from core.store.database import Database, Transaction

KILL, _, NTH = os.environ.get("IT0_TEST_KILL", "").partition("@")
POINTS = os.environ.get("IT0_TEST_POINTS", "")
seen: dict[str, int] = {}


def reach(point: str) -> None:
    """Note a point, and die if it is the one."""
    seen[point] = seen.get(point, 0) + 1
    if POINTS:
        with open(POINTS, "a") as file:
            file.write(point + "\n")
    if point == KILL and seen[point] == int(NTH or 1):
        os.kill(os.getpid(), signal.SIGKILL)


def opener() -> str:
    """Return the function that opens the transaction, such as ``turns.Turns._finish``."""
    frame = sys._getframe(1)
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module.startswith(("agent", "bot", "channels", "scheduler", "core.audit")):
            return f"{module}.{frame.f_code.co_qualname}"
        frame = frame.f_back
    return "?"


class KillableDatabase(Database):
    """A database whose commits are points."""

    @asynccontextmanager
    async def transaction(self, schema: str = "", tenant_id: str = "") -> AsyncIterator[Transaction]:
        """Yield a transaction as the real one does."""
        name = opener()
        reach(f"before:{name}")
        async with super().transaction(schema, tenant_id) as tx:
            yield tx
            reach(f"inside:{name}")
        reach(f"after:{name}")


class KillableShell:
    """A shell whose runs are points."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell

    def __getattr__(self, name: str) -> Any:
        return getattr(self._shell, name)

    async def run(self, target: Any, order: Any, on_output: Any = None) -> Any:
        """Run as the real one does."""
        reach("before:shell.run")
        result = await self._shell.run(target, order, on_output)
        reach("after:shell.run")
        return result


if __name__ == "__main__":
    parts = Parts(database=KillableDatabase, wrap_shell=KillableShell)
    role = sys.argv[1] if len(sys.argv) > 1 else "up"
    run((lambda: up(parts)) if role == "up" else (lambda: serve(role, parts)))
