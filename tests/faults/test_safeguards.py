"""Each safeguard is switched off once, to show that the fault it stands against then happens.

What is switched off is taken out of the database, or off the server, never patched.
"""

import asyncio
import secrets
import shutil

import pytest
from support.scenarios import card_for, execute, reply_in

FORGET = """
    CREATE FUNCTION it0_shared.forget() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN NEW.event_id := NEW.event_id || random(); RETURN NEW; END $$;
    CREATE TRIGGER forget BEFORE INSERT ON it0_shared.inbox FOR EACH ROW EXECUTE FUNCTION it0_shared.forget()
"""
"""An event's id no longer tells a repeat."""

PENDING = ["UPDATE {schema}.approval SET status = 'pending', approvals = 0 WHERE id = $1"]
VOTE = ["DELETE FROM {schema}.vote WHERE approval_id = $1"]
RUN = ["DELETE FROM {schema}.run_target WHERE run_id = $1", "DELETE FROM {schema}.run WHERE id = $1"]
INBOX = ["DELETE FROM it0_shared.inbox WHERE event_id LIKE '%:' || $1"]


@pytest.mark.parametrize("guarded", [True, False])
async def test_an_events_unique_id_keeps_a_repeat_from_being_answered_again(yard, guarded):
    ids = {"id": secrets.token_hex(8), "thread": secrets.token_hex(8)}
    message = {"type": "say", "conversation": None, "text": "/run local uptime", **ids}
    if not guarded:
        await execute(yard.house, FORGET)
    try:
        await asyncio.gather(*(yard.client.send(dict(message)) for _ in range(2)))
        accepted = await yard.client.until(lambda: yard.client.accepted.get(ids["id"]))
        await reply_in(yard.client, accepted["conversation"], 1 if guarded else 2)
    finally:
        await execute(yard.house, "DROP FUNCTION IF EXISTS it0_shared.forget CASCADE")
    await yard.judge.settled(yard.client)
    assert len(yard.client.of_kind(accepted["conversation"], "reply")) == (1 if guarded else 2)


@pytest.mark.parametrize("changed", [False, True])
async def test_its_digest_keeps_an_act_that_was_changed_from_running(yard, tmp_path, changed):
    conversation, approval = await card_for(yard.client, f"touch {tmp_path}/asked")
    if changed:
        change = "UPDATE {schema}.approval SET action = replace(action, 'asked', 'altered') WHERE id = $1"
        await execute(yard.house, change, approval)
    await yard.client.click(f"approve:{approval}")
    await reply_in(yard.client, conversation)
    assert [file.name for file in tmp_path.iterdir()] == ([] if changed else ["asked"])


AGAIN = {
    "everything": ([], False, 1),
    "the server's marker alone": ([*PENDING, *VOTE, *RUN, *INBOX], False, 1),
    "the run's row alone": ([*PENDING, *VOTE, *INBOX], True, 1),
    "nothing": ([*PENDING, *VOTE, *RUN, *INBOX], True, 2),
}
"""By what is left to keep an approval from being used again: what is taken away, and how often it runs."""


@pytest.mark.parametrize("left", AGAIN)
async def test_an_approval_is_not_used_again_as_long_as_one_safeguard_is_left(yard, left):
    taken_away, without_marker, runs = AGAIN[left]
    command = yard.marks.write()
    conversation, approval = await card_for(yard.client, command)
    await yard.client.click(f"approve:{approval}")
    await reply_in(yard.client, conversation)
    for statement in taken_away:
        await execute(yard.house, statement, approval)
    if without_marker:
        shutil.rmtree(yard.house.target / ".it0" / "run")
    await yard.client.click(f"approve:{approval}")
    await reply_in(yard.client, conversation, 2 if taken_away else 1)
    await yard.judge.settled(yard.client)
    assert yard.marks.count(command) == runs
