"""``up``: bot and worker in one process, with servers and keys of its own unless they are set."""

import asyncio
import re
import socket
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click
import structlog
from pydantic import SecretStr

from bot.catalogue import load_catalogue
from bot.embedded import Home, Keys, Postgres, Valkey, make_keys, write_private
from bot.logs import NOISE, set_up_logs
from bot.stopping import until_signal
from core.errors import SetupError
from core.settings import Settings, load_settings
from core.texts import as_language, say

if TYPE_CHECKING:
    from bot.wiring import App, Parts

logger = structlog.get_logger()

POSTGRES = ("postgresql", "postgres")
REDIS = ("redis", "rediss", "unix")
PLACE = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[^\[\]:/\s]*)(:[0-9]{1,5})?")
"""A host with its port in a URL; PostgreSQL's may name several, with commas between."""


def with_keys(settings: Settings, keys: Keys) -> Settings:
    """Return the settings with the home's keys where none are set."""
    return settings.model_copy(
        update={
            "vault_master_key": settings.vault_master_key or SecretStr(keys.vault),
            "audit_key": settings.audit_key or SecretStr(keys.audit),
            "jwt_secret": settings.jwt_secret or SecretStr(keys.jwt),
        }
    )


async def up(parts: "Parts | None" = None) -> None:
    """Run bot and worker in this process until a signal ends it."""
    settings = load_settings()
    urls(settings)  # refused before anything is made or started
    set_up_logs(settings.log_level)
    async with everything(settings, parts) as (app, port, link):
        _greet(app, port, link)
        await until_signal()
        click.echo(load_catalogue()(say("up.stopping"), as_language(settings.it0_language)), err=True)


@asynccontextmanager
async def everything(
    settings: Settings, parts: "Parts | None" = None
) -> AsyncIterator[tuple["App", int, str | None]]:
    """Yield (app, port, one-time link if this is the first start), with servers and keys of its own."""
    async with AsyncExitStack() as stack:
        home = stack.enter_context(Home(settings.home))
        check_port(settings)
        database_url, admin_url = urls(settings)
        first = not (home.path / "postgres").exists()
        if first and database_url is None and (home.path / "keys" / "vault").exists():
            _tell_of_lost_data(settings)
        settings = with_keys(settings, make_keys(home))
        early, loop = asyncio.Event(), asyncio.get_running_loop()
        half_way = partial(loop.call_soon_threadsafe, early.set)
        house = asyncio.ensure_future(asyncio.to_thread(_import_house, first, half_way))
        house.add_done_callback(lambda _: early.set())
        if database_url is None:
            postgres = await stack.enter_async_context(Postgres(home))
            database_url, admin_url = postgres.app_url, postgres.owner_url
        redis_url = settings.redis_url.get_secret_value() if settings.redis_url else None
        if redis_url is None:
            redis_url = (await stack.enter_async_context(Valkey(home))).url
        await early.wait()
        if not house.done() or house.exception() is None:
            from bot.upgrading import upgrade

            await upgrade(database_url, admin_url or database_url)
        await house
        from bot import metrics
        from bot.first import first_start
        from bot.running import running
        from bot.wiring import build

        NOISE.counted = metrics.REFUSED.labels("malformed").inc
        alone = settings.database_url is None
        app = await stack.enter_async_context(build(settings, database_url, redis_url, "up", parts))
        user = await first_start(app, database_url, admin_url or database_url)
        port = await stack.enter_async_context(running(app, serves=True, works=True, alone=alone))
        # For links that the command line makes.
        write_private(home.path / "url", _url(settings, port).encode())
        link = None
        if user is not None:
            tenant = await app.tenants.by_slug("default")
            link = await app.sessions.make_link(tenant, user, _url(settings, port))
        yield app, port, link


def _import_house(first: bool, half_way: Callable[[], object]) -> None:
    """Import what a process is built from: it takes as long as the servers' start, and is done beside it.

    half_way: called once schemas can be upgraded, which goes on beside the rest.
    """
    for name in ("bot.upgrading", *(["core.store.schema"] if first else [])):
        import_module(name)
    half_way()
    for name in ("bot.first", "bot.running", "bot.wiring"):
        import_module(name)


def _tell_of_lost_data(settings: Settings) -> None:
    """Say that a home with keys has no database: what they sealed may have been there.

    It starts all the same: a first start that was cut short looks like that too.
    """
    home = str(settings.home)
    logger.warning("home_has_keys_but_no_data", home=home)
    words = load_catalogue()(say("up.data_gone", home=home), as_language(settings.it0_language))
    click.echo(f"it0: {words}", err=True)


def check_port(settings: Settings) -> None:
    """Look whether the port is free, before a database is made and servers are started for nothing.

    Somebody may still take it in the meantime; then listening fails with the same sentence. Raises
    SetupError.
    """
    host, port = settings.it0_http_host, settings.it0_http_port
    if port == 0:
        return
    try:
        places = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, _, _, address in places:
            with socket.socket(family, kind) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind(address)
    except OSError as error:
        where, reason = f"{host}:{port}", error.strerror or type(error).__name__
        raise SetupError("setup.port_in_use", where=where, reason=reason) from error


def urls(settings: Settings) -> tuple[str | None, str | None]:
    """Return the databases that are set: the application's role's and the owner's.

    Raises SetupError for a database's or Redis's URL that is none, never showing it.
    """
    for name, schemes, key in (
        ("database_url", POSTGRES, "setup.bad_database_url"),
        ("database_admin_url", POSTGRES, "setup.bad_database_url"),
        ("redis_url", REDIS, "setup.bad_redis_url"),
    ):
        given = getattr(settings, name)
        if given is not None and not is_url(given.get_secret_value(), schemes):
            raise SetupError(key, setting=name.upper())
    database, admin = settings.database_url, settings.database_admin_url
    return (
        database.get_secret_value() if database else None,
        admin.get_secret_value() if admin else None,
    )


def is_url(text: str, schemes: Sequence[str]) -> bool:
    """Return whether a client can take ``text`` apart; whether anybody is there is another question."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    if parts.scheme not in schemes or not (parts.netloc or parts.path) or parts.fragment:
        return False
    return all(PLACE.fullmatch(place) for place in parts.netloc.rpartition("@")[2].split(","))


def _url(settings: Settings, port: int) -> str:
    return settings.public_url.rstrip("/") or f"http://{settings.it0_http_host}:{port}"


def _greet(app: "App", port: int, link: str | None) -> None:
    """Print how to get in: to the terminal only, never to the log."""
    texts, language = load_catalogue(), as_language(app.settings.it0_language)
    click.echo(texts(say("up.ready", url=_url(app.settings, port)), language))
    if link:
        click.echo(texts(say("up.first_link", link=link, minutes=app.settings.login_link_minutes), language))
        click.echo(texts(say("up.back_up", home=str(app.settings.home)), language))
    else:
        click.echo(texts(say("up.link_again"), language))
    sys.stdout.flush()
