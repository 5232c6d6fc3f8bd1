"""``it0 key``."""

from dataclasses import asdict
from datetime import datetime

import click

from bot.commands.people import ROLES
from bot.commands.terminal import Group, data_options, language, moment_of, note, of_tenant, run, show, table
from core.texts import say


@click.group(cls=Group)
def key() -> None:
    """API keys: make, list, revoke. A key's token is shown once."""


@key.command("new")
@click.argument("name")
@click.option("--role", required=True, type=ROLES)
@click.option(
    "--expires", metavar="DATE", help="Such as 2030-01-31 or 2030-01-31T12:00+02:00 (UTC if not said)."
)
@data_options
def key_new(name: str, role: str, expires: str | None, tenant: str, as_json: bool) -> None:
    """Make an API key and print its token."""
    until = moment_of("--expires", expires) if expires else None
    from bot.admin import people as admin

    made, token = run(lambda: admin.add_key(tenant, name, role, language(), until))
    data = {"name": made.name, "role": made.role, "prefix": made.prefix, "expires_at": until, "token": token}
    show(as_json, data, token)
    note(as_json, say("cli.key_made", name=made.name, role=role))


@key.command("list")
@data_options
def key_list(tenant: str, as_json: bool) -> None:
    """List API keys, never their tokens."""
    from bot.admin import people as admin

    found = run(lambda: admin.api_keys(tenant))
    lines = [
        (
            k.name,
            k.role,
            k.prefix,
            _day(k.created_at),
            _day(k.expires_at),
            _day(k.used_at),
            _day(k.revoked_at),
        )
        for k in found
    ]
    header = ("NAME", "ROLE", "PREFIX", "CREATED", "EXPIRES", "USED", "REVOKED")
    show(as_json, [asdict(k) for k in found], table(header, lines, say("cli.no_keys", of=of_tenant(tenant))))


def _day(moment: datetime | None) -> str:
    return moment.strftime("%Y-%m-%d") if moment else ""


@key.command("revoke")
@click.argument("name")
@data_options
def key_revoke(name: str, tenant: str, as_json: bool) -> None:
    """Let an API key in no more."""
    from bot.admin import people as admin

    run(lambda: admin.revoke_key(tenant, name))
    show(as_json, {"name": name, "revoked": True}, say("cli.key_revoked", name=name))
