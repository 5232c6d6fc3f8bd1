"""``it0 server import``."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bot.commands.credentials import secret_of as bytes_of
from bot.commands.terminal import Command, data_options, fail, note, pairs, run, show, table, words_of
from bot.texts.visible import visible
from core.errors import It0Error
from core.texts import Say, say

if TYPE_CHECKING:
    from agent.fleet.inventory.found import Listing
    from agent.fleet.inventory.plan import Plan, Row, State


STATES: "tuple[State, ...]" = ("new", "changed", "same", "refused")


@click.command("import", cls=Command)
@click.argument("path")
@click.option("--format", "kind", type=click.Choice(["ssh_config", "ansible-ini", "ansible-yaml"]))
@click.option("--credential", default="", help="Of new servers.")
@click.option(
    "--key", "keys", multiple=True, metavar="FILE=CREDENTIAL", help="By the key file that is named."
)
@click.option("--user", default="", help="Where the file names none.")
@click.option("--environment", type=click.Choice(["dev", "staging", "prod"]), help="Of every server taken.")
@click.option("--role", type=click.Choice(["web", "db", "cache", "worker", "gateway"]))
@click.option("--tag", "tags", multiple=True, metavar="K=V")
@click.option("--only", multiple=True, metavar="NAME", help="Not all of the file; can be given again.")
@click.option("--yes", is_flag=True, help="Take what is shown.")
@click.option("--dry-run", is_flag=True, help="Only show it.")
@data_options
def server_import(path: str, tenant: str, as_json: bool, yes: bool, dry_run: bool, **given: Any) -> None:
    """Take servers from an ssh_config or an Ansible inventory. They are shown first; --yes takes them."""
    if yes and dry_run:
        raise click.UsageError("Say either --yes or --dry-run.")
    listing = _listing(path, given["kind"] or "")
    wishes = _wishes(given)
    from bot.admin.importing import import_servers

    def agrees(plan: "Plan") -> bool:
        if not as_json:
            click.echo(_shown(plan, listing))
        if yes or dry_run or not plan.taken or not sys.stdin.isatty():
            return yes
        return click.confirm(words_of(say("import.question")), err=True)

    plan, taken = run(lambda: import_servers(tenant, listing, wishes, agrees))
    if as_json:
        show(True, _data(plan, listing, taken), "")
    elif taken:
        show(False, {}, say("import.taken", count=len(plan.taken)))
    elif plan.taken:
        note(False, say("import.ask_yes"))
    if not plan.rows or all(row.state == "refused" for row in plan.rows):
        fail(say("import.nothing") if not plan.rows else _counts(plan))


def _listing(path: str, kind: str) -> "Listing":
    from agent.fleet.inventory.reading import listing_of

    text = bytes_of(path, 4_194_304, "import.unreadable").decode("utf-8", "replace")
    folder = None if path == "-" else Path(path).expanduser().resolve().parent
    try:
        return listing_of(text, path, kind, folder)
    except It0Error as error:
        fail(error)


def _wishes(given: Any) -> Any:
    from agent.fleet.inventory.plan import Wishes

    return Wishes(
        credential=given["credential"],
        keys=pairs("--key", given["keys"]),
        user=given["user"],
        environment=given["environment"] or "",
        role=given["role"] or "",
        tags=pairs("--tag", given["tags"]),
        only=frozenset(given["only"]),
    )


def _shown(plan: "Plan", listing: "Listing") -> str:
    """Return the plan in a table, and below it, line by line, what is not taken and why."""
    header = ("NAME", "STATE", "WHERE", "JUMP", "ENVIRONMENT", "ROLE", "CREDENTIAL", "CHANGES")
    lines = [
        (
            row.name,
            row.state,
            f"{row.new.user}@{row.new.host}:{row.new.port}",
            row.new.jump,
            row.new.environment,
            row.new.role,
            row.new.credential,
            "; ".join(f"{name}: {_brief(old)} → {_brief(new)}" for name, (old, new) in row.changes.items()),
        )
        for row in plan.rows
    ]
    said = [visible(words_of(each)) for each in _remarks(plan, listing)]
    return "\n".join([table(header, lines, say("import.nothing")), *said, words_of(_counts(plan))])


def _brief(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{key}={each}" for key, each in sorted(value.items())) or "-"
    return str(value or "-")


def _remarks(plan: "Plan", listing: "Listing") -> Sequence[Say]:
    left_out = sorted(listing.notes.values(), key=lambda each: (each.spot.file, each.spot.line))
    return [
        *(say("import.left_out", spot=str(each.spot), text=each.text, why=each.why) for each in left_out),
        *(_refusal(row) for row in plan.rows if row.why is not None),
        *(
            say("import.key_named", server=row.name, file=row.key_file)
            for row in plan.rows
            if row.key_file and row.state in ("new", "refused")
        ),
    ]


def _refusal(row: "Row") -> Say:
    return say("import.refused", spot=str(row.spot), server=row.name, why=row.why)


def _counts(plan: "Plan") -> Say:
    return say("import.counts", **{state: sum(row.state == state for row in plan.rows) for state in STATES})


def _data(plan: "Plan", listing: "Listing", taken: bool) -> dict[str, Any]:
    rows = [
        {
            "name": row.name,
            "state": row.state,
            "line": row.spot.line,
            "host": row.new.host,
            "port": row.new.port,
            "user": row.new.user,
            "jump": row.new.jump,
            "environment": row.new.environment,
            "role": row.new.role,
            "credential": row.new.credential,
            "tags": dict(row.new.tags),
            "ssh_options": dict(row.new.ssh_options),
            "changes": {name: list(each) for name, each in row.changes.items()},
            "why": words_of(row.why) if row.why else None,
            "key_file": row.key_file,
        }
        for row in plan.rows
    ]
    notes = [
        {"file": n.spot.file, "line": n.spot.line, "text": n.text, "why": words_of(n.why)}
        for n in listing.notes.values()
    ]
    return {"taken": taken, "servers": rows, "left_out": notes}
