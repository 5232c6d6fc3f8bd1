"""What taking an inventory would change: pure, so that what is shown is what is taken."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from agent.fleet.forms import MAX_JUMPS, NewServer, checked, differences
from agent.fleet.inventory.found import Found, Hop, Listing, Spot
from core.errors import BadInput
from core.texts import Say, say

State = Literal["new", "same", "changed", "refused"]


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the person says who imports.

    credential: of new servers; keys: credentials by the key file that is named; user: where none is named;
    environment, role, tags: of every server taken, over what its groups say; only: names, all if empty.
    """

    credential: str = ""
    keys: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    environment: str = ""
    role: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    only: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Row:
    """One server of the plan. changes: {field: [old, new]} of one that there is; why: of a refused one."""

    name: str
    state: State
    spot: Spot
    new: NewServer
    changes: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    why: Say | None = None
    key_file: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """Every server of the file, jump servers before those behind them."""

    rows: tuple[Row, ...]

    @property
    def taken(self) -> tuple[Row, ...]:
        """Return the rows that change something."""
        return tuple(row for row in self.rows if row.state in ("new", "changed"))


def plan(listing: Listing, known: Mapping[str, NewServer], wishes: Wishes) -> Plan:
    """Return what would be taken.

    known: the servers that there are, by name, as they would be described now.
    """
    hosts, refusals = _with_jumps(listing.hosts, known, wishes)
    rows: dict[str, Row] = {}
    for name in hosts:
        rows[name] = _row(hosts[name], known.get(name), wishes, refusals.get(name))
    _refuse_bad_ways(rows, known)
    return Plan(tuple(rows[name] for name in _in_order(rows)))


def _with_jumps(
    found: Sequence[Found], known: Mapping[str, NewServer], wishes: Wishes
) -> tuple[dict[str, Found], dict[str, Say]]:
    """Return the hosts that are wanted, with each jump server that only a chain names, and refusals."""
    by_name = {host.name: host for host in found}
    wanted = [host for host in found if not wishes.only or host.name in wishes.only]
    hosts: dict[str, Found] = {}
    refusals: dict[str, Say] = {}
    while wanted:
        host = wanted.pop(0)
        if host.name in hosts:
            continue
        hosts[host.name] = host
        before: tuple[Hop, ...] = ()
        for hop in host.jumps:
            if hop.host in by_name:
                wanted.append(by_name[hop.host])
            elif hop.host not in known and hop.host not in hosts:
                made = Found(hop.host, host.spot, hop.host, hop.port, hop.user, before, host.key_file)
                made.environment = host.environment
                by_name[hop.host] = made
                wanted.append(made)
            if (why := _other_way(hop, before, by_name.get(hop.host), known.get(hop.host))) is not None:
                refusals.setdefault(host.name, why)
            before = (*before, hop)
    return hosts, refusals


def _other_way(hop: Hop, before: tuple[Hop, ...], found: Found | None, known: NewServer | None) -> Say | None:
    """Return why a hop is not the server of its name: another user or port, or another way to it."""
    if found is not None:
        user, port, jump = found.user, found.port or 22, found.jumps[-1].host if found.jumps else ""
    elif known is not None:
        user, port, jump = known.user, known.port, known.jump
    else:
        return None
    other = (hop.user and user and hop.user != user) or (hop.port and hop.port != port)
    if other or (before and before[-1].host != jump):
        return say("import.other_jump", jump=hop.host)
    return None


def _row(host: Found, now: NewServer | None, wishes: Wishes, why: Say | None) -> Row:
    base = now or NewServer(host.name, credential=wishes.keys.get(host.key_file, wishes.credential))
    new = replace(
        base,
        host=host.host or host.name,
        port=host.port or 22,
        user=host.user or base.user or wishes.user,
        jump=host.jumps[-1].host if host.jumps else "",
        environment=wishes.environment or host.environment or base.environment,
        role=wishes.role or host.role or base.role,
        tags={**base.tags, **host.tags, **wishes.tags},
        ssh_options={**base.ssh_options, **host.ssh_options},
    )
    why = why or host.refused or _unfit(new, now)
    if why is not None:
        return Row(host.name, "refused", host.spot, new, why=why, key_file=host.key_file)
    if now is None:
        return Row(host.name, "new", host.spot, new, key_file=host.key_file)
    changes = differences(now, new)
    return Row(host.name, "changed" if changes else "same", host.spot, new, changes, key_file=host.key_file)


def _unfit(new: NewServer, now: NewServer | None) -> Say | None:
    if now is not None and now.connection == "local":
        return say("import.is_local")
    if not new.user:
        return say("import.no_user")
    if now is None and not new.credential:
        return say("import.no_credential")
    try:
        checked(new)
    except BadInput as error:
        return error.say
    return None


def _refuse_bad_ways(rows: dict[str, Row], known: Mapping[str, NewServer]) -> None:
    """Refuse what would stand in a circle or behind too many, and what is behind a refused one."""
    jumps = {name: server.jump for name, server in known.items()}
    jumps |= {name: row.new.jump for name, row in rows.items() if row.state != "refused"}
    for name, row in list(rows.items()):
        if row.state != "refused" and (why := _bad_way(name, jumps)) is not None:
            rows[name] = replace(row, state="refused", why=why)
    while behind := [
        row
        for row in rows.values()
        if row.state != "refused" and row.new.jump in rows and _is_lost(rows[row.new.jump], known)
    ]:
        for row in behind:
            why = say("import.jump_refused", jump=row.new.jump)
            rows[row.name] = replace(row, state="refused", why=why)


def _is_lost(row: Row, known: Mapping[str, NewServer]) -> bool:
    return row.state == "refused" and row.name not in known


def _bad_way(name: str, jumps: Mapping[str, str]) -> Say | None:
    at, count = jumps.get(name, ""), 0
    while at:
        count += 1
        if at == name or count > MAX_JUMPS:
            return say("server.jump_circle", server=name)
        at = jumps.get(at, "")
    return None


def _in_order(rows: Mapping[str, Row]) -> list[str]:
    """Return the names so that each jump server comes before those behind it; those in a circle last."""
    order: dict[str, None] = {}

    def add(name: str, trail: frozenset[str]) -> None:
        if name in rows and name not in order and name not in trail:
            add(rows[name].new.jump, trail | {name})
            order[name] = None

    for name in rows:
        add(name, frozenset())
    return list(order)
