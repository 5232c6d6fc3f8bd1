"""Taking an inventory's servers into a tenant: compared, shown, and then all of it in one transaction."""

from collections.abc import Mapping, Sequence
from typing import Any

from agent.fleet.changes import admins_only, end_grants, note, record
from agent.fleet.forms import NewServer
from agent.fleet.inventory.found import Listing
from agent.fleet.inventory.plan import Plan, Row, Wishes, plan
from agent.fleet.placing import changed_to, check_name, check_quota, described, placed
from agent.fleet.servers import Fleet
from core.audit import Entry
from core.clock import Clock
from core.errors import Refused
from core.store import fleet as store
from core.store.database import Transaction
from core.store.statements import LOCK
from core.tenant import Tenant
from core.work import User


class Importing:
    """Takes servers from lists. Their host keys wait for people, as those of any new server."""

    def __init__(self, fleet: Fleet, clock: Clock) -> None:
        self._fleet = fleet
        self._clock = clock

    async def plan(self, tenant: Tenant, by: User, listing: Listing, wishes: Wishes) -> Plan:
        """Return what taking ``listing`` would change; raises NotAllowed for who is no admin."""
        admins_only(by)
        async with tenant.reading() as db:
            return plan(listing, await _known(db), wishes)

    async def take(self, tenant: Tenant, by: User, listing: Listing, wishes: Wishes, shown: Plan) -> None:
        """Take exactly what was shown, or nothing.

        Raises Refused when it would be something else by now, for want of room in the plan, and for a
        credential that cannot be used.
        """
        admins_only(by)
        async with tenant.transaction() as tx:
            await tx.run(LOCK, lock=f"fleet {tenant.id}")
            if plan(listing, await _known(tx), wishes) != shown:
                raise Refused("import.changed_meanwhile")
            ended = [entry for row in shown.taken for entry in await self._end(tx, tenant, row)]
            for row in shown.taken:
                await (self._add if row.state == "new" else self._change)(tx, tenant, row)
            for row in shown.taken:
                await self._note(tx, tenant, by, row)
            await record(tx, tenant, self._clock(), ended)
        for row in shown.taken:
            if row.state == "changed":
                server = await self._fleet.server(tenant, row.name)
                self._fleet.forget(tenant, server)

    async def _end(self, tx: Transaction, tenant: Tenant, row: Row) -> Sequence[Entry]:
        """End what was granted for a server that is changed; for each, before any row is touched."""
        now = await store.server_named(tx, row.name)
        return await end_grants(self._fleet.granted, tx, tenant, now, row.changes) if now else ()

    async def _add(self, tx: Transaction, tenant: Tenant, row: Row) -> None:
        await check_quota(tx, tenant)
        await check_name(tx, row.name)
        server = await placed(tx, row.new, self._clock())
        await tx.run(store.ADD_SERVER, **store.server_row(server, self._clock()))

    async def _change(self, tx: Transaction, tenant: Tenant, row: Row) -> None:
        now = await store.server_named(tx, row.name)
        assert now is not None  # the plan was made in this transaction
        changed = await changed_to(tx, now, row.new, row.changes, self._clock())
        await tx.run(store.CHANGE_SERVER, **store.change_row(changed))

    async def _note(self, tx: Transaction, tenant: Tenant, by: User, row: Row) -> None:
        server = await store.server_named(tx, row.name)
        assert server is not None
        action = "server.add" if row.state == "new" else "server.change"
        what: dict[str, Any] = {"host": server.host, "port": server.port, "user": server.ssh_user}
        if row.state == "changed":
            what = {"changes": dict(row.changes)}
        detail = {"name": row.name, "from": str(row.spot), **what}
        await note(tx, tenant, self._clock(), action, by, "server", server.id, detail)


async def _known(tx: Transaction) -> Mapping[str, NewServer]:
    return {server.name: await described(tx, server) for server in await store.servers(tx)}
