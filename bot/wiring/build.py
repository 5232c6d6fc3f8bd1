"""A process, from its settings: its connections opened, its parts put together, all closed again."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from arq.connections import RedisSettings
from redis.asyncio import Redis

from agent.clusters.kube.shell import KubeShell
from agent.clusters.shell import ClusterShell
from agent.clusters.words import asked
from agent.shell.ssh import SshShell
from bot.bus import LocalBus, RedisBus
from bot.engines import engines_of
from bot.texts.catalogue import load_catalogue
from bot.wiring.assembly import assemble
from bot.wiring.ground import App, Ground, Parts
from core.errors import SetupError
from core.ids import new_id
from core.settings import Settings
from core.tenant import Tenants
from core.vault import Vault, parse_key
from scheduler.queue import ArqQueue, NoQueue, run_worker


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
        api = KubeShell(asked, settings.connect_timeout_s, settings.output_cap_bytes)
        shell = ClusterShell(parts.wrap_shell(hands), api)
        stack.push_async_callback(shell.close)
        texts = load_catalogue()
        engines = await stack.enter_async_context(engines_of(settings, texts, parts.clock, parts.engines))
        ground = Ground(settings, parts, me, role, database, tenants, bus, queue, shell, texts, engines)
        app = assemble(ground)
        stack.push_async_callback(app.telegram.close)
        app.background += background
        if redis_url:
            app.background.append(lambda: run_worker(arq_settings, app.timers.wake))
        yield app


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
