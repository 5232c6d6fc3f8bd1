"""A message that cannot be worked on at once says so, once."""

from collections.abc import AsyncIterator

import pytest
from fakes.engine import ScriptedEngine, waiting_engine
from support.chat import Chat, chat_at
from support.place import Place, at_work, until
from support.store import Store


@pytest.fixture
def engine() -> ScriptedEngine:
    """Return the engine of the place; what is said with "slow" waits for the test."""
    return waiting_engine()


@pytest.fixture
async def place(store: Store, engine: ScriptedEngine) -> AsyncIterator[Place]:
    """Return a process that runs one turn of a person at once."""
    async with at_work(store, engine, turns_per_user=1) as running:
        yield running


@pytest.fixture
async def chat(place: Place) -> Chat:
    """Return a platform beside its console, with Ann."""
    return await chat_at(place)


def notices(chat: Chat) -> list[str]:
    """Return the sentences that came to the chat beside answers."""
    return [part["say"] for _, each in chat.said for part in each.body["parts"] if isinstance(part, dict)]


async def test_message_behind_a_running_turn_says_that_it_waits_and_the_next_ones_do_not(
    chat: Chat, engine: ScriptedEngine
) -> None:
    ann = chat.place.ann
    first = await chat.send(ann, "something slow")
    await engine.reached.wait()
    for text in ("and this", "and that"):
        await chat.send(ann, text)
    await until(lambda: said(chat, 1))
    assert notices(chat) == ["message.waits"]
    engine.go.set()
    assert len(await chat.place.replies(first, 3)) == 3
    assert notices(chat) == ["message.waits"]


async def said(chat: Chat, count: int) -> bool:
    """Return whether so much came to the chat."""
    return len(chat.said) >= count


async def test_on_the_console_the_page_shows_it_and_nothing_is_said(
    place: Place, engine: ScriptedEngine
) -> None:
    first = await place.send("something slow")
    await engine.reached.wait()
    await place.send("and this")
    engine.go.set()
    await place.replies(first, 2)
    assert await place.words(first, "notice") == []


async def test_request_that_has_to_wait_for_a_free_place_shows_it(chat: Chat, engine: ScriptedEngine) -> None:
    ann = chat.place.ann
    await chat.send(ann, "something slow")
    await engine.reached.wait()
    other = await chat.send(ann, "how are things", "group")
    await until(lambda: shown(chat))
    assert [each.data["say"] for each in chat.shown] == ["message.queued"]
    engine.go.set()
    assert await chat.place.replies(other) == [["heard how are things"]]


async def shown(chat: Chat) -> bool:
    """Return whether anything is shown of a turn."""
    return bool(chat.shown)
