"""What Ansible's inventories mean, however they are written: groups in groups, and variables that win.

Sources: "How to build your inventory" and "Variable precedence" in Ansible's documentation.
"""

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from agent.fleet.inventory.found import (
    ENVIRONMENTS,
    MOST_HOSTS,
    ROLES,
    Found,
    Listing,
    Spot,
    take_option,
    take_port,
)
from core.errors import BadInput
from core.texts import say

DEEPEST = 20
Value = tuple[str, Spot]
"""A variable's text and where it stands."""

_SECRET_PARTS = ("pass", "secret", "token", "private_key", "vault")
_OWN = ("all", "ungrouped")


@dataclass(slots=True)
class Group:
    """A group with what stands in it."""

    hosts: dict[str, tuple[Spot, dict[str, Value]]] = field(default_factory=dict)
    children: list[str] = field(default_factory=list)
    values: dict[str, Value] = field(default_factory=dict)


Groups = dict[str, Group]


def listing_of(groups: Groups, listing: Listing) -> Listing:
    """Return the hosts of all groups with what holds for each."""
    parents: dict[str, set[str]] = {name: set() for name in groups}
    for name, group in groups.items():
        for child in group.children:
            parents.setdefault(child, set()).add(name)
    depth: dict[str, int] = {}
    for name in parents:
        _depth(name, parents, depth)
    spots: dict[str, Spot] = {}
    direct: dict[str, set[str]] = {}
    for name, group in groups.items():
        for host, (spot, _) in group.hosts.items():
            spots.setdefault(host, spot)
            direct.setdefault(host, set()).add(name)
    if len(spots) > MOST_HOSTS:
        raise BadInput("import.too_many", limit=MOST_HOSTS)
    for host, spot in spots.items():
        above = _above(direct[host], parents)
        of = sorted(above, key=lambda name: (depth[name], name))
        listing.hosts.append(_host(host, spot, of, groups, listing))
    return listing


def _depth(name: str, parents: Mapping[str, set[str]], known: dict[str, int], level: int = 0) -> int:
    """Return how many groups stand above one another over ``name``. known: those that were asked for."""
    if level > DEEPEST:
        raise BadInput("import.groups_in_a_circle", group=name)
    if name not in known:
        above = (_depth(each, parents, known, level + 1) + 1 for each in parents.get(name, ()))
        known[name] = max(above, default=0)
    if level + known[name] > DEEPEST:
        raise BadInput("import.groups_in_a_circle", group=name)
    return known[name]


def _above(names: Iterable[str], parents: Mapping[str, set[str]]) -> set[str]:
    """Return ``names`` and every group that they stand in, each once."""
    found, left = set[str](), list(names)
    while left:
        if (name := left.pop()) not in found:
            found.add(name)
            left += parents.get(name, ())
    return found


def _host(name: str, spot: Spot, of: list[str], groups: Groups, listing: Listing) -> Found:
    values: dict[str, Value] = dict(groups["all"].values) if "all" in groups else {}
    for each in of:
        values |= groups[each].values if each in groups else {}
    for group in groups.values():
        if name in group.hosts:
            values |= group.hosts[name][1]
    host = Found(name, spot, host=name)
    for group_name in of:
        if group_name in _OWN:
            continue
        host.environment = ENVIRONMENTS.get(group_name.lower(), host.environment)
        host.role = ROLES.get(group_name.lower(), host.role)
        host.tags[group_name] = "yes"
    for variable, (text, where) in values.items():
        _take(listing, host, variable, text, where)
    return host


def _take(listing: Listing, host: Found, variable: str, text: str, spot: Spot) -> None:
    kind = re.sub(r"\Aansible_ssh_", "ansible_", variable)
    if kind == "ansible_private_key_file":
        host.key_file = text
        return
    if any(part in variable.lower() for part in _SECRET_PARTS) or text.startswith("$ANSIBLE_VAULT"):
        listing.note(spot, variable, say("import.secret"))
        return
    if kind not in ("ansible_host", "ansible_port", "ansible_user", "ansible_connection", *_ARGUMENTS):
        return
    if "{{" in text or "{%" in text:
        listing.note(spot, f"{variable}={text}", say("import.template"))
        host.refused = host.refused or say("import.template")
        return
    match kind:
        case "ansible_host":
            host.host = text
        case "ansible_port":
            take_port(listing, host, spot, text)
        case "ansible_user":
            host.user = text
        case "ansible_connection":
            if text not in ("ssh", "smart", "paramiko", "ansible.builtin.ssh"):
                host.refused = say("import.connection", connection=text[:40])
        case _:
            _take_arguments(listing, host, variable, text, spot)


_FLAGS = {"-A": "ForwardAgent yes", "-X": "ForwardX11 yes", "-Y": "ForwardX11 yes"}
_ARGUMENTS = ("ansible_common_args", "ansible_extra_args", "ansible_args")


def _take_arguments(listing: Listing, host: Found, variable: str, text: str, spot: Spot) -> None:
    """Take what is known of ssh's arguments; the rest is noted with the reason."""
    try:
        words = shlex.split(text)
    except ValueError:
        listing.note(spot, f"{variable}={text}", say("import.not_understood"))
        host.refused = host.refused or say("import.not_understood")
        return
    while words:
        word = words.pop(0)
        if word in ("-J", "-o") and words:
            value = words.pop(0)
        elif word[:2] in ("-J", "-o") and len(word) > 2:
            word, value = word[:2], word[2:]
        else:
            take_option(listing, host, spot, *_pair(_FLAGS.get(word, word)))
            continue
        take_option(listing, host, spot, *(("ProxyJump", value) if word == "-J" else _pair(value)))


def _pair(text: str) -> tuple[str, str]:
    """Return an option's name and its value, parted by an equals sign or a blank."""
    name, equals, value = text.partition("=")
    if not equals:
        name, _, value = text.partition(" ")
    return name.strip(), value.strip()
