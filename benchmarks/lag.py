"""How late a process's event loop comes round: written to IT0_BENCH_LAG at each SIGUSR1, JSON, seconds."""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

EVERY_S = 0.01


@asynccontextmanager
async def probed() -> AsyncIterator[None]:
    """Measure while it is entered, if anybody asked for it."""
    file = os.environ.get("IT0_BENCH_LAG")
    if not file:
        yield
        return
    late: list[float] = []

    def write() -> None:
        fresh = Path(f"{file}.new")
        fresh.write_text(json.dumps(late))
        fresh.rename(file)
        late.clear()

    async def watch() -> None:
        while True:
            due = time.perf_counter() + EVERY_S
            await asyncio.sleep(EVERY_S)
            late.append(max(0.0, time.perf_counter() - due))

    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, write)
    task = asyncio.ensure_future(watch())
    try:
        yield
    finally:
        task.cancel()


async def lags(pid: int, file: Path) -> list[float]:
    """Return what a process has measured since it was last asked."""
    file.unlink(missing_ok=True)
    os.kill(pid, signal.SIGUSR1)
    while not file.exists():
        await asyncio.sleep(0.02)
    found: list[float] = json.loads(file.read_text())
    return found
