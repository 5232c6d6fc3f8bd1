"""A kill while a file is read or written for somebody: written once or not at all, and told as it is."""

import pytest
from support.house import words_of
from support.kept import Kept
from support.scenarios import PATIENT_S

READ, ACT = 1, 2
"""Which of the two runs of a change: the file is read when it is asked for, written when it was approved."""

POINTS = [
    f"inside:agent.gate.running.execution.Executor._run@{READ}",
    f"before:shell.run@{READ}",
    f"after:shell.run@{READ}",
    "inside:agent.gate.deciding.approvals.Approvals.ask@1",
    f"before:shell.run@{ACT}",
    f"after:shell.run@{ACT}",
    f"inside:agent.gate.running.execution.Executor._end@{ACT}",
    "inside:agent.acts.Acts.perform@1",
]


@pytest.mark.parametrize("point", POINTS)
async def test_a_kill_writes_a_file_once_or_not_at_all_and_says_which(yard, point: str) -> None:
    file = yard.marks.new()
    file.write_text("old\n")
    backups = yard.house.target / ".it0" / "backups"
    before = len(list(backups.iterdir())) if backups.exists() else 0
    yard.house.arm.write_text(f"die {point}")
    async with Kept(yard.house, yard.client) as kept:
        card = await yard.client.ask(f"/write local {file}\nnew", timeout_s=PATIENT_S)
        assert card["kind"] == "card", card
        conversation = card["conversation"]
        await yard.client.click(f"approve:{card['body']['approval']['id']}")
        await yard.client.until(lambda: yard.client.of_kind(conversation, "reply"), PATIENT_S)
    assert (kept.deaths, yard.house.arm.exists()) == (1, False)
    said = words_of(yard.client.of_kind(conversation, "reply")[0])
    is_written = len(list(backups.iterdir())) - before
    assert (file.read_text(), is_written) in (("new\n", 1), ("old\n", 0))
    assert ("is written" in said) == (file.read_text() == "new\n"), said
    assert [each.name for each in file.parent.iterdir() if each.name.startswith(".it0")] == []
