"""Credentials: secrets that are sealed, replaced, revoked, and opened for a connection or a redactor."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

import asyncssh

from agent.fleet.changes import EndsGrants, admins_only, end_grants, note, record
from agent.fleet.secrets import Checked, checked_secret, parts_of
from core.audit import Entry
from core.clock import Clock
from core.errors import BadInput, NotFound, Refused
from core.ids import new_id
from core.ports import Login
from core.store import clusters, timers
from core.store import fleet as store
from core.store.database import Row, Transaction
from core.store.statements import LOCK
from core.store.underway import WARNING
from core.tenant import Tenant
from core.vault import Place
from core.work import Credential, User

REBINDS = {
    "ssh_key": store.REBIND,
    "ssh_password": store.REBIND,
    "kubeconfig": store.REBIND_CLUSTERS,
}
"""What lets those use a new credential that used the revoked one of its name, by kind."""

EXPIRES = WARNING
"""The timer's kind; its ref is the credential's id, its step the days that are left."""

WARN_DAYS = (14, 3)
USED_EVERY = timedelta(minutes=1)
"""When a credential was last used is written at most this often: one may open hundreds of servers at once."""


def _more(
    checked: Checked, expires_at: datetime | None, rebound: Sequence[Row], old: Row | None
) -> dict[str, str]:
    """Return what the audit keeps of a new credential beside its name and kind."""
    more = {
        "server": checked.server,
        "expires_at": expires_at.isoformat() if expires_at else "",
        "servers": ", ".join(sorted(row["name"] for row in rebound)),
        "replaces": (old["fingerprint"] or old["id"]) if old else "",
    }
    return {"fingerprint": checked.fingerprint, **{name: text for name, text in more.items() if text}}


def _place(tenant: Tenant, credential_id: str, kind: str) -> Place:
    return Place(tenant.id, "credential", credential_id, "sealed", kind)


class Connections(Protocol):
    """Connections that are kept open, as far as a credential's change concerns them."""

    def forget(self, tenant_id: str, server_id: str) -> None:
        """Use no connection to this server again."""

    def forget_credential(self, credential_id: str) -> None:
        """Use no connection again that was opened with this credential."""


class Credentials:
    """The credentials of tenants.

    connections: told of those that are not to be used any more. warn_days: how many days before a
    credential's end its owner is told. granted: as ``Fleet`` has it.
    """

    def __init__(
        self,
        connections: Connections,
        clock: Clock,
        warn_days: Sequence[int] = WARN_DAYS,
        granted: EndsGrants | None = None,
    ) -> None:
        self._connections = connections
        self._clock = clock
        self._warn_days = warn_days
        self._granted = granted

    async def add(
        self,
        tenant: Tenant,
        by: User,
        name: str,
        kind: str,
        secret: bytes,
        expires_at: datetime | None = None,
    ) -> str:
        """Seal a secret and return the fingerprint of its public part, "" where it has none.

        Servers that used a revoked credential of this name use the new one from now on: that is how a
        credential is replaced, and ``using`` tells which they are. Raises BadInput for a bad name or kind,
        a name in use, a key that cannot be read, or an end that is over.
        """
        admins_only(by)
        return await self._seal(tenant, by, name, kind, secret, expires_at, replaces=False)

    async def _seal(
        self,
        tenant: Tenant,
        by: User,
        name: str,
        kind: str,
        secret: bytes,
        expires_at: datetime | None,
        *,
        replaces: bool,
    ) -> str:
        if expires_at is not None and expires_at <= self._clock():
            raise BadInput("credential.bad_expiry")
        checked, credential_id = checked_secret(name, kind, secret), new_id()
        async with tenant.transaction() as tx:
            await tx.run(LOCK, lock=f"fleet {tenant.id}")
            old = await tx.one(store.CREDENTIAL_NAMED, name=name)
            if old is not None and not replaces:
                raise BadInput("credential.name_taken", credential=name)
            ended = await self._end_grants(tx, tenant, name) if kind == "kubeconfig" else ()
            if old is not None:
                await tx.run(store.REVOKE, credential=old["id"], now=self._clock())
                await tx.run(timers.CANCEL, tenant=tenant.id, kind=EXPIRES, ref=old["id"])
            await self._keep(tx, tenant, by, credential_id, name, kind, checked, expires_at)
            rebind = REBINDS.get(kind)
            rebound = await tx.all(rebind, name=name, credential=credential_id) if rebind else []
            detail = {"name": name, "kind": kind, **_more(checked, expires_at, rebound, old)}
            await note(tx, tenant, self._clock(), "credential.add", by, "credential", credential_id, detail)
            await record(tx, tenant, self._clock(), ended)
        for row in rebound:
            self._connections.forget(tenant.id, row["id"])
        if old is not None:
            self._connections.forget_credential(old["id"])
        return checked.fingerprint

    async def _end_grants(self, tx: Transaction, tenant: Tenant, name: str) -> Sequence[Entry]:
        """End what was granted for clusters whose kubeconfig becomes another: its account may be another."""
        ids = {row["id"] for row in await tx.all(store.CREDENTIALS) if row["name"] == name}
        opened = [each for each in await clusters.all_of(tx) if each.credential_id in ids]
        ended = [await end_grants(self._granted, tx, tenant, each, ("kubeconfig",)) for each in opened]
        return [entry for entries in ended for entry in entries]

    async def _keep(
        self,
        tx: Transaction,
        tenant: Tenant,
        by: User,
        credential_id: str,
        name: str,
        kind: str,
        checked: Checked,
        expires_at: datetime | None,
    ) -> None:
        """Write a sealed secret, with the timers of its end."""
        await tx.run(
            store.ADD_CREDENTIAL,
            id=credential_id,
            name=name,
            kind=kind,
            sealed=tenant.vault.seal(checked.secret, _place(tenant, credential_id, kind)),
            fingerprint=checked.fingerprint,
            key_type=checked.key_type,
            server=checked.server,
            created_by=by.id,
            created_at=self._clock(),
            used_at=None,
            expires_at=expires_at,
            revoked_at=None,
        )
        if expires_at is not None:
            await self._plan_warnings(tx, tenant, credential_id, expires_at)

    async def _plan_warnings(
        self, tx: Transaction, tenant: Tenant, credential_id: str, expires_at: datetime
    ) -> None:
        """Write the timers of what its owner is told, in the transaction that stores it."""
        for days in self._warn_days:
            due_at = expires_at - timedelta(days=days)
            if due_at > self._clock():
                await timers.set_timer(tx, tenant.id, EXPIRES, credential_id, due_at, step=days)

    async def rotate(
        self, tenant: Tenant, by: User, name: str, secret: bytes, expires_at: datetime | None = None
    ) -> str:
        """Put another secret of the same kind in the place of ``name``'s; its servers use it from now on.

        Returns the new fingerprint. Raises NotFound, and BadInput as ``add``: then the old one stands.
        """
        admins_only(by)
        async with tenant.reading() as db:
            kind = (await credential_named(db, name)).kind
        return await self._seal(tenant, by, name, kind, secret, expires_at, replaces=True)

    async def using(self, tenant: Tenant, name: str) -> Sequence[str]:
        """Return the names of the servers that use the credential ``name``; raises NotFound."""
        async with tenant.reading() as db:
            credential = await credential_named(db, name)
            return [row["name"] for row in await db.all(store.USING, credential=credential.id)]

    async def revoke(self, tenant: Tenant, by: User, name: str) -> Sequence[str]:
        """Destroy a credential's secret; return the servers that used it."""
        admins_only(by)
        async with tenant.transaction() as tx:
            credential = await credential_named(tx, name)
            await tx.run(store.REVOKE, credential=credential.id, now=self._clock())
            await tx.run(timers.CANCEL, tenant=tenant.id, kind=EXPIRES, ref=credential.id)
            using = [row["name"] for row in await tx.all(store.USING, credential=credential.id)]
            await note(
                tx,
                tenant,
                self._clock(),
                "credential.revoke",
                by,
                "credential",
                credential.id,
                {"name": name},
            )
        self._connections.forget_credential(credential.id)
        return using

    async def reseal(self, tenant: Tenant, by: User | None) -> int:
        """Seal every secret anew under the newest master key; return how many were under an older one."""
        count = 0
        async with tenant.reading() as db:
            rows = await db.all(store.CREDENTIALS)
        for row in rows:
            if row["revoked_at"] is None and not tenant.vault.is_current(row["sealed"]):
                place = _place(tenant, row["id"], row["kind"])
                fresh = tenant.vault.seal(tenant.vault.open(row["sealed"], place), place)
                async with tenant.transaction() as tx:
                    count += await tx.run(store.RESEAL, credential=row["id"], old=row["sealed"], new=fresh)
        async with tenant.transaction() as tx:
            await note(tx, tenant, self._clock(), "credential.rotate", by, "vault", "", {"count": count})
        return count

    async def login(self, tenant: Tenant, ssh_user: str, credential_id: str) -> Login:
        """Open a credential for a connection as ``ssh_user``; raises Refused if it cannot be used."""
        async with tenant.reading() as db:
            row = await db.one(store.CREDENTIAL, id=credential_id)
            if row is None or not store.credential_of(row).usable(self._clock()):
                raise Refused("credential.expired", credential=row["name"] if row else "?")
            if row["used_at"] is None or self._clock() - row["used_at"] > USED_EVERY:
                await db.run(store.USED, credential=credential_id, now=self._clock())
        secret = tenant.vault.open(row["sealed"], _place(tenant, row["id"], row["kind"]))
        return Login(ssh_user, row["kind"], secret, row["id"], row["version"])

    async def public_key(self, tenant: Tenant, credential_id: str | None) -> str:
        """Return the public half of a key in one line, "" where there is none to be had."""
        async with tenant.reading() as db:
            row = await db.one(store.CREDENTIAL, id=credential_id) if credential_id else None
        if row is None or row["kind"] != "ssh_key" or row["revoked_at"] is not None:
            return ""
        secret = tenant.vault.open(row["sealed"], _place(tenant, row["id"], row["kind"]))
        line = asyncssh.import_private_key(secret).export_public_key().decode().split()
        return f"{line[0]} {line[1]} it0"

    async def state(self, tenant: Tenant) -> store.VaultState:
        """Return a value that changes with every credential that is added or revoked, by any process."""
        async with tenant.reading() as db:
            row = await db.one(store.CREDENTIALS_STATE)
        return tuple(row) if row else ()

    async def secrets(self, tenant: Tenant) -> list[bytes]:
        """Return every secret of the tenant in the clear, to keep them out of what is shown."""
        async with tenant.reading() as db:
            rows = await db.all(store.CREDENTIALS)
        live = [row for row in rows if row["revoked_at"] is None]
        opened = [
            (row["kind"], tenant.vault.open(row["sealed"], _place(tenant, row["id"], row["kind"])))
            for row in live
        ]
        return [each for kind, secret in opened for each in parts_of(kind, secret)]


async def credential_named(tx: Transaction, name: str) -> Credential:
    row = await tx.one(store.CREDENTIAL_NAMED, name=name)
    if row is None:
        raise NotFound("error.no_such_credential", credential=name)
    return store.credential_of(row)


async def usable_one(tx: Transaction, name: str, at: datetime) -> Credential:
    """Return a credential that opens something at ``at``; raises NotFound or Refused."""
    credential = await credential_named(tx, name)
    if not credential.usable(at):
        raise Refused("credential.expired", credential=credential.name)
    return credential
