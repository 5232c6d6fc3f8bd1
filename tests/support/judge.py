"""Judges a history by what the targets and the database hold, never by what the bot logged."""

import asyncio
import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from support.house import Client, House
from support.marks import Marks

Row = Mapping[str, Any]
DATABASE_GONE = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
OPEN = {
    "inbox": "SELECT count(*) FROM it0_shared.inbox WHERE state IN ('new', 'taken')",
    "outbox": "SELECT count(*) FROM it0_shared.outbox WHERE state IN ('new', 'taken')",
    "run": "SELECT count(*) FROM {schema}.run WHERE state = 'running'",
}
PLEASE = "please: "
"""Begins a line of a sentence that asks the model for a command."""

SPOKEN = ("reply", "card", "notice")


@dataclass
class History:
    """All that the database holds of one tenant."""

    inbox: Sequence[Row]
    outbox: Sequence[Row]
    events: Sequence[Row]
    turns: Mapping[str, Row]
    approvals: Sequence[Row]
    places: Sequence[Row]
    votes: Sequence[Row]
    runs: Sequence[Row]
    targets: Mapping[str, list[Row]]
    audit: Sequence[Row]
    at: Mapping[tuple[str, int], Row] = field(init=False)
    of_turn: Mapping[str, list[Row]] = field(init=False)
    approved: set[str] = field(init=False)
    said: list[str] = field(init=False)
    _about: Counter[tuple[str, str, str]] = field(init=False)

    def __post_init__(self) -> None:
        self.at = {(e["conversation_id"], e["seq"]): e for e in self.events}
        self.of_turn = defaultdict(list)
        self._about = Counter()
        for event in self.events:
            body = event["body"]
            self.of_turn[event["turn_id"] or ""].append(event)
            self._about[event["kind"], body.get("approval_id", ""), body.get("status", "")] += 1
        self.approved = {a["id"] for a in self.approvals if a["status"] == "approved"}
        self.said = [e["body"]["text"] for e in self.events if e["kind"] == "said"]

    def spoken(self, turn_id: str, kind: str) -> int:
        """Return how often a turn spoke in this way."""
        return sum(event["kind"] == kind for event in self.of_turn[turn_id])

    def about(self, kind: str, approval_id: str, status: str = "") -> int:
        """Return how many events of a kind there are on an approval, of those that tell its status."""
        return self._about[kind, approval_id, status]


class Judge:
    """Finds what was lost, doubled, run twice, or told wrongly."""

    def __init__(self, house: House, marks: Marks) -> None:
        self._house = house
        self._marks = marks
        self._forgiven: set[str] = set()

    def forgive(self, faults: Iterable[str]) -> None:
        """Report these no more: each fault is told of the case that made it, and not of the next."""
        self._forgiven.update(faults)

    async def settled(self, *clients: Client, timeout_s: float = 30, pending: bool = False) -> list[str]:
        """Wait until nothing is under way and return every fault. pending: approvals may wait on."""
        deadline = time.monotonic() + timeout_s
        while True:
            still = await self._under_way(clients)
            if not still or time.monotonic() > deadline:
                return [*still, *await self.faults(*clients, pending=pending)]
            await asyncio.sleep(0.05)

    async def _under_way(self, clients: Sequence[Client]) -> list[str]:
        unsent = sum(len(client.unsent) for client in clients)
        found = [f"{unsent} messages were not accepted"] if unsent else []
        try:
            schema = await self._house.schema()
            async with self._house.database() as db:
                for name, question in OPEN.items():
                    if count := await db.fetchval(question.format(schema=schema)):
                        found.append(f"{count} rows of {name} are still open")
        except DATABASE_GONE as error:
            return [f"no database: {error}"]
        return found

    async def history(self) -> History:
        """Return what the database holds."""
        schema = await self._house.schema()
        async with self._house.database() as db:
            await db.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")

            async def all_of(table: str, order: str) -> list[Any]:
                return await db.fetch(f"SELECT * FROM {table} ORDER BY {order}")

            targets = defaultdict(list)
            for row in await all_of(f"{schema}.run_target", "run_id"):
                targets[row["run_id"]].append(row)
            return History(
                inbox=await all_of("it0_shared.inbox", "id"),
                outbox=await all_of("it0_shared.outbox", "id"),
                events=await all_of(f"{schema}.event", "conversation_id, seq"),
                turns={row["id"]: row for row in await all_of(f"{schema}.turn", "id")},
                approvals=await all_of(f"{schema}.approval", "created_at"),
                places=await all_of(f"{schema}.approval_place", "approval_id"),
                votes=await all_of(f"{schema}.vote", "at"),
                runs=await all_of(f"{schema}.run", "started_at"),
                targets=targets,
                audit=await all_of(f"{schema}.audit", "seq"),
            )

    async def faults(self, *clients: Client, pending: bool = False) -> list[str]:
        """Return every fault of the history as it is now."""
        h = await self.history()
        found = [
            *_acknowledged(h, clients),
            *_answered(h),
            *_spoken(h),
            *_decided(h, pending),
            *self._run(h),
            *_audited(h),
            *_seen(h, clients),
        ]
        return [fault for fault in found if fault not in self._forgiven]

    def _run(self, h: History) -> Iterator[str]:
        times = Counter(text for text in h.said if text != "/stop")
        yield from (f"accepted {count} times: {text}" for text, count in times.items() if count > 1)
        runs = defaultdict(list)
        asked = {line for text in times for line in text.removeprefix(PLEASE).split(f"\n{PLEASE}")}
        for run in h.runs:
            runs[self._marks.of(run["command"])].append(run)
            if f"/run local {run['command']}" not in asked:
                yield f"ran what nobody asked for: {run['command']}"
        details = (row["detail"] for row in h.audit if row["action"] == "command.intent")
        intended = {self._marks.of(detail["command"]) for detail in details}
        for text in filter(self._marks.of, asked):
            mark, count = self._marks.of(text), self._marks.count(text)
            yield from _counted(h, text, count, runs[mark])
            if count and mark not in intended:
                yield f"ran without its intent in the audit log: {text}"


def _counted(h: History, text: str, count: int, runs: Sequence[Row]) -> Iterator[str]:
    """Compare how often a command ran with what was recorded of it."""
    states = [target["state"] for run in runs for target in h.targets[run["id"]]]
    if count > 1:
        yield f"ran {count} times: {text}"
    if len(runs) > 1:
        yield f"has {len(runs)} records: {text}"
    if "done" in states and count != 1:
        yield f"said to be done, ran {count} times: {text}"
    if count and not {"done", "unknown", "stopped", "timeout"} & set(states):
        yield f"ran, but its record says {states}: {text}"
    for run in runs:
        if run["level"] > 0 and run["approval_id"] not in h.approved:
            yield f"ran without an approval: {text}"


def _acknowledged(h: History, clients: Sequence[Client]) -> Iterator[str]:
    """Each accepted message is there, once, and at its end."""
    by_event = defaultdict(list)
    for row in h.inbox:
        by_event[row["event_id"]].append(row)
        if row["state"] == "set_aside":
            yield f"set aside: {row['event_id']}"
    for event_id, rows in by_event.items():
        if len(rows) > 1:
            yield f"{len(rows)} rows for one event: {event_id}"
    for client in clients:
        for event_id in client.accepted:
            rows = by_event[f"{client.user}:{event_id}"]
            if not rows:
                yield f"lost: {event_id}"
            elif rows[0]["state"] != "done":
                yield f"acknowledged, but {rows[0]['state']}: {event_id}"


def _answered(h: History) -> Iterator[str]:
    """Each accepted event has its one end."""
    for row in h.inbox:
        event = h.at.get((row["conversation_id"], row["seq"]))
        if event is None:
            yield f"accepted without its event: {row['event_id']}"
            continue
        turn = event["turn_id"] or ""
        replies, cards = h.spoken(turn, "reply"), h.spoken(turn, "card")
        status = h.turns[turn]["status"] if turn in h.turns else "none"
        name = f"{event['kind']} {event['body']}"
        match event["kind"]:
            case "clicked":
                if replies > 1:
                    yield f"{replies} replies to {name}"
            case "act":
                done = h.about("performed", event["body"]["approval_id"])
                if done != 1 and row["state"] == "done":
                    yield f"performed {done} times: {name}"
            case _ if status == "suspended":
                if (replies, cards) != (0, 1):
                    yield f"{replies} replies and {cards} cards for suspended {name}"
            case _ if row["state"] == "done":
                if replies != 1:
                    yield f"{replies} replies to {name}"
                if row["laned"] and status not in ("completed", "failed", "stopped"):
                    yield f"turn is {status} after {name}"


def _spoken(h: History) -> Iterator[str]:
    """What was said stands in the outbox once, and was sent."""
    parcels = defaultdict(list)
    for row in h.outbox:
        parcels[row["conversation_id"], row["seq"]].append(row["state"])
    for event in h.events:
        if event["kind"] in SPOKEN:
            states = parcels[event["conversation_id"], event["seq"]]
            if states != ["sent"]:
                yield f"delivery {states} of {event['kind']} {event['body']}"


def _decided(h: History, pending: bool) -> Iterator[str]:
    """Each approval is settled once, shown so on each card, used once at most, and its turn goes on once."""
    votes = Counter((vote["approval_id"], vote["verdict"]) for vote in h.votes)
    runs_of = Counter(run["approval_id"] for run in h.runs)
    cards = Counter(approval for approval, _ in {(p["approval_id"], p["conversation_id"]) for p in h.places})
    for approval in h.approvals:
        key, status, name = approval["id"], approval["status"], approval["code"]
        given, acts, runs = votes[key, "approve"], h.about("act", key), runs_of[key]
        after = h.about("decided", key)
        if given > approval["needed"] or approval["approvals"] > approval["needed"]:
            yield f"approved {given} times, {approval['needed']} needed: {name}"
        if acts != (status == "approved") or runs > acts:
            yield f"{status}, with {acts} acts and {runs} runs: {name}"
        if after != (status in ("approved", "rejected", "expired")):
            yield f"{status}, and its turn went on {after} times: {name}"
        if status == "pending":
            yield from () if pending else [f"still pending: {name}"]
        elif (shown := h.about("settled", key, status)) != cards[key]:
            yield f"{status}, shown {shown} times on {cards[key]} cards: {name}"


def _audited(h: History) -> Iterator[str]:
    """Each act has its rows in the audit log: before it, and after it."""
    keys = Counter((row["action"], row["resource_id"]) for row in h.audit)
    votes = {row["key"] for row in h.audit if row["key"]}
    wanted: list[tuple[str, str]] = []
    for run in h.runs:
        wanted.append(("command.intent", run["id"]))
        wanted += [("command.result", run["id"])] if run["state"] != "running" else []
    for approval in h.approvals:
        wanted.append(("approval.asked", approval["id"]))
        if approval["status"] in ("expired", "cancelled"):
            wanted.append((f"approval.{approval['status']}", approval["id"]))
    yield from (f"{keys[row]} audit rows of {row}" for row in wanted if keys[row] != 1)
    for vote in h.votes:
        if f"approval.vote:{vote['approval_id']}:{vote['user_id']}" not in votes:
            yield f"no audit row of a vote: {dict(vote)}"


def _seen(h: History, clients: Iterable[Client]) -> Iterator[str]:
    """What a page shows is what the log holds."""
    for client in clients:
        for conversation, events in client.events.items():
            for seq, event in events.items():
                row = h.at.get((conversation, seq))
                if row is None or row["kind"] != event["kind"]:
                    yield f"shown, but not stored: {event}"
