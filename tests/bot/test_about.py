"""/usage, /engine and /console: who may use them, what they change, and where they answer."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from fakes.engine import ScriptedEngine
from support.chat import Chat, chat_at
from support.place import Place, at_work
from support.store import Store, actions, add_user

from agent.engines.commands import COMMANDS
from agent.memory import told
from bot.texts.catalogue import load_catalogue
from bot.texts.chats import MENU, menu
from core.clock import system_clock
from core.store import preferences, usage
from core.texts import LANGUAGES, Say
from core.work import Role, User


@pytest.fixture
async def place(store: Store) -> AsyncIterator[Place]:
    """Return a process that runs, with two engines of ours beside ``direct``."""
    async with at_work(store, ScriptedEngine("one"), ScriptedEngine("two")) as running:
        yield running


async def asked(place: Place, text: str, user: User | None = None, thread: str = "here") -> list[Any]:
    """Return the parts of the answer to ``text``: texts, and the keys of sentences."""
    return (await place.replies(await place.send(text, thread, user)))[0]


async def spoken(place: Place, text: str) -> list[Say]:
    """Return the sentences of the answer to ``text``."""
    accepted = await place.send(text)
    await place.replies(accepted)
    [row] = [row for row in await place.events(accepted) if row["kind"] == "reply"]
    return [Say(part["say"], part["params"]) for part in row["body"]["parts"]]


async def use(place: Place, days_ago: int, model: str, usd: float) -> None:
    """Count a message of a model."""
    async with place.tenant.transaction() as tx:
        used = {"input_tokens": 1000, "cache_read_input_tokens": 500, "output_tokens": 20}
        await usage.add(tx, system_clock() - timedelta(days=days_ago), "claude_api", model, used, usd)


async def test_usage_is_by_day_and_model_with_its_total_and_of_the_asked_days_only(place: Place) -> None:
    assert await asked(place, "/usage") == ["usage.none"]
    for days_ago, model, usd in ((0, "big", 0.5), (0, "big", 0.25), (1, "small", 0.125), (20, "old", 9.0)):
        await use(place, days_ago, model, usd)
    total, *lines = await spoken(place, "/usage")
    assert total.params["calls"] == "3"
    assert (total.params["input"], total.params["output"]) == ("4,500", "60")
    assert total.params["usd"] == "0.8750"
    assert [(line.params["model"], line.params["calls"], line.params["usd"]) for line in lines] == [
        ("big", "2", "0.7500"),
        ("small", "1", "0.1250"),
    ]
    assert len(await spoken(place, "/usage 1")) == 2
    assert len(await spoken(place, "/usage 30")) == 4
    words = load_catalogue()
    assert all("0.8750" in words(total, language) for language in LANGUAGES)


@pytest.mark.parametrize("days", ["0", "-1", "367", "week", "9" * 30, "٣", "7 7"])
async def test_usage_of_no_number_of_days_says_how_it_is_written(place: Place, days: str) -> None:
    assert await asked(place, f"/usage {days}") == ["usage.bad_days"]


async def test_usage_is_for_admins_and_of_their_own_tenant(store: Store, place: Place) -> None:
    second = await store.second()
    async with second.transaction() as tx:
        await usage.add(tx, system_clock(), "claude_api", "theirs", {"input_tokens": 1}, 1.0)
    oz = await add_user(place.tenant, store.clock, "oz", Role.OPERATOR)
    assert await asked(place, "/usage", oz) == ["error.admins_only"]
    assert await asked(place, "/usage") == ["usage.none"]


async def test_engine_is_chosen_for_this_conversation_only_and_given_back(place: Place) -> None:
    assert await asked(place, "/engine") == ["engine.of_default", "engine.there"]
    assert await asked(place, "/engine two") == ["engine.of_conversation", "engine.there"]
    assert await asked(place, "hello") == ["heard hello"]
    used = await place.store.as_owner(f"SELECT DISTINCT engine FROM {place.tenant.schema}.turn")
    assert [row["engine"] for row in used] == ["two"]
    assert await asked(place, "/engine", thread="elsewhere") == ["engine.of_default", "engine.there"]
    assert await asked(place, "/engine default") == ["engine.of_default", "engine.there"]
    assert (await actions(place.tenant)).count("conversation.engine") == 2


async def test_engine_of_the_tenant_holds_wherever_none_is_chosen(place: Place) -> None:
    await asked(place, "/engine one", thread="other")
    assert await asked(place, "/engine two tenant") == ["engine.of_tenant", "engine.there"]
    assert await asked(place, "/engine", thread="other") == ["engine.of_conversation", "engine.there"]
    async with place.tenant.reading() as db:
        assert (await preferences.load(db)).engine == "two"
    assert "tenant.set" in await actions(place.tenant)
    await asked(place, "/engine DEFAULT Tenant")
    async with place.tenant.reading() as db:
        assert (await preferences.load(db)).engine is None


async def test_unknown_engine_is_refused_with_the_list_and_changes_nothing(place: Place) -> None:
    [refusal] = await spoken(place, "/engine three")
    assert refusal.key == "engine.unknown"
    words = load_catalogue()
    for language in LANGUAGES:
        assert all(name in words(refusal, language) for name in ("three", "one", "two", "direct"))
    for text in ("/engine two everybody", "/engine two tenant now"):
        assert await asked(place, text) == ["engine.usage"]
    assert await asked(place, "/engine") == ["engine.of_default", "engine.there"]


async def test_viewer_sees_the_engine_and_only_admins_choose_the_tenants(store: Store, place: Place) -> None:
    vera = await add_user(place.tenant, store.clock, "vera", Role.VIEWER)
    oz = await add_user(place.tenant, store.clock, "oz", Role.OPERATOR)
    assert await asked(place, "/engine", vera) == ["engine.of_default", "engine.there"]
    assert await asked(place, "/engine two", vera) == ["engine.operators_only"]
    assert await asked(place, "/engine two tenant", oz) == ["error.admins_only"]
    assert await asked(place, "/engine two", oz) == ["engine.of_conversation", "engine.there"]


async def sign_ins(chat: Chat) -> int:
    """Return how many sign-in links there are."""
    return int((await chat.place.store.as_owner("SELECT count(*) FROM it0_shared.login_link"))[0][0])


async def test_console_link_is_made_in_private_works_once_and_is_on_record(place: Place) -> None:
    chat = await chat_at(place)
    sentence, link = await chat.ask(place.ann, "/console")
    assert sentence == "console_link.made"
    token = link.partition("/login?token=")[2]
    assert await place.app.sessions.sign_in(token, None) is not None
    assert await place.app.sessions.sign_in(token, None) is None
    rows = await place.tenant.audit.page(None, 10)
    [entry] = [row for row in rows if row["action"] == "user.link"]
    assert (entry["actor_type"], entry["actor_id"], entry["channel"]) == ("user", place.ann.id, "chat")
    assert token not in str([dict(row) for row in rows])


async def test_console_link_is_not_made_where_others_read_it(store: Store, place: Place) -> None:
    chat = await chat_at(place)
    bob = await add_user(place.tenant, store.clock, "bob")
    await chat.join(bob)
    for thread in ("group", f"home-{bob.name}"):
        assert await chat.ask(place.ann, "/console", thread) == ["console_link.ask_in_private"]
    assert await asked(place, "/console") == ["console_link.here"]
    assert await sign_ins(chat) == 0


async def test_form_for_a_secret_is_not_made_where_others_read_it(store: Store, place: Place) -> None:
    chat = await chat_at(place)
    for thread in ("group", "home-bob"):
        assert await chat.ask(place.ann, "/credential main", thread) == ["credential.ask_in_private"]
    forms = f"SELECT count(*) FROM {place.tenant.schema}.secret_form"
    assert (await store.as_owner(forms))[0][0] == 0
    assert (await chat.ask(place.ann, "/credential main"))[0] == "credential.form"
    assert (await asked(place, "/credential other"))[0] == "credential.form"
    assert (await store.as_owner(forms))[0][0] == 2


def test_menu_of_chats_has_commands_only_and_all_of_these_in_both_languages() -> None:
    assert set(MENU) <= set(COMMANDS)
    assert {"new", "conversations", "open", "usage", "engine", "console"} <= set(MENU)
    assert {"tasks", "send", "undo"} <= set(MENU)
    assert all(set(words) == set(LANGUAGES) for words in menu(load_catalogue()).values())


def test_no_model_is_told_a_one_time_link() -> None:
    parts = ["http://it0.example/login?token=abc-_DEF123", "http://it0.example/secret/first.xYz_-9"]
    read = told(parts, lambda sentence: sentence.key)
    assert "abc" not in read
    assert "xYz" not in read
    assert "/secret/first." in read
