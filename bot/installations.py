"""The bots of ours on platforms: sealed in the database, and the one that the settings name."""

from collections.abc import Sequence

from core.clock import Clock
from core.errors import NotFound, VaultError
from core.ports import Installation
from core.settings import Settings
from core.store import leases, log, people
from core.store.database import Database, Row
from core.tenant import Tenant, Tenants
from core.vault import Place

DEFAULT_TENANT = "default"


def place_of(tenant: Tenant, installation_id: str, channel: str) -> Place:
    """Return where a bot's secret is sealed."""
    return Place(tenant.id, "installation", installation_id, "sealed", channel)


class DatabaseInstallations:
    """The installations of all tenants. me: the process's id, which holds the leases."""

    def __init__(
        self, me: str, database: Database, tenants: Tenants, settings: Settings, clock: Clock
    ) -> None:
        self._me = me
        self._database = database
        self._tenants = tenants
        self._clock = clock
        token = settings.telegram_bot_token
        self._of_settings = {"telegram": token.get_secret_value()} if token else {}
        self._written: set[str] = set()

    async def of(self, channel: str) -> Sequence[Installation]:
        """Return every active bot of a channel; one whose secret cannot be opened is left out."""
        if channel in self._of_settings and channel not in self._written:
            await self._write_default(channel)
        async with self._database.reading() as db:
            rows = await db.all(people.INSTALLATIONS, channel=channel)
        found = [(row, await self._secret(row)) for row in rows]
        return [Installation(row["id"], row["tenant_id"], secret) for row, secret in found if secret]

    async def _secret(self, row: Row) -> str:
        if row["sealed"] is None:
            is_default = row["id"] == _default_id(row["channel"])
            return self._of_settings.get(row["channel"], "") if is_default else ""
        tenant = await self._tenants.by_id(row["tenant_id"])
        try:
            return tenant.vault.open(row["sealed"], place_of(tenant, row["id"], row["channel"])).decode()
        except VaultError:  # doctor says so
            return ""

    async def _write_default(self, channel: str) -> None:
        """Keep a row for the bot of the settings: it is the default tenant's."""
        try:
            tenant = await self._tenants.by_slug(DEFAULT_TENANT)
        except NotFound:
            return
        async with self._database.transaction() as tx:
            await tx.one(
                people.SET_INSTALLATION,
                id=_default_id(channel),
                tenant=tenant.id,
                channel=channel,
                name=channel,
                sealed=None,
                created_at=self._clock(),
            )
        self._written.add(channel)

    async def lease(self, installation_id: str) -> bool:
        """Take the lease on a bot's updates and on sending for it, or keep it; return whether we hold it."""
        async with self._database.transaction() as tx:
            return await leases.take(tx, leases.sender(installation_id), self._me)

    async def moved(self, installation_id: str, old: str, new: str) -> None:
        """Let conversations whose thread begins with ``old`` go on under ``new``."""
        async with self._database.reading() as db:
            row = await db.one(people.INSTALLATION, id=installation_id)
        if row is None:
            return
        tenant = await self._tenants.by_id(row["tenant_id"])
        async with tenant.transaction() as tx:
            await tx.run(log.MOVE, installation_id=installation_id, old=old, new=new)


def _default_id(channel: str) -> str:
    return f"{channel}-default"
