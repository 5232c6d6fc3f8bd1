"""A kill at every named point loses nothing, doubles nothing, and runs nothing twice (F1, F8)."""

import asyncio
import os
import random
from collections import Counter, deque
from collections.abc import Sequence
from pathlib import Path

import pytest
from support import scenarios
from support.kept import Kept
from support.scenarios import Scenario

ROUND = (
    "bot.workers.Workers._beat_once",
    "bot.workers.Workers._claim",
    "bot.workers.Workers.enter",
    "scheduler.timers.TimerWorker.sweep",
)
"""What comes round by itself: only a look that found something ("[took]") is a point."""

BESIDE = (
    "bot.first.",
    "bot.building.",
    "bot.chores.",
    "bot.running.",
    "bot.wiring.",
    "channels.delivery.Delivery.sweep",
    "core.audit.AuditLog.head",
    "scheduler.timers.TimerWorker._handle",
)
"""What a start, the hourly timers or a late delivery do, in whichever scenario they come."""

STOP = "inside:bot.controls.Controls.stop@1"
EACH: Sequence[Scenario] = (
    scenarios.look,
    scenarios.approve,
    scenarios.reject,
    scenarios.withdraw,
    scenarios.expire,
    scenarios.stop_a_turn,
    scenarios.stop_an_act,
)


@pytest.fixture(scope="module")
async def yards(build, tmp_path_factory):
    """Return two houses: each core kills on its own."""
    free = []
    for number in range(2):
        points = tmp_path_factory.mktemp("points") / str(number)
        points.touch()
        free.append((await build(IT0_TEST_POINTS=str(points)), points))
    return free


@pytest.fixture(scope="module")
def known() -> set[str]:
    """Return the points that were killed in this module."""
    return set()


def is_point(line: str) -> bool:
    """Return whether a kill here is a case of its own: "after" one commit is "before" the next."""
    when, _, name = line.partition(":")
    if name.endswith(ROUND) or name.startswith(BESIDE):
        return False
    return when in ("inside", "after", "during") or name.startswith(("shell", "channels"))


def lines_of(file: Path) -> list[str]:
    """Return a file's lines."""
    return file.read_text().splitlines()


async def recorded(yard, points: Path, scenario: Scenario) -> list[str]:
    """Return the points that a scenario passes, each with how often it came before."""
    await asyncio.sleep(0.5)
    before = len(lines_of(points))
    await scenario(yard.house, yard.client, yard.marks)
    faults = await yard.judge.settled(yard.client)
    assert faults == [], faults
    count: Counter[str] = Counter()
    found = []
    for line in filter(is_point, lines_of(points)[before:]):
        count[line] += 1
        found.append(f"{line}@{count[line]}")
    return found


async def killed_at(yard, scenario: Scenario, point: str) -> list[str]:
    """Kill at ``point`` within a scenario, go on to its end, and return the faults."""
    yard.house.arm.write_text(f"die {point}")
    async with Kept(yard.house, yard.client) as kept:
        try:
            await scenario(yard.house, yard.client, yard.marks)
        except (AssertionError, TimeoutError) as error:
            return [f"did not end: {error}", *await yard.judge.faults(yard.client)]
        faults = await yard.judge.settled(yard.client)
        if yard.house.arm.exists():
            yard.house.arm.unlink()
            return [f"never came to {point}", *faults]
    return faults if kept.deaths == 1 else [f"died {kept.deaths} times", *faults]


async def all_killed(yards, scenario: Scenario, points: Sequence[str]) -> dict[str, list[str]]:
    """Kill at each point, on all houses at once; return the faults of each."""
    left, found = deque(points), {}

    async def on(yard) -> None:
        while left:
            point = left.popleft()
            found[point] = await killed_at(yard, scenario, point)
            known_faults = await yard.judge.faults(yard.client)
            if known_faults:
                yard.judge.forgive(known_faults)

    await asyncio.gather(*(on(yard) for yard, _ in yards))
    return found


@pytest.mark.timeout(300)
@pytest.mark.parametrize("scenario", EACH, ids=lambda scenario: scenario.__name__)
async def test_a_kill_at_every_point_loses_and_doubles_nothing(scenario, yards, known, subtests):
    points = await recorded(*yards[0], scenario)
    late = points[points.index(STOP) :] if STOP in points else []
    todo = [point for point in dict.fromkeys(points) if point not in known or point in late]
    known.update(todo)
    print(f"{scenario.__name__}: {len(todo)} points")
    for point, faults in (await all_killed(yards, scenario, todo)).items():
        with subtests.test(point=point):
            assert not faults, "\n".join(faults)


@pytest.mark.long
async def test_two_hundred_kills_at_any_moment_lose_and_double_nothing(build):
    seed = int(os.environ.get("IT0_TEST_SEED", random.randrange(2**32)))
    print(f"IT0_TEST_SEED={seed}")
    dice, yard = random.Random(seed), await build()
    async with Kept(yard.house, yard.client) as kept:
        while kept.deaths < 200:
            several = dice.choices(EACH, k=dice.randint(1, 4))
            work = [asyncio.ensure_future(each(yard.house, yard.client, yard.marks)) for each in several]
            while not all(task.done() for task in work):
                await asyncio.sleep(dice.uniform(0.02, 1.5))
                if not yard.house.died and kept.deaths < 200:
                    yard.house.kill()
            await asyncio.gather(*work)
        assert await yard.judge.settled(yard.client) == []
