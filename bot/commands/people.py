"""``it0 user`` and ``it0 pair``."""

import shlex
from typing import Any

import click

from bot.commands.terminal import Group, data_options, note, of_tenant, run, show, table
from bot.texts.visible import listed
from core.settings import load_settings
from core.texts import as_language, say

ROLES = click.Choice(["viewer", "operator", "admin"])


@click.group(cls=Group)
def user() -> None:
    """People: add, list, change, and make sign-in links."""


@user.command("add")
@click.argument("name")
@click.option("--role", required=True, type=ROLES)
@click.option("--language", type=click.Choice(["en", "zh"]), default="en", show_default=True)
@data_options
def user_add(name: str, role: str, language: str, tenant: str, as_json: bool) -> None:
    """Add a person."""
    from bot.admin import people as admin

    added = run(lambda: admin.add_user(tenant, name, role, as_language(language)))
    data = {"id": added.id, "name": added.name, "role": added.role}
    show(
        as_json,
        data,
        say("cli.user_added", name=added.name, role=role, next=f"it0 user link {_of(added.name, tenant)}"),
    )


def _of(name: str, tenant: str) -> str:
    """Return the arguments that name a person, to be typed as they stand."""
    return shlex.quote(name) + of_tenant(tenant)


@user.command("link")
@click.argument("name")
@data_options
def user_link(name: str, tenant: str, as_json: bool) -> None:
    """Print a one-time sign-in link for the console."""
    from bot.admin import people as admin

    link = run(lambda: admin.user_link(tenant, name))
    minutes = load_settings().login_link_minutes
    show(as_json, {"link": link, "minutes": minutes}, link)
    note(as_json, say("cli.link_holds", name=name, minutes=minutes))


@user.command("list")
@data_options
def user_list(tenant: str, as_json: bool) -> None:
    """List the people."""
    from bot.admin import people as admin

    found = run(lambda: admin.users(tenant))
    rows = [{"name": u.name, "role": u.role, "language": u.language, "active": u.active} for u in found]
    lines = [(u.name, u.role, u.language, "yes" if u.active else "no") for u in found]
    show(
        as_json,
        rows,
        table(("NAME", "ROLE", "LANGUAGE", "ACTIVE"), lines, say("cli.no_users", of=of_tenant(tenant))),
    )


@user.command("change")
@click.argument("name")
@click.option("--role", type=ROLES)
@click.option("--active/--inactive", default=None, help="Let them in again, or out.")
@data_options
@click.pass_context
def user_change(
    context: click.Context, name: str, role: str | None, active: bool | None, tenant: str, as_json: bool
) -> None:
    """Change a person's role, or let them out or in again."""
    if role is None and active is None:
        raise click.UsageError("Say what to change: --role, --active or --inactive.", context)
    from bot.admin import people as admin

    revoked = run(lambda: admin.change_user(tenant, name, role, active))
    changed: dict[str, Any] = {"role": role, "active": active, "keys_revoked": revoked or None}
    data = {"name": name, **{key: value for key, value in changed.items() if value is not None}}
    show(as_json, data, say("cli.user_changed", name=name))
    if revoked:
        note(as_json, say("cli.keys_revoked", name=name, keys=listed(revoked)))


@user.command("forget-totp")
@click.argument("name")
@data_options
def user_forget_totp(name: str, tenant: str, as_json: bool) -> None:
    """Remove a person's second factor."""
    from bot.admin import people as admin

    run(lambda: admin.take_away_factor(tenant, name))
    show(as_json, {"name": name, "second_factor": False}, say("cli.totp_forgotten", name=name))


@click.group(cls=Group)
def pair() -> None:
    """Pairing codes for chat accounts."""


@pair.command("new")
@click.option("--user", "name", required=True)
@data_options
def pair_new(name: str, tenant: str, as_json: bool) -> None:
    """Print a one-time code, which the person sends to the bot."""
    from bot.admin import people as admin

    code = run(lambda: admin.pairing_code(tenant, name))
    minutes = load_settings().pairing_code_minutes
    show(as_json, {"code": code, "minutes": minutes}, code)
    note(as_json, say("cli.code_holds", name=name, minutes=minutes))
