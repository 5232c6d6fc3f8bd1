"""The front: who is let in, what is taken, and that nothing is taken twice."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from fakes.engine import ScriptedEngine
from support.place import Place, at_work, built
from support.store import Store, actions, add_user

from agent.engine import Completed, EngineEvent, Request, Tools
from bot.inbound.front import MAX_EVENT_ID, MAX_TEXT
from core.errors import BadInput, NotFound, StoreUnavailable
from core.ids import new_id
from core.messages import Accepted, Address, Click, Inbound, Live, Progress, Sender, Sending, Text
from core.store import people
from core.store.database import Database
from core.tenant import Tenant


class NoLive:
    """A growing reply that nobody sees."""

    async def update(self, progress: Progress) -> None:
        """Show nothing."""

    async def close(self) -> None:
        """Take nothing away."""


@dataclass
class ChatReply:
    """A chat's way back that keeps what it was given."""

    address: Address
    told: list[str] = field(default_factory=list)

    def live(self, tenant_id: str, conversation_id: str, turn_id: str) -> Live:
        """Return a growing reply."""
        return NoLive()

    async def deliver(self, sending: Sending) -> None:
        """Keep the sentences' keys."""
        self.told += [part["say"] for part in sending.body["parts"]]


@dataclass
class Chat:
    """Somebody's chat with a bot of a tenant."""

    place: Place
    installation: str
    who: str
    reply: ChatReply = field(default_factory=lambda: ChatReply(Address("console", "", "")))

    async def say(self, text: str, event_id: str = "") -> Accepted | None:
        """Say something."""
        address = Address("console", self.installation, f"dm-{self.who}")
        inbound = Inbound(address, event_id or new_id(), Text(text), Sender(self.who))
        return await self.place.app.front(inbound, self.reply)


async def install(tenant: Tenant, store: Store) -> str:
    """Return the id of a new installation of a chat."""
    installation = f"chat-{tenant.id}"
    async with tenant.transaction() as tx:
        row = {"id": installation, "channel": "console", "name": "chat", "created_at": store.clock()}
        await tx.one(people.SET_INSTALLATION, tenant=tenant.id, sealed=None, **row)
    return installation


async def rows_of(store: Store) -> tuple[int, int]:
    """Return how many inbox rows and events there are."""
    count = 0
    for tenant in (await store.first(), await store.second()):
        count += (await store.as_owner(f"SELECT count(*) FROM {tenant.schema}.event"))[0][0]
    return (await store.as_owner("SELECT count(*) FROM it0_shared.inbox"))[0][0], count


@pytest.fixture
async def place(store: Store) -> AsyncIterator[Place]:
    """Return a process that runs."""
    async with at_work(store) as running:
        yield running


async def test_stranger_is_told_once_and_leaves_no_content(store: Store, place: Place) -> None:
    chat = Chat(place, await install(place.tenant, store), "mallory")
    assert await chat.say("my password is hunter2") is None
    assert await chat.say("/run web uptime") is None
    assert chat.reply.told == ["pair.stranger"]
    assert await rows_of(store) == (0, 0)
    assert place.shell.started == []


async def test_pairing_code_links_once_and_never_again(store: Store, place: Place) -> None:
    installation = await install(place.tenant, store)
    code = await place.app.staff.pairing_code(place.tenant, place.ann, "ann")
    mine, other = Chat(place, installation, "ann-abroad"), Chat(place, installation, "eve")
    assert await mine.say(f"  {code.lower()} ") is None
    assert mine.reply.told == ["pair.welcome"]
    assert await other.say(code) is None
    assert other.reply.told == ["pair.bad_code"]
    accepted = await mine.say("/servers")
    assert accepted is not None
    assert (await place.replies(accepted))[0][0] == "servers.count"
    assert await other.say("/servers") is None
    assert (await actions(place.tenant)).count("user.paired") == 1


async def test_pairing_code_of_another_tenant_links_nobody_and_stays_good(store: Store, place: Place) -> None:
    abroad = Chat(place, await install(await store.second(), store), "ann-abroad")
    home = Chat(place, await install(place.tenant, store), "ann-abroad")
    code = await place.app.staff.pairing_code(place.tenant, place.ann, "ann")
    with pytest.raises(NotFound) as caught:
        await abroad.say(code)
    assert caught.value.say.key == "pair.other_tenant"
    assert await abroad.say("hello") is None
    await home.say(code)
    assert home.reply.told == ["pair.welcome"]


async def test_wrong_codes_are_answered_a_few_times_and_a_right_one_still_counts(
    store: Store, place: Place
) -> None:
    chat = Chat(place, await install(place.tenant, store), "eve")
    for number in range(10):
        assert await chat.say(f"abcde-1234{number}") is None
    assert chat.reply.told == ["pair.bad_code"] * 3
    await chat.say(await place.app.staff.pairing_code(place.tenant, place.ann, "ann"))
    assert chat.reply.told[3:] == ["pair.welcome"]


async def test_expired_pairing_code_links_nobody(store: Store) -> None:
    async with built(store, pairing_code_minutes=-1) as place:
        chat = Chat(place, await install(place.tenant, store), "late")
        await chat.say(await place.app.staff.pairing_code(place.tenant, place.ann, "ann"))
        assert chat.reply.told == ["pair.bad_code"]


async def test_installation_that_does_not_exist_takes_nothing(store: Store, place: Place) -> None:
    with pytest.raises(NotFound):
        await Chat(place, "nowhere", "x").say("hello")
    assert await rows_of(store) == (0, 0)


async def test_repeat_of_an_event_is_one_row_and_one_answer(store: Store, place: Place) -> None:
    first = await place.send("/servers", event_id="e1")
    again = await asyncio.gather(*(place.send("/servers", event_id="e1") for _ in range(5)))
    assert not first.repeat
    assert {(a.repeat, a.seq, a.conversation_id) for a in again} == {(True, first.seq, first.conversation_id)}
    await place.replies(first)
    assert await rows_of(store) == (1, len(await place.events(first)) + 1)
    assert len(await place.words(first)) == 1


async def test_same_event_at_the_same_moment_is_taken_once(store: Store, place: Place) -> None:
    all_of_them = await asyncio.gather(*(place.send("/servers", event_id="e1") for _ in range(8)))
    assert [accepted.repeat for accepted in all_of_them].count(False) == 1
    assert len({accepted.seq for accepted in all_of_them}) == 1
    await place.replies(all_of_them[0])
    assert (await rows_of(store))[0] == 1


@pytest.mark.parametrize(
    ("text", "event_id", "key"),
    [
        ("", "e", "message.empty"),
        (" \n\t　", "e", "message.empty"),
        ("x" * (MAX_TEXT + 1), "e", "message.too_long"),
        ("hello", "x" * (MAX_EVENT_ID + 1), "message.bad_id"),
    ],
)
async def test_what_cannot_be_taken_is_refused_and_leaves_nothing(
    store: Store, place: Place, text: str, event_id: str, key: str
) -> None:
    with pytest.raises(BadInput) as caught:
        await place.send(text, event_id=event_id)
    assert caught.value.say.key == key
    assert await rows_of(store) == (0, 0)


async def test_removed_user_hears_so_and_nothing_runs(store: Store, place: Place) -> None:
    bob = await add_user(place.tenant, store.clock, "bob")
    await place.app.staff.change(place.tenant, place.ann, "bob", role=None, active=False)
    for body in ("/run web uptime", "/halt", Click("approve:x")):
        accepted = await place.send(body, new_id(), bob)
        assert await place.replies(accepted) == [["approval.not_yours_removed"]]
    assert place.shell.started == []
    assert "tenant.halt" not in await actions(place.tenant)


@pytest.mark.parametrize("words", ["/stop", "／stop", "、stop", "停止", "STOP", " stop ", "/stop@it0"])
async def test_stop_passes_by_a_running_turn(store: Store, words: str) -> None:
    engine = ScriptedEngine()

    async def script(request: Request, tools: Tools) -> AsyncIterator[EngineEvent]:
        await engine.pause()
        yield Completed(("never",))

    engine.script = script
    async with at_work(store, engine) as place:
        first = await place.send("long")
        await engine.reached.wait()
        await place.send(words)
        assert sorted(await place.replies(first, 2)) == [["stop.stopping"], ["turn.stopped"]]
        assert await place.open_work() == []


class NoDisk(Database):
    """A database that is gone before what was committed is on its disk."""

    gone = asyncio.Event()

    async def flush(self) -> None:
        """Never get there."""
        await self.gone.wait()
        raise StoreUnavailable(reason="gone")


async def test_what_may_be_lost_with_the_database_is_neither_accepted_nor_worked_on(store: Store) -> None:
    engine = ScriptedEngine()

    async def script(request: Request, tools: Tools) -> AsyncIterator[EngineEvent]:
        await engine.pause()
        yield Completed(("never",))

    engine.script = script
    async with at_work(store, engine, database=NoDisk, heartbeat_s=60) as place:
        sent = asyncio.ensure_future(place.send("long"))
        await engine.reached.wait()
        NoDisk.gone.set()
        with pytest.raises(StoreUnavailable):
            await sent
        while engine.running:
            await asyncio.sleep(0.01)
        assert engine.interrupted == []


async def test_null_characters_are_left_out(store: Store, place: Place) -> None:
    accepted = await place.send("/ser\0vers")
    assert (await place.replies(accepted))[0][0] == "servers.count"


async def test_pairing_is_whole_with_its_audit_row_or_not_at_all(
    store: Store, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = Chat(place, await install(place.tenant, store), "ann-abroad")
    code = await place.app.staff.pairing_code(place.tenant, place.ann, "ann")

    async def no_append(*_: object) -> int:
        raise StoreUnavailable

    tenant = await place.app.tenants.by_id(place.tenant.id)
    with monkeypatch.context() as broken:
        broken.setattr(tenant.audit, "append_in", no_append)
        with pytest.raises(StoreUnavailable):
            await chat.say(code)
    identities = f"SELECT * FROM it0_shared.identity WHERE installation_id = '{chat.installation}'"
    assert await store.as_owner(identities) == []
    assert chat.reply.told == []
    assert await chat.say(code) is None
    assert chat.reply.told == ["pair.welcome"]
    assert len(await store.as_owner(identities)) == 1


async def test_code_typed_by_many_at_once_pairs_one(store: Store, place: Place) -> None:
    installation = await install(place.tenant, store)
    code = await place.app.staff.pairing_code(place.tenant, place.ann, "ann")
    chats = [Chat(place, installation, f"who-{number}") for number in range(8)]
    await asyncio.gather(*(chat.say(code) for chat in chats))
    told = [chat.reply.told for chat in chats]
    assert told.count(["pair.welcome"]) == 1
    assert told.count(["pair.bad_code"]) == 7
    assert (await actions(place.tenant)).count("user.paired") == 1


async def test_sender_with_two_codes_at_once_is_one_person_and_uses_one_up(
    store: Store, place: Place
) -> None:
    chat = Chat(place, await install(place.tenant, store), "eager")
    await add_user(place.tenant, store.clock, "bob")
    codes = [await place.app.staff.pairing_code(place.tenant, place.ann, name) for name in ("ann", "bob")]
    await asyncio.gather(*(chat.say(code) for code in codes))
    used = await store.as_owner("SELECT user_id FROM it0_shared.pairing_code WHERE used_at IS NOT NULL")
    identities = f"SELECT user_id FROM it0_shared.identity WHERE installation_id = '{chat.installation}'"
    assert [row[0] for row in used] == [row[0] for row in await store.as_owner(identities)]
    assert len(used) == 1
    assert (await actions(place.tenant)).count("user.paired") == 1
