"""What was found in a file, before anybody compares it with the servers that there are."""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agent.fleet.forms import OPTION_RANGES
from agent.fleet.ssh_reasons import why_not
from core.errors import BadInput
from core.texts import Say, say

MOST_HOSTS = 1000
MOST_BYTES = 4_194_304
MOST_PLACES = 50_000
"""Times that hosts may stand in groups, and lines that an ssh_config may have with all that it includes."""
LONGEST_PATTERN = 300

_HOP = re.compile(
    r"(?:ssh://)?(?:(?P<user>[^@\s]+)@)?(?P<host>\[[^\]\s]+\]|[^:@\s/]+)(?::(?P<port>\d{1,5}))?/?"
)
_SAFE = {
    "forwardagent": ("no",),
    "forwardx11": ("no",),
    "forwardx11trusted": ("no",),
    "stricthostkeychecking": ("yes", "ask", "true"),
    "checkhostip": ("yes", "no"),
    "permitlocalcommand": ("no",),
    "clearallforwardings": ("yes",),
    "tunnel": ("no",),
    "gatewayports": ("no",),
    "requesttty": ("no",),
}
"""Values that ask for what it0 does anyway."""

_TAKEN_OPTIONS = {
    "connecttimeout": "connect_timeout_s",
    "serveraliveinterval": "keepalive_s",
    "compression": "compression",
}


@dataclass(frozen=True, slots=True)
class Spot:
    """A line of a file; line: from 1."""

    file: str
    line: int

    def __str__(self) -> str:
        """Return it as compilers do."""
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Note:
    """A line that is not taken, and why. text: what stands there, "" where that is a secret."""

    spot: Spot
    text: str
    why: Say


@dataclass(frozen=True, slots=True)
class Hop:
    """A jump server as it is named. user, port: only where the hop says so."""

    host: str
    user: str = ""
    port: int | None = None


@dataclass(slots=True)
class Found:
    """A host in a file.

    jumps: the first hop first; key_file: the key that is named, which nobody reads; refused: why it cannot
    be taken as it stands there.
    """

    name: str
    spot: Spot
    host: str = ""
    port: int | None = None
    user: str = ""
    jumps: tuple[Hop, ...] = ()
    key_file: str = ""
    environment: str = ""
    role: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    ssh_options: dict[str, Any] = field(default_factory=dict)
    refused: Say | None = None


@dataclass(slots=True)
class Listing:
    """All that a file tells. notes: by line, each once; places: how much was read of what may be too much."""

    hosts: list[Found] = field(default_factory=list)
    notes: dict[tuple[str, int, str], Note] = field(default_factory=dict)
    places: int = 0

    def count(self, places: int) -> None:
        """Raise BadInput for a file that tells more than anybody's fleet."""
        self.places += places
        if self.places > MOST_PLACES:
            raise BadInput("import.too_large")

    def note(self, spot: Spot, text: str, why: Say) -> None:
        """Tell of a line that is not taken, once."""
        self.notes.setdefault((spot.file, spot.line, text), Note(spot, text[:200], why))


def hops(text: str) -> tuple[Hop, ...] | None:
    """Return the jump servers of a ProxyJump, None where that is none; ``none`` is no jump."""
    if text.strip().lower() in ("none", ""):
        return ()
    found = []
    for each in text.split(","):
        match = _HOP.fullmatch(each.strip())
        if match is None:
            return None
        port = int(match["port"]) if match["port"] else None
        found.append(Hop(match["host"].strip("[]"), match["user"] or "", port))
    return tuple(found)


def hops_of_command(text: str) -> tuple[Hop, ...] | None:
    """Return the jump that a ProxyCommand of the form ``ssh -W %h:%p JUMP`` is, None for any other."""
    try:
        words = shlex.split(text)
    except ValueError:
        return None
    if not words or words.pop(0).rpartition("/")[2] != "ssh":
        return None
    through, port, user, rest = False, None, "", []
    while words:
        word = words.pop(0)
        if word in ("-q", "-T"):
            continue
        if word in ("-W", "-p", "-l") and words:
            value = words.pop(0)
            through = through or (word == "-W" and value in ("%h:%p", "[%h]:%p"))
            port = int(value) if word == "-p" and value.isdecimal() else port
            user = value if word == "-l" else user
        else:
            rest.append(word)
    jump = hops(rest[0]) if len(rest) == 1 and not rest[0].startswith("-") else None
    if not through or not jump or len(jump) != 1:
        return None
    return (Hop(jump[0].host, jump[0].user or user, jump[0].port or port),)


def take_option(listing: Listing, host: Found, spot: Spot, name: str, value: str) -> None:
    """Take an option of ssh into ``host``, or note why not; where it names a way unknown to us, refuse it."""
    option = name.lower()
    shown = f"{name} {value}".strip()
    if option in _TAKEN_OPTIONS:
        _take_number(listing, host, spot, option, value)
    elif option == "proxyjump":
        _take_jump(listing, host, spot, shown, hops(value))
    elif option == "proxycommand":
        _take_jump(listing, host, spot, shown, () if value.lower() == "none" else hops_of_command(value))
    elif option == "identityfile":
        host.key_file = host.key_file or value
    elif value.lower() not in _SAFE.get(option, ()):
        listing.note(spot, shown, why_not(option))


def _take_jump(listing: Listing, host: Found, spot: Spot, shown: str, jumps: tuple[Hop, ...] | None) -> None:
    if jumps is not None:
        host.jumps = jumps
        return
    why = why_not("proxycommand") if shown.lower().startswith("proxycommand") else say("import.bad_jump")
    listing.note(spot, shown, why)
    host.refused = host.refused or say("import.no_way", reason=why)


def _take_number(listing: Listing, host: Found, spot: Spot, option: str, value: str) -> None:
    name = _TAKEN_OPTIONS[option]
    if name == "compression":
        host.ssh_options[name] = value.lower() == "yes"
        return
    least, most = OPTION_RANGES[name]
    if value.isdecimal() and least <= int(value[:9]) <= most:
        host.ssh_options[name] = int(value)
    elif value != "0" and value.lower() != "none":
        listing.note(spot, f"{option} {value}", say("import.out_of_range", least=least, most=most))


def take_port(listing: Listing, host: Found, spot: Spot, value: str) -> None:
    """Take a port; a host with another is refused."""
    if value.isdecimal() and 1 <= int(value[:6]) <= 65535:
        host.port = int(value)
    else:
        host.refused = host.refused or say("server.bad_port")
        listing.note(spot, value, say("server.bad_port"))


def expanded(pattern: str) -> Sequence[str]:
    """Return the hosts of a pattern such as ``web[01:20].example.com``; raises BadInput for a wrong one."""
    if len(pattern) > LONGEST_PATTERN:
        raise BadInput("import.bad_range", pattern=pattern[:100])
    match = re.search(r"\[([^\[\]]*)\]", pattern)
    if match is None:
        return [pattern]
    parts = match[1].split(":")
    letters = all(len(p) == 1 and p.isalpha() and p.isascii() for p in parts[:2])
    numbers = all(p.isascii() and p.isdecimal() and len(p) <= 6 for p in parts[:2])
    step = int(parts[2]) if len(parts) == 3 and parts[2].isdecimal() and len(parts[2]) < 5 else 1
    if len(parts) not in (2, 3) or not (letters or numbers) or step < 1:
        raise BadInput("import.bad_range", pattern=pattern[:100])
    first, last = (ord(p) for p in parts[:2]) if letters else (int(p) for p in parts[:2])
    if last < first or (last - first) // step >= MOST_HOSTS:
        raise BadInput("import.bad_range", pattern=pattern[:100])
    width = len(parts[0]) if numbers else 0
    middle = [chr(n) if letters else str(n).zfill(width) for n in range(first, last + 1, step)]
    rest = expanded(pattern[match.end() :])
    if len(middle) * len(rest) > MOST_HOSTS:
        raise BadInput("import.bad_range", pattern=pattern[:100])
    return [f"{pattern[: match.start()]}{each}{tail}" for each in middle for tail in rest]


ENVIRONMENTS: Mapping[str, str] = {
    **dict.fromkeys(("prod", "production", "live", "生产"), "prod"),
    **dict.fromkeys(("staging", "stage", "preprod", "uat", "预发"), "staging"),
    **dict.fromkeys(("dev", "development", "test", "开发"), "dev"),
}
ROLES: Mapping[str, str] = {
    **dict.fromkeys(("web", "webservers", "www", "frontend"), "web"),
    **dict.fromkeys(("db", "dbs", "database", "databases", "dbservers"), "db"),
    **dict.fromkeys(("mysql", "postgres", "postgresql"), "db"),
    **dict.fromkeys(("cache", "caches", "redis", "valkey", "memcached"), "cache"),
    **dict.fromkeys(("worker", "workers"), "worker"),
    **dict.fromkeys(("gateway", "gateways", "bastion", "bastions", "lb", "loadbalancers"), "gateway"),
}
"""Names of groups that say an environment or a role by themselves."""
