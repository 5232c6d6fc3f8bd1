"""What the slash commands have in common: servers, words, numbers, and the sentence for a wrong one."""

import re
import shlex
from collections.abc import Sequence

from agent.engines.targets import Suggestion, Targets, Unknown, listed, nearest, only, select, shown
from core.texts import Say, say
from core.work import Server

PATH = re.compile(r"/[^\0\n\r]{0,4095}")

_SELECTOR = re.compile(r"[^\s,，、]+(?:\s*[,，、]\s*[^\s,，、]+)*")


def line_of(name: str) -> Say:
    """Return how the command is written and what it does."""
    return say(f"command.{name}", slash=f"/{name}")


def usage(name: str) -> Suggestion:
    """Say that the command is incomplete or has too many words, and how it is written."""
    return only(say("direct.usage", usage=line_of(name)))


def split(text: str) -> list[str]:
    """Return the words of ``text``, quoted ones whole; [] where a quote is not closed."""
    try:
        return shlex.split(text)
    except ValueError:
        return []


def number(text: str, most: int) -> int | None:
    """Return a number from 1 to ``most``, None if ``text`` is none."""
    good = text.isascii() and text.isdigit() and len(text) <= 9 and 1 <= int(text) <= most
    return int(text) if good else None


def unknown(word: str, servers: Sequence[Server], ready: str) -> Suggestion:
    """Say that no server is called ``word``, with the likeliest that is. ready: the command, {} for it."""
    return _not_there(word, nearest(word, [server.name for server in servers]), servers, ready)


def _not_there(word: str, near: str, servers: Sequence[Server], ready: str) -> Suggestion:
    if near:
        whole = shown(ready.replace("{}", near, 1))
        return only(say("direct.unknown_server_near", word=shown(word), near=near, ready=whole))
    known = listed([server.name for server in servers])
    return only(say("direct.unknown_server", word=shown(word), servers=known))


def on_servers(name: str, rest: str, servers: Sequence[Server]) -> tuple[Targets, str] | Suggestion:
    """Return the servers at the head of ``rest``, and what follows them."""
    found = _SELECTOR.match(rest)
    if found is None or not (after := rest[found.end() :].strip()):
        return usage(name)
    if not servers:
        return only(say("servers.none"))
    targets = select(found[0], servers)
    match targets:
        case Say():
            return only(targets)
        case Unknown(word, near):
            around = found[0].replace(word, "{}", 1)
            return _not_there(word, near, servers, f"/{name} {around} {after}")
        case Targets():
            return targets, after
