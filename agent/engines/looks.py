"""The sentences that look: into files, at a host from a server, and into the audit log."""

import re

from agent.engines.looking import HOST, bad_text, line_range
from agent.engines.sentence import SERVERS, Sentence, Token, not_understood, stray, targets_of
from agent.engines.targets import Intent, Reading, Suggestion, example, only
from agent.engines.words import MAX_LINES, TOPICS
from core.texts import say

LINES = 50
"""Lines of a log when no number is named."""

_FROM = ("from", "从")
_DAYS = {"today": "today", "今天": "today", "yesterday": "yesterday", "昨天": "yesterday"}


def lines_of(sentence: Sentence) -> int | Suggestion:
    """Return how many lines are asked for."""
    found = sentence.of("lines")
    if not found:
        return LINES
    count = int(found[0].value)
    if len(found) == 1 and 1 <= count <= MAX_LINES:
        return count
    return only(say("direct.bad_lines", limit=MAX_LINES))


def file(sentence: Sentence) -> Reading:
    """Read "tail /var/log/syslog on web-1" and "show lines 10 to 40 of /var/log/syslog on web-1"."""
    path, lines, ranges = sentence.of("path"), lines_of(sentence), sentence.of("range")
    if isinstance(lines, Suggestion):
        return lines
    if others := sentence.of("other"):
        return stray(sentence, others)
    wrong = {token.value for token in sentence.of("topic")} - {"logs"}
    kinds = ("path", "topic", "look", "ask", "mark", *(["range"] if ranges else ["lines", "tail"]), *SERVERS)
    if wrong or len(path) != 1 or len(ranges) > 1 or not sentence.has_only(*kinds):
        return not_understood(sentence)
    targets = targets_of(sentence, "tail")
    if isinstance(targets, Suggestion):
        return targets
    what = {"path": path[0].value, "servers": list(targets.names)}
    if not ranges:
        return Intent("tail_file", {**what, "lines": lines}, targets.notes)
    wanted = line_range("-".join(re.findall(r"[0-9]+", ranges[0].value)))
    return (
        wanted if isinstance(wanted, Suggestion) else Intent("read_file", {**what, **wanted}, targets.notes)
    )


def search(sentence: Sentence) -> Reading:
    """Read "search /var/log/nginx for “timeout” on web-1": the quoted text, as it is."""
    path, text = sentence.of("path"), sentence.quoted
    kinds = ("search", "path", "look", "mark", *SERVERS)
    others = sentence.of("other")
    if others and text is not None:
        return stray(sentence, others, "search")
    if text is None or len(path) != 1 or not sentence.has_only(*kinds):
        return not_understood(sentence, name="search")
    if (refusal := bad_text(text)) is not None:
        return refusal
    targets = targets_of(sentence, "search")
    if isinstance(targets, Suggestion):
        return targets
    arguments = {"pattern": text, "path": path[0].value, "servers": list(targets.names)}
    return Intent("search_files", arguments, targets.notes)


def ping(sentence: Sentence) -> Reading:
    """Read "ping": is the bot there, do servers answer a command, or does a host answer from servers."""
    others, host = sentence.of("other"), _pinged(sentence)
    if others and others != [host]:
        return stray(sentence, others)
    if not sentence.has_only("ping", "other", *SERVERS, "look", "ask", "mark", "opening"):
        return not_understood(sentence)
    if not sentence.of(*SERVERS):
        return only(say("direct.pong", example=example("ping", sentence.servers)))
    targets = targets_of(sentence, "ping", host)
    if isinstance(targets, Suggestion):
        return targets
    names = list(targets.names)
    if host is not None:
        return Intent("ping", {"host": host.value, "servers": names}, targets.notes)
    return Intent("run_command", {"command": TOPICS["uptime"].command, "servers": names}, targets.notes)


def _pinged(sentence: Sentence) -> Token | None:
    """Return the host that is pinged from elsewhere, None if the servers themselves are asked."""
    places = sentence.of("on")
    outside = [token for token in sentence.of("other") if re.search(r"[.:]", token.value)]
    if places and len(outside) == 1 and HOST.fullmatch(outside[0].value):
        return outside[0]
    loose = [token for token in sentence.of("server") if not sentence.is_place(token)]
    return loose[0] if len(loose) == 1 and any(each.value in _FROM for each in places) else None


def touched(sentence: Sentence) -> Reading:
    """Read "who touched db-1 yesterday"."""
    days, names = sentence.of("when"), sentence.of("server")
    if others := sentence.of("other"):
        return stray(sentence, others, "touched")
    if len(days) > 1 or len(names) != 1 or not sentence.has_only("touched", "when", "server", "mark", "ask"):
        return not_understood(sentence, name="touched")
    day = _DAYS[days[0].value] if days else ""
    since = {"since": day} if day else {}
    until = {"until": "today"} if day == "yesterday" else {}
    return Intent("ask_audit", {"server": names[0].value, **since, **until})


def harden(sentence: Sentence) -> Reading:
    """Read "harden web-1"."""
    if others := sentence.of("other"):
        return stray(sentence, others, "harden")
    names = [token.value for token in sentence.of("server")]
    if len(names) != 1 or not sentence.has_only("harden", "server", "look"):
        return not_understood(sentence, name="harden")
    return Intent("harden_server", {"name": names[0]})
