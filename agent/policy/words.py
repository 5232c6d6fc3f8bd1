"""A policy's entries in words."""

from collections.abc import Iterator, Mapping
from typing import Any

from agent.policy.simulating import Changed, Simulated
from agent.risk.policy import ANY
from core.messages import Code, Part
from core.store.policies import Stored
from core.texts import Say, say

SHOWN = 40
"""Entries, or changed commands, that a chat lists."""


def count_of(stored: Stored) -> int:
    """Return how many entries there are."""
    return sum(map(len, stored.document.values()))


def lines_of(stored: Stored) -> list[Part]:
    """Return a policy in words, a line for each entry."""
    if not count_of(stored):
        return [say("policy.empty")]
    lines = [*_tightenings(stored.document), *_own(stored.document)]
    shown = [say("direct.bullet", text=line) for line in lines[:SHOWN]]
    more = [say("list.more", count=len(lines) - SHOWN)] if len(lines) > SHOWN else []
    return [say("policy.head", version=stored.version, count=len(lines)), *shown, *more]


def _tightenings(document: Mapping[str, Any]) -> Iterator[Say]:
    for name, entry in document.get("tighten", {}).items():
        yield say(
            "policy.tighten_line",
            name=name,
            what=what_of(entry),
            level=entry["level"],
            where=where_of(entry),
            words=entry["reason"],
        )


def what_of(entry: Mapping[str, Any]) -> Say | str:
    """Return what a tightening speaks of."""
    if entry.get("program") == ANY:
        return say("policy.any_program")
    if "command" in entry:
        return str(entry["command"])
    return f"{entry['program']} {entry.get('subcommand') or entry.get('path', '')}".strip()


def where_of(entry: Mapping[str, Any]) -> Say:
    """Return where a tightening holds."""
    environments, servers = ", ".join(entry.get("environments", ())), entry.get("servers", 1)
    if environments and servers > 1:
        return say("policy.in_and_on", environments=environments, servers=servers)
    if servers > 1:
        return say("policy.on_servers", servers=servers)
    return (
        say("policy.in_environments", environments=environments) if environments else say("policy.everywhere")
    )


def _own(document: Mapping[str, Any]) -> Iterator[Say]:
    for name, entry in document.get("program", {}).items():
        yield say("policy.own_line", name=name, level=highest(entry), words=entry["reason"])


def highest(entry: Mapping[str, Any]) -> int:
    """Return the highest level that a program of the tenant's own may have."""
    return max(int(entry["level"]), *map(highest, entry.get("sub", {}).values()), 0)


def outcome_of(found: Simulated, most: int = SHOWN) -> list[Part]:
    """Return what a simulation came to. most: commands that are told one by one."""
    count = len(found.changed) + found.left_out
    parts: list[Part] = [
        say("policy.simulated", asked=found.asked, since=f"{found.since:%Y-%m-%d}", changed=count)
    ]
    for (old, new), times in sorted(found.counts.items()):
        parts.append(say("direct.bullet", text=say("policy.simulated_count", old=old, new=new, count=times)))
    for each in found.changed[:most]:
        parts += [_changed(each), Code(each.command)]
    if count > most:
        parts.append(say("list.more", count=count - most))
    return parts


def _changed(each: Changed) -> Say:
    return say(
        "policy.simulated_line",
        old=each.old,
        new=each.new,
        entry=each.entry or say("policy.simulated_by_none"),
        times=each.times,
        last=f"{each.last:%Y-%m-%d %H:%M UTC}",
        servers=", ".join(each.servers[:12]) or "?",
    )
