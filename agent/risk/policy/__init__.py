"""A tenant's policy: what it raises above the rules, and the programs of its own that they do not know.

Nothing of it lowers what the rules say (SPEC 3).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.work import Risk, canonical

ANY = "*"
"""In the place of a program: whatever is run."""

FILE_ACTS = ("write_file", "send_file")
"""In the place of a program: what it0 does with whole files by scripts of its own."""


@dataclass(frozen=True, slots=True)
class Tightening:
    """An entry that makes a command at least ``level``.

    program: its name, one of FILE_ACTS, or ANY; subcommand: its words, none for every use; path: of a file
    act, the file or a folder above it, "" for all; command: an exact one, instead of a program.
    environments: where it holds, everywhere if empty; servers: from how many at once. reason: in the words
    of whoever made it.
    """

    name: str
    level: Risk
    program: str = ""
    subcommand: tuple[str, ...] = ()
    path: str = ""
    command: str = ""
    environments: tuple[str, ...] = ()
    servers: int = 1
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Own:
    """How a program that the rules do not know may be used. table: as in a rule file, in JSON."""

    program: str
    reason: str
    table: str


@dataclass(frozen=True, slots=True)
class Policy:
    """All of a tenant's entries; version: 0 for none."""

    version: int = 0
    tightenings: tuple[Tightening, ...] = ()
    own: tuple[Own, ...] = ()


NONE = Policy()


def policy_of(version: int, document: Mapping[str, Any]) -> Policy:
    """Return the policy that a checked ``document`` describes."""
    tightenings = tuple(_tightening(name, entry) for name, entry in document.get("tighten", {}).items())
    own = tuple(_own(name, entry) for name, entry in document.get("program", {}).items())
    return Policy(version, tightenings, own)


def _tightening(name: str, entry: Mapping[str, Any]) -> Tightening:
    return Tightening(
        name=name,
        level=Risk(entry["level"]),
        program=entry.get("program", ""),
        subcommand=tuple(entry.get("subcommand", "").split()),
        path=entry.get("path", ""),
        command=entry.get("command", ""),
        environments=tuple(entry.get("environments", ())),
        servers=entry.get("servers", 1),
        reason=entry["reason"],
    )


def _own(name: str, entry: Mapping[str, Any]) -> Own:
    table = {key: value for key, value in entry.items() if key != "reason"}
    return Own(name, entry["reason"], canonical(table))
