"""Thousands of approvals that wait: they slow no start and no click, and their end slows nobody (F9)."""

import asyncio
import secrets
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence

import aiohttp
import pytest
from support.scenarios import card_for, execute

FEW = 10
STARTS = 2
OWN = ("conversation", "event", "turn", "approval", "approval_place")
SHARED = ("lane", "inbox", "outbox", "timer")
STALL_S = 1.0
"""What another person's message may wait while approvals expire."""

LAG_S = 0.25
"""What the loop may be busy for, seen from outside; that it is 0.05 only a quiet machine shows."""

LATE = """
    UPDATE {schema}.approval SET expires_at = now() - interval '1 second' WHERE status = 'pending';
    UPDATE it0_shared.timer SET due_at = now() - interval '1 second'
        WHERE kind = 'approval_expiry' AND state = 'new'
"""

Quantile = Callable[[Sequence[float]], float]


def p99(values: Sequence[float]) -> float:
    """Return what one in a hundred is above."""
    return statistics.quantiles(values, n=100, method="inclusive")[98]


async def pile_up(yard, count: int) -> None:
    """Ask for a command, and copy the waiting question with all its rows until ``count`` wait."""
    command = yard.marks.write()
    conversation, approval = await card_for(yard.client, command)
    assert await yard.judge.settled(yard.client, pending=True) == []
    history = await yard.judge.history()
    said = next(e for e in history.events if e["conversation_id"] == conversation)
    ids = [conversation, approval, said["turn_id"], yard.marks.of(command).name]
    ids += [
        row["event_id"].partition(":")[2] for row in history.inbox if row["conversation_id"] == conversation
    ]
    schema = await yard.house.schema()
    async with yard.house.database() as db, db.transaction():
        thread = await db.fetchval(f"SELECT thread FROM {schema}.conversation WHERE id = $1", conversation)
        ids.append(thread.rpartition(":")[2])
        for table in (*(f"{schema}.{own}" for own in OWN), *(f"it0_shared.{shared}" for shared in SHARED)):
            await copy_rows(db, table, ids, count - 1)
    waiting = (a["id"] for a in (await yard.judge.history()).approvals if a["id"] != approval)
    yard.judge.forgive(f"0 audit rows of {('approval.asked', each)}" for each in waiting)


async def copy_rows(db, table: str, ids: list[str], count: int) -> None:
    """Copy the rows that name one of ``ids``, ``count`` times, each time with other ids in their place."""
    columns = await db.fetch(
        "SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass"
        " AND attnum > 0 AND NOT attisdropped AND attidentity = ''",
        table,
    )
    names = [f'"{column[0]}"' for column in columns]
    text = "to_jsonb(t)::text"
    for each in ids:
        text = f"replace({text}, '{each}', left(md5('{each}' || n), {len(each)}))"
    await db.execute(
        f"INSERT INTO {table} ({', '.join(names)}) SELECT {', '.join(f'r.{name}' for name in names)}"
        f" FROM {table} t, generate_series(1, $1) n, jsonb_populate_record(NULL::{table}, ({text})::jsonb) r"
        " WHERE to_jsonb(t)::text ~ $2",
        count,
        "|".join(ids),
    )


async def start_again(yard) -> float:
    """Return how long a start takes."""
    await asyncio.to_thread(yard.house.stop)
    began = time.monotonic()
    await asyncio.to_thread(yard.house.start)
    took = time.monotonic() - began
    await yard.client.drop()
    await yard.client.connect()
    return took


async def click(yard) -> float:
    """Return how long it takes from a click to its command's effect."""
    command = yard.marks.write()
    _, approval = await card_for(yard.client, command)
    mark = yard.marks.of(command)
    began = time.monotonic()
    await yard.client.click(f"approve:{approval}")
    async with asyncio.timeout(20):
        while not mark.exists():
            await asyncio.sleep(0.002)
    return time.monotonic() - began


async def in_turns(few, many, work: Callable[..., Awaitable[float]], times: int) -> tuple[list[float], ...]:
    """Return how long ``work`` takes with few approvals and with many, measured side by side."""
    took = [(await work(few), await work(many)) for _ in range(times)]
    return tuple(list(each) for each in zip(*took, strict=True))


async def expire_all(yard) -> tuple[list[float], list[float], float]:
    """Let all expire at once; return what answers and /healthz took meanwhile, and how long it went on."""
    answers: list[float] = []
    alive: list[float] = []
    began = time.monotonic()

    async def probe() -> None:
        async with aiohttp.ClientSession() as session:
            while True:
                asked = time.monotonic()
                async with session.get(f"{yard.house.url}/healthz") as response:
                    await response.read()
                alive.append(time.monotonic() - asked)
                await asyncio.sleep(0.01)

    task = asyncio.ensure_future(probe())
    await execute(yard.house, LATE)
    while await pending(yard) or len(answers) < 5:
        asked = time.monotonic()
        await yard.client.ask(f"/why echo {secrets.token_hex(6)}")
        answers.append(time.monotonic() - asked)
        await asyncio.sleep(0.05)
    took = time.monotonic() - began
    task.cancel()
    await asyncio.wait({task})
    return answers, alive, took


async def pending(yard) -> int:
    """Return how many approvals wait."""
    schema = await yard.house.schema()
    async with yard.house.database() as db:
        return int(await db.fetchval(f"SELECT count(*) FROM {schema}.approval WHERE status = 'pending'"))


async def all_of_it(build, count: int, clicks: int, typical: Quantile) -> None:
    """Compare a house in which ``count`` approvals wait with one in which few do; then let them expire."""
    few, many = await build(), await build()
    await asyncio.gather(pile_up(few, FEW), pile_up(many, count))
    for what, work, times, figure in (
        ("start", start_again, STARTS, min),
        ("click to effect", click, clicks, typical),
    ):
        short, long = await in_turns(few, many, work, times)
        print(f"{what}: {figure(short):.3f} s with {FEW}, {figure(long):.3f} s with {count}")
        assert figure(long) <= 2 * figure(short), (what, short, long)
    answers, alive, took = await expire_all(many)
    print(f"{count} expired in {took:.1f} s; p99 of {len(answers)} answers meanwhile {p99(answers):.3f} s,")
    print(f"p99 of {len(alive)} looks at /healthz {p99(alive):.3f} s, longest {max(alive):.3f} s")
    assert await many.judge.settled(many.client, timeout_s=120) == []
    history = await many.judge.history()
    assert [a["status"] for a in history.approvals].count("expired") == count
    assert p99(answers) < STALL_S
    assert p99(alive) < LAG_S


@pytest.mark.timeout(180)
async def test_three_hundred_waiting_approvals_slow_nothing_and_each_expires_once(build):
    await all_of_it(build, 300, 10, statistics.median)


@pytest.mark.long
async def test_ten_thousand_waiting_approvals_slow_nothing_and_each_expires_once(build):
    await all_of_it(build, 10_000, 100, p99)
