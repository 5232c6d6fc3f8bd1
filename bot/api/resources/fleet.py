"""Servers and credentials."""

from collections.abc import Mapping, Sequence

from agent.fleet.forms import NewServer
from agent.fleet.servers import Fleet
from agent.gate.probing import Probing
from agent.shell.hostkeys import fingerprint
from bot.api.caller import Caller
from bot.api.endpoints import Endpoint, endpoint
from bot.api.models import fleet as models
from bot.api.problems import naming
from bot.texts.catalogue import Catalogue
from core.errors import Refused
from core.store import fleet
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
            endpoint("GET", "/credentials", self.list_credentials),
            endpoint("POST", "/credentials", self.add_credential, 201),
            endpoint("POST", "/credentials/{name}/rotate", self.rotate_credential),
            endpoint("DELETE", "/credentials/{name}", self.revoke_credential),
        ]

    async def list_servers(self, caller: Caller) -> models.Servers:
        """List the servers."""
        found = await self._fleet.servers(caller.tenant)
        return models.Servers(servers=await self._shown(caller, found, found))

    async def show_server(self, caller: Caller, name: str) -> models.Server:
        """Show a server."""
        server = await self._fleet.server(caller.tenant, name)
        return (await self._shown(caller, [server], await self._fleet.servers(caller.tenant)))[0]

    async def _shown(
        self, caller: Caller, servers: Sequence[Server], others: Sequence[Server]
    ) -> list[models.Server]:
        async with caller.tenant.reading() as db:
            credentials = {row["id"]: row["name"] for row in await db.all(fleet.CREDENTIALS)}
        names = {other.id: other.name for other in others}
        return [_server(each, credentials, names) for each in servers]

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
        told = await self._shown(caller, [server], await self._fleet.servers(caller.tenant))
        return models.ServerAdded(server=told[0], fingerprint=shown)

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
        server = await self._with_key(caller, name)
        await self._fleet.trust(caller.tenant, caller.user, server, form.fingerprint)
        trusted = await self._fleet.server(caller.tenant, name)
        await self._probing.learn(caller.tenant, caller.user, trusted, caller.channel)
        return await self.show_server(caller, name)

    async def distrust_server(self, caller: Caller, name: str) -> models.Shown:
        """Drop the pinned host key (admins); answers with the one that the server shows now."""
        server = await self._with_key(caller, name)
        await self._fleet.distrust(caller.tenant, caller.user, server)
        _, shown = await self._fleet.shown_key(caller.tenant, server)
        return models.Shown(fingerprint=shown)

    async def _with_key(self, caller: Caller, name: str) -> Server:
        """Return a server that shows a key; raises Refused for the bot's own machine."""
        caller.needs(Role.ADMIN)
        server = await self._fleet.server(caller.tenant, name)
        if server.connection == "local":
            raise Refused("server.has_no_key", server=server.name)
        return server

    async def list_credentials(self, caller: Caller) -> models.Credentials:
        """List the credentials, never their secrets (operators)."""
        caller.needs(Role.OPERATOR)
        async with caller.tenant.reading() as db:
            rows = await db.all(fleet.CREDENTIALS)
        shown = ("name", "kind", "fingerprint", "created_at", "used_at", "expires_at")
        found = [
            models.Credential(**{key: row[key] for key in shown}, revoked=row["revoked_at"] is not None)
            for row in rows
        ]
        return models.Credentials(credentials=found)

    async def add_credential(self, caller: Caller, form: models.NewCredential) -> models.Shown:
        """Seal a secret (admins)."""
        shown = await self._fleet.credentials.add(
            caller.tenant, caller.user, form.name, form.kind, form.secret.encode(), form.expires_at
        )
        return models.Shown(fingerprint=shown)

    async def rotate_credential(self, caller: Caller, name: str, form: models.NewSecret) -> models.Shown:
        """Put another secret in a credential's place (admins); its servers use the new one from now on."""
        shown = await self._fleet.credentials.rotate(
            caller.tenant, caller.user, name, form.secret.encode(), form.expires_at
        )
        return models.Shown(fingerprint=shown)

    async def revoke_credential(self, caller: Caller, name: str) -> models.Using:
        """Destroy a secret (admins); answers with the servers that used it."""
        using = await self._fleet.credentials.revoke(caller.tenant, caller.user, name)
        return models.Using(servers=list(using))


def _server(server: Server, credentials: Mapping[str, str], names: Mapping[str, str]) -> models.Server:
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
        credential=credentials.get(server.credential_id or ""),
        jump=names.get(server.jump_server_id or ""),
        tags=dict(server.tags),
        ssh_options=dict(server.ssh_options),
        description=server.description,
        fingerprint=fingerprint(server.host_key) if server.host_key else None,
        read_credential=credentials.get(server.read_credential_id or ""),
        accounts={kind: models.Account(**seen) for kind, seen in server.accounts.items()},  # type: ignore[misc]
    )
