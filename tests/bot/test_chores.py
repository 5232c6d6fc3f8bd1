"""What it0 does by itself: what is over is forgotten in time."""

from datetime import timedelta
from typing import Any

import pytest
from support.place import at_work, built
from support.place import until as until_there
from support.store import Store

from agent.fleet.credentials import EXPIRES
from agent.fleet.expiry import Expiry
from agent.gate.deciding.approvals import EXPIRY, Approvals
from bot.upkeep.chores import KEPT, PURGE, timer_handlers
from core.ids import new_id
from core.messages import Address
from core.store import arrivals, files, fleet, log, processes, runs
from core.store.arrivals import Arrival
from core.store.people import token_hash
from core.store.runs import Run
from core.store.timers import Timer, set_timer
from core.work import Risk


async def test_purge_forgets_what_was_over_long_ago_in_every_tenant(store: Store) -> None:
    async with built(store) as place:
        app, tenant = place.app, place.tenant
        start = app.clock()
        token = (await app.sessions.make_link(tenant, place.ann, "")).partition("=")[2]
        await app.sessions.sign_in(token, None)
        await app.staff.pairing_code(tenant, place.ann, "ann")
        form = {"name": "k", "kind": "ssh_key", "user_id": place.ann.id, "expires_at": start}
        form["secret_expires_at"] = None
        async with tenant.transaction() as tx:
            await tx.run(fleet.ADD_FORM, token_hash=token_hash(token), **form)
            await set_timer(tx, tenant.id, EXPIRY, "over", start)
        await store.as_owner("UPDATE it0_shared.timer SET state = 'done' WHERE ref = 'over'")
        shared = ("login_link", "pairing_code", "web_session", "timer WHERE ref = 'over'")
        tables = (*(f"it0_shared.{table}" for table in shared), f"{tenant.schema}.secret_form")
        for later, left in ((KEPT - timedelta(hours=1), 1), (KEPT + timedelta(days=1), 0)):
            moment = start + later
            rest = (Approvals(app.desk), app.heads, Expiry(app.desk, app.tenants))
            handlers = timer_handlers(app.settings, app.database, app.tenants, lambda at=moment: at, *rest)
            await handlers[PURGE](Timer(0, "", PURGE, "", 0, moment, 0))
            counts = [(await store.as_owner(f"SELECT count(*) FROM {table}"))[0][0] for table in tables]
            assert counts == [left] * 5


async def test_files_that_were_sent_are_forgotten_after_a_week(store: Store) -> None:
    async with built(store) as place:
        app, tenant, start = place.app, place.tenant, place.app.clock()
        address = Address("console", "i1", "thread")
        async with tenant.transaction() as tx:
            talk = await log.open_conversation(tx, new_id(), address, place.ann.id, start)
            await files.add(tx, "f1", talk, "a.txt", b"x", start)
        for later, left in ((timedelta(days=6), 1), (timedelta(days=8), 0)):
            moment = start + later
            rest = (Approvals(app.desk), app.heads, Expiry(app.desk, app.tenants))
            handlers = timer_handlers(app.settings, app.database, app.tenants, lambda at=moment: at, *rest)
            await handlers[PURGE](Timer(0, "", PURGE, "", 0, moment, 0))
            assert (await store.as_owner(f"SELECT count(*) FROM {tenant.schema}.file"))[0][0] == left


@pytest.mark.parametrize(
    ("owner", "waits", "state"),
    [("gone", False, "unknown"), ("gone", True, "running"), ("alive", False, "running")],
)
async def test_what_ran_for_a_process_that_is_gone_is_unknown_unless_somebody_asks(
    store: Store, owner: str, waits: bool, state: str
) -> None:
    async with built(store) as place:
        app, tenant, now = place.app, place.tenant, place.app.clock()
        address = Address("console", "i1", "thread")
        async with tenant.transaction() as tx:
            talk = await log.open_conversation(tx, new_id(), address, place.ann.id, now)
            await processes.enter(tx, "alive", "bot", "host", 1)
            run = Run("r1", talk, "t1", None, "id", Risk.L0, (("s1", "web"),), place.ann.id, None)
            await runs.start(tx, run, owner, now)
            if waits:
                await arrivals.post(tx, Arrival(tenant.id, "i1", "e1", talk, 1, laned=True))
        rest = (Approvals(app.desk), app.heads, Expiry(app.desk, app.tenants))
        for later in (now, now + timedelta(hours=2)):
            handlers = timer_handlers(app.settings, app.database, app.tenants, lambda at=later: at, *rest)
            async with tenant.reading() as db:
                assert await db.value(runs.RUNNING) == 1
            await handlers[PURGE](Timer(0, "", PURGE, "", 0, later, 0))
        async with tenant.reading() as db:
            row, targets = await runs.get(db, "r1") or (None, [])
    assert row
    assert [row["state"], *(target.state for target in targets)] == [state, state]


async def test_running_process_warns_of_a_credential_in_its_owners_console(store: Store) -> None:
    async with at_work(store) as place:
        until = place.app.clock() + timedelta(days=20)
        door = place.app.fleet.credentials
        await door.add(place.tenant, place.ann, "main", "ssh_password", b"a password", until)
        await store.as_owner(
            "UPDATE it0_shared.timer SET due_at = now() WHERE kind = $1 AND step = 14", EXPIRES
        )

        async def notices() -> list[Any]:
            return await store.as_owner(f"SELECT 1 FROM {place.tenant.schema}.event WHERE kind = 'notice'")

        assert len(await until_there(notices)) == 1
