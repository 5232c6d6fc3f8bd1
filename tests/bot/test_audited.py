"""Audit rows as the page shows them."""

from support.place import built
from support.store import Store

from bot.console.audited import audit_json, known_to


async def test_server_that_was_removed_keeps_its_name_in_the_audit_log(store: Store) -> None:
    async with built(store) as place:
        tenant = place.tenant
        [server] = await place.app.fleet.servers(tenant)
        await place.app.fleet.remove_server(tenant, place.ann, server)
        rows = await tenant.audit.page()
        async with tenant.reading() as db:
            known = await known_to(db, rows)
        assert known.servers == {server.id: "web"}
        assert {audit_json(row, known, "en")["about"] for row in rows} == {"web"}
