"""The only module that knows everyone: each process is built here, as one async context manager."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import structlog
from arq.connections import RedisSettings
from redis.asyncio import Redis

from agent.acts import Acts
from agent.clusters.shell import ClusterShell
from agent.context import Desk
from agent.engine import Engine
from agent.fleet.expiry import Expiry
from agent.fleet.servers import Fleet
from agent.gate.approvals import Approvals
from agent.gate.execution import Executor
from agent.gate.gate import Gate
from agent.gate.probing import Probing
from agent.keys import ApiKeys
from agent.people import Staff
from agent.redaction.redactions import Redactions
from agent.risk import classify
from agent.shell.ssh import SshShell
from agent.tools import all_tools
from agent.turns import Turns
from bot.about import About, Command
from bot.admission import Admission
from bot.api.caller import Callers
from bot.api.resources.approvals import ApprovalDesk
from bot.api.resources.fleet import FleetDesk
from bot.api.resources.people import PeopleDesk
from bot.api.resources.records import RecordsDesk
from bot.api.resources.talk import Talk
from bot.api.service import Api, Resource
from bot.beginnings import Beginnings
from bot.bus import LocalBus, RedisBus
from bot.catalogue import Catalogue, load_catalogue
from bot.chats import Chats, menu
from bot.chores import timer_handlers
from bot.clusters import ClusterCommands
from bot.console.api import Api as ConsoleApi
from bot.console.auth import Sessions
from bot.console.entrance import Entrance
from bot.console.pages import Pages
from bot.console.socket import Sockets
from bot.controls import Controls
from bot.dispatch import Dispatch, SetAside, errors_are_said, fold, tenants_and_people
from bot.doctor import Doctor
from bot.engines import default_of, engines_of, pick_engine
from bot.front import Front
from bot.heads import Heads
from bot.installations import DatabaseInstallations
from bot.shares import Shares
from bot.talks import Talks
from bot.web import Web
from bot.workers import Workers
from channels.console import Console, log_topic
from channels.delivery import Delivery
from channels.telegram.adapter import Telegram
from core.clock import Clock, system_clock
from core.errors import SetupError
from core.ids import new_id
from core.ports import Channel, Shell
from core.settings import Settings
from core.store.database import Database
from core.tenant import Tenants
from core.vault import Vault, parse_key
from scheduler.queue import ArqQueue, NoQueue, run_worker
from scheduler.timers import TimerWorker

logger = structlog.get_logger()


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
    probing: Probing
    staff: Staff
    keys: ApiKeys
    sessions: Sessions
    shell: Shell
    executor: Executor
    workers: Workers
    delivery: Delivery
    timers: TimerWorker
    channels: Mapping[str, Channel]
    front: Front
    sockets: Sockets
    web: Web
    doctor: Doctor
    heads: Heads
    installations: DatabaseInstallations
    telegram: Telegram
    background: list[Callable[[], Any]]


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
            stack.push_async_callback(carrying.close)
            background.append(carrying.run)
            bus = carrying
            arq_settings = _arq_settings(redis_url)
            waking = ArqQueue(arq_settings)
            stack.push_async_callback(waking.close)
            queue = waking
        hands = parts.shell or SshShell(
            output_cap_bytes=settings.output_cap_bytes, connect_timeout_s=settings.connect_timeout_s
        )
        shell = ClusterShell(parts.wrap_shell(hands))
        stack.push_async_callback(shell.close)
        texts = load_catalogue()
        engines = await stack.enter_async_context(engines_of(settings, texts, parts.clock, parts.engines))
        ground = Ground(settings, parts, me, role, database, tenants, bus, queue, shell, texts, engines)
        app = _assemble(ground)
        stack.push_async_callback(app.telegram.close)
        app.background += background
        if redis_url:
            app.background.append(lambda: run_worker(arq_settings, app.timers.wake))
        yield app


@dataclass(frozen=True, slots=True)
class Ground:
    """What everything in a process stands on."""

    settings: Settings
    parts: Parts
    me: str
    role: str
    database: Database
    tenants: Tenants
    bus: LocalBus
    queue: ArqQueue | NoQueue
    shell: Shell
    texts: Catalogue
    engines: Mapping[str, Engine]

    @property
    def clock(self) -> Clock:
        """Return the process's clock."""
        return self.parts.clock


@dataclass(frozen=True, slots=True)
class Hands:
    """What thinks and acts."""

    fleet: Fleet
    approvals: Approvals
    executor: Executor
    gate: Gate
    turns: Turns
    acts: Acts


def _assemble(ground: Ground) -> App:
    settings, clock = ground.settings, ground.clock
    installations = DatabaseInstallations(ground.me, ground.database, ground.tenants, settings, clock)
    telegram = _telegram(ground, installations)
    channels: Mapping[str, Channel] = {"console": Console(ground.bus), "telegram": telegram}
    delivery = Delivery(ground.me, ground.database, ground.tenants, channels, ground.bus, settings.sweep_s)
    desk = _desk(ground, delivery, lambda: workers.wake())
    hands = _hands(ground, desk, installations)
    doctor = Doctor(
        settings,
        ground.database,
        ground.tenants,
        ground.texts,
        ground.engines,
        telegram.states,
        partial(installations.states, "telegram"),
    )
    sessions = _sessions(ground)
    controls = Controls(
        desk,
        hands.approvals,
        lambda tenant, c: workers.stop_where(tenant, c),
        settings.url,
        doctor.say,
        _more_commands(ground, desk, sessions, hands.fleet),
    )
    staff = Staff(clock, settings.pairing_code_minutes)
    keys = ApiKeys(clock)
    admission = Admission(desk, staff)
    workers = _workers(ground, desk, hands, controls, admission, channels)
    front = Front(
        ground.me,
        ground.database,
        ground.tenants,
        clock,
        new_id,
        workers.start,
        admission.knock,
        Beginnings(new_id, settings.conversation_silence_hours),
    )
    heads = Heads(settings.home / "audit")
    entrance = Entrance(front, Console(ground.bus), ground.bus)
    sockets = _sockets(ground, sessions, entrance)
    console_api = ConsoleApi(
        sessions,
        hands.fleet,
        staff,
        controls,
        ground.texts,
        settings.url,
        default_of(settings, ground.engines),
        desk.changed,
        hands.gate.probing,
    )
    callers = _callers(ground, sessions)
    resources: list[Resource] = [
        Talk(entrance, ground.texts),
        ApprovalDesk(hands.approvals, ground.texts),
        FleetDesk(hands.fleet, hands.gate.probing, ground.texts),
        _people_desk(ground, callers, sessions, staff, keys, desk),
        RecordsDesk(controls, doctor, heads, ground.texts, clock),
    ]
    api = Api(callers, resources, settings.api_requests_per_minute, settings.origins)
    pages = Pages(sessions, sockets, ground.texts, ground.tenants, hands.fleet.credentials, clock)
    site = Web(sessions, pages, console_api, api, sockets, telegram, ground.texts, doctor.ready)
    expiry = Expiry(desk, ground.tenants)
    chores = timer_handlers(settings, ground.database, ground.tenants, clock, hands.approvals, heads, expiry)
    timers = TimerWorker(ground.me, ground.database, clock, chores, settings.sweep_s)
    return App(
        me=ground.me,
        desk=desk,
        settings=settings,
        database=ground.database,
        tenants=ground.tenants,
        texts=ground.texts,
        clock=clock,
        fleet=hands.fleet,
        probing=hands.gate.probing,
        staff=staff,
        keys=keys,
        sessions=sessions,
        shell=ground.shell,
        executor=hands.executor,
        workers=workers,
        delivery=delivery,
        timers=timers,
        channels=channels,
        front=front,
        sockets=sockets,
        web=site,
        doctor=doctor,
        heads=heads,
        installations=installations,
        telegram=telegram,
        background=[],
    )


def _telegram(ground: Ground, installations: DatabaseInstallations) -> Telegram:
    settings = ground.settings
    return Telegram(
        installations,
        Chats(ground.tenants, ground.texts),
        settings.telegram_api_url.get_secret_value(),
        settings.url if settings.telegram_webhook else "",
        menu(ground.texts),
        settings.attachment_bytes,
    )


def _sessions(ground: Ground) -> Sessions:
    settings = ground.settings
    return Sessions(
        ground.database,
        ground.tenants,
        ground.clock,
        link_minutes=settings.login_link_minutes,
        session_hours=settings.session_hours,
        secure=settings.url.startswith("https:"),
    )


def _more_commands(ground: Ground, desk: Desk, sessions: Sessions, fleet: Fleet) -> Mapping[str, Command]:
    engines, settings = ground.engines, ground.settings
    about = About(desk, engines.keys(), default_of(settings, engines), sessions, settings.url)
    return {**about.commands(), **Talks(desk).commands(), **ClusterCommands(fleet).commands()}


def _desk(ground: Ground, delivery: Delivery, wake: Callable[[], None]) -> Desk:
    bus, queue = ground.bus, ground.queue
    tasks: set[asyncio.Task[None]] = set()

    def later(call: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(call)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    return Desk(
        me=ground.me,
        clock=ground.clock,
        ids=new_id,
        bus=bus,
        post=delivery.post,
        grown=lambda tenant, conversation: later(bus.publish(log_topic(tenant, conversation), {"grown": 0})),
        changed=lambda tenant, what: later(bus.publish(f"user:{tenant}", {"changed": what})),
        wake=wake,
        remind=lambda timer, delay_s: later(queue.wake(timer, delay_s)),
    )


def _hands(ground: Ground, desk: Desk, installations: DatabaseInstallations) -> Hands:
    settings, shell = ground.settings, ground.shell
    warn_days = sorted({settings.credential_warning_days, settings.credential_last_warning_days})
    fleet, approvals = Fleet(shell, ground.clock, warn_days), Approvals(desk)
    redactions = Redactions(fleet.credentials, installations.own_secrets)
    executor = Executor(shell, desk, redactions, settings.fan_out)
    gate = Gate(
        desk,
        fleet,
        approvals,
        executor,
        classify,
        settings.command_timeout_s,
        settings.command_timeout_max_s,
        settings.command_timeout_approved_s,
    )
    pick = pick_engine(ground.engines, default_of(settings, ground.engines))
    turns = Turns(
        desk, gate, fleet, all_tools(gate, fleet, desk.clock), ground.engines, pick, settings.turn_timeout_s
    )
    return Hands(fleet, approvals, executor, gate, turns, Acts(desk, gate))


def _workers(
    ground: Ground,
    desk: Desk,
    hands: Hands,
    controls: Controls,
    admission: Admission,
    channels: Mapping[str, Channel],
) -> Workers:
    settings = ground.settings
    dispatch = Dispatch(desk, hands.turns, hands.acts, hands.approvals, controls, admission)
    return Workers(
        ground.me,
        ground.role,
        ground.database,
        ground.tenants,
        channels,
        ground.bus,
        fold(dispatch, [errors_are_said(desk), tenants_and_people(desk, hands.gate.end_runs)]),
        SetAside(desk, ground.tenants, hands.acts),
        shares=Shares(settings.turns_at_once, settings.turns_per_tenant, settings.turns_per_user),
        acts_at_once=settings.acts_at_once,
        heartbeat_s=settings.heartbeat_s,
        dead_after_s=settings.dead_after_s,
        sweep_s=settings.sweep_s,
    )


def _callers(ground: Ground, sessions: Sessions) -> Callers:
    secret = ground.settings.jwt_secret
    return Callers(
        ground.database,
        ground.tenants,
        sessions,
        ground.clock,
        secret.get_secret_value() if secret else None,
        ground.settings.jwt_expires_in,
    )


def _people_desk(
    ground: Ground, callers: Callers, sessions: Sessions, staff: Staff, keys: ApiKeys, desk: Desk
) -> PeopleDesk:
    return PeopleDesk(
        callers,
        sessions,
        staff,
        keys,
        ground.clock,
        ground.settings.url,
        default_of(ground.settings, ground.engines),
        desk.changed,
    )


def _sockets(ground: Ground, sessions: Sessions, entrance: Entrance) -> Sockets:
    return Sockets(
        sessions,
        entrance,
        ground.bus,
        ground.texts,
        ground.me,
        opens_a_minute=ground.settings.websocket_opens_per_minute,
        open_at_once=ground.settings.websockets_per_user,
        messages_a_minute=ground.settings.console_messages_per_minute,
        message_bytes=ground.settings.console_message_bytes,
    )


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
