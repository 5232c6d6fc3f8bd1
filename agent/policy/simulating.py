"""What a changed policy would have done to the commands of the last days, as the audit log has them."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from agent.gate.judging.judging import Judging, Trial
from core.audit import Wanted
from core.clock import Clock
from core.store.database import Row
from core.tenant import Tenant
from core.texts import Say
from core.work import Risk, Verdict

DAYS = 30
MOST_CHANGED = 1000
"""Commands that are told one by one; all are counted."""

_PAGE = 1000
_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class Changed:
    """A command that would be judged otherwise. was: its level in the audit log; times: how often asked."""

    command: str
    servers: tuple[str, ...]
    was: int
    old: int
    new: int
    entry: str
    reasons: tuple[Say, ...]
    first: datetime
    last: datetime
    times: int


@dataclass(slots=True)
class Simulated:
    """What came out. counts: of asked commands by (level now, level then)."""

    since: datetime
    asked: int = 0
    counts: Counter[tuple[int, int]] = field(default_factory=Counter)
    changed: list[Changed] = field(default_factory=list)
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Asked:
    """A command of the audit log; servers: names or ids, as they stand there.

    of_file: it is the short form of what is done with a whole file.
    """

    command: str
    servers: tuple[str, ...]
    level: int
    at: datetime
    of_file: bool


async def simulate(
    tenant: Tenant, judging: Judging, document: Mapping[str, Any], clock: Clock, days: int = DAYS
) -> Simulated:
    """Judge what was asked for in the last ``days`` under the present policy and under ``document``.

    Both by the rules and the inventory of today, so that only what the policy changes is seen.
    """
    trial = await judging.trial(tenant, document)
    found = Simulated(clock() - timedelta(days=days))
    groups: dict[tuple[str, tuple[str, ...], bool], list[Asked]] = {}
    async for asked in _asked(tenant, found.since):
        groups.setdefault((asked.command, asked.servers, asked.of_file), []).append(asked)
    for number, ((command, servers, of_file), times) in enumerate(groups.items()):
        if number % _AT_ONCE == 0:
            await asyncio.sleep(0)
        _count(found, times, *trial.both(command, servers, of_file=of_file), trial)
    found.changed.sort(key=lambda each: each.last, reverse=True)
    found.left_out = max(0, len(found.changed) - MOST_CHANGED)
    del found.changed[MOST_CHANGED:]
    return found


def _count(found: Simulated, times: list[Asked], old: Verdict, new: Verdict, trial: Trial) -> None:
    found.asked += len(times)
    found.counts[int(old.level), int(new.level)] += len(times)
    if old.level == new.level:
        return
    moments = sorted(asked.at for asked in times)
    servers = tuple(trial.names.get(each, each) for each in times[0].servers)
    found.changed.append(
        Changed(
            times[0].command,
            servers,
            times[0].level,
            int(old.level),
            int(new.level),
            new.entry,
            new.reasons,
            moments[0],
            moments[-1],
            len(times),
        )
    )


async def _asked(tenant: Tenant, since: datetime) -> AsyncIterator[Asked]:
    """Yield every command that was asked for, once for each time: run unasked, put to people, or refused."""
    wanted = Wanted(words=("command.intent", "command.refused", "approval.asked", "file.sent"), since=since)
    before: int | None = None
    while rows := await tenant.audit.find(wanted, _PAGE, before):
        for row in rows:
            if (asked := _command_of(row)) is not None:
                yield asked
        before = rows[-1]["seq"]


def _command_of(row: Row) -> Asked | None:
    """Return the command that a row tells of first, None where another row does, or none was asked for."""
    detail, level = row["detail"], row["detail"].get("level")
    if type(level) is not int or not isinstance(detail.get("command"), str):
        return None
    kind = detail.get("kind", "run")
    counts = {
        "command.intent": level == Risk.L0 and kind == "run",
        "command.refused": True,
        "approval.asked": kind != "trust",
        "file.sent": level == Risk.L0,
    }
    if not counts.get(row["action"], False):
        return None
    of_file = kind in ("write", "send")
    return Asked(detail["command"], tuple(detail.get("servers", ())), level, row["at"], of_file)


def as_json(found: Simulated) -> dict[str, Any]:
    """Return what came out, without sentences."""
    return {
        "since": found.since.isoformat(),
        "asked": found.asked,
        "counts": [
            {"old": old, "new": new, "count": count} for (old, new), count in sorted(found.counts.items())
        ],
        "changed": [_changed(each) for each in found.changed],
        "left_out": found.left_out,
    }


def _changed(each: Changed) -> dict[str, Any]:
    same = ("command", "was", "old", "new", "entry", "times")
    return {
        **{name: getattr(each, name) for name in same},
        "servers": list(each.servers),
        "first": each.first.isoformat(),
        "last": each.last.isoformat(),
    }
