"""Reads Ansible's INI inventories: hosts, [group], [group:children], [group:vars]."""

import re
import shlex

from agent.fleet.inventory.ansible import Group, Groups, listing_of
from agent.fleet.inventory.found import Listing, Spot, expanded
from core.errors import BadInput
from core.texts import say

_HEADER = re.compile(r"\[([^\]:]+)(?::(children|vars|hosts))?\]\s*(?:[#;].*)?")


def parse(text: str, name: str) -> Listing:
    """Return the hosts of an inventory; raises BadInput for a wrong range, too many hosts, a circle."""
    listing, groups = Listing(), Groups()
    group, kind = groups.setdefault("ungrouped", Group()), "hosts"
    for number, line in enumerate(text.splitlines(), 1):
        spot, stripped = Spot(name, number), line.strip()
        if not stripped or stripped[0] in "#;":
            continue
        if stripped[0] == "[" and (header := _HEADER.fullmatch(stripped)):
            group, kind = groups.setdefault(header[1].strip(), Group()), header[2] or "hosts"
        elif kind == "children":
            group.children.append(stripped.split()[0])
        elif kind == "vars":
            variable, equals, value = stripped.partition("=")
            if equals:
                group.values[variable.strip()] = (_unquoted(value.strip()), spot)
        else:
            _host_line(listing, group, stripped, spot)
    return listing_of(groups, listing)


def _host_line(listing: Listing, group: Group, line: str, spot: Spot) -> None:
    try:
        words = shlex.split(line, comments=True)
        names = expanded(words[0]) if words else ()
    except ValueError:
        listing.note(spot, line, say("import.not_understood"))
        return
    except BadInput as error:
        listing.note(spot, line, error.say)
        return
    listing.count(len(names))
    values = {}
    for word in words[1:]:
        variable, equals, value = word.partition("=")
        if not equals:
            listing.note(spot, word, say("import.not_understood"))
        else:
            values[variable] = (value, spot)
    for each in names:
        host, colon, port = each.rpartition(":")
        if colon and port.isdecimal() and ":" not in host:
            group.hosts[host] = (spot, {"ansible_port": (port, spot), **values})
        else:
            group.hosts[each] = (spot, dict(values))


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text
