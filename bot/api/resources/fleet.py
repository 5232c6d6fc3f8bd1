"""Servers."""

from collections.abc import Mapping, Sequence

from agent.fleet.accounts import told
from agent.fleet.forms import NewServer
from agent.fleet.harden import KINDS
from agent.fleet.servers import Fleet
from agent.gate.actions.probing import Probing
from agent.shell.hostkeys import fingerprint
from bot.api.caller import Caller
from bot.api.endpoints import Endpoint, endpoint
from bot.api.models import fleet as models
from bot.api.models.base import Page
from bot.api.paging import cut
from bot.api.problems import naming
from bot.texts.catalogue import Catalogue
from core.store import clusters, fleet
from core.work import Role, Server


class FleetDesk:
    """The endpoints."""

    def __init__(self, fleet: Fleet, probing: Probing, texts: Catalogue) -> None:
        self._fleet = fleet
        self._probing = probing
        self._texts = texts

    def endpoints(self) -> Sequence[Endpoint]:
        """Return them."""
        return [
            endpoint("GET", "/servers", self.list_servers),
            endpoint("POST", "/servers", self.add_server, 201),
            endpoint("GET", "/servers/{name}", self.show_server),
            endpoint("PATCH", "/servers/{name}", self.change_server),
            endpoint("DELETE", "/servers/{name}", self.remove_server),
            endpoint("POST", "/servers/{name}/check", self.check_server),
            endpoint("POST", "/servers/{name}/trust", self.trust_server),
            endpoint("POST", "/servers/{name}/distrust", self.distrust_server),
            endpoint("GET", "/servers/{name}/hardening", self.show_hardening),
        ]

    async def list_servers(self, caller: Caller, query: Page) -> models.Servers:
        """List the servers by name."""
        everyone = await self._fleet.servers(caller.tenant)
        found, after = cut(everyone, query, lambda server: server.name)
        return models.Servers(servers=await self._shown(caller, found, everyone), next=after)

    async def show_server(self, caller: Caller, name: str) -> models.Server:
        """Show a server."""
        server = await self._fleet.server(caller.tenant, name)
        return (await self._shown(caller, [server], await self._fleet.servers(caller.tenant)))[0]

    async def _shown(
        self, caller: Caller, servers: Sequence[Server], others: Sequence[Server]
    ) -> list[models.Server]:
        async with caller.tenant.reading() as db:
            names = {row["id"]: row["name"] for row in await db.all(fleet.CREDENTIALS)}
            names |= {each.id: each.name for each in await clusters.all_of(db)}
        names |= {other.id: other.name for other in others}
        language = caller.user.language
        return [
            _server(each, names, [self._texts(words, language) for words in told(each)]) for each in servers
        ]

    async def add_server(self, caller: Caller, form: models.NewServerForm) -> models.ServerAdded:
        """Add a server (admins); it stays untrusted until its host key is confirmed."""
        given = form.model_dump(exclude_none=True, exclude={"trust"})
        with naming():
            server, shown = await self._fleet.add_server(
                caller.tenant, caller.user, NewServer(**given), form.trust
            )
        if server.host_key:
            await self._probing.learn(caller.tenant, caller.user, server, caller.channel)
            server = await self._fleet.server(caller.tenant, server.name)
        added = await self._shown(caller, [server], await self._fleet.servers(caller.tenant))
        return models.ServerAdded(server=added[0], fingerprint=shown)

    async def change_server(self, caller: Caller, name: str, form: models.ServerChange) -> models.Server:
        """Change some of a server's fields (admins); at another address its key is to be confirmed anew."""
        server = await self._fleet.server(caller.tenant, name)
        changes = form.model_dump(exclude_unset=True)
        with naming():
            await self._fleet.change_server(caller.tenant, caller.user, server, changes)
        return await self.show_server(caller, name)

    async def remove_server(self, caller: Caller, name: str) -> None:
        """Remove a server (admins)."""
        await self._fleet.remove_server(
            caller.tenant, caller.user, await self._fleet.server(caller.tenant, name)
        )

    async def check_server(self, caller: Caller, name: str) -> models.Checked:
        """Say whether a server can be reached, and which key it shows while it is not trusted (operators)."""
        caller.needs(Role.OPERATOR)
        server = await self._fleet.server(caller.tenant, name)
        ok, words, shown = await self._probing.check(caller.tenant, caller.user, server, caller.channel)
        message, *can = [self._texts(each, caller.user.language) for each in words]
        return models.Checked(ok=ok, message=message, fingerprint=shown, can=can)

    async def trust_server(self, caller: Caller, name: str, form: models.Fingerprint) -> models.Server:
        """Pin the host key that was compared (admins)."""
        caller.needs(Role.ADMIN)
        server = await self._fleet.server(caller.tenant, name)
        await self._fleet.trust(caller.tenant, caller.user, server, form.fingerprint)
        trusted = await self._fleet.server(caller.tenant, name)
        await self._probing.learn(caller.tenant, caller.user, trusted, caller.channel)
        return await self.show_server(caller, name)

    async def distrust_server(self, caller: Caller, name: str) -> models.Shown:
        """Drop the pinned host key (admins); answers with the one that it shows now, if any."""
        caller.needs(Role.ADMIN)
        server = await self._fleet.server(caller.tenant, name)
        return models.Shown(fingerprint=await self._fleet.distrust(caller.tenant, caller.user, server))

    async def show_hardening(
        self, caller: Caller, name: str, query: models.HardeningQuery
    ) -> models.Hardening:
        """Show the script that narrows what it0 can do on a server (admins); nothing runs it."""
        server = await self._fleet.server(caller.tenant, name)
        kinds = query.kinds.split(",") if query.kinds else KINDS
        script = await self._fleet.hardening(caller.tenant, caller.user, server, kinds)
        return models.Hardening(script=script, kinds=list(KINDS))


def _server(server: Server, names: Mapping[str, str], can: list[str]) -> models.Server:
    """Return a server as it is shown. names: of credentials, clusters and servers, by id."""
    same = (
        "id",
        "name",
        "connection",
        "host",
        "port",
        "environment",
        "role",
        "shell",
        "status",
        "restricted",
        "read_user",
    )
    return models.Server(
        **{field: getattr(server, field) for field in same},
        user=server.ssh_user,
        credential=names.get(server.credential_id or ""),
        cluster=names.get(server.cluster_id or ""),
        jump=names.get(server.jump_server_id or ""),
        tags=dict(server.tags),
        ssh_options=dict(server.ssh_options),
        description=server.description,
        fingerprint=fingerprint(server.host_key) if server.host_key else None,
        read_credential=names.get(server.read_credential_id or ""),
        accounts={kind: models.Account(**seen) for kind, seen in server.accounts.items()},  # type: ignore[misc]
        can=can,
    )
