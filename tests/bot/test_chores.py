"""What it0 does by itself: what is over is forgotten in time."""

from datetime import timedelta

from support.place import built
from support.store import Store

from agent.gate.approvals import Approvals
from bot.chores import KEPT, PURGE, timer_handlers
from core.store import fleet
from core.store.people import token_hash
from core.store.timers import Timer


async def test_purge_forgets_what_was_over_long_ago_in_every_tenant(store: Store) -> None:
    async with built(store) as place:
        app, tenant = place.app, place.tenant
        start = app.clock()
        token = (await app.sessions.make_link(tenant, place.ann, "")).partition("=")[2]
        await app.sessions.sign_in(token, None)
        await app.staff.pairing_code(tenant, place.ann, "ann")
        form = {"name": "k", "kind": "ssh_key", "user_id": place.ann.id, "expires_at": start}
        async with tenant.transaction() as tx:
            await tx.run(fleet.ADD_FORM, token_hash=token_hash(token), **form)
        shared = ("login_link", "pairing_code", "web_session")
        tables = (*(f"it0_shared.{table}" for table in shared), f"{tenant.schema}.secret_form")
        for later, left in ((KEPT - timedelta(hours=1), 1), (KEPT + timedelta(days=1), 0)):
            moment = start + later
            rest = (Approvals(app.desk), app.heads)
            handlers = timer_handlers(app.settings, app.database, app.tenants, lambda at=moment: at, *rest)
            await handlers[PURGE](Timer(0, "", PURGE, "", 0, moment, 0))
            counts = [(await store.as_owner(f"SELECT count(*) FROM {table}"))[0][0] for table in tables]
            assert counts == [left] * 4
