"""The bots of ours on platforms: sealed in the database, and the one that the settings name."""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Literal

from core.audit import Entry
from core.clock import Clock
from core.errors import BadInput, NotFound, Refused, VaultError
from core.ports import Installation
from core.settings import Settings
from core.store import leases, log, people, quiet
from core.store.database import Database, Row, Transaction
from core.tenant import Tenant, Tenants
from core.vault import Place
from core.work import User

DEFAULT_TENANT = "default"
TOKEN = re.compile(r"[0-9]{1,20}:[A-Za-z0-9_-]{1,200}")
"""Telegram's: the bot's number, and its secret."""


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
        self._own = settings.secrets
        self._silence = timedelta(hours=settings.conversation_silence_hours)
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

    async def own_secrets(self, tenant: Tenant) -> Sequence[bytes]:
        """Return what opens it0's own doors: the settings' secrets, and the tokens of the tenant's bots."""
        async with self._database.reading() as db:
            rows = await db.all(people.INSTALLATIONS_OF, tenant=tenant.id)
        tokens = [await self._secret(row) for row in rows]
        return [*self._own, *(token.encode() for token in tokens if token)]

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

    async def add(
        self, tenant: Tenant, channel: str, secret: bytes, by: User | None = None, over: str = ""
    ) -> str:
        """Seal a bot's token and return the installation's id; it begins within seconds.

        by: who does so, None for the owner at the command line; over: the channel by which.
        Raises BadInput for what is no token, Refused for a bot that is another tenant's.
        """
        token = secret.decode("ascii", "replace").strip()
        if not TOKEN.fullmatch(token):
            raise BadInput("channel.no_token")
        installation_id = f"{channel}-{token.partition(':')[0]}"
        place = place_of(tenant, installation_id, channel)
        row = {"id": installation_id, "channel": channel, "name": channel, "created_at": self._clock()}
        async with tenant.transaction() as tx:
            sealed = tenant.vault.seal(token.encode(), place)
            if await tx.one(people.SET_INSTALLATION, tenant=tenant.id, sealed=sealed, **row) is None:
                raise Refused("channel.of_another")
            await self._note(tx, tenant, "channel.add", installation_id, by, over)
        return installation_id

    async def remove(
        self, tenant: Tenant, installation_id: str, by: User | None = None, over: str = ""
    ) -> None:
        """Destroy a bot's token; by, over: as ``add``. Raises NotFound."""
        async with tenant.transaction() as tx:
            if await tx.one(people.END_INSTALLATION, id=installation_id, tenant=tenant.id) is None:
                raise NotFound("channel.unknown", channel=installation_id)
            await self._note(tx, tenant, "channel.remove", installation_id, by, over)

    async def listed(self, tenant: Tenant) -> list[dict[str, Any]]:
        """Return what is known of a tenant's bots."""
        async with tenant.reading() as db:
            rows = await db.all(people.INSTALLATIONS_OF, tenant=tenant.id)
        return [{key: row[key] for key in ("id", "channel", "created_at")} for row in rows]

    async def reseal(self, tenant: Tenant) -> int:
        """Seal every token anew under the newest master key; return how many were under an older one."""
        async with tenant.reading() as db:
            rows = await db.all(people.INSTALLATIONS_OF, tenant=tenant.id)
        count = 0
        for row in rows:
            if row["sealed"] is not None and not tenant.vault.is_current(row["sealed"]):
                place = place_of(tenant, row["id"], row["channel"])
                fresh = tenant.vault.seal(tenant.vault.open(row["sealed"], place), place)
                async with tenant.transaction() as tx:
                    found = {"id": row["id"], "old": row["sealed"], "new": fresh}
                    count += await tx.run(people.RESEAL_INSTALLATION, **found)
        return count

    async def _note(
        self,
        tx: Transaction,
        tenant: Tenant,
        action: str,
        installation_id: str,
        by: User | None,
        over: str,
    ) -> None:
        actor: Literal["user", "system"] = "user" if by else "system"
        who = by.id if by else None
        entry = Entry(action, actor, who, None, "installation", installation_id, over or None)
        await tenant.audit.append_in(tx, entry, self._clock())

    async def lease(self, installation_id: str) -> bool:
        """Take the lease on a bot's updates and on sending for it, or keep it; return whether we hold it."""
        async with self._database.transaction() as tx:
            return await leases.take(tx, leases.sender(installation_id), self._me)

    async def states(self, channel: str) -> Mapping[str, bool]:
        """Return for each bot whether a process that is alive looks after it."""
        bots = await self.of(channel)
        async with self._database.reading() as db:
            held = {row["name"] for row in await db.all(leases.HELD)}
        return {bot.id: leases.sender(bot.id) in held for bot in bots}

    async def knows(self, installation_id: str, external_id: str) -> bool:
        """Return whether a person was let in."""
        async with self._database.reading() as db:
            found = await db.one(people.IDENTITY, installation_id=installation_id, external_id=external_id)
        return found is not None

    async def follows(self, installation_id: str, thread: str, external_id: str) -> bool:
        """Return whether a conversation goes on in ``thread``, and its bot knows the person.

        Strangers talk among themselves there: they are not told how to be let in.
        """
        async with self._database.reading() as db:
            person = await db.one(people.IDENTITY, installation_id=installation_id, external_id=external_id)
        if person is None:
            return False
        tenant = await self._tenants.by_id(person["tenant_id"])
        async with tenant.reading() as db:
            found = await db.one(log.BY_THREAD, installation_id=installation_id, thread=thread)
            if found is None or found["last_seq"] == 0 or await quiet.is_quiet(db, log.address_of(found)):
                return False
        return not self._silence or self._clock() - found["updated_at"] < self._silence

    async def moved(self, installation_id: str, old: str, new: str) -> None:
        """Let conversations whose thread begins with ``old`` go on under ``new``.

        Somebody may have written there before we hear of it: then that conversation stays the open one.
        """
        async with self._database.reading() as db:
            row = await db.one(people.INSTALLATION, id=installation_id)
        if row is None:
            return
        tenant = await self._tenants.by_id(row["tenant_id"])
        async with tenant.transaction() as tx:
            for step in (log.GIVE_WAY, log.MOVE):
                await tx.run(step, installation_id=installation_id, old=old, new=new)
            await quiet.move(tx, installation_id, old, new)


def _default_id(channel: str) -> str:
    return f"{channel}-default"
