"""/new, /conversations and /open, and the conversation that begins after a long silence."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from fakes.engine import ScriptedEngine, waiting_engine
from support.chat import Chat, chat_at
from support.place import Place, at_work, until
from support.store import Store, actions, add_user

from bot.chat.talks import Talks
from core.errors import NotFound, Refused
from core.ids import new_id
from core.messages import Accepted, Address
from core.store import approvals, log, talks
from core.tenant import console_installation
from core.work import Approval, Role

CHANGE = "/run web systemctl restart nginx"


@pytest.fixture
def engine() -> ScriptedEngine:
    """Return the engine of the place; what is said with "slow" waits for the test."""
    return waiting_engine()


@pytest.fixture
async def place(store: Store, engine: ScriptedEngine) -> AsyncIterator[Place]:
    """Return a process that runs."""
    async with at_work(store, engine) as running:
        yield running


@pytest.fixture
async def chat(place: Place) -> Chat:
    """Return a platform beside its console, with Ann."""
    return await chat_at(place)


async def test_new_during_a_halt_begins_and_says_that_the_halt_stands(chat: Chat) -> None:
    before = await said(chat, "hello")
    await said(chat, "/halt")
    begun = await said(chat, "/new repairs")
    assert begun.conversation_id != before.conversation_id
    assert await chat.place.words(begun) == [["new.begun_as", "new.halted"]]
    assert await chat.place.words(await said(chat, "hello")) == [["error.halted"]]


async def said(chat: Chat, text: str, thread: str = "") -> Accepted:
    """Let Ann say something, and wait for the answer."""
    accepted = await chat.send(chat.place.ann, text, thread)
    await chat.place.replies(accepted)
    return accepted


async def waiting(chat: Chat, thread: str = "") -> tuple[Accepted, Approval]:
    """Return a message whose turn waits for an approval, and the approval."""
    accepted = await chat.send(chat.place.ann, CHANGE, thread)

    async def asked() -> list[Approval]:
        async with chat.place.tenant.reading() as db:
            rows = await db.all(approvals.PENDING_IN, conversation=accepted.conversation_id)
        return [approvals.approval_of(row) for row in rows]

    [approval] = await until(asked)

    async def at_rest() -> bool:
        return await chat.place.open_work() == []

    await until(at_rest)
    return accepted, approval


async def age(chat: Chat, accepted: Accepted, hours: float) -> None:
    """Make a conversation older."""
    await chat.place.store.as_owner(
        f"UPDATE {chat.place.tenant.schema}.conversation "
        f"SET updated_at = updated_at - interval '{hours} hours' WHERE id = '{accepted.conversation_id}'"
    )


async def codes(chat: Chat, text: str = "/conversations", thread: str = "") -> list[str]:
    """Return the codes of the conversations that are listed, without the one that lists them."""
    accepted = await said(chat, text, thread)
    [row] = [row for row in await chat.place.events(accepted) if row["kind"] == "reply"]
    found = [p["params"]["code"] for p in row["body"]["parts"] if p["say"] == "conversations.line"]
    return [code for code in found if code != talks.code_of(accepted.conversation_id)]


async def test_new_begins_another_conversation_with_its_title_and_closes_the_one_before(chat: Chat) -> None:
    first = await said(chat, "check the disks")
    second = await said(chat, "/new  nginx on\tweb ")
    after = await said(chat, "hello")
    assert first.conversation_id != second.conversation_id == after.conversation_id
    old, new = [await chat.conversation(a.conversation_id) for a in (first, second)]
    assert (old["status"], old["title"]) == ("closed", "check the disks")
    assert (new["status"], new["title"]) == ("open", "nginx on web")
    assert await chat.place.words(second) == [["new.begun_as"], ["heard hello"]]
    assert (await actions(chat.place.tenant)).count("conversation.new") == 1


async def test_message_for_a_conversation_that_is_closed_at_that_moment_begins_another(chat: Chat) -> None:
    place, first = chat.place, await said(chat, "hello")
    mine = f"{place.tenant.schema}.conversation"
    async with place.store.connection() as other:
        async with other.transaction():
            await other.execute(f"UPDATE {mine} SET status = 'closed' WHERE id = $1", first.conversation_id)
            late = asyncio.ensure_future(chat.send(place.ann, "too late for it"))

            async def waits() -> bool:
                return bool(await place.store.as_owner("SELECT 1 FROM pg_locks WHERE NOT granted"))

            await until(waits)
        accepted = await late
    assert accepted.conversation_id != first.conversation_id
    assert await place.replies(accepted) == [["heard too late for it"]]
    row = await chat.conversation(accepted.conversation_id)
    assert (row["status"], row["title"]) == ("open", "too late for it")


async def test_answer_to_one_of_its_messages_goes_on_with_that_messages_conversation(chat: Chat) -> None:
    first = await said(chat, "about nginx", "group")
    answer = await delivered(chat, "heard about nginx")
    await said(chat, "/new disks", "group")
    second = await said(chat, "about disks", "group")
    assert second.conversation_id != first.conversation_id
    reply = await chat.send(chat.place.ann, "and now?", "group", answers=answer)
    assert reply.conversation_id == first.conversation_id
    assert (await said(chat, "how full", "group")).conversation_id == second.conversation_id
    elsewhere = await chat.send(chat.place.ann, "not here", "other group", answers=answer)
    assert elsewhere.conversation_id not in (first.conversation_id, second.conversation_id)


async def test_stop_in_answer_to_a_message_stops_its_conversation(chat: Chat, engine: ScriptedEngine) -> None:
    first = await said(chat, "hello", "group")
    answer = await delivered(chat, "heard hello")
    await said(chat, "/new", "group")
    slow = await chat.send(chat.place.ann, "something slow", "group", answers=answer)
    await engine.reached.wait()
    stopped = await chat.send(chat.place.ann, "/stop", "group", answers=answer)
    assert stopped.conversation_id == slow.conversation_id == first.conversation_id
    said_last = [parts[-1] for parts in await chat.place.replies(slow, 2)]
    assert sorted(said_last) == ["stop.stopping", "turn.stopped"]


async def delivered(chat: Chat, text: str) -> int:
    """Return what the platform calls the message that says ``text``, once it0 knows that it was taken."""

    async def number() -> int:
        taken = await chat.place.store.as_owner("SELECT receipt FROM it0_shared.outbox WHERE state = 'sent'")
        for _, sending in chat.said:
            if text in str(sending.body["parts"][0]) and str(sending.receipt) in [row[0] for row in taken]:
                return int(sending.receipt[0])
        return 0

    return int(await until(number))


async def test_new_without_a_title_is_named_by_what_is_said_next(chat: Chat) -> None:
    assert await chat.ask(chat.place.ann, "/new") == ["new.begun"]
    after = await said(chat, "why is web late")
    assert (await chat.conversation(after.conversation_id))["title"] == "why is web late"


async def test_conversation_is_called_by_its_first_request_and_not_by_a_greeting(chat: Chat) -> None:
    assert await chat.ask(chat.place.ann, "/start") == ["start.hello"]
    await said(chat, "/help")
    after = await said(chat, "why is web late")
    assert (await chat.conversation(after.conversation_id))["title"] == "why is web late"


async def test_what_is_typed_right_behind_new_belongs_to_the_new_one(chat: Chat) -> None:
    await said(chat, "before")
    new = await chat.send(chat.place.ann, "/new")
    next_one = await chat.send(chat.place.ann, "at once")
    assert next_one.conversation_id == new.conversation_id


async def test_new_that_comes_twice_begins_one(chat: Chat) -> None:
    first = await chat.send(chat.place.ann, "/new once", event_id="e1")
    again = await chat.send(chat.place.ann, "/new once", event_id="e1")
    assert again.repeat
    assert again.conversation_id == first.conversation_id
    assert (await chat.conversation(first.conversation_id))["status"] == "open"


async def test_secret_in_a_title_is_kept_nowhere(chat: Chat) -> None:
    await chat.place.seal("ops-key", b"hunter2-hunter2")
    accepted = await said(chat, "/new hunter2-hunter2")
    assert await chat.place.words(accepted) == [["gate.secret_in_message"]]
    row = await chat.conversation(accepted.conversation_id)
    assert "hunter2" not in row["title"]


async def test_running_turn_goes_on_after_new_and_answers_in_the_same_chat(
    chat: Chat, engine: ScriptedEngine
) -> None:
    old = await chat.send(chat.place.ann, "something slow")
    await engine.reached.wait()
    assert await chat.ask(chat.place.ann, "/new") == ["new.begun"]
    assert await chat.ask(chat.place.ann, "quick") == ["heard quick"]
    engine.go.set()
    assert await chat.place.replies(old) == [["heard something slow"]]

    async def delivered() -> bool:
        return ("home-ann", "heard something slow") in [
            (thread, sending.body["parts"][0]) for thread, sending in chat.said
        ]

    await until(delivered)


async def test_stop_reaches_what_runs_in_the_conversation_before(chat: Chat, engine: ScriptedEngine) -> None:
    old = await chat.send(chat.place.ann, "something slow")
    await engine.reached.wait()
    await said(chat, "/new")
    assert await chat.ask(chat.place.ann, "/stop") == ["stop.stopping"]
    assert (await chat.place.replies(old))[0][-1] == "turn.stopped"
    assert await chat.ask(chat.place.ann, "/stop") == ["stop.nothing"]


async def test_stop_stops_nothing_of_another_chat(chat: Chat, engine: ScriptedEngine) -> None:
    old = await chat.send(chat.place.ann, "something slow", "group")
    await engine.reached.wait()
    await said(chat, "/new", "group")
    assert await chat.ask(chat.place.ann, "/stop") == ["stop.nothing"]
    engine.go.set()
    assert await chat.place.replies(old) == [["heard something slow"]]


async def test_approval_that_waits_in_the_conversation_before_is_decided_there(chat: Chat) -> None:
    old, approval = await waiting(chat)
    await said(chat, "/new")
    bob = await add_user(chat.place.tenant, chat.place.store.clock, "bob")
    await chat.place.click(f"approve:{approval.id}", "bobs-thread", bob)
    assert await chat.place.replies(old)
    assert len(chat.place.shell.started) == 1


async def test_new_on_the_console_says_how_and_changes_nothing(place: Place) -> None:
    first = await place.send("hello")
    await place.replies(first)
    second = await place.send("/new title")
    assert (await place.replies(second))[0] == ["new.on_console"]
    assert second.conversation_id == first.conversation_id


async def test_who_was_let_out_begins_nothing(chat: Chat) -> None:
    place = chat.place
    eve = await add_user(place.tenant, place.store.clock, "eve", Role.OPERATOR)
    await chat.join(eve)
    first = await said(chat, "hello", "group")
    await place.app.staff.change(place.tenant, place.ann, "eve", role=None, active=False)
    refused = await chat.send(eve, "/new", "group")
    assert refused.conversation_id == first.conversation_id
    assert (await chat.conversation(first.conversation_id))["status"] == "open"


async def test_after_a_long_silence_another_conversation_begins(chat: Chat) -> None:
    first = await said(chat, "hello")
    await age(chat, first, 11.9)
    assert (await said(chat, "again")).conversation_id == first.conversation_id
    await age(chat, first, 12.1)
    later = await said(chat, "good morning")
    assert later.conversation_id != first.conversation_id
    assert (await chat.conversation(first.conversation_id))["status"] == "closed"
    assert (await chat.conversation(later.conversation_id))["title"] == "good morning"
    assert "conversation.new" not in await actions(chat.place.tenant)


async def test_two_messages_after_a_long_silence_begin_one_conversation(chat: Chat) -> None:
    first = await said(chat, "hello")
    await age(chat, first, 20)
    both = await asyncio.gather(*(chat.send(chat.place.ann, f"good morning {n}") for n in range(4)))
    assert len({accepted.conversation_id for accepted in both} - {first.conversation_id}) == 1
    assert first.conversation_id not in {accepted.conversation_id for accepted in both}


async def test_silence_ends_nothing_in_which_a_turn_runs_or_an_approval_waits(
    chat: Chat, engine: ScriptedEngine
) -> None:
    slow = await chat.send(chat.place.ann, "something slow")
    await engine.reached.wait()
    await age(chat, slow, 20)
    assert (await chat.send(chat.place.ann, "more")).conversation_id == slow.conversation_id
    engine.go.set()
    asked, _ = await waiting(chat, "topic")
    await age(chat, asked, 20)
    assert (await said(chat, "more", "topic")).conversation_id == asked.conversation_id


async def test_silence_on_the_console_begins_nothing(chat: Chat) -> None:
    first = await chat.place.send("hello")
    await chat.place.replies(first)
    await age(chat, first, 100)
    assert (await chat.place.send("again")).conversation_id == first.conversation_id


async def test_silence_is_a_setting(store: Store, engine: ScriptedEngine) -> None:
    async with at_work(store, engine, conversation_silence_hours=0) as place:
        chat = await chat_at(place)
        first = await said(chat, "hello")
        await age(chat, first, 1000)
        assert (await said(chat, "again")).conversation_id == first.conversation_id


async def test_conversations_are_listed_and_found_by_title_and_words(chat: Chat) -> None:
    disks = talks.code_of((await said(chat, "Check the Disks")).conversation_id)
    await said(chat, "/new 证书 renewal")
    cert = talks.code_of((await said(chat, "what of 100% of Nginx?")).conversation_id)
    await said(chat, "/new")
    assert await codes(chat) == [cert, disks]
    assert await codes(chat, "/conversations NGINX 证书") == [cert]
    assert await codes(chat, "/conversations disks") == [disks]
    assert await codes(chat, "/conversations 100%") == [cert]
    assert await codes(chat, "/conversations % disks nginx") == []
    await said(chat, "/new nothing here")
    assert await codes(chat, "/conversations nginx") == [cert]  # not where it was looked for before
    assert await chat.ask(chat.place.ann, "/conversations zzz") == ["conversations.none_with"]
    assert await chat.ask(chat.place.ann, "/conversations heard") == ["conversations.none_with"]


async def test_only_ones_own_are_listed_and_opened(store: Store, chat: Chat) -> None:
    place = chat.place
    bob = await add_user(place.tenant, store.clock, "bob")
    await chat.join(bob)
    mine = talks.code_of((await said(chat, "anns secret plan")).conversation_id)
    parts = await chat.ask(bob, "/conversations")
    assert parts.count("conversations.line") == 1
    assert await chat.ask(bob, f"/open {mine}") == ["open.unknown"]
    second = await store.second()
    async with second.reading() as db:
        assert await talks.by_code(db, place.ann.id, mine, None) is None
        assert await talks.mine(db, place.ann.id, [], None, 10) == []


async def test_open_goes_on_with_an_earlier_conversation_and_closes_the_present_one(chat: Chat) -> None:
    first = await said(chat, "check the disks")
    await age(chat, first, 11)
    second = await said(chat, "/new")
    code = talks.code_of(first.conversation_id)
    assert await chat.ask(chat.place.ann, f"/open {code.upper()}") == ["open.done"]
    after = await said(chat, "and now?")
    assert after.conversation_id == first.conversation_id
    assert (await chat.conversation(second.conversation_id))["status"] == "closed"
    assert await chat.ask(chat.place.ann, f"/open {code}") == ["open.is_here"]
    assert (await actions(chat.place.tenant)).count("conversation.open") == 1


async def test_opened_after_a_long_silence_it_stays_open(chat: Chat) -> None:
    first = await said(chat, "long ago")
    await said(chat, "/new")
    await age(chat, first, 300)
    await said(chat, f"/open {talks.code_of(first.conversation_id)}")
    assert (await said(chat, "and now?")).conversation_id == first.conversation_id


@pytest.mark.parametrize("words", ["", "zzzzzz", "12345", "a b", "%", "______"])
async def test_open_of_no_code_says_how_it_is_written(chat: Chat, words: str) -> None:
    assert await chat.ask(chat.place.ann, f"/open {words}") == ["open.usage"]
    assert await chat.ask(chat.place.ann, "/open 000000") == ["open.unknown"]


async def test_conversation_goes_from_the_console_to_a_chat_and_back(chat: Chat) -> None:
    place = chat.place
    thread = f"{place.ann.id}:{new_id()}"
    begun = await place.send("begun at the desk", thread)
    await place.replies(begun)
    code = talks.code_of(begun.conversation_id)
    assert await chat.ask(place.ann, f"/open {code}") == ["open.done"]
    assert (await said(chat, "on the way")).conversation_id == begun.conversation_id
    back = await place.send(f"/open {code}", f"{place.ann.id}:{new_id()}")
    assert (await place.replies(back))[0] == ["open.on_console"]
    row = await chat.conversation(begun.conversation_id)
    assert (row["channel"], row["status"]) == ("console", "open")
    assert row["installation_id"] == console_installation(place.tenant.id)
    assert row["thread"].startswith(f"{place.ann.id}:")
    assert (await said(chat, "who is there")).conversation_id != begun.conversation_id
    again = await place.send(f"/open {code}", f"{place.ann.id}:{new_id()}")
    assert (await place.replies(again))[0] == ["open.in_list"]


async def test_program_brings_its_persons_conversation_to_the_console_and_nobody_elses(chat: Chat) -> None:
    place, bob = chat.place, await add_user(chat.place.tenant, chat.place.store.clock, "bob", Role.ADMIN)
    first = await said(chat, "begun in the chat")
    moves = Talks(place.app.desk)
    with pytest.raises(NotFound):
        await moves.to_console(place.tenant, bob, first.conversation_id)
    for _ in range(2):  # it is there already: nothing more is done
        await moves.to_console(place.tenant, place.ann, first.conversation_id)
    row = await chat.conversation(first.conversation_id)
    assert (row["channel"], row["thread"].startswith(f"{place.ann.id}:")) == ("console", True)
    assert (await actions(place.tenant)).count("conversation.open") == 1
    waits, _ = await waiting(chat)
    with pytest.raises(Refused):
        await moves.to_console(place.tenant, place.ann, waits.conversation_id)


async def test_what_runs_or_waits_elsewhere_is_not_brought_here(chat: Chat) -> None:
    place = chat.place
    begun = await place.send(CHANGE, f"{place.ann.id}:{new_id()}")
    code = talks.code_of(begun.conversation_id)

    async def waits() -> bool:
        async with place.tenant.reading() as db:
            return bool(await db.all(approvals.PENDING_IN, conversation=begun.conversation_id))

    await until(waits)
    assert await chat.ask(place.ann, f"/open {code}") == ["open.busy"]


async def test_group_sees_its_own_conversations_only_and_keeps_them(chat: Chat) -> None:
    private = talks.code_of((await said(chat, "a private matter")).conversation_id)
    group = talks.code_of((await said(chat, "group talk", "group")).conversation_id)
    await said(chat, "/new", "group")
    assert await codes(chat, thread="group") == [group]
    assert await chat.ask(chat.place.ann, f"/open {private}", "group") == ["open.unknown"]
    assert await chat.ask(chat.place.ann, f"/open {group}") == ["open.of_a_group"]
    assert await chat.ask(chat.place.ann, f"/open {group}", "group") == ["open.done"]


async def test_console_feed_is_no_conversation_to_be_listed(chat: Chat) -> None:
    place = chat.place
    address = Address("console", console_installation(place.tenant.id), f"feed:{place.ann.id}")
    async with place.tenant.transaction() as tx:
        feed = await log.open_conversation(tx, new_id(), address, place.ann.id, place.store.clock())
        await log.append(tx, feed, [log.Event("notice", {"parts": []})], place.store.clock())
    assert await codes(chat) == []
