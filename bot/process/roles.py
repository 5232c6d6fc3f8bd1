"""The roles that stand on databases that are set: ``bot``, ``worker`` and ``migrate``.

What they are built from is imported once the settings can be right: it takes three times as long as the rest.
"""

from typing import TYPE_CHECKING

import click
import structlog

from bot.process.addresses import check_keys, check_port, urls
from bot.process.logs import NOISE, set_up_logs
from bot.process.stopping import until_signal
from bot.texts.catalogue import load_catalogue
from bot.texts.visible import visible
from core.errors import SetupError
from core.settings import load_settings
from core.texts import as_language, say

if TYPE_CHECKING:
    from bot.wiring import Parts

logger = structlog.get_logger()


async def serve(role: str, parts: "Parts | None" = None) -> None:
    """Run ``bot`` or ``worker`` on the databases that are set, until a signal ends it."""
    settings = load_settings()
    set_up_logs(settings.log_level)
    database_url, _ = urls(settings)
    if database_url is None:
        raise SetupError("setup.needs_database", role=role)
    check_keys(settings)
    if role == "bot":
        check_port(settings)
    from bot.process.running import running
    from bot.web import metrics
    from bot.wiring import build

    NOISE.counted = metrics.REFUSED.labels("malformed").inc
    redis_url = settings.redis_url.get_secret_value() if settings.redis_url else None
    async with (
        build(settings, database_url, redis_url, role, parts) as app,
        running(app, serves=role == "bot", works=role == "worker", alone=False) as port,
    ):
        await logger.ainfo("ready", role=role, port=port)
        await until_signal()


async def migrate() -> bool:
    """Bring every schema to this version, and make the default tenant; return whether all are there."""
    settings = load_settings()
    database_url, admin_url = urls(settings)
    if database_url is None or admin_url is None:
        raise SetupError("setup.needs_admin_database")
    from bot.process.first import first_start
    from bot.process.upgrading import upgrade_report
    from bot.wiring import build

    report = await upgrade_report(database_url, admin_url)
    for line in report:
        click.echo(f"{line.schema}: {visible(line.error) if line.error else 'up to date'}")
    if any(line.error for line in report):
        return False
    async with build(settings, database_url, None, "cli") as app:
        if await first_start(app, database_url, admin_url) is not None:
            click.echo(load_catalogue()(say("up.link_for_admin"), as_language(settings.it0_language)))
    return True
