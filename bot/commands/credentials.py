"""``it0 credential``."""

import sys
from pathlib import Path

import click

from bot.commands.terminal import Group, data_options, fail, note, run, show, table
from bot.texts.visible import listed
from core.texts import say

SECRET_LIMIT = 65_536


@click.group(cls=Group)
def credential() -> None:
    """Credentials: what opens servers. A secret comes from a file or stdin, never as an argument."""


def secret_of(path: str, limit: int = SECRET_LIMIT, unreadable: str = "cli.file_unreadable") -> bytes:
    """Return what is in a file, or on standard input for ``-``; ends the command if it cannot be read.

    limit: bytes; of what is longer one more is returned; unreadable: the sentence for its end.
    """
    if path == "-":
        return sys.stdin.buffer.read(limit + 1)
    try:
        with Path(path).expanduser().open("rb") as file:
            return file.read(limit + 1)
    except (OSError, RuntimeError) as error:  # RuntimeError: there is no such user as in ~user
        reason = error.strerror if isinstance(error, OSError) else None
        fail(say(unreadable, path=path, reason=reason or str(error)))


@credential.command("add")
@click.argument("name")
@click.option(
    "--type", "kind", required=True, type=click.Choice(["ssh_key", "ssh_password", "token", "kubeconfig"])
)
@click.option("--file", "path", required=True, help="A file, or - for standard input.")
@click.option("--expires", default="", metavar="DATE", help="Such as 2027-01-31; its owner is told before.")
@data_options
def credential_add(name: str, kind: str, path: str, expires: str, tenant: str, as_json: bool) -> None:
    """Seal a secret in the vault."""
    secret = secret_of(path)
    from bot.admin import secrets as admin

    shown = run(lambda: admin.add_credential(tenant, name, kind, secret, expires))
    words = say("cli.sealed_key", name=name, fingerprint=shown) if shown else say("cli.sealed", name=name)
    show(as_json, {"name": name, "fingerprint": shown}, words)


@credential.command("list")
@data_options
def credential_list(tenant: str, as_json: bool) -> None:
    """List credentials, never their secrets."""
    from bot.admin import secrets as admin

    rows = run(lambda: admin.credentials(tenant))
    lines = [
        (
            r["name"],
            r["kind"],
            r["fingerprint"],
            _day(r["created_at"]),
            _day(r["used_at"]),
            _day(r["expires_at"]),
        )
        for r in rows
    ]
    header = ("NAME", "TYPE", "FINGERPRINT", "CREATED", "USED", "EXPIRES")
    show(as_json, rows, table(header, lines, say("cli.no_credentials")))


def _day(moment: object) -> str:
    return str(moment)[:10] if moment else ""


@credential.command("revoke")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Also if servers use it.")
@data_options
def credential_revoke(name: str, yes: bool, tenant: str, as_json: bool) -> None:
    """Destroy a secret; one that servers use only with --yes."""
    from bot.admin import secrets as admin

    using = run(lambda: admin.revoke_credential(tenant, name, yes))
    show(as_json, {"name": name, "servers": list(using)}, say("cli.revoked", name=name))
    if using:
        note(as_json, say("cli.without_credential", servers=listed(using, most=len(using))))


@credential.command("rotate")
@data_options
def credential_rotate(tenant: str, as_json: bool) -> None:
    """Seal every secret anew under the newest vault key. VAULT_MASTER_KEY is "new,old" meanwhile."""
    from bot.admin import secrets as admin

    count = run(lambda: admin.rotate(tenant))
    words = say("cli.resealed", count=count) if count else say("cli.nothing_to_reseal")
    show(as_json, {"resealed": count}, words)
