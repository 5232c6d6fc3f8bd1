"""Which servers a text means, and what a text comes to: something to do, or only something to say."""

import difflib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.texts import Say, say
from core.work import Role, Server

MOST_NAMES = 12
"""Server names in one sentence; more are counted."""

UNIT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9@._-]{0,200}")
"""A systemd unit's name; none begins with a dash, because that would be an option."""

_LONGEST_SHOWN = 200
_SEPARATOR = re.compile(r"\s*[,，、]\s*")


@dataclass(frozen=True, slots=True)
class Intent:
    """One tool call that a text asks for. notes: said before the tool's own answer."""

    tool: str
    arguments: Mapping[str, Any]
    notes: tuple[Say, ...] = ()

    @property
    def role(self) -> Role:
        """Return who may ask for it."""
        known = {
            "list_servers": Role.VIEWER,
            "list_clusters": Role.VIEWER,
            "add_server": Role.ADMIN,
            "harden_server": Role.ADMIN,
            "ask_audit": Role.ADMIN,
        }
        return known.get(self.tool, Role.OPERATOR)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What is said instead of running anything: an answer, a question, or a sentence to type."""

    parts: tuple[Say, ...]


@dataclass(frozen=True, slots=True)
class Why:
    """Somebody wants to know how ``command`` would be judged."""

    command: str


@dataclass(frozen=True, slots=True)
class Targets:
    """Servers that a text means, by name. notes: which were left out, and why."""

    names: tuple[str, ...]
    notes: tuple[Say, ...] = ()


@dataclass(frozen=True, slots=True)
class Unknown:
    """A word stands where a server should, and none has that name. near: the likeliest one, "" if none."""

    word: str
    near: str


Reading = Intent | Suggestion | Why


def only(what: Say) -> Suggestion:
    """Return the suggestion that says just this."""
    return Suggestion((what,))


def finder(servers: Sequence[Server]) -> Callable[[str], str | None]:
    """Return what finds a server's name for a word, in any case of letters unless two differ by it."""
    names = {server.name for server in servers}
    by_lower: dict[str, list[str]] = {}
    for name in names:
        by_lower.setdefault(name.lower(), []).append(name)

    def find(word: str) -> str | None:
        alike = by_lower.get(word.lower(), [])
        return word if word in names else alike[0] if len(alike) == 1 else None

    return find


def named(word: str, servers: Sequence[Server]) -> str | None:
    """Return the name of the server that ``word`` names, None if none."""
    return finder(servers)(word)


def nearest(word: str, names: Collection[str], cutoff: float = 0.6) -> str:
    """Return the name most like ``word``, "" if none is."""
    by_lower = {name.lower(): name for name in names}
    close = difflib.get_close_matches(word.lower()[:80], by_lower, 1, cutoff)
    return by_lower[close[0]] if close else ""


def group(members: Sequence[Server]) -> Targets | Say:
    """Return the servers of a group, or why there is none; the gate tells of those that cannot be used."""
    return Targets(tuple(server.name for server in members)) if members else say("direct.no_match")


def select(selector: str, servers: Sequence[Server]) -> Targets | Unknown | Say:
    """Return what a slash command's SERVERS means: ``all``, ``@prod``, ``#tag=value``, or names."""
    if selector.lower() == "all" or selector.startswith(("@", "#")):
        return group([server for server in servers if _fits(server, selector)])
    names: list[str] = []
    find = finder(servers)
    for word in filter(None, _SEPARATOR.split(selector)):
        name = find(word)
        if name is None:
            return Unknown(word, nearest(word, [server.name for server in servers]))
        names.append(name)
    return Targets(tuple(dict.fromkeys(names)))


def _fits(server: Server, selector: str) -> bool:
    if server.is_cluster:  # by its name only: what fits servers seldom fits a cluster
        return False
    if selector.startswith("@"):
        return server.environment == selector[1:].lower()
    if selector.startswith("#"):
        key, equals, value = selector[1:].partition("=")
        return key in server.tags and (not equals or server.tags[key] == value)
    return True


def listed(names: Sequence[str]) -> str:
    """Return names in a line, the first ones where there are many."""
    shown = ", ".join(names[:MOST_NAMES])
    return shown if len(names) <= MOST_NAMES else f"{shown} … (+{len(names) - MOST_NAMES})"


def shown(text: str) -> str:
    """Return ``text`` short enough to stand within a sentence."""
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"


def example(name: str, servers: Sequence[Server] = (), server: str = "", unit: str = "nginx") -> Say:
    """Return a sentence that a person can type. server: to be named in it, else the first one."""
    first = server or (servers[0].name if servers else "web-1")
    return say(f"example.{name}", server=first, unit=unit)
