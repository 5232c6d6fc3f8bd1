"""A kill at every named point loses nothing, doubles nothing, and runs nothing twice (F1, F8)."""

import asyncio
import os
import random
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from support import scenarios
from support.kept import Kept
from support.model_double import ModelDouble, serving
from support.scenarios import Scenario, until

ROUND = (
    "bot.inbound.workers.Workers._beat_once",
    "bot.inbound.workers.Workers._claim",
    "bot.inbound.workers.Workers.enter",
    "scheduler.timers.TimerWorker.sweep",
)
"""What comes round by itself: only a look that found something ("[took]") is a point."""

BESIDE = (
    "bot.process.first.",
    "bot.upkeep.chores.",
    "bot.process.running.",
    "bot.console.auth.Sessions.visitor_of",
    "bot.wiring.",
    "bot.inbound.front.Front.__call__",
    "bot.installations.",
    "bot.inbound.workers.Workers._once",
    "channels.delivery.Delivery.sweep",
    "core.audit.AuditLog.head",
    "scheduler.timers.TimerWorker._handle",
)
"""What a start, the hourly timers, a late delivery, a page that comes back or a look at an aged tenant do."""

KILLS = int(os.environ.get("IT0_TEST_KILLS", "200"))
LIFE_S = 1.0
MOST_DEATHS = 4
"""Work whose process dies five times is set aside, and people are told so."""

MID_TURN = 0.9
"""Of the kills at any moment, so many come when it is up; the others may hit its start."""

STOP = "inside:bot.chat.controls.Controls.stop@1"
EACH: Sequence[Scenario] = (
    scenarios.look,
    scenarios.approve,
    scenarios.reject,
    scenarios.withdraw,
    scenarios.expire,
    scenarios.stop_a_turn,
    scenarios.stop_an_act,
    scenarios.think_and_look,
    scenarios.think_and_change,
)


@pytest.fixture(scope="module")
async def model():
    """Yield the settings of houses with a model that does what it is told."""
    async with serving(ModelDouble([scenarios.obeys])) as double:
        yield {"ANTHROPIC_API_KEY": "sk-test", "ANTHROPIC_BASE_URL": double.url}


@pytest.fixture(scope="module")
async def yards(build, model, tmp_path_factory):
    """Return two houses: each core kills on its own."""
    free = []
    for number in range(2):
        points = tmp_path_factory.mktemp("points") / str(number)
        points.touch()
        free.append((await build(IT0_TEST_POINTS=str(points), **model), points))
    return free


@pytest.fixture(scope="module")
def known() -> set[str]:
    """Return the names of the points that were killed in this module."""
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


async def killed_within(
    scenario: Scenario, yards, subtests, known: set[str], of: Callable[[str], str]
) -> None:
    """Kill at the points of a scenario that are not ``known`` by what they are called ``of``."""
    points = await recorded(*yards[0], scenario)
    after_stop = points.index(STOP) if STOP in points else len(points)
    todo = {}
    for number, point in enumerate(points):
        name = of(point) + (" after a stop" if number >= after_stop else "")
        if name not in known:
            todo[point] = None
            known.add(name)
    print(f"{scenario.__name__}: {len(todo)} of {len(points)} points")
    for point, faults in (await all_killed(yards, scenario, list(todo))).items():
        with subtests.test(point=point):
            assert not faults, "\n".join(faults)


def without_count(point: str) -> str:
    """Return a point's name, however often it came before."""
    return point.rpartition("@")[0]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("scenario", EACH, ids=lambda scenario: scenario.__name__)
async def test_a_kill_at_every_named_point_loses_and_doubles_nothing(scenario, yards, known, subtests):
    await killed_within(scenario, yards, subtests, known, without_count)


@pytest.mark.long
@pytest.mark.parametrize("scenario", EACH, ids=lambda scenario: scenario.__name__)
async def test_a_kill_at_every_point_of_every_scenario_loses_and_doubles_nothing(scenario, yards, subtests):
    await killed_within(scenario, yards, subtests, set(), str)


async def test_a_kill_while_the_audit_is_appended_leaves_no_act_without_its_intent_and_a_whole_chain(yards):
    yard, _ = yards[0]
    faults = await killed_at(yard, scenarios.approve, "inside:core.audit.AuditLog.append[command.intent]@1")
    assert faults == [], faults
    verified = await asyncio.to_thread(yard.house.command, "audit", "verify")
    assert verified.returncode == 0, verified.stdout


@pytest.mark.long
async def test_two_hundred_kills_at_any_moment_lose_and_double_nothing(build, model):
    seed = int(os.environ.get("IT0_TEST_SEED", random.randrange(2**32)))
    dice, yard, began = random.Random(seed), await build(**model), time.monotonic()
    print(f"IT0_TEST_SEED={seed}")
    async with Kept(yard.house, yard.client) as kept:
        while kept.deaths < KILLS:
            several = dice.choices(EACH, k=dice.randint(1, 4))
            work = asyncio.gather(*(each(yard.house, yard.client, yard.marks) for each in several))
            for _ in range(dice.randint(1, MOST_DEATHS)):
                if dice.random() < MID_TURN:
                    await until(lambda: work.done() or yard.client.connected)  # noqa: B023
                await asyncio.sleep(dice.uniform(0, LIFE_S))
                if not work.done() and not yard.house.died:
                    yard.house.kill()
            try:
                await work
            except (AssertionError, TimeoutError) as error:
                pytest.fail(f"did not end: {error}; {await yard.judge.settled(yard.client)}")
        assert await yard.judge.settled(yard.client, timeout_s=60) == []
    verified = await asyncio.to_thread(yard.house.command, "audit", "verify")
    assert verified.returncode == 0, verified.stdout
    history = await yard.judge.history()
    print(f"{kept.deaths} kills, {len(history.inbox)} accepted, {len(history.runs)} runs, all judged,")
    print(f"{len(history.audit)} audit rows, in {time.monotonic() - began:.0f} s")
