"""Looks for what nobody may approve (L3), in every text, understood by the lexer or not.

It reads loosely and only in command position: ``grep 'rm -rf /' log`` is not refused. What slips past it by
some trick of the shell is not understood by the lexer either, and ends with a person who sees the exact text.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from agent.risk.destroy import NAMES, is_device, judge
from agent.risk.lexer import LONGEST
from agent.risk.loose import HOLE, Budget, Loose, read, unescaped
from agent.risk.rules import listed
from agent.risk.sql import drops_database
from agent.risk.unwrap import RUNNERS, program, runs_inline, runs_stdin, scripts, starts
from core.texts import Say, say

_DEEPEST = 8

_BRINGERS = listed("forbidden", "fetchers")
_DECODERS = listed("forbidden", "decoders")
_SHELLS, _INTERPRETERS = (
    listed("forbidden", "shells"),
    listed("forbidden", "shells") | listed("forbidden", "interpreters"),
)
_EVALUATORS = listed("forbidden", "evaluators")
_CLIENTS = {
    "sql": listed("forbidden", "database_clients"),
    "mysql": listed("forbidden", "mysql_clients"),
    "cql": listed("forbidden", "cql_clients"),
    "document": listed("forbidden", "document_clients"),
}
_DATABASE_CLIENTS = frozenset().union(*_CLIENTS.values())
_WRITERS = listed("forbidden", "writers")
_DROP_WORDS = listed("forbidden", "drop_words")
_FEED_DATABASES = _DATABASE_CLIENTS | _WRITERS

_FORK_BOMB = re.compile(r"\{\s{0,8}([\w:.]{1,40})\s{0,8}\|\s{0,8}\1\s{0,8}&")
_MOST_WORDS = 100
_PRINT_FLAG = re.compile(r"-[neE]{1,3}|--")
_LONG_FLAG = re.compile(r"\A--[\w-]+=?")
_DECODES = re.compile(r"-[A-Za-z]*[dDr][A-Za-z]*|--decode|--revert|-base64")


@dataclass(frozen=True, slots=True)
class Forbidden:
    """What was found; ``part``: the command that decided, quotes removed."""

    why: Say
    part: str


def scan(text: str) -> Forbidden | None:
    """Return the first thing in ``text`` that is refused, None when nothing is."""
    text = text if text.isascii() else "".join(c for c in text if unicodedata.category(c) != "Cf")
    waiting, seen = [(text, 0)], set[str]()
    # Where this runs out, the lexer has given up long before: such text is L2, never less.
    budget = Budget()
    while waiting:
        script, depth = waiting.pop()
        if script in seen or depth > _DEEPEST:
            continue
        seen.add(script)
        if bomb := _FORK_BOMB.search(script):
            return Forbidden(say("risk.forbidden_fork_bomb"), bomb.group())
        commands = {
            at: _Command.of(loose) for at, loose in enumerate(read(script, budget)) if _notable(loose)
        }
        if found := _among(commands):
            return found
        inner = [text for command in commands.values() for text in command.scripts()]
        inner += [*_piped_scripts(commands), *_substituted_scripts(commands)]
        waiting.extend((text, depth + 1) for text in inner)
    return None


@dataclass(frozen=True, slots=True)
class _Command:
    """A loose command with every (program, arguments) that it may run."""

    loose: Loose
    starts: Sequence[int]
    runs: Sequence[tuple[str, Sequence[str]]]

    @staticmethod
    def of(loose: Loose) -> "_Command":
        begins = starts(loose.words)
        return _Command(loose, begins, [(program(loose.words[at]), loose.words[at + 1 :]) for at in begins])

    def scripts(self) -> list[str]:
        """Return the shell texts that it runs."""
        heres = self.targets("here")
        return [text for at in self.starts for text in scripts(self.loose.words, at, heres)]

    def targets(self, kind: str) -> list[str]:
        """Return the targets of one kind of redirect."""
        return [target for redirect, target in self.loose.targets if redirect == kind]

    def written(self) -> Iterator[str]:
        """Yield what it prints, where that stands in it; of printf each argument may be all of it."""
        for name, args in self.runs:
            if name in _WRITERS:
                said = args[next((at for at, arg in enumerate(args) if not _PRINT_FLAG.fullmatch(arg)), 0) :]
                texts = [" ".join(said), *(said if name == "printf" else ()), *self.targets("here")]
                yield from dict.fromkeys([*texts, *map(unescaped, texts)])

    def text(self) -> str:
        return " ".join(self.loose.words).replace(HOLE, "$(…)")


_Commands = Mapping[int, _Command]
"""The commands of a text that may matter, by their place."""

_NOTABLE = frozenset().union(
    RUNNERS,
    NAMES,
    *(listed("forbidden", key) for key in ("shells", "interpreters", "evaluators", "fetchers", "decoders")),
    *(listed("forbidden", key) for key in ("by_use", "take_a_text", "join_their_words", "drop_words")),
    _FEED_DATABASES,
)


def _notable(loose: Loose) -> bool:
    """Return whether any check below may look at the command: the others are not worth their time."""
    if loose.targets or not loose.words:
        return bool(loose.targets)
    first = program(loose.words[0])
    return first in _NOTABLE or "=" in loose.words[0] or HOLE in first or first.startswith("mkfs.")


def _among(commands: _Commands) -> Forbidden | None:
    """Return the first forbidden command, or a forbidden meeting of commands."""
    for command in commands.values():
        if why := _alone(command):
            return Forbidden(why, command.text())
    return _fed(commands) or _substituted(commands) or _databases(commands)


def _alone(command: _Command) -> Say | None:
    """Return why one command is refused by itself."""
    for target in command.targets("output"):
        if is_device(target):
            return say("risk.forbidden_disk", path=target)
    for name, args in command.runs:
        if why := judge(name, args):
            return why
    return None


def _brings(command: _Command) -> bool:
    """Return whether the command fetches or decodes something."""
    for name, args in command.runs:
        if name in _BRINGERS or (
            name in _DECODERS and (name == "uudecode" or any(map(_DECODES.fullmatch, args)))
        ):
            return True
    return False


def _fed(commands: _Commands) -> Forbidden | None:
    """Return the pipeline in which something fetched or decoded is run."""
    brought: dict[int, _Command] = {}
    for command in commands.values():
        pipeline = command.loose.pipeline
        if pipeline in brought and any(runs_stdin(name, args) for name, args in command.runs):
            return Forbidden(
                say("risk.forbidden_remote_code"), f"{brought[pipeline].text()} | {command.text()}"
            )
        if _brings(command):
            brought[pipeline] = command
    return None


def _substituted(commands: _Commands) -> Forbidden | None:
    """Return the command that runs what a substitution in it fetched or decoded."""
    for command in commands.values():
        outer, depth = command.loose.outer, 0
        if not _brings(command):
            continue
        while outer in commands and depth < _DEEPEST:
            if any(_runs_hole(name, args) for name, args in commands[outer].runs):
                return Forbidden(say("risk.forbidden_remote_code"), commands[outer].text())
            outer, depth = commands[outer].loose.outer, depth + 1
    return None


def _runs_hole(name: str, args: Sequence[str]) -> bool:
    """Return whether the program runs what a substitution gives."""
    if name in _EVALUATORS:
        return any(HOLE in arg for arg in args)
    if name not in _INTERPRETERS:
        return False
    operand = next((arg for arg in args if not arg.startswith("-")), "")
    return HOLE in operand or (runs_inline(args) and any(HOLE in arg for arg in args))


def _piped_scripts(commands: _Commands) -> list[str]:
    """Return the texts that echo or printf hand to a shell."""
    written: dict[int, list[str]] = {}
    found = []
    for command in commands.values():
        pipeline = command.loose.pipeline
        if pipeline in written and any(
            name in _SHELLS and runs_stdin(name, args) for name, args in command.runs
        ):
            found.extend(written.pop(pipeline))
        written.setdefault(pipeline, []).extend(command.written())
    return found


def _substituted_scripts(commands: _Commands) -> Iterator[str]:
    """Yield the texts that are run where echo or printf puts them, the program's name among them."""
    for command in commands.values():
        outer = commands.get(command.loose.outer)
        if outer is None or not outer.loose.words:
            continue
        if HOLE in outer.loose.words[0]:
            line = " ".join(outer.loose.words[:_MOST_WORDS])[:LONGEST]
            yield from (line.replace(HOLE, text) for text in command.written())
        elif any(_runs_hole(name, args) for name, args in outer.runs):
            yield from command.written()


def _databases(commands: _Commands) -> Forbidden | None:
    """Return the command by which a database would be dropped."""
    names = {name for command in commands.values() for name, _ in command.runs}
    if names.isdisjoint(_DATABASE_CLIENTS):
        return None
    piped: dict[int, set[str]] = {}
    for command in commands.values():
        names = {name for name, _ in command.runs}
        # A here-document's lines are read as commands.
        here = names & _DROP_WORDS and _drops([" ".join(command.loose.words)])
        if names.isdisjoint(_FEED_DATABASES) and not here:
            continue
        fed = piped.setdefault(command.loose.pipeline, set())
        said = _drops([*command.loose.words, *command.targets("here")])
        if here or any(not names.isdisjoint(_CLIENTS[language]) for language in said | fed):
            return Forbidden(say("risk.forbidden_database"), command.text())
        if not names.isdisjoint(_WRITERS):
            fed |= said
    return None


def _drops(texts: Sequence[str]) -> set[str]:
    """Return the languages in which one of ``texts`` drops a database."""
    found = set[str]()
    # "--command=DROP …" would else be a comment of SQL.
    for text in texts:
        if "drop" in text.lower():
            found |= drops_database(_LONG_FLAG.sub("", text))
    if any("dropDatabase" in text for text in texts):
        found.add("document")
    return found
