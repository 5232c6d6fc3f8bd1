"""A first start that is killed is finished by the next one: with its console, its admin and its machine."""

from pathlib import Path

import pytest
from support.house import Client, House, words_of
from support.judge import Judge
from support.marks import Marks

RISKY = (
    "inside:bot.process.first._add_local@1",
    "after:agent.people.Staff.add@1",
)
"""Between the steps of a first start; the long test kills at every point."""


async def finished_after(folder: Path, point: str) -> None:
    """Kill a first start at ``point``, start again, and use it."""
    house = House(folder / "home")
    house.is_cold = True
    client = Client(house)
    house.arm.write_text(f"die {point}")
    try:
        house.start()
        assert house.died, f"never came to {point}"
        house.start()
        await client.sign_in()
        await client.connect()
        assert "load average" in words_of(await client.ask("/run local uptime"))
        async with house.database() as db:
            assert await db.fetchval("SELECT count(*) FROM it0_shared.installation") == 1
        actions = [row["action"] for row in (await Judge(house, Marks(folder / "marks")).history()).audit]
        assert [actions.count(each) for each in ("tenant.create", "user.add", "server.add")] == [1, 1, 1]
        assert await Judge(house, Marks(folder / "marks")).settled(client) == []
    finally:
        await client.close()
        house.close()


@pytest.mark.parametrize("point", RISKY)
async def test_a_killed_first_start_is_finished_by_the_next(point, tmp_path):
    await finished_after(tmp_path, point)


@pytest.mark.long
async def test_a_first_start_may_be_killed_at_every_point(tmp_path, subtests):
    points = tmp_path / "points"
    house = House(tmp_path / "home", IT0_TEST_POINTS=str(points))
    house.start()
    house.close()
    lines = [line for line in points.read_text().splitlines() if "beat" not in line and "claim" not in line]
    for number, line in enumerate(lines):
        point = f"{line}@{lines[: number + 1].count(line)}"
        if "Workers.leave" in line or not line.startswith(("inside", "after")):
            continue
        with subtests.test(point=point):
            folder = tmp_path / str(number)
            folder.mkdir()
            await finished_after(folder, point)
