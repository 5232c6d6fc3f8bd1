"""Reads Ansible's YAML inventories. Its nodes are looked at, no object is ever made of them."""

from collections.abc import Iterator

import yaml

from agent.fleet.inventory.ansible import DEEPEST, Group, Groups, Value, listing_of
from agent.fleet.inventory.found import Listing, Spot, expanded
from core.errors import BadInput
from core.texts import say

MOST_NODES = 50_000


class Reader:
    """One inventory. seen: nodes that were looked at, aliases each time."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._seen = 0
        self.listing = Listing()
        self.groups = Groups()

    def group(self, name: str, node: yaml.Node, depth: int = 0) -> None:
        """Take a group in with the groups in it."""
        if depth > DEEPEST:
            raise BadInput("import.groups_in_a_circle", group=name)
        group = self.groups.setdefault(name, Group())
        for key, spot, value in self._pairs(node):
            match key:
                case "hosts":
                    for pattern, where, values in self._pairs(value):
                        self._hosts(group, pattern, where, values)
                case "vars":
                    group.values |= dict(self._values(value))
                case "children":
                    for child, _, inner in self._pairs(value):
                        group.children.append(child)
                        self.group(child, inner, depth + 1)
                case _:
                    self.listing.note(spot, key, say("import.not_understood"))

    def _hosts(self, group: Group, pattern: str, spot: Spot, node: yaml.Node) -> None:
        try:
            names = expanded(pattern)
        except BadInput as error:
            self.listing.note(spot, pattern, error.say)
            return
        self.listing.count(len(names))
        values = dict(self._values(node))
        for name in names:
            before = group.hosts.get(name, (spot, {}))[1]
            group.hosts[name] = (spot, {**before, **values})

    def _pairs(self, node: yaml.Node) -> Iterator[tuple[str, Spot, yaml.Node]]:
        self._count(node)
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                self._count(value)
                yield str(key.value), Spot(self._name, key.start_mark.line + 1), value

    def _values(self, node: yaml.Node) -> Iterator[tuple[str, Value]]:
        for key, spot, value in self._pairs(node):
            if value.tag == "!vault" or (
                isinstance(value, yaml.ScalarNode) and value.value.startswith("$ANSIBLE_VAULT")
            ):
                self.listing.note(spot, key, say("import.vault"))
            elif isinstance(value, yaml.ScalarNode):
                yield key, (value.value, spot)

    def _count(self, node: yaml.Node) -> None:
        self._seen += 1
        if self._seen > MOST_NODES:
            raise BadInput("import.too_large")


def parse(text: str, name: str) -> Listing:
    """Return the hosts of an inventory; raises BadInput for what is no YAML, too large, or a circle."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        raise BadInput("import.bad_yaml", line=mark.line + 1 if mark else "?") from None
    reader = Reader(name)
    if isinstance(root, yaml.MappingNode):
        for key, node in root.value:
            reader.group(str(key.value), node)
    return listing_of(reader.groups, reader.listing)
