"""What all commands share: results on stdout, words about them on stderr, and 0, 1 or 2 at the end."""

import asyncio
import shlex
import sys
import unicodedata
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NoReturn

import click

from bot.texts.catalogue import load_catalogue
from bot.texts.visible import json_line, visible
from core.errors import It0Error
from core.settings import language_alone
from core.texts import Language, Say

IN_OTHER_WORDS: Mapping[str, str] = {
    "approval.step_up": "cli.step_up",
    "approval.unknown": "cli.no_such_approval",
    "credential.expired": "cli.credential_expired",
    "error.halted": "cli.halted",
    "error.no_such_credential": "cli.no_such_credential",
    "error.no_such_server": "cli.no_such_server",
    "server.first_contact": "cli.first_contact",
    "server.key_pinned": "cli.key_pinned",
    "error.no_such_cluster": "cli.no_such_cluster",
    "server.name_taken": "cli.server_name_taken",
}
"""Sentences that tell a chat's reader how to go on, and what stands for them here, with the same places."""


class Command(click.Command):
    """A command whose line in its group's help is its whole first sentence."""

    def get_short_help_str(self, limit: int = 45) -> str:
        """Return that sentence."""
        return _first_sentence(self)


class Group(click.Group):
    """A group, as ``Command``."""

    command_class = Command

    def get_short_help_str(self, limit: int = 45) -> str:
        """Return the first sentence."""
        return _first_sentence(self)


def _first_sentence(command: click.Command) -> str:
    words = " ".join((command.help or "").split())
    end = words.find(". ")
    return words if end < 0 else words[: end + 1]


def language() -> Language:
    """Return the language of this terminal: IT0_LANGUAGE."""
    return language_alone()


def words_of(what: Say | Mapping[str, Any] | str) -> str:
    """Return a sentence as it is said at the command line."""
    stored = what.as_json() if isinstance(what, Say) else what
    return load_catalogue()(_for_here(stored), language())


def _for_here(value: Any) -> Any:
    """Return a stored sentence with its key, and those of the sentences in it, as they are said here."""
    if not isinstance(value, Mapping) or "say" not in value:
        return value
    params = {name: _for_here(inner) for name, inner in value.get("params", {}).items()}
    return {"say": IN_OTHER_WORDS.get(value["say"], value["say"]), "params": params}


def fail(why: It0Error | Say) -> NoReturn:
    """Say what went wrong, in one sentence, and leave with exit code 1."""
    what = why.say if isinstance(why, It0Error) else why
    click.echo(f"it0: {visible(words_of(what))}", err=True)
    sys.exit(1)


def run(
    work: Callable[[], Awaitable[Any]], loop: Callable[[], asyncio.AbstractEventLoop] | None = None
) -> Any:
    """Run a command's work; an error of it0's own becomes one sentence and exit code 1.

    loop: makes the event loop, by itself asyncio's own.
    """
    try:
        with asyncio.Runner(loop_factory=loop) as runner:
            return runner.run(_awaited(work))
    except It0Error as error:
        fail(error)
    except KeyboardInterrupt:
        sys.exit(130)


def run_process(work: Callable[[], Awaitable[Any]]) -> Any:
    """Run what stays, on a loop that is quicker and takes longer to import."""
    import uvloop

    return run(work, uvloop.new_event_loop)


async def _awaited(work: Callable[[], Awaitable[Any]]) -> Any:
    return await work()


def show(as_json: bool, data: Any, text: str | Say) -> None:
    """Print ``data`` as JSON, or ``text``."""
    click.echo(json_line(data) if as_json else text if isinstance(text, str) else words_of(text))


def note(as_json: bool, what: Say) -> None:
    """Say something about a result on stderr, where no script takes it for the result."""
    if not as_json:
        click.echo(words_of(what), err=True)


def table(header: Sequence[str], rows: Sequence[Sequence[Any]], none: Say) -> str:
    """Return ``rows`` below each other, each cell in one line; without rows the sentence ``none``."""
    if not rows:
        return words_of(none)
    lines = [[visible("" if cell is None else str(cell)) or "-" for cell in row] for row in rows]
    widths = [max(map(_width, column)) for column in zip(header, *lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell + " " * (width - _width(cell)) for cell, width in zip(line, widths, strict=True)
        ).rstrip()
        for line in (header, *lines)
    )


def _width(text: str) -> int:
    """Return how many columns a terminal gives ``text``."""
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(bool(unicodedata.combining(char)) for char in text)


def data_options(function: Any) -> Any:
    """Add what every command on a tenant's data takes."""
    return json_option(
        click.option("--tenant", default="default", show_default=True, help="The tenant's slug.")(function)
    )


def of_tenant(tenant: str) -> str:
    """Return what a command that is proposed ends with, so that it means the same tenant."""
    return "" if tenant == "default" else f" --tenant {shlex.quote(tenant)}"


def json_option(function: Any) -> Any:
    """Add --json."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(function)


def moment_of(option: str, text: str) -> datetime:
    """Return the moment that ``text`` says, UTC where it names no zone; what is none is wrong usage."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        usage = f"{option} takes a date such as 2030-01-31, not {visible(text)!r}."
        raise click.UsageError(usage, click.get_current_context()) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def pairs(option: str, given: Sequence[str]) -> dict[str, str]:
    """Return ``K=V`` arguments by name; one of another form is wrong usage."""
    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise click.UsageError(f"{option} takes K=V, not {visible(text)!r}.", click.get_current_context())
        found[name] = value
    return found
