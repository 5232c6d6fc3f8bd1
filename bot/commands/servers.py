"""``it0 server``."""

from collections.abc import Sequence
from typing import Any

import click

from bot.commands.terminal import Group, data_options, fail, of_tenant, pairs, run, show, table, words_of
from bot.texts.visible import visible
from core.texts import Say, say


@click.group(cls=Group)
def server() -> None:
    """Servers: add, change, list, check, trust, remove."""


@server.command("add")
@click.argument("name")
@click.option("--host", required=True)
@click.option("--port", default=22, show_default=True)
@click.option("--user", "ssh_user", required=True)
@click.option("--credential", required=True)
@click.option(
    "--environment", type=click.Choice(["dev", "staging", "prod"]), default="dev", show_default=True
)
@click.option("--role", type=click.Choice(["web", "db", "cache", "worker", "gateway"]))
@click.option("--jump", default="", help="The server before it.")
@click.option("--cluster", default="", help="The cluster that it belongs to.")
@click.option("--tag", "tags", multiple=True, metavar="K=V")
@click.option("--description", default="")
@click.option("--restricted", is_flag=True, help="Its shell takes bare commands only.")
@click.option("--shell", type=click.Choice(["bash", "sh"]), default="bash", show_default=True)
@click.option(
    "--ssh-option",
    "ssh_options",
    multiple=True,
    metavar="K=V",
    help="connect_timeout_s, keepalive_s, compression, legacy_algorithms.",
)
@click.option("--read-user", default="", help="A second account, for what only reads.")
@click.option("--read-credential", default="", help="Its credential.")
@click.option("--trust", default="", metavar="SHA256:…", help="Pin the host key if it has this fingerprint.")
@data_options
def server_add(
    tenant: str,
    as_json: bool,
    trust: str,
    tags: tuple[str, ...],
    ssh_options: tuple[str, ...],
    ssh_user: str,
    **given: Any,
) -> None:
    """Add a server. Without --trust its key waits for `it0 server trust`."""
    named = pairs("--tag", tags)
    options = {name: _typed(value) for name, value in pairs("--ssh-option", ssh_options).items()}
    from agent.fleet.forms import NewServer
    from bot.admin import servers as admin

    new = NewServer(user=ssh_user, tags=named, ssh_options=options, **given)
    added, shown, can = run(lambda: admin.add_server(tenant, new, trust))
    data = {"name": added.name, "fingerprint": shown, "status": added.status, "can": _in_lines(can)}
    key = "cli.server_trusted" if added.host_key else "cli.server_waits"
    show(as_json, data, "\n".join(_in_lines([say(key, server=added.name, fingerprint=shown), *can])))


def _in_lines(sentences: Sequence[Say]) -> list[str]:
    """Return sentences as they are said here, each in one line."""
    return [visible(words_of(each)) for each in sentences]


def _typed(value: str) -> Any:
    """Return an option's value as a number or a truth where it looks like one."""
    truths = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
    if value.isascii() and value.isdecimal():
        return int(value[:9])  # more seconds than that mean nothing
    return truths.get(value.lower(), value)


@server.command("change")
@click.argument("name")
@click.option("--host")
@click.option("--port", type=int)
@click.option("--user")
@click.option("--credential")
@click.option("--environment", type=click.Choice(["dev", "staging", "prod"]))
@click.option("--role", type=click.Choice(["web", "db", "cache", "worker", "gateway"]))
@click.option("--jump", help='The server before it, "" for none.')
@click.option("--cluster", help='The cluster that it belongs to, "" for none.')
@click.option("--tag", "tags", multiple=True, metavar="K=V", help="All tags, as they are to be.")
@click.option("--description")
@click.option("--restricted/--unrestricted", default=None, help="Its shell takes bare commands only.")
@click.option("--shell", type=click.Choice(["bash", "sh"]))
@click.option(
    "--ssh-option", "ssh_options", multiple=True, metavar="K=V", help="All of them, as they are to be."
)
@click.option("--read-user", help='A second account, for what only reads; "" for none.')
@click.option("--read-credential", help='Its credential, "" for none.')
@data_options
def server_change(
    name: str, tenant: str, as_json: bool, tags: tuple[str, ...], ssh_options: tuple[str, ...], **given: Any
) -> None:
    """Change a server; one that moves must be trusted anew."""
    changes = {field: value for field, value in given.items() if value is not None}
    if tags:
        changes["tags"] = pairs("--tag", tags)
    if ssh_options:
        changes["ssh_options"] = {k: _typed(v) for k, v in pairs("--ssh-option", ssh_options).items()}
    if not changes:
        raise click.UsageError("Name what is to be changed, such as --host.")
    from bot.admin import servers as admin

    status = run(lambda: admin.change_server(tenant, name, changes))
    show(as_json, {"name": name, "status": status}, say("cli.server_changed", server=name))


@server.command("trust")
@click.argument("name")
@click.argument("fingerprint")
@data_options
def server_trust(name: str, fingerprint: str, tenant: str, as_json: bool) -> None:
    """Pin the host key that it shows, if that has this fingerprint."""
    from bot.admin import servers as admin

    can = run(lambda: admin.trust_server(tenant, name, fingerprint))
    words = say("cli.server_trusted", server=name, fingerprint=fingerprint)
    data = {"name": name, "status": "active", "can": _in_lines(can)}
    show(as_json, data, "\n".join(_in_lines([words, *can])))


@server.command("distrust")
@click.argument("name")
@data_options
def server_distrust(name: str, tenant: str, as_json: bool) -> None:
    """Drop the pinned host key, so that a new one can be confirmed."""
    from bot.admin import servers as admin

    shown = run(lambda: admin.distrust_server(tenant, name))
    key = "cli.server_waits" if shown else "cli.server_away"
    show(as_json, {"name": name, "fingerprint": shown}, say(key, server=name, fingerprint=shown))


@server.command("list")
@data_options
def server_list(tenant: str, as_json: bool) -> None:
    """List the servers."""
    from bot.admin import servers as admin

    rows = run(lambda: admin.servers(tenant))
    header = ("NAME", "WHERE", "ENVIRONMENT", "ROLE", "STATUS", "CREDENTIAL", "JUMP", "TAGS")
    lines = [
        (
            row["name"],
            "local" if row["connection"] == "local" else f"{row['user']}@{row['host']}:{row['port']}",
            row["environment"],
            row["role"],
            row["status"],
            row["credential"],
            row["jump"],
            " ".join(f"{key}={value}" for key, value in sorted(row["tags"].items())),
        )
        for row in rows
    ]
    show(as_json, rows, table(header, lines, say("cli.no_servers", of=of_tenant(tenant))))


@server.command("check")
@click.argument("name")
@data_options
def server_check(name: str, tenant: str, as_json: bool) -> None:
    """Connect and log in, and say how that went and what it0 can do there."""
    from bot.admin import servers as admin

    ok, words, shown = run(lambda: admin.check_server(tenant, name))
    text, *can = _in_lines(words)
    if ok or as_json:
        show(as_json, {"ok": ok, "message": text, "fingerprint": shown, "can": can}, "\n".join([text, *can]))
    if not ok:
        fail(words[0])


@server.command("remove")
@click.argument("name")
@data_options
def server_remove(name: str, tenant: str, as_json: bool) -> None:
    """Remove a server."""
    from bot.admin import servers as admin

    run(lambda: admin.remove_server(tenant, name))
    show(as_json, {"name": name}, say("cli.server_removed", server=name))


@server.command("harden")
@click.argument("name")
@click.option(
    "--for",
    "kinds",
    multiple=True,
    type=click.Choice(["read-only", "operating", "cluster-role", "postgresql", "mysql"]),
    help="Only this of it; can be given again.",
)
@data_options
def server_harden(name: str, kinds: tuple[str, ...], tenant: str, as_json: bool) -> None:
    """Print a script for accounts that can do no more than they should. Nothing is run."""
    from agent.fleet.harden import KINDS
    from bot.admin import servers as admin

    text = run(lambda: admin.harden_server(tenant, name, kinds or KINDS))
    show(as_json, {"name": name, "script": text}, text.rstrip("\n"))
