"""Which servers a text means, and what a text comes to: something to do, or only something to say."""

import difflib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.texts import Say, say
from core.work import ENVIRONMENTS, SERVER_ROLES, Role, Server

MOST_NAMES = 12
"""Server names in one sentence; more are counted."""

UNIT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9@._-]{0,200}")
"""A systemd unit's name; none begins with a dash, because that would be an option."""

_LONGEST_SHOWN = 200
_FILTER = re.compile(r"[@#][^@#]*")
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
            "list_tasks": Role.VIEWER,
            "explain_command": Role.VIEWER,
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
class Targets:
    """Servers that a text means, by name. notes: which were left out, and why."""

    names: tuple[str, ...]
    notes: tuple[Say, ...] = ()


@dataclass(frozen=True, slots=True)
class Unknown:
    """A word stands where a server should, and none has that name. near: the likeliest one, "" if none."""

    word: str
    near: str


Reading = Intent | Suggestion


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


def select(selector: str, servers: Sequence[Server]) -> Targets | Unknown | Say:
    """Return what a slash command's SERVERS means: all that any of its parts, with commas between, means.

    A part is a name, ``all``, or ``@prod``, ``@web``, ``#tag``, ``#tag=value``; such without a comma between
    them, as in ``@prod@web#team=shop``, mean the servers that fit them all.
    """
    names: list[str] = []
    find = finder(servers)
    # A cluster is meant by its name only: what fits servers seldom fits a cluster.
    grouped = [server for server in servers if not server.is_cluster]
    for word in filter(None, _SEPARATOR.split(selector)):
        if word.lower() == "all":
            names += [server.name for server in grouped]
        elif word.startswith(("@", "#")):
            filters = [word] if any(tagged(s, word[1:]) for s in grouped) else _FILTER.findall(word)
            for each in filters:
                if each.lower() not in _groups(grouped):
                    return Unknown(each, nearest(each, _groups(grouped), 0.5))
            names += [server.name for server in grouped if all(_fits(server, each) for each in filters)]
        elif (name := find(word)) is not None:
            names.append(name)
        else:
            return Unknown(word, nearest(word, [server.name for server in servers]))
    return Targets(tuple(dict.fromkeys(names))) if names else say("direct.no_match")


def _groups(servers: Sequence[Server]) -> list[str]:
    """Return every filter that there is, in lower case."""
    tags = {tag.lower() for server in servers for tag in tags_of(server)}
    return [*(f"@{word}" for word in (*ENVIRONMENTS, *SERVER_ROLES)), *(f"#{tag}" for tag in sorted(tags))]


def tags_of(server: Server) -> list[str]:
    """Return a server's tags as they are named: ``key`` and ``key=value``."""
    return [name for key, value in server.tags.items() for name in (key, f"{key}={value}")]


def tagged(server: Server, tag: str) -> bool:
    """Return whether a server has a tag, ``key`` or ``key=value``, in any case of letters."""
    return tag.lower() in (each.lower() for each in tags_of(server))


def _fits(server: Server, filtered: str) -> bool:
    word = filtered[1:].lower()
    return tagged(server, word) if filtered[0] == "#" else word in (server.environment, server.role)


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
