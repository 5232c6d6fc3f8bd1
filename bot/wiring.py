"""The only module that knows everyone: each process is built here, as one async context manager."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from aiohttp import web
from arq.connections import RedisSettings
from redis.asyncio import Redis

from agent.approvals import EXPIRY, Approvals
from agent.context import Desk
from agent.engine import Engine
from agent.engines.direct import Direct
from agent.execution import Executor
from agent.fleet import Fleet
from agent.gate import Gate
from agent.people import Staff
from agent.redact import Redactions
from agent.risk import classify
from agent.shell import SshShell
from agent.tools import all_tools
from agent.turns import Acts, Turns
from bot import metrics
from bot.bus import LocalBus, RedisBus
from bot.catalogue import Catalogue, load_catalogue
from bot.console.api import Api
from bot.console.auth import Sessions
from bot.console.socket import Sockets
from bot.controls import Controls
from bot.dispatch import Dispatch, SetAside, errors_are_said, fold, tenants_and_people
from bot.doctor import Doctor
from bot.front import Arrived, Front
from bot.heads import Heads
from bot.web import Web
from bot.workers import Workers
from channels.console import Console, log_topic
from channels.delivery import Delivery
from core.clock import Clock, system_clock
from core.errors import Refused, SetupError
from core.ids import new_id
from core.messages import command_word
from core.ports import Channel, Shell
from core.settings import Settings
from core.store import inbox, outbox
from core.store.database import Database
from core.store.timers import Timer, set_timer
from core.tenant import Tenants
from core.vault import Vault, parse_key
from scheduler.queue import ArqQueue, NoQueue, run_worker
from scheduler.timers import OnTimer, TimerWorker

logger = structlog.get_logger()

PURGE = "purge"
HEADS = "audit_heads"


@dataclass(slots=True)
class Parts:
    """What tests put in place of the real thing.

    engines: more engines by name; shell: instead of SSH; wrap_shell: around the real one.
    """

    clock: Clock = system_clock
    shell: Shell | None = None
    engines: Mapping[str, Engine] = field(default_factory=dict)
    database: type[Database] = Database
    wrap_shell: Callable[[Shell], Shell] = lambda shell: shell


@dataclass(slots=True)
class App:
    """A built process, not yet running. alone: no other process can share its database."""

    me: str
    desk: Desk
    settings: Settings
    database: Database
    tenants: Tenants
    texts: Catalogue
    clock: Clock
    fleet: Fleet
    staff: Staff
    sessions: Sessions
    shell: Shell
    executor: Executor
    workers: Workers
    delivery: Delivery
    timers: TimerWorker
    channels: Mapping[str, Channel]
    sockets: Sockets
    web: Web
    doctor: Doctor
    heads: Heads
    background: list[Callable[[], Any]]


def pick_engine(engines: Mapping[str, Engine], default: str) -> Callable[[str | None, str | None, str], str]:
    """Return the rule by which a turn gets its engine: the conversation's, the tenant's, else ``default``.

    Commands are ``direct``'s, whatever else is set. Raises SetupError when ``default`` is not there.
    """
    if default not in engines:
        raise SetupError("setup.unknown_engine", engine=default, engines=", ".join(engines))

    def pick(own: str | None, tenants: str | None, text: str) -> str:
        if command_word(text):
            return "direct"
        wanted = own or tenants or default
        if wanted not in engines:
            raise Refused("turn.engine_gone", engine=wanted, engines=", ".join(engines))
        return wanted

    return pick


@asynccontextmanager
async def build(
    settings: Settings, database_url: str, redis_url: str | None, role: str, parts: Parts | None = None
) -> AsyncIterator[App]:
    """Yield a process on ``database_url``, built and connected; leaving it closes everything.

    role: ``up``, ``bot`` or ``worker``. Raises SetupError when a key is missing.
    """
    parts = parts or Parts()
    me = new_id()
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(
            parts.database.open(
                database_url,
                size=settings.database_pool,
                statement_cache=settings.database_statement_cache,
            )
        )
        tenants = Tenants(database, Vault(_key(settings, "vault_master_key")), _audit_key(settings))
        background: list[Callable[[], Any]] = []
        bus: LocalBus = LocalBus()
        queue: ArqQueue | NoQueue = NoQueue()
        if redis_url:
            redis = Redis.from_url(redis_url)
            stack.push_async_callback(redis.aclose)
            carrying = RedisBus(redis, me)
            background.append(carrying.run)
            bus = carrying
            arq_settings = _arq_settings(redis_url)
            waking = ArqQueue(arq_settings)
            stack.push_async_callback(waking.close)
            queue = waking
        hands = parts.shell or SshShell(
            output_cap_bytes=settings.output_cap_bytes, connect_timeout_s=settings.connect_timeout_s
        )
        shell = parts.wrap_shell(hands)
        stack.push_async_callback(shell.close)
        app = _assemble(settings, parts, me, role, database, tenants, bus, queue, shell)
        app.background += background
        if redis_url:
            app.background.append(lambda: run_worker(arq_settings, app.timers.wake))
        yield app


def _assemble(
    settings: Settings,
    parts: Parts,
    me: str,
    role: str,
    database: Database,
    tenants: Tenants,
    bus: LocalBus,
    queue: ArqQueue | NoQueue,
    shell: Shell,
) -> App:
    clock, texts = parts.clock, load_catalogue()
    console = Console(bus)
    channels: Mapping[str, Channel] = {"console": console}
    delivery = Delivery(me, database, tenants, channels, settings.sweep_s)
    tasks: set[asyncio.Task[None]] = set()

    def later(call: Any) -> None:
        task = asyncio.ensure_future(call)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    def wake() -> None:
        workers.wake()

    desk = Desk(
        me=me,
        clock=clock,
        ids=new_id,
        bus=bus,
        post=delivery.post,
        grown=lambda tenant, conversation: later(bus.publish(log_topic(tenant, conversation), {"grown": 0})),
        changed=lambda tenant, what: later(bus.publish(f"user:{tenant}", {"changed": what})),
        wake=wake,
        remind=lambda timer, delay_s: later(queue.wake(timer, delay_s)),
    )
    fleet = Fleet(shell, clock)
    approvals = Approvals(desk)
    executor = Executor(shell, desk, Redactions(fleet), settings.fan_out)
    gate = Gate(
        desk,
        fleet,
        approvals,
        executor,
        classify,
        settings.command_timeout_s,
        settings.command_timeout_max_s,
    )
    engines: dict[str, Engine] = {"direct": Direct(classify), **parts.engines}
    tools = all_tools(gate, fleet)
    turns = Turns(
        desk, gate, fleet, tools, engines, pick_engine(engines, settings.it0_engine), settings.turn_timeout_s
    )
    sessions = Sessions(
        database,
        tenants,
        clock,
        link_minutes=settings.login_link_minutes,
        session_hours=settings.session_hours,
        secure=settings.url.startswith("https:"),
    )
    doctor = Doctor(settings, database, tenants, texts, engines)
    controls = Controls(desk, approvals, lambda t, c: workers.stop_where(t, c), settings.url, doctor.say)
    dispatch = Dispatch(desk, turns, Acts(desk, gate), approvals, controls)
    handle = fold(dispatch, [errors_are_said(desk), tenants_and_people(desk)])
    workers = Workers(
        me,
        role,
        database,
        tenants,
        channels,
        bus,
        handle,
        SetAside(desk, tenants),
        at_once=settings.turns_at_once,
        heartbeat_s=settings.heartbeat_s,
        dead_after_s=settings.dead_after_s,
        sweep_s=settings.sweep_s,
    )

    def start(arrived: Arrived) -> None:
        workers.start(arrived)

    front = Front(me, database, tenants, clock, new_id, start)
    sockets = Sockets(
        sessions,
        front,
        console,
        bus,
        texts,
        me,
        opens_a_minute=settings.websocket_opens_per_minute,
        message_bytes=settings.console_message_bytes,
    )
    staff = Staff(clock, settings.pairing_code_minutes)
    heads = Heads(settings.home / "audit")
    api = Api(sessions, fleet, staff, controls, texts, settings.url, settings.it0_engine, desk.changed)
    site = Web(sessions, api, sockets, texts, tenants, fleet, clock, doctor.ready)
    timer_worker = TimerWorker(
        me,
        database,
        clock,
        _timer_handlers(settings, database, tenants, clock, approvals, heads),
        settings.sweep_s,
    )
    return App(
        me,
        desk,
        settings,
        database,
        tenants,
        texts,
        clock,
        fleet,
        staff,
        sessions,
        shell,
        executor,
        workers,
        delivery,
        timer_worker,
        channels,
        sockets,
        site,
        doctor,
        heads,
        [],
    )


def _timer_handlers(
    settings: Settings,
    database: Database,
    tenants: Tenants,
    clock: Clock,
    approvals: Approvals,
    heads: Heads,
) -> Mapping[str, OnTimer]:
    async def expire(timer: Timer) -> None:
        await approvals.expire(await tenants.by_id(timer.tenant_id), timer.ref)

    async def purge(_: Timer) -> datetime:
        async with database.transaction() as tx:
            await tx.run(inbox.PURGE, keep_hours=settings.inbox_keep_hours)
            await tx.run(outbox.PURGE, keep_hours=settings.inbox_keep_hours)
        return clock() + timedelta(hours=1)

    async def write_heads(_: Timer) -> datetime:
        await heads.write(await tenants.all(), clock())
        return clock() + timedelta(minutes=settings.audit_head_minutes)

    return {EXPIRY: expire, PURGE: purge, HEADS: write_heads}


@asynccontextmanager
async def running(app: App, *, serves: bool, works: bool, alone: bool) -> AsyncIterator[int]:
    """Run a built process; yield the port it serves on (0 if it does not).

    Leaving it stops taking work, waits for what runs, and leaves the rest to be taken over.
    """
    settings = app.settings
    async with app.database.transaction() as tx:
        for kind in (PURGE, HEADS):
            await set_timer(tx, "", kind, "", app.clock())
    await app.workers.enter(alone)
    runner = web.AppRunner(app.web.app(), access_log=None, shutdown_timeout=2)
    loops: list[asyncio.Task[Any]] = []
    jobs: Sequence[Callable[[], Any]] = [
        app.workers.run,
        app.delivery.run,
        *([app.timers.run] if works else []),
        *app.background,
        app.doctor.watch,
    ]
    try:
        loops += [asyncio.ensure_future(_for_ever(job)) for job in jobs]
        port = await _serve(runner, settings) if serves else 0
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


async def _serve(runner: web.AppRunner, settings: Settings) -> int:
    await runner.setup()
    site = web.TCPSite(runner, settings.it0_http_host, settings.it0_http_port)
    try:
        await site.start()
    except OSError as error:
        where = f"{settings.it0_http_host}:{settings.it0_http_port}"
        raise SetupError("setup.port_in_use", where=where, reason=error.strerror or "") from error
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


def _key(settings: Settings, name: str) -> str:
    value = getattr(settings, name)
    if value is None:
        raise SetupError("setup.key_not_set", setting=name.upper())
    return str(value.get_secret_value())


def _audit_key(settings: Settings) -> bytes:
    return parse_key(_key(settings, "audit_key"), "AUDIT_KEY")


def _arq_settings(url: str) -> RedisSettings:
    if url.startswith("unix://"):
        return RedisSettings(unix_socket_path=url.removeprefix("unix://").split("?")[0], conn_retries=0)
    found = RedisSettings.from_dsn(url)
    found.conn_retries = 0
    return found
