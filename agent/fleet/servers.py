"""Looking after servers: adding, trusting, changing, removing, and the way to each for the shell."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from agent.fleet import harden
from agent.fleet.changes import EndsGrants, admins_only, end_grants, note, record
from agent.fleet.clusters import Clusters
from agent.fleet.credentials import WARN_DAYS, Credentials
from agent.fleet.forms import CHANGEABLE, CHANGEABLE_HERE, MAX_JUMPS, NewServer, checked, differences
from agent.fleet.listed import Listed
from agent.fleet.placing import changed_to, check_name, check_quota, described, placed
from agent.shell.hostkeys import fingerprint
from core.clock import Clock
from core.errors import (
    BadInput,
    HostKeyUnknown,
    It0Error,
    Late,
    NotFound,
    Refused,
    ServerUnreachable,
    StoreUnavailable,
)
from core.ports import Login, Shell, Target
from core.store import clusters as cluster_store
from core.store import fleet as store
from core.store.database import Row
from core.store.fleet import FleetState
from core.store.statements import LOCK
from core.tenant import Tenant
from core.texts import Say, say
from core.work import Server, User


@dataclass(frozen=True, slots=True)
class Ways:
    """The ways to servers. unfit: why those cannot be used that have none, by id."""

    targets: list[Target]
    unfit: dict[str, Say] = field(default_factory=dict)


class Fleet:
    """The servers of tenants.

    shell: asked for the host keys that servers show. warn_days: as ``Credentials`` has it. granted: what
    ends with a server as it was, None where nothing is granted.
    """

    def __init__(
        self,
        shell: Shell,
        clock: Clock,
        warn_days: Sequence[int] = WARN_DAYS,
        granted: EndsGrants | None = None,
    ) -> None:
        self._shell = shell
        self._clock = clock
        self.granted = granted
        self._listed = Listed()
        self.credentials = Credentials(shell, clock, warn_days, granted)
        self.clusters = Clusters(self.target, self.credentials, clock, granted)

    async def servers(self, tenant: Tenant, state: FleetState | None = None) -> Sequence[Server]:
        """Return every server of the tenant. state: of its servers, where it was asked for just now."""
        return await self._listed.servers(tenant, state)

    async def server(self, tenant: Tenant, name: str) -> Server:
        """Return a server by name; raises NotFound."""
        async with tenant.reading() as db:
            found = await store.server_named(db, name)
        if found is None:
            raise NotFound("error.no_such_server", server=name)
        return found

    async def add_server(
        self, tenant: Tenant, by: User, new: NewServer, expected: str = ""
    ) -> tuple[Server, str]:
        """Add a server and return it with the fingerprint of the key that it shows.

        expected: a fingerprint that a person vouches for: the key is pinned if it is that, else nothing
        is added. Without it the server stays untrusted until a person confirms. Raises Refused.
        """
        admins_only(by)
        checked(new)
        at = self._clock()
        async with tenant.reading() as db:
            await check_quota(db, tenant)
            server = await placed(db, new, at)
        server, shown = await self._met(tenant, server, expected)
        async with tenant.transaction() as tx:
            await tx.run(LOCK, lock=f"fleet {tenant.id}")
            await check_quota(tx, tenant)
            await check_name(tx, server.name)
            await tx.run(store.ADD_SERVER, **store.server_row(server, at))
            detail = {"host": server.host, "port": server.port, "user": server.ssh_user, "fingerprint": shown}
            about = {"name": server.name, **detail}
            await note(tx, tenant, self._clock(), "server.add", by, "server", server.id, about)
        return server, shown

    async def _met(self, tenant: Tenant, new: Server, expected: str) -> tuple[Server, str]:
        """Return a new server, with its key where that is the expected one, and the key's fingerprint."""
        if new.connection != "ssh":
            return new, ""
        try:
            host_key, shown = await self.shown_key(tenant, new)
        except ServerUnreachable as error:
            reason = error.say.params.get("reason", "")
            raise ServerUnreachable("server.not_added_unreachable", server=new.name, reason=reason) from None
        if expected and shown != expected:
            raise Refused("server.not_added_other_key", server=new.name, shown=shown, expected=expected)
        return (replace(new, host_key=host_key, status="active") if expected else new), shown

    async def shown_key(self, tenant: Tenant, server: Server) -> tuple[str, str]:
        """Return (key line, fingerprint) that the server shows now; it is not trusted by that."""
        host_key = await self._shell.host_key(await self.target(tenant, server))
        return host_key, fingerprint(host_key)

    async def check(self, tenant: Tenant, by: User, server: Server) -> tuple[bool, Say, str]:
        """Return whether a server can be reached and logged in to, in words, with the key's fingerprint."""
        if server.connection == "ssh":
            try:
                host_key, shown = await self.shown_key(tenant, server)
            except It0Error as error:
                return False, error.say, ""
            if server.host_key is None:
                return (
                    False,
                    say("server.first_contact", server=server.name, host=server.host, fingerprint=shown),
                    shown,
                )
            if host_key != server.host_key:
                expected = fingerprint(server.host_key)
                params = {"server": server.name, "expected": expected, "seen": shown}
                async with tenant.transaction() as tx:
                    await note(
                        tx, tenant, self._clock(), "server.key_changed", by, "server", server.id, params
                    )
                return False, say("error.host_key_changed", **params), shown
        began = time.monotonic()
        try:
            await self._shell.reach(await self.target(tenant, server))
            if server.read_credential_id:
                await self._shell.reach(await self.target(tenant, server.for_reading))
        except It0Error as error:
            return False, say("server.unreachable", server=server.name, reason=error.say), ""
        ms = round((time.monotonic() - began) * 1000)
        return True, say("server.reachable", server=server.name, ms=ms), ""

    async def trust(self, tenant: Tenant, by: User, server: Server, confirmed: str) -> None:
        """Pin the key that the server shows, if its fingerprint is the ``confirmed`` one.

        Raises Refused when it shows another, when another key is pinned already, when the server was moved
        meanwhile, and for the bot's own machine.
        """
        admins_only(by)
        _check_has_key(server)
        host_key, shown = await self.shown_key(tenant, server)
        if shown != confirmed:
            raise Refused("server.other_key", server=server.name, shown=shown, expected=confirmed)
        async with tenant.transaction() as tx:
            await tx.run(LOCK, lock=f"fleet {tenant.id}")
            now = (await store.servers_by_id(tx, [server.id])).get(server.id)
            if now is not None and _reached(now) != _reached(server):
                raise Refused("server.moved_meanwhile", server=server.name)
            if not await tx.value(store.TRUST, server=server.id, host_key=host_key):
                raise Late("server.key_pinned", server=server.name)
            detail = {"name": server.name, "fingerprint": shown}
            await note(tx, tenant, self._clock(), "server.trust", by, "server", server.id, detail)

    async def distrust(self, tenant: Tenant, by: User, server: Server) -> str:
        """Drop the pinned key, so that a person can confirm the server's new one.

        Returns the fingerprint of the one that it shows now, "" where it is away.
        Raises Refused for the bot's own machine.
        """
        admins_only(by)
        _check_has_key(server)
        async with tenant.transaction() as tx:
            ended = await end_grants(self.granted, tx, tenant, server, ("host_key",))
            await tx.run(store.FORGET_KEY, server=server.id)
            await note(
                tx, tenant, self._clock(), "server.distrust", by, "server", server.id, {"name": server.name}
            )
            await record(tx, tenant, self._clock(), ended)
        self._shell.forget(tenant.id, server.id)
        try:
            return (await self.shown_key(tenant, server))[1]
        except It0Error:
            return ""

    async def change_server(
        self, tenant: Tenant, by: User, server: Server, changes: Mapping[str, Any]
    ) -> Server:
        """Make some of a server's fields other, and return it as it is then.

        changes: fields of ``NewServer``; those that are the same change nothing. With another host or port
        it is another machine as far as anybody knows: its key is forgotten, and a person confirms the new
        one. Raises BadInput naming the field, NotFound and Refused as ``add_server`` does.
        """
        admins_only(by)
        allowed = CHANGEABLE if server.connection == "ssh" else CHANGEABLE_HERE
        for field_name in changes:
            if field_name not in allowed:
                raise BadInput("server.not_changeable", field=field_name, allowed=", ".join(allowed))
        async with tenant.transaction() as tx:
            await tx.run(LOCK, lock=f"fleet {tenant.id}")
            now = (await store.servers_by_id(tx, [server.id])).get(server.id)
            if now is None:
                raise NotFound("error.no_such_server", server=server.name)
            before = await described(tx, now)
            after = checked(replace(before, **changes))
            detail = differences(before, after)
            if not detail:
                return now
            changed = await changed_to(tx, now, after, detail, self._clock())
            ended = await end_grants(self.granted, tx, tenant, now, detail)
            await tx.run(store.CHANGE_SERVER, **store.change_row(changed))
            about = {"name": now.name, "changes": detail}
            await note(tx, tenant, self._clock(), "server.change", by, "server", now.id, about)
            await record(tx, tenant, self._clock(), ended)
        self._shell.forget(tenant.id, server.id)
        return changed

    async def hardening(
        self, tenant: Tenant, by: User, server: Server, kinds: Sequence[str] = harden.KINDS
    ) -> str:
        """Return the script that narrows what it0 can do on a server; it is for people to run.

        kinds: of ``harden.KINDS``. Raises BadInput for others, NotAllowed for who is no admin.
        """
        admins_only(by)
        if not kinds or not set(kinds) <= set(harden.KINDS):
            raise BadInput("harden.bad_kind", allowed=", ".join(harden.KINDS))
        if server.connection == "local":
            raise Refused("harden.local", server=server.name)
        main = await self.credentials.public_key(tenant, server.credential_id)
        reading = await self.credentials.public_key(tenant, server.read_credential_id)
        behind = [(s.host, s.port) for s in await self.servers(tenant) if s.jump_server_id == server.id]
        return harden.script(harden.Plan(server, kinds, reading or main, main, behind))

    def forget(self, tenant: Tenant, server: Server) -> None:
        """Close the connections to a server that is another one now."""
        self._shell.forget(tenant.id, server.id)

    async def remove_server(self, tenant: Tenant, by: User, server: Server) -> None:
        """Remove a server; raises Refused while it is another's jump server."""
        admins_only(by)
        async with tenant.transaction() as tx:
            behind = [row["name"] for row in await tx.all(store.BEHIND, server=server.id)]
            if behind:
                raise Refused("server.is_jump", server=server.name, servers=", ".join(behind))
            if clusters := await cluster_store.entered_by(tx, server.id):
                raise Refused("server.is_entry", server=server.name, clusters=", ".join(clusters))
            ended = await end_grants(self.granted, tx, tenant, server)
            await tx.run(store.REMOVE, server=server.id)
            await note(
                tx, tenant, self._clock(), "server.remove", by, "server", server.id, {"name": server.name}
            )
            await record(tx, tenant, self._clock(), ended)
        self._shell.forget(tenant.id, server.id)

    async def targets(self, tenant: Tenant, servers: Sequence[Server]) -> list[Target]:
        """Return the ways to ``servers``, asking once for a credential that they share; as ``target``."""
        known: dict[str, Row] = {}
        return [await self.target(tenant, server, known=known) for server in servers]

    async def ways(self, tenant: Tenant, servers: Sequence[Server]) -> Ways:
        """Return the ways to those of ``servers`` that can be used, and why each other cannot."""
        known: dict[str, Row] = {}
        ways = Ways([])
        for server in servers:
            try:
                if server.connection == "ssh" and server.host_key is None:
                    raise HostKeyUnknown(server=server.name)
                ways.targets.append(await self.target(tenant, server, known=known))
            except StoreUnavailable:
                raise
            except It0Error as error:
                ways.unfit[server.id] = error.say
        return ways

    async def target(
        self, tenant: Tenant, server: Server, depth: int = 0, known: dict[str, Row] | None = None
    ) -> Target:
        """Return the way to a server; the secret is opened only when a connection is made.

        known: rows of credentials by id, read a moment ago. Raises Refused when its credential cannot be
        used, or its jump servers form a circle.
        """
        known = {} if known is None else known
        if depth > MAX_JUMPS:
            raise Refused("server.jump_circle", server=server.name)
        if server.is_cluster:
            return await self.clusters.target(tenant, server)
        if server.connection == "local":
            return Target(tenant.id, server, None, "")
        row, jumps = known.get(server.credential_id or ""), {}
        if row is None or server.jump_server_id:
            async with tenant.reading() as db:
                row = row or await db.one(store.CREDENTIAL, id=server.credential_id)
                if server.jump_server_id:
                    jumps = await store.servers_by_id(db, [server.jump_server_id])
        if row is None:
            raise Refused("server.no_credential", server=server.name)
        credential = store.credential_of(row)
        known[credential.id] = row
        if not credential.usable(self._clock()):
            raise Refused("credential.expired", credential=credential.name)
        jump = None
        if server.jump_server_id:
            if server.jump_server_id not in jumps:
                raise Refused("server.jump_gone", server=server.name)
            jump = await self.target(tenant, jumps[server.jump_server_id], depth + 1, known)

        async def login() -> Login:
            return await self.credentials.login(tenant, server.ssh_user, credential.id)

        return Target(tenant.id, server, login, f"{credential.id}.{credential.version}", jump)


def _reached(server: Server) -> tuple[str, int, str | None]:
    """Return where a server is reached: it is the key of what is there that is asked for."""
    return server.host, server.port, server.jump_server_id


def _check_has_key(server: Server) -> None:
    """Raise Refused for the bot's own machine, which shows none."""
    if server.connection == "local":
        raise Refused("server.has_no_key", server=server.name)
