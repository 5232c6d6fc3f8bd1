"""However often a click or a message is delivered, and wherever, it counts once (F2, F8; SECURITY A3)."""

import asyncio
import os
import random
import secrets
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import closing

import pytest
from support.house import Client, House
from support.load import pages_of
from support.scenarios import age, card_for, execute, people, reply_in, until

REPEATS = (2, 3, 4)
AT_ONCE = 16
"""Fewer than the conversations that a page follows."""
PURGED = "SELECT state = 'new' AND due_at > now() FROM it0_shared.timer WHERE kind = 'purge'"


@pytest.fixture(scope="module")
async def second(yard) -> AsyncIterator[Client]:
    """Return another admin's page."""
    page = (await people(yard.house, yard.client, "second"))[0]
    yield page
    await page.close()


async def deliver(dice: random.Random, pages: list[Client], says: list[dict]) -> None:
    """Send each message two to four times at once, each time to any of the bots; wait for the answers."""
    for first in range(0, len(says), AT_ONCE):
        some = says[first : first + AT_ONCE]
        copies = [dict(say) for say in some for _ in range(dice.choice(REPEATS))]
        await asyncio.gather(*(dice.choice(pages).send(copy) for copy in copies))
        await until(lambda: all(answered(pages, say["id"]) for say in some), 60)  # noqa: B023
        await until(lambda: not any(page.unsent for page in pages))


async def test_fifty_clicks_of_two_people_make_one_execution(yard, second):
    command = yard.marks.write(0.2)
    conversation, approval = await card_for(yard.client, command)
    clicks = (page.click(f"approve:{approval}") for page in (yard.client, second) for _ in range(25))
    await asyncio.gather(*clicks)
    await reply_in(yard.client, conversation)
    assert await yard.judge.settled(yard.client, second) == []
    assert yard.marks.count(command) == 1


async def delivered_again_and_again(build, count: int) -> None:
    """Deliver messages to two bots, again after a restart, and after a day; after two they are forgotten."""
    dice, yard = random.Random(2), await build()
    replica = yard.house.replica()
    with closing(replica):
        replica.start("bot")
        pages = [yard.client, *await pages_of(replica, yard.client, 1)]
        says = [a_look(number) for number in range(count)]
        await deliver(dice, pages, says)
        assert await yard.judge.settled(*pages) == []
        before = await kinds(yard)
        yard.house.kill()
        yard.house.start()
        await asyncio.gather(*(page.drop() for page in pages))
        await asyncio.gather(*(page.connect() for page in pages))
        await deliver(dice, pages, says)
        assert await kept(yard) == count
        await hours_go_by(yard.house, 23)
        await deliver(dice, pages, says)
        assert await yard.judge.settled(*pages) == []
        assert await kinds(yard) == before
        await hours_go_by(yard.house, 26)
        assert await kept(yard) == 0
        await pages[1].close()


async def hours_go_by(house: House, hours: int) -> None:
    """Let all that is done be older, and wait until what is purged every hour was purged."""
    await execute(house, f"UPDATE it0_shared.inbox SET done_at = done_at - interval '{hours} hours'")
    await execute(house, f"UPDATE it0_shared.outbox SET sent_at = sent_at - interval '{hours} hours'")
    await execute(house, "UPDATE it0_shared.timer SET due_at = now() WHERE kind = 'purge'")
    async with asyncio.timeout(20), house.database() as db:
        while not await db.fetchval(PURGED):
            await asyncio.sleep(0.02)


async def kept(yard) -> int:
    """Return how many messages are known by their ids."""
    async with yard.house.database() as db:
        return int(await db.fetchval("SELECT count(*) FROM it0_shared.inbox"))


async def test_a_message_delivered_two_to_four_times_to_two_bots_and_again_later_is_answered_once(build):
    await delivered_again_and_again(build, 60)


@pytest.mark.long
async def test_of_ten_thousand_messages_delivered_several_times_each_is_answered_once(build):
    await delivered_again_and_again(build, int(os.environ.get("IT0_TEST_MESSAGES", "10000")))


def a_look(number: int) -> dict:
    """Return a message for a conversation of its own: a question, or now and then a command."""
    verb = "/why" if number % 10 else "/run local"
    ids = {"id": secrets.token_hex(8), "thread": secrets.token_hex(8)}
    return {"type": "say", "conversation": None, "text": f"{verb} echo {secrets.token_hex(6)}", **ids}


def answered(pages: list[Client], event_id: str) -> bool:
    """Return whether any page shows the answer to a message."""
    return any(event_id in page.accepted and page.answer(page.accepted[event_id]) for page in pages)


async def kinds(yard) -> Counter:
    """Return how many events of each kind are stored."""
    return Counter(event["kind"] for event in (await yard.judge.history()).events)


async def race(yard, second: Client) -> None:
    """Let one approve and the other reject in the same moment."""
    command = yard.marks.write()
    conversation, approval = await card_for(yard.client, command)
    pages = random.sample([yard.client, second], 2)
    await asyncio.gather(pages[0].click(f"approve:{approval}"), pages[1].click(f"reject:{approval}"))
    await reply_in(yard.client, conversation)


async def races(yard, second: Client, count: int) -> None:
    """Race ``count`` times; each has one winner, and each loser is told who that was."""
    start = (await told_late(yard)).total()
    for _ in range(count):
        await race(yard, second)
    assert await yard.judge.settled(yard.client, second, timeout_s=30 + count * 0.4) == []
    told = await told_late(yard)
    assert told.total() - start == count
    assert set(told) <= {"admin", "second"}


async def told_late(yard) -> Counter:
    """Return how often people were told that somebody else was first, by who that was."""
    parts = [
        part["params"]["who"]
        for event in (await yard.judge.history()).events
        if event["kind"] == "reply"
        for part in event["body"]["parts"]
        if isinstance(part, dict) and str(part.get("say", "")).startswith("approval.was_")
    ]
    return Counter(parts)


async def test_of_an_approval_and_a_rejection_in_the_same_moment_one_wins_and_the_other_is_told(yard, second):
    await races(yard, second, 20)


@pytest.mark.long
async def test_a_thousand_races_have_one_winner_each(yard, second):
    await races(yard, second, int(os.environ.get("IT0_TEST_RACES", "1000")))


async def test_a_click_after_the_time_is_over_or_on_nothing_runs_nothing(yard):
    command = yard.marks.write()
    conversation, approval = await card_for(yard.client, command)
    await age(yard.house, approval)
    clicks = [await yard.client.click(f"approve:{ref}") for ref in (approval, secrets.token_hex(16), "")]
    await reply_in(yard.client, conversation)
    await yard.client.until(lambda: all(click in yard.client.accepted for click in clicks))
    assert await yard.judge.settled(yard.client) == []
    assert yard.marks.count(command) == 0


async def test_a_click_sent_again_after_a_restart_is_the_same_click(yard):
    command = yard.marks.write()
    conversation, approval = await card_for(yard.client, command)
    click = await yard.client.click(f"approve:{approval}")
    await reply_in(yard.client, conversation)
    yard.house.kill()
    yard.house.start()
    await yard.client.drop()
    await yard.client.connect()
    await yard.client.click(f"approve:{approval}", click)
    await yard.client.until(lambda: not yard.client.unsent)
    assert await yard.judge.settled(yard.client) == []
    assert yard.marks.count(command) == 1
