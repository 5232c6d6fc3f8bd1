"""A commit whose answer is lost with its connection has happened: it is not lost, and not done again (F7)."""

import asyncio
from collections import Counter

import pytest
from support import scenarios
from support.kept import Kept
from test_kill_points import BESIDE, ROUND, lines_of, without_count

WHERE = (scenarios.look, scenarios.approve, scenarios.reject, scenarios.withdraw, scenarios.expire)


@pytest.fixture(scope="module")
async def noted(build, tmp_path_factory):
    """Return a yard and the file of the points that it passes."""
    points = tmp_path_factory.mktemp("points") / "points"
    points.touch()
    return await build(IT0_TEST_POINTS=str(points)), points


@pytest.fixture(scope="module")
def known() -> set[str]:
    """Return the commits whose answers were lost in this module."""
    return set()


async def commits(noted, scenario) -> list[str]:
    """Return the commits of a scenario, each with how often it came before."""
    yard, points = noted
    await asyncio.sleep(0.5)
    before = len(lines_of(points))
    await scenario(yard.house, yard.client, yard.marks)
    assert await yard.judge.settled(yard.client) == []
    count: Counter[str] = Counter()
    found = []
    for line in lines_of(points)[before:]:
        name = line.removeprefix("committed:")
        if name == line or name.endswith(ROUND) or name.startswith(BESIDE):
            continue
        count[line] += 1
        found.append(f"{line}@{count[line]}")
    return found


async def lost_at(yard, scenario, point: str) -> list[str]:
    """Lose the answer of one commit within a scenario, go on to its end, and return the faults."""
    yard.house.arm.write_text(f"lose {point}")
    async with Kept(yard.house, yard.client) as kept:
        again = asyncio.ensure_future(said_again(yard.client))
        try:
            await scenario(yard.house, yard.client, yard.marks)
        except (AssertionError, TimeoutError) as error:
            return [f"did not end: {error}", *await yard.judge.faults(yard.client)]
        finally:
            again.cancel()
        faults = await yard.judge.settled(yard.client)
    if yard.house.arm.exists():
        yard.house.arm.unlink()
        return [f"never came to {point}", *faults]
    return [*faults, *(["died of it"] if kept.deaths else [])]


async def said_again(client) -> None:
    """Say again what was refused because the store was away."""
    while True:
        await asyncio.sleep(0.05)
        for frame in tuple(client.refused):
            client.refused.remove(frame)
            await client.send(client.sent[frame["id"]])


async def all_lost(noted, scenario, subtests, points: list[str]) -> None:
    """Lose the answer of each commit."""
    print(f"{scenario.__name__}: {len(points)} commits")
    for point in points:
        faults = await lost_at(noted[0], scenario, point)
        noted[0].judge.forgive(faults)
        with subtests.test(point=point):
            assert not faults, "\n".join(faults)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("scenario", WHERE, ids=lambda scenario: scenario.__name__)
async def test_a_commit_whose_answer_is_lost_counts_once(scenario, noted, known, subtests):
    fresh = {without_count(point): point for point in reversed(await commits(noted, scenario))}
    await all_lost(noted, scenario, subtests, [point for name, point in fresh.items() if name not in known])
    known.update(fresh)


@pytest.mark.long
@pytest.mark.parametrize("scenario", WHERE, ids=lambda scenario: scenario.__name__)
async def test_every_commit_of_every_scenario_whose_answer_is_lost_counts_once(scenario, noted, subtests):
    await all_lost(noted, scenario, subtests, await commits(noted, scenario))
