"""A message is accepted, a turn ended in one statement each: what is written meanwhile is not overlooked."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

import pytest
from sqlalchemy import func, select
from support.store import Store

from bot.embedded.datafolder import SUPERUSER
from core.errors import Fenced
from core.ids import new_id
from core.messages import Address
from core.store import arrivals, endings, inbox, log, outbox, processes
from core.store.arrivals import Arrival, AtOnce, Repeat
from core.store.database import Database, Statement, Transaction
from core.store.inbox import Taken
from core.store.log import Event, Spot
from core.store.outbox import Parcel
from core.store.turns import Turn
from core.tenant import Tenant, Tenants, console_installation

T = TypeVar("T")
ME, OTHER = "me", "other"
BLOCKED = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
SHOWN = Statement(select(func.current_setting("synchronous_commit")))


@dataclass
class Place:
    """An open conversation of a tenant."""

    store: Store
    tenant: Tenant
    address: Address
    conversation: str = field(default_factory=new_id)

    async def tell(self, me: str = ME, event_id: str = "") -> AtOnce | None:
        """Accept a message at once."""
        at = self.store.clock()
        spot = Spot(self.address, "Title", at - timedelta(hours=1))
        said = Event("said", {"text": "hi"}, new_id())
        async with self.tenant.statement(flushed=False) as db:
            return await arrivals.accept_at_once(db, self.tenant.id, spot, event_id or new_id(), said, at, me)

    async def taken(self) -> Taken:
        """Accept a message whose way is free."""
        found = await self.tell()
        assert found is not None
        assert found.taken is not None
        return found.taken

    async def end(self, taken: Taken, me: str = ME) -> tuple[Parcel, bool]:
        """End a message's turn with an answer."""
        at = self.store.clock()
        turn = Turn(new_id(), self.conversation, None, "direct", "completed", at, at)
        said = Event("reply", {"parts": ["done"]}, turn.id)
        async with self.tenant.statement() as db:
            return await endings.answer(db, turn, taken, me, self.address, said, at)

    async def post(self, tx: Transaction) -> None:
        """Put another message before the lane, in a transaction of somebody else."""
        seq = await log.append(tx, self.conversation, [Event("said", {"text": "first"})], self.store.clock())
        place = (self.tenant.id, self.address.installation_id, new_id(), self.conversation)
        assert await arrivals.post(tx, Arrival(*place, seq, laned=True))

    async def claim(self, me: str = ME) -> list[int]:
        """Take what waits; return its numbers in the log."""
        async with self.store.database.transaction() as tx:
            return [taken.seq for taken in await inbox.claim(tx, me, 10)]

    async def counts(self) -> tuple[int, ...]:
        """Return the log's count and how many events, turns, parcels and messages not done there are."""
        own = f'FROM "{self.tenant.schema}"'
        asked = (
            f"(SELECT max(last_seq) {own}.conversation)",
            f"(SELECT count(*) {own}.event)",
            f"(SELECT count(*) {own}.turn)",
            "(SELECT count(*) FROM it0_shared.outbox)",
            "(SELECT count(*) FROM it0_shared.inbox WHERE state <> 'done')",
        )
        return tuple((await self.store.as_owner(f"SELECT {', '.join(asked)}"))[0])

    async def behind(
        self, write: Callable[[Transaction], Awaitable[object]], call: Coroutine[object, object, T]
    ) -> T:
        """Return what ``call`` comes to that waits for the conversation while somebody else writes to it."""
        async with self.tenant.transaction() as tx:
            await tx.run(log.HOLD, id=self.conversation)
            waiting = asyncio.ensure_future(call)
            async with self.store.connection(SUPERUSER) as superuser, asyncio.timeout(10):
                while not await superuser.fetchval(BLOCKED):
                    await asyncio.sleep(0.005)
            await write(tx)
        return await waiting


@pytest.fixture
async def place(store: Store) -> Place:
    """Return an open conversation in which nothing was said."""
    tenant = await store.first()
    place = Place(store, tenant, Address("telegram", console_installation(tenant.id), new_id()))
    async with tenant.transaction() as tx:
        await log.open_conversation(tx, place.conversation, place.address, None, store.clock())
        for me in (ME, OTHER):
            await processes.enter(tx, me, "bot", "host", 1)
    return place


async def test_the_first_has_the_lane_and_the_second_waits_until_it_ends(place: Place) -> None:
    first, second = await place.tell(), await place.tell()
    assert first is not None
    assert second is not None
    assert (first.seq, second.seq, second.taken) == (1, 2, None)
    assert first.taken is not None
    parcel, more = await place.end(first.taken)
    assert (parcel.seq, parcel.mine, more) == (3, True, True)
    assert await place.claim() == [2]


async def test_what_was_told_before_is_a_repeat_and_leaves_nothing(place: Place) -> None:
    await place.tell(event_id="same")
    before = await place.counts()
    with pytest.raises(Repeat):
        await place.tell(event_id="same")
    assert await place.counts() == before == (1, 1, 0, 0, 1)


async def test_where_nothing_is_open_nothing_is_written(place: Place) -> None:
    place.store.clock.forward(hours=2)
    assert await place.tell() is None
    assert await place.counts() == (0, 0, 0, 0, 0)


async def test_a_message_that_came_first_is_taken_first(place: Place) -> None:
    await place.end(await place.taken())
    found = await place.behind(place.post, place.tell())
    assert found is not None
    assert (found.seq, found.taken) == (4, None)
    assert await place.claim() == [3]
    assert await place.claim() == []


async def test_a_message_that_let_another_pass_can_be_claimed_though_no_lane_was_there(place: Place) -> None:
    async def card(tx: Transaction) -> None:
        await log.append(tx, place.conversation, [Event("card")], place.store.clock())

    found = await place.behind(card, place.tell())
    assert found is not None
    assert (found.seq, found.taken) == (2, None)
    assert await place.claim() == [2]


async def test_a_message_behind_a_turn_that_ends_without_a_word_has_the_lane(place: Place) -> None:
    taken = await place.taken()

    async def end(tx: Transaction) -> None:
        assert not await inbox.finish(tx, taken, ME)

    found = await place.behind(end, place.tell())
    assert found is not None
    assert found.taken is not None
    assert found.taken.fence == 2


async def test_a_turn_sees_the_message_that_came_while_it_ended(place: Place) -> None:
    taken = await place.taken()
    parcel, more = await place.behind(place.post, place.end(taken))
    assert more
    assert (parcel.seq, parcel.mine) == (3, False)  # it looks before it speaks: another may speak first
    assert await place.claim() == [2]
    async with place.store.database.transaction() as tx:
        assert [each.seq for each in await outbox.claim(tx, ME, 10)] == [3]


async def test_an_answer_stands_behind_what_was_said_while_it_was_written(place: Place) -> None:
    taken = await place.taken()

    async def speak(tx: Transaction) -> None:
        seq = await log.append(tx, place.conversation, [Event("notice")], place.store.clock())
        await outbox.put(tx, OTHER, place.tenant.id, place.address, place.conversation, seq, {})

    parcel, _ = await place.behind(speak, place.end(taken))
    assert (parcel.seq, parcel.mine) == (3, False)


@pytest.mark.parametrize(
    "lost",
    [
        "UPDATE it0_shared.lane SET owner = 'other', fence = fence + 1",
        "UPDATE it0_shared.lane SET owner = NULL, fence = fence + 1",
        "UPDATE it0_shared.inbox SET owner = 'other'",
        "UPDATE it0_shared.inbox SET state = 'done', owner = NULL",
    ],
)
@pytest.mark.parametrize("meanwhile", [True, False])
async def test_who_lost_the_work_writes_nothing_of_its_end(place: Place, lost: str, meanwhile: bool) -> None:
    taken = await place.taken()

    async def lose(tx: Transaction | None = None) -> None:
        await place.store.as_owner(lost)

    if not meanwhile:
        await lose()
    before = (await place.counts())[:4]
    with pytest.raises(Fenced):
        await (place.behind(lose, place.end(taken)) if meanwhile else place.end(taken))
    assert (await place.counts())[:4] == before == (1, 1, 0, 0)


async def test_one_statement_may_skip_the_disk_and_the_next_does_not(place: Place) -> None:
    async with Database.open(f"{place.store.app_url}&synchronous_commit=on", size=1) as database:
        place.tenant = await Tenants(database, place.store.vault, bytes(32)).by_id(place.tenant.id)
        await place.tell()
        async with database.reading() as db:
            assert await db.value(SHOWN) == "on"


async def test_two_processes_answer_all_in_order_without_ever_looking_by_themselves(place: Place) -> None:
    ended: list[int] = []
    tasks: set[asyncio.Task[None]] = set()

    async def answered(taken: Taken, me: str) -> None:
        await asyncio.sleep(random.uniform(0, 0.004))
        ended.append(taken.seq)
        if (await place.end(taken, me))[1]:
            await look(me)

    async def look(me: str) -> None:
        async with place.store.database.transaction() as tx:
            work = await inbox.claim(tx, me, 1)
        for taken in work:
            tasks.add(asyncio.ensure_future(answered(taken, me)))

    async def heard(me: str) -> None:
        found = await place.tell(me)
        assert found is not None
        await (answered(found.taken, me) if found.taken else look(me))

    for _ in range(15):
        await asyncio.gather(*(heard(random.choice([ME, OTHER])) for _ in range(8)))
    while tasks:
        await asyncio.gather(*(tasks.pop() for _ in tuple(tasks)))
    assert len(ended) == 120
    assert ended == sorted(ended)
    assert await place.counts() == (240, 240, 120, 120, 0)
