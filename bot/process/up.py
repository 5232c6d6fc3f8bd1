"""``up``: bot and worker in one process, with servers and keys of its own unless they are set."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING, TypeVar

import click
import structlog
from pydantic import SecretStr

from bot.embedded import Home, Keys, Postgres, Valkey, make_keys, write_private
from bot.process.addresses import check_keys, check_port, urls
from bot.process.logs import NOISE, set_up_logs
from bot.process.stopping import until_signal
from bot.texts.catalogue import load_catalogue
from core.settings import Settings, load_settings
from core.texts import as_language, say

if TYPE_CHECKING:
    from bot.wiring import App, Parts

logger = structlog.get_logger()

T = TypeVar("T")


def with_keys(settings: Settings, keys: Keys) -> Settings:
    """Return the settings with the home's keys where none are set."""
    return settings.model_copy(
        update={
            "vault_master_key": settings.vault_master_key or SecretStr(keys.vault),
            "audit_key": settings.audit_key or SecretStr(keys.audit),
            "jwt_secret": settings.jwt_secret or SecretStr(keys.jwt),
        }
    )


def check_given_keys(settings: Settings) -> None:
    """Look whether the keys that are set have their form; raises SetupError."""
    vault, audit = settings.vault_master_key, settings.audit_key
    if vault is None and audit is None:
        return
    from core.vault import Vault, parse_key  # cryptography takes long to load

    if vault is not None:
        Vault(vault.get_secret_value())
    if audit is not None:
        parse_key(audit.get_secret_value(), "AUDIT_KEY")


def check_engine(settings: Settings, parts: "Parts | None") -> None:
    """Look whether the engine that is set is there; raises SetupError."""
    if settings.it0_engine:
        from bot.engines import default_of, names_of  # the model's adapter takes long to load

        default_of(settings, [*names_of(settings), *(parts.engines if parts else ())])


async def up(parts: "Parts | None" = None) -> None:
    """Run bot and worker in this process until a signal ends it."""
    settings = load_settings()
    # Refused before anything is made or started.
    urls(settings)
    check_given_keys(settings)
    check_engine(settings, parts)
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
        check_keys(settings)
        imports = _Imports()
        given = settings.redis_url.get_secret_value() if settings.redis_url else None
        valkey = await stack.enter_async_context(beside(Valkey(home))) if given is None else None
        if database_url is None:
            postgres = await stack.enter_async_context(Postgres(home))
            database_url, admin_url = postgres.app_url, postgres.owner_url
        redis_url = (await valkey).url if valkey is not None else given
        await imports.upgrading
        from bot.process.upgrading import upgrade

        await upgrade(database_url, admin_url or database_url, first and settings.database_url is None)
        await imports.house
        from bot.process.first import first_start
        from bot.process.running import running
        from bot.web import metrics
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


@asynccontextmanager
async def beside(context: AbstractAsyncContextManager[T]) -> AsyncIterator["asyncio.Task[T]"]:
    """Enter a context beside what comes next; yield what tells that it is entered, or why not."""
    entering = asyncio.ensure_future(context.__aenter__())
    try:
        yield entering
    finally:
        await asyncio.wait({entering})
        if not entering.cancelled() and entering.exception() is None:
            await context.__aexit__(None, None, None)


class _Imports:
    """Imports what a process is built from, in a thread: it takes as long as the servers' start beside it.

    upgrading: done once schemas can be upgraded, which goes on beside the rest; house: once all is there.
    """

    def __init__(self) -> None:
        self.upgrading = asyncio.ensure_future(asyncio.to_thread(_import, "bot.process.upgrading"))
        self.house = asyncio.ensure_future(self._house())

    async def _house(self) -> None:
        await self.upgrading
        await asyncio.to_thread(_import, "bot.process.first", "bot.process.running", "bot.wiring")


def _import(*names: str) -> None:
    for name in names:
        import_module(name)


def _tell_of_lost_data(settings: Settings) -> None:
    """Say that a home with keys has no database: what they sealed may have been there.

    It starts all the same: a first start that was cut short looks like that too.
    """
    home = str(settings.home)
    logger.warning("home_has_keys_but_no_data", home=home)
    words = load_catalogue()(say("up.data_gone", home=home), as_language(settings.it0_language))
    click.echo(f"it0: {words}", err=True)


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
