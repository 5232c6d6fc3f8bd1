"""Running a built process: its loops, its port, and an end that leaves nothing half done."""

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import structlog
from aiohttp import web

from agent.engines import grammar
from agent.risk import classify
from bot.upkeep.chores import plan
from bot.web import metrics
from bot.wiring import App
from core.errors import SetupError

logger = structlog.get_logger()

LAG_EVERY_S = 0.5
WARM_UP_AFTER_S = 0.5


@asynccontextmanager
async def running(app: App, *, serves: bool, works: bool, alone: bool) -> AsyncIterator[int]:
    """Run a built process; yield the port it serves on (0 if it does not).

    Leaving it stops taking work, waits for what runs, and leaves the rest to be taken over.
    """
    settings = app.settings
    await plan(app.database, app.clock)
    await app.workers.enter(alone)
    site = app.web.app() if serves else app.web.watched()
    runner = web.AppRunner(site, access_log=None, shutdown_timeout=2)
    listens = serves or bool(settings.it0_worker_port)
    loops: list[asyncio.Task[Any]] = []
    jobs: Sequence[Callable[[], Any]] = [
        app.workers.run,
        app.delivery.run,
        app.delivery.listen,
        *(partial(channel.run, app.front) for channel in app.channels.values() if serves),
        *([app.timers.run] if works else []),
        *app.background,
        app.doctor.watch,
        _watch_lag,
    ]
    try:
        loops += [asyncio.ensure_future(_for_ever(job)) for job in jobs]
        port = settings.it0_http_port if serves else settings.it0_worker_port
        port = await _serve(runner, settings.it0_http_host, port) if listens else 0
        gc.freeze()  # what is here by now stays
        gc.enable()
        loops.append(asyncio.ensure_future(_warm_up()))
        yield port
    finally:
        await app.sockets.close()
        await runner.cleanup()
        await app.workers.drain(settings.stop_grace_s)
        await app.executor.leave()
        await app.workers.abandon()
        await app.delivery.drain(2)
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
        with contextlib.suppress(Exception):  # the database may be gone already
            await app.workers.leave()


async def _watch_lag() -> None:
    """Measure how late the loop comes round, until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + LAG_EVERY_S
        await asyncio.sleep(LAG_EVERY_S)
        metrics.LOOP_LAG.observe(max(0.0, loop.time() - due))


async def _warm_up() -> None:
    """Do beforehand what the first message would have to wait for, but not before it can be said."""
    await asyncio.sleep(WARM_UP_AFTER_S)
    await asyncio.to_thread(classify, "true")
    await asyncio.to_thread(grammar.read, "", [])


async def _serve(runner: web.AppRunner, host: str, port: int) -> int:
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    try:
        await site.start()
    except OSError as error:
        raise SetupError("setup.port_in_use", where=f"{host}:{port}", reason=error.strerror or "") from error
    return int(runner.addresses[0][1])


async def _for_ever(job: Callable[[], Any]) -> None:
    """Keep a loop of the process going: what ends it is logged, and it begins again."""
    while True:
        try:
            await job()
        except asyncio.CancelledError:
            raise
        except Exception:
            metrics.REFUSED.labels("loop_failed").inc()
            await logger.aexception("loop_failed", loop=getattr(job, "__qualname__", "?"))
        await asyncio.sleep(1)
