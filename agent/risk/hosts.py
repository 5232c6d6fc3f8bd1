"""Which other hosts a command names: data for the gate, which knows the inventory."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import parse_qs

from agent.risk.lexer import LONGEST, Word
from agent.risk.loose import HOLE, Loose
from agent.risk.options import values_of
from agent.risk.policy import NONE, Policy
from agent.risk.policy.own import own_rule
from agent.risk.rules import HOSTS, RULES, Rule, meant
from agent.risk.uses import loosely, uses_in

_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?\.?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(?:%\w+)?")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_REMOTE = re.compile(r"(?:[^@/]*@)?(\[[^\]]+\]|[^:/\[\]]+):")
_DEVICE = re.compile(r"/dev/(?:tcp|udp)/([^/\s'\"]+)/")
_CONNINFO = re.compile(r"\b(?:host|hostaddr)\s*=\s*'?([^\s']+)")
_SOCAT = re.compile(
    r"(?:tcp|udp|openssl|ssl|proxy|socks4a?)[46]?(?:-connect|-sendto)?:([^,]+)", re.IGNORECASE
)
_SSH_OPTION = re.compile(
    r"\s*(?:(?:hostname|proxyjump)\s*[= ]\s*(\S+)|proxycommand\s*[= ](.+))", re.IGNORECASE | re.DOTALL
)
_ASSIGNED = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
_PORT = re.compile(r"(.*):\d{1,5}", re.DOTALL)


def _bare(text: str) -> str:
    """Return a host without user, brackets, port and final dot."""
    host = text.rpartition("@")[2]
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    if host.count(":") == 1:
        host = host.partition(":")[0]
    return host.rstrip(".").lower()


def _hosts(text: str) -> Iterator[str]:
    yield from map(_bare, text.split(","))


def _url(text: str) -> Iterator[str]:
    """Yield the hosts of a URL; one without a scheme begins with its host."""
    if text.startswith(("unix:", "fd:", "npipe:", "/", "file:")):
        return
    rest = text[match.end() :] if (match := _SCHEME.match(text)) else text
    place = re.split(r"[/?#]", rest, maxsplit=1)[0]
    query = rest.partition("#")[0].partition("?")[2]
    yield from _hosts(place.rpartition("@")[2])
    if match and match.group().lower().startswith("postgres"):
        for name in ("host", "hostaddr"):
            for value in parse_qs(query).get(name, ()):
                yield from (host for host in _hosts(value) if not host.startswith("/"))


def _urls(text: str) -> Iterator[str]:
    for each in text.split(","):
        yield from _url(each)


def _login(text: str) -> Iterator[str]:
    yield from _url(text) if _SCHEME.match(text) else (_bare(text),)


def _hops(text: str) -> Iterator[str]:
    for each in text.split(","):
        yield from _login(each)


def _remote(text: str) -> Iterator[str]:
    if _SCHEME.match(text) or text.startswith("//"):
        yield from _url(text.removeprefix("//") if text.startswith("//") else text)
    elif found := _REMOTE.match(text):
        yield _bare(found[1])


def _remote_url(text: str) -> Iterator[str]:
    """Yield the host of a URL or of user@host:path; other words with a colon are git's own."""
    if _SCHEME.match(text) or ("@" in text.partition(":")[0] and ":" in text):
        yield from _remote(text)


def _page_url(text: str) -> Iterator[str]:
    if _SCHEME.match(text) or "." in text or text.startswith("localhost"):
        yield from _url(text)


def _database(text: str) -> Iterator[str]:
    if _SCHEME.match(text):
        yield from _url(text)
    else:
        for value in _CONNINFO.findall(text):
            yield from (host for host in _hosts(value) if not host.startswith("/"))


def _document(text: str) -> Iterator[str]:
    """Yield the hosts of MongoDB's address: a URI, host:port/db or host/db; a bare word is a database."""
    if _SCHEME.match(text) or "/" in text or ":" in text or "." in text:
        yield from _url(text)


def _option(text: str) -> Iterator[str]:
    if found := _SSH_OPTION.fullmatch(text):
        yield from _hops(found[1]) if found[1] else _command(found[2])


@lru_cache(maxsize=512)  # one text may stand in a line many times, and be looked at from many places
def _command(text: str) -> tuple[str, ...]:
    """Return the hosts that a command reaches which is given to another one."""
    return hosts_in(text) if " " in text else ()


def _resolved(text: str) -> Iterator[str]:
    """Yield the address that curl is told to use instead of a host's own."""
    words = text.split(":", 2)
    if len(words) == 3:
        for each in words[2].split(","):
            yield _bare(each if each.count(":") < 2 or each.startswith("[") else f"[{each}]")


def _address(text: str) -> Iterator[str]:
    for found in _SOCAT.findall(text):
        yield _bare(found)


def _context(text: str) -> Iterator[str]:
    yield text.lower()


_KINDS: Mapping[str, Callable[[str], Iterable[str]]] = {
    "host": _hosts,
    "hosts": _hosts,
    "login": _login,
    "hops": _hops,
    "remote": _remote,
    "remoteurl": _remote_url,
    "pageurl": _page_url,
    "url": _url,
    "urls": _urls,
    "database": _database,
    "document": _document,
    "option": _option,
    "command": _command,
    "resolved": _resolved,
    "address": _address,
    "context": _context,
}

_JUDGED: Mapping[str, Callable[[str], Iterable[str]]] = {
    "databasehost": _hosts,
    "inside": _urls,
    "psqldatabase": _database,
    "mongodatabase": _document,
    "context": _context,
}
"""Kinds of the rules' own whose values name hosts, and which raise nothing by themselves."""


def _names_hosts(rule: Rule) -> bool:
    kinds = {flag.kind for flags in (rule.flags, rule.shared) for flag in flags.values()}
    kinds |= {operand.kind for operand in rule.args}
    return bool(kinds & _JUDGED.keys()) or any(map(_names_hosts, rule.sub.values()))


_RULED = {name: rule for name, rule in RULES.items() if _names_hosts(meant(rule))}


@dataclass(frozen=True, slots=True)
class _Entry:
    """How a program names hosts; the fields are told in hosts.toml. valued: every flag with a value."""

    named: Mapping[str, str]
    valued: frozenset[str]
    args: tuple[str, ...]
    unless: str = ""


def _pairs(text: str) -> dict[str, str]:
    return dict(item.partition("=")[::2] for item in text.split())


def _entries() -> dict[str, _Entry]:
    found: dict[str, _Entry] = {}
    for name, raw in HOSTS.items():
        if isinstance(raw, dict):
            named = _pairs(raw.get("named", ""))
            valued = frozenset((*named, *raw.get("takes", "").split()))
            entry = _Entry(named, valued, tuple(raw["args"].split()), raw.get("unless", ""))
            if unknown := {*entry.named.values(), *entry.args} - _KINDS.keys() - {"-"}:
                raise ValueError(f"hosts.toml: {name}: unknown kinds {sorted(unknown)}")
            found |= dict.fromkeys([name, *raw.get("also", "").split()], entry)
    return found


_ENTRIES = _entries()
_VARIABLES = _pairs(HOSTS["variables"])
_MAY_NAME = re.compile("|".join(map(re.escape, [*_ENTRIES, *_RULED, *_VARIABLES, "/dev/"])))
"""What a text has in it, perhaps between quotes, that names a host."""

_UNQUOTED = str.maketrans("", "", "'\"\\\n$")


def named_in(text: str, policy: Policy = NONE) -> list[tuple[str, str]]:
    """Return each host that ``text`` names, in lower case, with the command that names it.

    What is longer than a person can check is looked at as far as that.
    """
    text = text[:LONGEST]
    found: dict[str, str] = {}
    if not _MAY_NAME.search(text.translate(_UNQUOTED)) and not any(own.program in text for own in policy.own):
        return []
    for loose in loosely(text):
        shown = " ".join(loose.words).replace(HOLE, "$(…)")
        for host in _in_command(loose, policy):
            if HOLE not in host and "$" not in host and _HOST.fullmatch(host):
                found.setdefault(host.lower(), shown)
    return list(found.items())


def hosts_in(text: str, policy: Policy = NONE) -> tuple[str, ...]:
    """Return the hosts that ``text`` names."""
    return tuple(host for host, _ in named_in(text, policy))


def _in_command(loose: Loose, policy: Policy) -> Iterator[str]:
    for word in loose.words:
        if (found := _ASSIGNED.fullmatch(word)) and (kind := _VARIABLES.get(found[1])):
            yield from _KINDS[kind](found[2])
    for text in (*loose.words, *(target for _, target in loose.targets)):
        yield from _DEVICE.findall(text)
    for name, args in uses_in(loose):
        if (rule := _RULED.get(name)) is not None:  # by the very reading by which it is judged
            words = [Word(arg) for arg in args]
            for kind, hosts_of in _JUDGED.items():
                for value in values_of(rule, words, (kind,)):
                    yield from hosts_of(value)
        if (entry := _ENTRIES.get(name)) is not None:
            yield from _by(entry, args)
        elif own := own_rule(policy, name):
            words = [Word(arg) for arg in args]
            for value in values_of(own[1], words, ("host",)):
                yield from _hosts(value)
            for value in values_of(own[1], words, ("url",)):
                yield from _url(value)


def _by(entry: _Entry, args: Sequence[str]) -> Iterator[str]:
    """Yield the hosts among a program's arguments."""
    if entry.unless and any(re.fullmatch(rf"-\w*{entry.unless}\w*", arg) for arg in args):
        return
    operands, at = 0, 0
    while at < len(args):
        flag, value, taken = _flag(entry, args, at)
        at += taken
        if flag is None:
            kind = entry.args[min(operands, len(entry.args) - 1)]
            operands += 1
            if kind == "-" and entry.args != ("-",):
                return  # what follows is another program's
            if kind != "-":
                yield from _KINDS[kind](value)
        elif flag in entry.named and value:
            yield from _KINDS[entry.named[flag]](value)


def _flag(entry: _Entry, args: Sequence[str], at: int) -> tuple[str | None, str, int]:
    """Return the flag at ``at``, its value, and how many words they are; an operand's flag is None."""
    text = args[at]
    following = args[at + 1] if at + 1 < len(args) else ""
    if not text.startswith("-") or text == "-":
        return None, text, 1
    name, equals, value = text.partition("=")
    if equals and (name in entry.valued or name.startswith("--")):
        return name, value, 1
    if text in entry.valued:
        return text, following, 2
    if not text.startswith("--"):
        for place, letter in enumerate(text[1:], 1):
            if f"-{letter}" in entry.valued:
                rest = text[place + 1 :]
                return f"-{letter}", rest or following, 1 if rest else 2
    return text, "", 1
