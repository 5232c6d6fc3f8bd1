"""``it0 approval``."""

import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal

import click

from bot.commands.credentials import secret_of
from bot.commands.terminal import Group, data_options, language, note, run, show, words_of
from bot.texts.visible import visible
from core.texts import say

STATES = ("pending", "approved", "rejected", "expired", "cancelled")
ALL = "all"
GRANT = (
    "Also let the requester run exactly this on these servers unasked, for the minutes that the card offers."
)
TOTP = "Where a second factor is wanted: a file with the authenticator app's code, or - for standard input."
LONGEST_CODE = 100
"""Bytes, with spaces and line ends around."""


@click.group(cls=Group)
def approval() -> None:
    """Approvals: list and decide."""


@approval.command("list")
@click.option("--status", type=click.Choice([*STATES, ALL]), default="pending", show_default=True)
@data_options
def approval_list(status: str, tenant: str, as_json: bool) -> None:
    """List approvals, each with all that it would do."""
    from bot.admin import records as admin

    wanted = "" if status == ALL else status
    found = run(lambda: admin.approvals(tenant, wanted, language()))
    now = datetime.now(UTC)
    none = say("approvals.none") if status == "pending" else say("cli.no_approvals")
    show(as_json, found, "\n\n".join(_card(each, now) for each in found) or words_of(none))
    if len(found) == admin.MOST_APPROVALS:
        note(as_json, say("cli.more_approvals", count=len(found)))


def _card(approval: Mapping[str, Any], now: datetime) -> str:
    """Return an approval in lines. What it holds is data: none of it can begin a line of its own."""
    expires = datetime.fromisoformat(approval["expires_at"])
    lapses = "expired" if expires <= now else "expires"
    votes = f"{approval['approvals']} of {approval['needed']} approvals"
    first = (approval["code"], f"L{approval['level']}", approval["status"], votes)
    fields = [
        *_what(approval),
        *(("server", _place(each)) for each in approval["servers"]),
        ("asked by", f"{approval['requester']}, {_moment(approval['created_at'])}"),
        *(("reason", reason) for reason in approval["reasons"]),
        (lapses, _moment(approval["expires_at"])),
        ("then", approval["then"]),
        *([("read", approval["read"])] if approval["read"] else []),
        ("id", approval["id"]),
    ]
    return "\n".join(["  ".join(first), *(f"  {name:9} {visible(value)}" for name, value in fields)])


def _what(approval: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what is decided about: a command in one line, the change of a file line by line."""
    if approval["kind"] == "write":
        yield from (("write", line) for line in approval["command"].split("\n"))
    else:
        yield ("command" if approval["kind"] == "run" else approval["kind"], approval["command"])


def _place(server: Mapping[str, Any]) -> str:
    where = f"{server['user']}@{server['host']}" if server["user"] else server["host"]
    where += f":{server['port']}" if server.get("port") else ""
    return f"{server['name']}  {where}  {server['environment']}"


def _moment(text: str) -> str:
    return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _decide(verdict: Literal["approve", "reject"]) -> Any:
    @approval.command(verdict, help=f"{verdict.capitalize()} a request, by its id or code.")
    @click.argument("approval_id", metavar="ID")
    @click.option("--as", "name", required=True, metavar="USER", help="Who decides.")
    @click.option("--grant", "grants", is_flag=True, hidden=verdict == "reject", help=GRANT)
    @click.option("--totp-file", "path", default="", hidden=verdict == "reject", metavar="FILE", help=TOTP)
    @data_options
    def decide(approval_id: str, name: str, grants: bool, path: str, tenant: str, as_json: bool) -> None:
        if (grants or path) and verdict == "reject":
            raise click.UsageError("--grant and --totp-file go with approve")
        code = _code_in(path) if path else partial(_asked_code, name)
        from bot.admin import records as admin

        status = run(lambda: admin.decide(tenant, name, approval_id, verdict, grants, code))
        show(as_json, {"id": approval_id, "status": status}, f"{visible(approval_id)}: {status}")

    return decide


def _code_in(path: str) -> Callable[[], str]:
    """Return what gives the code in a file, which is read at once: standard input may be a pipe."""
    code = secret_of(path, limit=LONGEST_CODE).decode(errors="replace")
    return lambda: code


def _asked_code(name: str) -> str | None:
    """Return a code as it is typed at a terminal, where it is not shown; None where nobody can type."""
    if not sys.stdin.isatty():
        return None
    return str(click.prompt(words_of(say("cli.totp_prompt", name=name)), hide_input=True, err=True))


_decide("approve")
_decide("reject")


@approval.command("grants")
@data_options
def approval_grants(tenant: str, as_json: bool) -> None:
    """List what may be run again unasked, by whom, where and until when."""
    from bot.admin import records as admin

    found = run(lambda: admin.grants(tenant))
    show(as_json, found, "\n\n".join(map(_grant, found)) or words_of(say("grants.none")))


def _grant(grant: Mapping[str, Any]) -> str:
    fields = [
        ("command", grant["command"]),
        *(("server", _place(each)) for each in grant["servers"]),
        ("asked by", grant["requester"]),
        ("given by", ", ".join(grant["givers"])),
        ("ends", _moment(grant["ends_at"])),
        ("id", grant["id"]),
    ]
    head = f"{grant['code']}  L{grant['level']}"
    return "\n".join([head, *(f"  {name:9} {visible(value)}" for name, value in fields)])


@approval.command("revoke")
@click.argument("grant_id", metavar="CODE")
@click.option("--as", "name", required=True, metavar="USER", help="Who ends it.")
@data_options
def approval_revoke(grant_id: str, name: str, tenant: str, as_json: bool) -> None:
    """End a grant before its time, by its code or id."""
    from bot.admin import records as admin

    run(lambda: admin.revoke(tenant, name, grant_id))
    show(as_json, {"id": grant_id, "status": "revoked"}, say("grant.ended", code=visible(grant_id)))
