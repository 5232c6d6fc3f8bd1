"""However often a click or a message is delivered, and wherever, it counts once (F2, F8; SECURITY A3)."""

import asyncio
import os
import random
import secrets
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from support.house import Client
from support.scenarios import age, card_for, people, reply_in

SAYS = 60
REPEATS = (2, 3, 4)


@pytest.fixture(scope="module")
async def second(yard) -> AsyncIterator[Client]:
    """Return another admin's page."""
    page = (await people(yard.house, yard.client, "second"))[0]
    yield page
    await page.close()


@pytest.fixture(scope="module")
async def replica(yard) -> AsyncIterator[Client]:
    """Return the admin's page on a second bot that shares the database."""
    house = yard.house.replica()
    house.start("bot")
    page = Client(house)
    await page.sign_in(await yard.client.link_for("admin"))
    await page.connect()
    yield page
    await page.close()
    house.close()


async def deliver(dice: random.Random, pages: list[Client], message: dict) -> None:
    """Send a message several times at once, each time to any of the bots."""
    times = dice.choice(REPEATS)
    await asyncio.gather(*(dice.choice(pages).send(dict(message)) for _ in range(times)))


async def test_fifty_clicks_of_two_people_make_one_execution(yard, second):
    command = yard.marks.write(0.2)
    conversation, approval = await card_for(yard.client, command)
    clicks = (page.click(f"approve:{approval}") for page in (yard.client, second) for _ in range(25))
    await asyncio.gather(*clicks)
    await reply_in(yard.client, conversation)
    assert await yard.judge.settled(yard.client, second) == []
    assert yard.marks.count(command) == 1


async def test_a_message_delivered_two_to_four_times_to_two_bots_is_answered_once(yard, replica):
    dice, pages = random.Random(2), [yard.client, replica]
    says = [a_look(f"/run local echo {secrets.token_hex(4)}") for _ in range(SAYS)]
    await asyncio.gather(*(deliver(dice, pages, say) for say in says))
    await yard.client.until(lambda: all(answered(pages, say["id"]) for say in says), 60)
    assert await yard.judge.settled(*pages) == []
    yard.house.kill()
    yard.house.start()
    await asyncio.gather(*(page.drop() for page in pages))
    await asyncio.gather(*(page.connect() for page in pages))
    before = Counter(await kinds(yard))
    await asyncio.gather(*(deliver(dice, pages, say) for say in says))
    assert await yard.judge.settled(*pages) == []
    assert Counter(await kinds(yard)) == before


def a_look(text: str) -> dict:
    """Return a message for a conversation of its own."""
    ids = {"id": secrets.token_hex(8), "thread": secrets.token_hex(8)}
    return {"type": "say", "conversation": None, "text": text, **ids}


def answered(pages: list[Client], event_id: str) -> bool:
    """Return whether any page shows the answer to a message."""
    return any(event_id in page.accepted and page.answer(page.accepted[event_id]) for page in pages)


async def kinds(yard) -> list[str]:
    """Return the kind of every stored event."""
    return [event["kind"] for event in (await yard.judge.history()).events]


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
    for number in range(count):
        await race(yard, second)
        if number % 50 == 49:  # a page may send so many messages a minute
            for page in (yard.client, second):
                await page.drop()
                await page.connect()
    assert await yard.judge.settled(yard.client, second) == []
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
    await races(yard, second, 50)


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
