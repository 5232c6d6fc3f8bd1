"""/quiet: a chat that wants answers, cards and errors only."""

from collections.abc import AsyncIterator

import pytest
from fakes.engine import ScriptedEngine
from support.chat import Chat, chat_at
from support.place import Place, at_work, settings_for
from support.store import Store, add_user

from bot.installations import DatabaseInstallations
from core.work import Role


@pytest.fixture
async def place(store: Store) -> AsyncIterator[Place]:
    """Yield a process that runs."""
    async with at_work(store, ScriptedEngine()) as running:
        yield running


@pytest.fixture
async def chat(place: Place) -> Chat:
    """Return a platform beside its console, with Ann."""
    return await chat_at(place)


async def recorded(place: Place) -> list[object]:
    """Return what the audit log says of quiet places."""
    return [r["detail"]["quiet"] async for r in place.tenant.audit.rows() if r["action"].endswith(".quiet")]


async def test_a_chat_is_made_quiet_until_that_is_ended_and_each_change_is_on_record_once(chat: Chat) -> None:
    ann, place = chat.place.ann, chat.place
    for words, answer in (
        ("/quiet", "quiet.is_off"),
        ("/quiet on", "quiet.is_on"),
        ("/quiet 开", "quiet.is_on"),
        ("/quiet", "quiet.is_on"),
        ("/new", "new.begun"),
        ("/quiet", "quiet.is_on"),
        ("/quiet OFF", "quiet.is_off"),
        ("/quiet", "quiet.is_off"),
    ):
        assert await chat.ask(ann, words, "group") == [answer]
    assert await recorded(place) == [True, False]


async def test_each_chat_is_quiet_by_itself(chat: Chat) -> None:
    await chat.ask(chat.place.ann, "/quiet on", "group")
    assert await chat.ask(chat.place.ann, "/quiet", "another") == ["quiet.is_off"]
    assert await chat.ask(chat.place.ann, "/quiet") == ["quiet.is_off"]


async def test_a_viewer_makes_their_own_chat_quiet_and_no_group(chat: Chat) -> None:
    vic = await add_user(chat.place.tenant, chat.place.store.clock, "vic", Role.VIEWER)
    await chat.join(vic)
    assert await chat.ask(vic, "/quiet on", "group") == ["quiet.operators_only"]
    assert await chat.ask(vic, "/quiet", "group") == ["quiet.is_off"]
    assert await chat.ask(vic, "/quiet on") == ["quiet.is_on"]


async def test_other_words_and_the_console_change_nothing(chat: Chat) -> None:
    for words in ("maybe", "on now", "on off"):
        assert await chat.ask(chat.place.ann, f"/quiet {words}") == ["quiet.usage"]
    on_console = await chat.place.send("/quiet on")
    assert await chat.place.replies(on_console) == [["quiet.on_console"]]
    assert await recorded(chat.place) == []


async def test_a_group_moves_also_to_where_people_wrote_and_were_quiet_before_it_was_heard_of(
    chat: Chat,
) -> None:
    place, ann = chat.place, chat.place.ann
    settings = settings_for(place.store)
    bots = DatabaseInstallations("me", place.store.database, place.store.tenants, settings, place.store.clock)
    for thread in ("-5:0", "-5:7", "-1005:0"):
        await chat.ask(ann, "/quiet on", thread)
    await chat.ask(ann, "/quiet on", "-55:0")
    for _ in range(2):
        await bots.moved(chat.installation, "-5:", "-1005:")
    schema = place.tenant.schema
    rows = await place.store.as_owner(f"SELECT thread, status FROM {schema}.conversation ORDER BY 1, 2")
    assert [tuple(row) for row in rows if row["thread"].startswith("-")] == [
        ("-1005:0", "closed"),
        ("-1005:0", "open"),
        ("-1005:7", "open"),
        ("-55:0", "open"),
    ]
    for thread, answer in (("-5:0", "off"), ("-1005:0", "on"), ("-1005:7", "on"), ("-55:0", "on")):
        assert await chat.ask(ann, "/quiet", thread) == [f"quiet.is_{answer}"]
