"""``it0 channel``."""

import click

from bot.commands.credentials import secret_of
from bot.commands.terminal import Group, data_options, run, show, table
from core.texts import say


@click.group(cls=Group)
def channel() -> None:
    """Bots on platforms: add, list, remove. They begin and end within seconds, without a restart."""


@channel.command("add")
@click.argument("platform", type=click.Choice(["telegram"]))
@click.option("--file", "path", default="-", help="A file with the bot's token, or - for standard input.")
@data_options
def channel_add(platform: str, path: str, tenant: str, as_json: bool) -> None:
    """Seal a bot's token, and have the bot speak for a tenant."""
    secret = secret_of(path)
    from bot.admin import secrets as admin

    installation = run(lambda: admin.add_channel(tenant, platform, secret))
    show(as_json, {"id": installation}, say("cli.channel_added", channel=installation))


@channel.command("list")
@data_options
def channel_list(tenant: str, as_json: bool) -> None:
    """List a tenant's bots, never their tokens."""
    from bot.admin import secrets as admin

    rows = run(lambda: admin.channels(tenant))
    lines = [(row["id"], row["channel"], str(row["created_at"])[:10]) for row in rows]
    show(as_json, rows, table(("ID", "PLATFORM", "ADDED"), lines, say("cli.no_channels")))


@channel.command("remove")
@click.argument("installation")
@data_options
def channel_remove(installation: str, tenant: str, as_json: bool) -> None:
    """Destroy a bot's token: it hears and says nothing more. What was said with it stays."""
    from bot.admin import secrets as admin

    run(lambda: admin.remove_channel(tenant, installation))
    show(as_json, {"id": installation}, say("cli.channel_removed", channel=installation))
