"""The slash commands that look: into files, at a host from a server, and into the audit log."""

import re
from collections.abc import Sequence
from typing import Any

from agent.engines.slash import PATH, number, on_servers, split, usage
from agent.engines.targets import Intent, Reading, Suggestion, named, only, shown
from agent.engines.words import MAX_LINES
from core.texts import say
from core.work import Server

HOST = re.compile(r"[A-Za-z0-9:][A-Za-z0-9.:_-]{0,252}")
MOST_ROWS = 50
FILTERS = ("who", "server", "action", "since", "until", "limit")

_RANGE = re.compile(r"([0-9]{1,9})(?:[-–~]([0-9]{1,9}))?")
_SOUGHT = re.compile(r"(\"[^\"]+\"|'[^']+'|\S+)\s+(\S.*)", re.DOTALL)
_QUOTES = ('""', "''", "``", "“”")
_WORD = re.compile(r"[^\x00-\x1f\x7f]{1,100}")
_LONGEST = 1000


def tail(rest: str, servers: Sequence[Server]) -> Reading:
    """Read ``SERVERS PATH [LINES]``."""
    found = on_servers("tail", rest, servers)
    if isinstance(found, Suggestion):
        return found
    targets, after = found
    words = split(after)
    if not 1 <= len(words) <= 2 or not PATH.fullmatch(words[0]):
        return usage("tail")
    arguments: dict[str, Any] = {"path": words[0], "servers": list(targets.names)}
    if len(words) == 2:
        lines = number(words[1], MAX_LINES)
        if lines is None:
            return only(say("direct.bad_lines", limit=MAX_LINES))
        arguments["lines"] = lines
    return Intent("tail_file", arguments, targets.notes)


def read(rest: str, servers: Sequence[Server]) -> Reading:
    """Read ``SERVERS PATH [FROM[-TO]]``."""
    found = on_servers("read", rest, servers)
    if isinstance(found, Suggestion):
        return found
    targets, after = found
    words = split(after)
    if not 1 <= len(words) <= 2 or not PATH.fullmatch(words[0]):
        return usage("read")
    lines = line_range(words[1]) if len(words) == 2 else {}
    if isinstance(lines, Suggestion):
        return lines
    return Intent("read_file", {"path": words[0], "servers": list(targets.names), **lines}, targets.notes)


def line_range(text: str) -> dict[str, int] | Suggestion:
    """Return the first and perhaps the last line that ``text`` names, such as 100 or 100-150."""
    found = _RANGE.fullmatch(text)
    first = int(found[1]) if found else 0
    last = int(found[2]) if found and found[2] else None
    if first < 1 or (last is not None and not 0 <= last - first < MAX_LINES):
        return only(say("direct.bad_range", text=shown(text), limit=MAX_LINES, example="100-150"))
    return {"first": first} if last is None else {"first": first, "last": last}


def search(rest: str, servers: Sequence[Server]) -> Reading:
    """Read ``[--regex] SERVERS PATH TEXT``; the text is the rest of the line, in quotes or without."""
    flag, _, after_flag = rest.partition(" ")
    regex = {"regex": True} if flag == "--regex" else {}
    found = on_servers("search", after_flag.strip() if regex else rest, servers)
    if isinstance(found, Suggestion):
        return found
    targets, after = found
    sought = _SOUGHT.fullmatch(after)
    path = split(sought[1]) if sought else []
    if sought is None or len(path) != 1 or not PATH.fullmatch(path[0]):
        return usage("search")
    text = _unquoted(sought[2].strip())
    if (refusal := bad_text(text)) is not None:
        return refusal
    arguments = {"pattern": text, "path": path[0], "servers": list(targets.names), **regex}
    return Intent("search_files", arguments, targets.notes)


def bad_text(text: str) -> Suggestion | None:
    """Return why nothing can be searched for ``text``, None if it can."""
    if 1 <= len(text) <= _LONGEST and not set(text) & set("\0\n\r"):
        return None
    return only(say("direct.bad_search", limit=_LONGEST, example="/search web-1 /var/log/nginx timeout"))


def _unquoted(text: str) -> str:
    """Return ``text`` without the quotes around the whole of it."""
    whole = len(text) > 2 and text[0] + text[-1] in _QUOTES
    return text[1:-1] if whole and not set(text[1:-1]) & {text[0], text[-1]} else text


def ping(rest: str, servers: Sequence[Server]) -> Reading:
    """Read ``SERVERS HOST``."""
    found = on_servers("ping", rest, servers)
    if isinstance(found, Suggestion):
        return found
    targets, after = found
    if len(after.split()) != 1:
        return usage("ping")
    if not HOST.fullmatch(after):
        return only(say("direct.bad_host", host=shown(after), example="/ping web-1 example.com"))
    host = named(after, servers) or after
    return Intent("ping", {"host": host, "servers": list(targets.names)}, targets.notes)


def audit(rest: str, servers: Sequence[Server]) -> Reading:
    """Read ``[WHO] [server=NAME] [action=] [since=24h] [until=] [limit=]``."""
    words = split(rest)
    if rest and not words:
        return usage("audit")
    arguments: dict[str, Any] = {}
    for word in words:
        key, _, value = word.partition("=") if "=" in word else ("who", "", word)
        if key not in FILTERS or not _WORD.fullmatch(value):
            return only(say("direct.bad_option", option=shown(word), allowed=", ".join(FILTERS)))
        if key in arguments:
            return usage("audit")
        arguments[key] = value
    if "server" in arguments:  # one that was removed is not among the servers
        arguments["server"] = named(arguments["server"], servers) or arguments["server"]
    if "limit" in arguments:
        limit = number(arguments["limit"], MOST_ROWS)
        if limit is None:
            return only(say("direct.bad_limit", limit=MOST_ROWS, example="limit=20"))
        arguments["limit"] = limit
    return Intent("ask_audit", arguments)
