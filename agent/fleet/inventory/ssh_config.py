"""Reads ssh_config as OpenSSH does: blocks in order, the first value counts (ssh_config(5)).

Nothing in it is run, and no file is read but those that it includes.
"""

import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from agent.fleet.inventory.found import MOST_HOSTS, Found, Listing, Spot, take_option, take_port
from core.errors import BadInput
from core.texts import say

Includes = Callable[[str], Sequence[tuple[str, str]]]
"""Returns (name, text) of each file that an Include's pattern means."""

DEEPEST = 16
_LINE = re.compile(r"\s*([A-Za-z0-9]+)(?:\s*=\s*|\s+)(.*?)\s*")


@dataclass(slots=True)
class Block:
    """Lines that hold for the hosts of ``patterns``; None: for none, because it is not known for which."""

    patterns: Sequence[str] | None
    lines: list[tuple[Spot, str, str]] = field(default_factory=list)

    def fits(self, host: str) -> bool:
        """Return whether it holds for ``host``."""
        if self.patterns is None:
            return False
        wanted = any(fnmatchcase(host, p) for p in self.patterns if not p.startswith("!"))
        return wanted and not any(fnmatchcase(host, p[1:]) for p in self.patterns if p.startswith("!"))


def parse(text: str, name: str, includes: Includes) -> Listing:
    """Return the hosts of a file that are named without a wildcard.

    Raises BadInput for too many of them.
    """
    listing = Listing()
    blocks = [Block(["*"])]
    _read(text, name, includes, blocks, listing, 0)
    names: dict[str, Spot] = {}
    for block in blocks:
        for pattern in block.patterns or ():
            if not set(pattern) & set("*?!") and block.lines:
                names.setdefault(pattern, block.lines[0][0])
    if len(names) > MOST_HOSTS:
        raise BadInput("import.too_many", limit=MOST_HOSTS)
    listing.hosts = [_host(each, spot, blocks, listing) for each, spot in names.items()]
    return listing


def _read(
    text: str, name: str, includes: Includes, blocks: list[Block], listing: Listing, depth: int
) -> None:
    for number, line in enumerate(text.splitlines(), 1):
        listing.count(1)
        spot = Spot(name, number)
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            listing.note(spot, line.strip(), say("import.not_understood"))
            continue
        keyword, value = found[1].lower(), found[2]
        match keyword:
            case "host":
                blocks.append(Block(_words(value), [(spot, "host", value)]))
            case "match":
                blocks.append(Block(_matched(listing, spot, value), [(spot, "match", value)]))
            case "include":
                _include(spot, value, includes, blocks, listing, depth)
            case _:
                blocks[-1].lines.append((spot, found[1], value))


def _include(
    spot: Spot, value: str, includes: Includes, blocks: list[Block], listing: Listing, depth: int
) -> None:
    """Read the files that are included; afterwards the block goes on that was open."""
    before = blocks[-1]
    for pattern in _words(value):
        files = includes(pattern) if depth < DEEPEST else ()
        if not files:
            listing.note(spot, f"Include {pattern}", say("import.not_included"))
        for name, text in files:
            blocks.append(Block(before.patterns))
            _read(text, name, includes, blocks, listing, depth + 1)
    blocks.append(Block(before.patterns))


def _matched(listing: Listing, spot: Spot, value: str) -> Sequence[str] | None:
    """Return the patterns of a Match that only names hosts; others depend on what it0 does not run or ask."""
    words = _words(value)
    if [word.lower() for word in words] == ["all"]:
        return ["*"]
    if len(words) == 2 and words[0].lower() in ("host", "originalhost"):
        return words[1].split(",")
    listing.note(spot, f"Match {value}", say("import.match"))
    return None


def _words(value: str) -> list[str]:
    try:
        return shlex.split(value)
    except ValueError:
        return value.split()


def _value(value: str) -> str:
    """Return a value without the quotes around it, and without a comment after them."""
    if value.startswith('"') and value.count('"') >= 2:
        return value[1 : value.index('"', 1)]
    return re.sub(r"\s+#.*", "", value)


def _host(name: str, spot: Spot, blocks: Sequence[Block], listing: Listing) -> Found:
    host, seen = Found(name, spot), set[str]()
    for where, keyword, value in _lines(name, blocks):
        low = keyword.lower()
        if low in seen and low != "identityfile":
            continue
        seen.add(low)
        match low:
            case "hostname":
                host.host = value.replace("%h", name).replace("%%", "%")
            case "port":
                take_port(listing, host, where, value)
            case "user":
                host.user = value
            case "proxycommand" if "proxyjump" in seen:
                pass
            case "proxyjump" if "proxycommand" in seen:
                pass
            case _:
                take_option(listing, host, where, keyword, value)
    host.host = host.host or name
    return host


def _lines(name: str, blocks: Sequence[Block]) -> Iterator[tuple[Spot, str, str]]:
    for block in blocks:
        if block.fits(name):
            for spot, keyword, value in block.lines:
                if keyword not in ("host", "match"):
                    yield spot, keyword, _value(value)
