"""What is under way: what runs, what waits for people, and which warnings are to come."""

from collections.abc import Mapping
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict

from agent.context import Call
from agent.engine import Answer
from core.clock import Clock
from core.messages import Part
from core.store import approvals, clusters, people, underway
from core.store.database import Transaction
from core.texts import Say, say
from core.work import Approval, Role

SHOWN = 20
"""Of each kind; the console's pages have them all."""

LONGEST = 120
"""Characters of a command; its card has the whole of it."""


class TasksArguments(BaseModel):
    """What ``list_tasks`` takes: nothing."""

    model_config = ConfigDict(extra="forbid", defer_build=True)


class ListTasks:
    """Lists what is under way."""

    name = "list_tasks"
    description = (
        "List what is under way: conversations that it0 works in, commands that run, approved acts, requests"
        " that wait for approval, warnings to come. A viewer sees of what runs only their own."
    )
    arguments = TasksArguments

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def __call__(self, call: Call, arguments: TasksArguments) -> Answer:
        """Answer with a line for each, the longest under way first."""
        work = call.work
        only = "" if work.user.role.covers(Role.OPERATOR) else work.user.id
        async with work.tenant.reading() as db:
            names = {user.id: user.name for user in await people.users(db)}
            found = _Found(db, names, self._clock())
            lines = [
                *await found.talks(work.user.id, only, work.conversation_id),
                *await found.runs(only),
                *await found.acts(),
                *await found.waiting(),
                *(await found.warnings() if work.user.role.covers(Role.ADMIN) else ()),
            ]
        if not lines:
            return Answer("done", (say("tasks.none"),), {"tasks": []})
        shown: tuple[Part, ...] = tuple(say("direct.bullet", text=line) for line in lines)
        kinds = [line.key.removeprefix("tasks.") for line in lines]
        return Answer("done", (say("tasks.count", count=len(lines)), *shown), {"tasks": kinds})


class _Found:
    """Puts rows in sentences. names: of people by id; now: from which spans are counted."""

    def __init__(self, db: Transaction, names: Mapping[str, str], now: datetime) -> None:
        self._db = db
        self._names = names
        self._now = now

    async def talks(self, me: str, only: str, but: str) -> list[Say]:
        """Return conversations that are worked in; only their own people read their titles."""
        found = []
        for row in await underway.talks(self._db, only, but, SHOWN):
            facts = {
                "who": self._who(row["user_id"]),
                "since": _clock(row["since"]),
                "waiting": row["waiting"],
            }
            if row["user_id"] == me:
                found.append(say("tasks.own_talk", title=row["title"] or "…", **facts))
            else:
                found.append(say("tasks.talk", **facts))
        return found

    async def runs(self, only: str) -> list[Say]:
        """Return commands that run without an approval."""
        rows = await underway.unasked_runs(self._db, only, SHOWN)
        ids = sorted({each for row in rows for each in row["server_ids"]})
        places = await clusters.places_by_id(self._db, ids) if ids else {}
        return [
            say(
                "tasks.run",
                command=_short(row["command"]),
                servers=_listed([places[each].name for each in row["server_ids"] if each in places]),
                who=self._who(row["requester_id"]),
                since=_clock(row["started_at"]),
            )
            for row in rows
        ]

    async def acts(self) -> list[Say]:
        """Return what was approved and runs, or is about to."""
        return [self._approval("tasks.act", each) for each in await underway.acts(self._db, SHOWN)]

    async def waiting(self) -> list[Say]:
        """Return what waits for people, the longest waiting first."""
        found = (await approvals.page_of(self._db, "pending", count=SHOWN))[0]
        return [
            self._approval("tasks.waits", each) for each in reversed(found) if each.expires_at > self._now
        ]

    async def warnings(self) -> list[Say]:
        """Return the warnings of credentials that are to come."""
        rows = await underway.warnings(self._db, SHOWN)
        days = [f"{row['due_at']:%Y-%m-%d}" for row in rows]
        return [
            say("tasks.warning", credential=row["name"], day=day) for row, day in zip(rows, days, strict=True)
        ]

    def _approval(self, key: str, approval: Approval) -> Say:
        return say(
            key,
            code=approval.code,
            level=int(approval.level),
            command=_short(approval.action.command),
            who=self._who(approval.requester_id),
            until=_clock(approval.expires_at),
        )

    def _who(self, user_id: str | None) -> str:
        return self._names.get(user_id or "", "it0")


def _clock(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%H:%M:%S UTC")


def _short(command: str) -> str:
    line = " ".join(command.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def _listed(names: list[str]) -> str:
    more = f" +{len(names) - 5}" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
