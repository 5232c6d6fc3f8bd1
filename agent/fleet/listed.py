"""The servers of tenants as they were read last, for as long as none of them has changed."""

from collections import OrderedDict
from collections.abc import Sequence

from core.store import fleet as store
from core.store.fleet import FleetState
from core.tenant import Tenant
from core.work import Server

MOST = 20_000
"""So many servers are kept, of all tenants together; whose were read longest ago go first."""


class Listed:
    """Keeps the servers of tenants, each list with the state that it was read at."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[FleetState, Sequence[Server]]] = OrderedDict()

    async def servers(self, tenant: Tenant, state: FleetState | None) -> Sequence[Server]:
        """Return every server of the tenant. state: as it is now, None if nobody has asked for it."""
        kept = self._kept.get(tenant.id)
        if kept is None or state != kept[0]:
            async with tenant.reading() as db:
                kept = await store.servers_and_state(db)
            self._kept[tenant.id] = kept
            self._kept.move_to_end(tenant.id)
            self._make_room()
        return kept[1]

    def _make_room(self) -> None:
        while len(self._kept) > 1 and sum(len(servers) for _, servers in self._kept.values()) > MOST:
            self._kept.popitem(last=False)
