"""Nobody's flood holds up the others, and a halt is heard without a messenger."""

import asyncio

from fakes.shell import Answer
from support.place import Place, at_work, until
from support.store import Store, add_user

from bot.inbound.shares import Shares
from core.store import preferences


async def hold(shares: Shares, tenant: str, user: str, held: list[str], go: asyncio.Event) -> None:
    """Take a place, note it, and keep it until told."""
    async with shares.one(tenant, user):
        held.append(user)
        await go.wait()


async def test_a_full_share_holds_up_only_those_who_share_it() -> None:
    shares, held, go = Shares(total=5, per_tenant=3, per_user=2), list[str](), asyncio.Event()
    wanted = [("a", "ann")] * 4 + [("a", "ben")] * 2 + [("b", "eve")] * 3
    tasks = [asyncio.ensure_future(hold(shares, tenant, user, held, go)) for tenant, user in wanted]
    await asyncio.sleep(0.01)
    assert sorted(held) == ["ann", "ann", "ben", "eve", "eve"]
    go.set()
    await asyncio.gather(*tasks)
    assert len(held) == len(wanted)
    assert not shares._shares


async def test_one_who_gives_up_waiting_leaves_nothing_behind() -> None:
    shares, held, go = Shares(total=5, per_tenant=5, per_user=1), list[str](), asyncio.Event()
    tasks = [asyncio.ensure_future(hold(shares, "a", "ann", held, go)) for _ in range(3)]
    await asyncio.sleep(0.01)
    tasks[1].cancel()
    go.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert held == ["ann", "ann"]
    assert not shares._shares


async def test_a_person_with_a_full_share_holds_up_nobody_else(store: Store) -> None:
    async with at_work(store, turns_per_user=2) as place:
        place.shell.on("sleep 9", Answer(hang=True))
        for number in range(3):
            await place.send("/run web sleep 9", f"thread {number}")
        await until(lambda: started(place, 2))
        ben = await add_user(place.tenant, store.clock, "ben", "operator")
        assert await place.replies(await place.send("/servers", "bens", ben))
        assert len(place.shell.started) == 2
        await place.send("/halt")


async def started(place: Place, count: int) -> bool:
    """Return whether so many commands were begun."""
    return len(place.shell.started) >= count


async def test_a_halt_that_nobody_told_this_process_of_stops_what_runs(store: Store) -> None:
    async with at_work(store) as place:
        place.shell.on("sleep 9", Answer(hang=True))
        asked = await place.send("/run web sleep 9")
        await until(lambda: started(place, 1))
        async with place.tenant.transaction() as tx:
            await preferences.put(tx, "halted_by", "ann", store.clock(), place.ann.id)
        assert (await place.replies(asked))[0][0] == "turn.stopped"
        assert [name for name, _ in place.shell.stopped] == ["web"]
