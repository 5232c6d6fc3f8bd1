"""A kill while a grant is given or used, or while an L1 goes ahead: run once, and told as it is."""

import asyncio
from collections import Counter

import pytest
from support.house import words_of
from support.kept import Kept
from support.marks import Tap
from support.scenarios import PATIENT_S, age, card_for, reply_in

EXECUTOR = "agent.gate.running.execution.Executor"
USED = [f"inside:{EXECUTOR}._run@1", "before:shell.run@1", "after:shell.run@1", f"inside:{EXECUTOR}._end@1"]
SETTLED = ["inside:agent.gate.deciding.approvals.Approvals.expire@1", "inside:agent.acts.Acts.perform@1"]


async def audited(yard) -> Counter[str]:
    """Return how often each action is on record."""
    return Counter(row["action"] for row in (await yard.judge.history()).audit)


async def granted(yard) -> tuple[str, str]:
    """Have a command approved with a grant; return (conversation, command)."""
    command = yard.marks.write()
    conversation, approval = await card_for(yard.client, command)
    await yard.client.click(f"grant:{approval}")
    await reply_in(yard.client, conversation)
    return conversation, command


async def again(yard, command: str) -> dict:
    """Ask for a command that is granted, and return the reply: no card comes between."""
    said = await yard.client.ask(f"/run local {command}", timeout_s=PATIENT_S)
    await reply_in(yard.client, said["conversation"])
    assert yard.client.of_kind(said["conversation"], "card") == []
    return dict(yard.client.of_kind(said["conversation"], "reply")[0])


@pytest.mark.parametrize("point", USED)
async def test_a_kill_while_a_grant_is_used_runs_it_once_at_most_and_says_so_once(yard, point: str) -> None:
    _, command = await granted(yard)
    before = await audited(yard)
    yard.house.arm.write_text(f"die {point}")
    async with Kept(yard.house, yard.client) as kept:
        answer = await again(yard, command)
    assert kept.deaths == 1
    begun = point != USED[1]
    assert yard.marks.count(command) == 1 + begun, words_of(answer)
    after = await audited(yard)
    assert after["grant.used"] - before["grant.used"] == 1
    assert after["approval.asked"] == before["approval.asked"]
    runs = [run for run in (await yard.judge.history()).runs if run["command"] == command]
    assert len(runs) == 2


async def test_a_kill_while_a_grant_is_given_gives_it_once(yard) -> None:
    before = await audited(yard)
    yard.house.arm.write_text("die inside:agent.gate.deciding.approvals.Approvals._vote@1")
    async with Kept(yard.house, yard.client) as kept:
        _, command = await granted(yard)
        await again(yard, command)
    assert (kept.deaths, yard.marks.count(command)) == (1, 2)
    assert (await audited(yard))["grant.given"] - before["grant.given"] == 1


@pytest.mark.parametrize("point", [*SETTLED, *USED])
async def test_a_kill_while_the_time_is_over_runs_it_once(yard, point: str) -> None:
    await asyncio.to_thread(yard.house.command, "tenant", "set", "l1_goes_ahead", "on")
    async with Tap(yard.marks) as tap:
        conversation, approval = await card_for(yard.client, f"{tap.command} /etc/fstab")
        before = await audited(yard)
        yard.house.arm.write_text(f"die {point}")
        async with Kept(yard.house, yard.client) as kept:
            await age(yard.house, approval)
            await reply_in(yard.client, conversation)
        assert (kept.deaths, yard.marks.count(tap.command)) == (1, int(point != USED[1]))
        assert (await audited(yard))["approval.went_ahead"] - before["approval.went_ahead"] == 1
