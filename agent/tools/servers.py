"""Listing servers, and adding one by chat."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from agent.context import Call
from agent.engine import Answer
from agent.fleet.accounts import told
from agent.fleet.forms import NewServer
from agent.fleet.servers import Fleet
from agent.gate.answers import check_may_ask
from agent.gate.gate import Gate
from core.errors import NotAllowed
from core.messages import Code
from core.texts import Say, say
from core.work import Risk, Role, Server


class ListArguments(BaseModel):
    """What ``list_servers`` takes."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    environment: Literal["dev", "staging", "prod"] | None = None
    name: str | None = Field(default=None, description="One server, with all that is known of it.")


class ListServers:
    """Lists the servers that it0 looks after."""

    name = "list_servers"
    description = "List the servers: name, host, environment, role, tags, status."
    arguments = ListArguments

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    async def __call__(self, call: Call, arguments: ListArguments) -> Answer:
        """Answer with a line for each."""
        if arguments.name is not None:
            server = await self._fleet.server(call.work.tenant, arguments.name)
            return Answer("done", (line_of(server), *about(server)), {"servers": [server.name]})
        servers = await self._fleet.servers(call.work.tenant)
        wanted = arguments.environment
        chosen = [s for s in servers if wanted is None or s.environment == wanted]
        if not chosen:
            return Answer("done", (say("servers.none"),), {"servers": []})
        lines = tuple(line_of(server) for server in chosen)
        return Answer(
            "done", (say("servers.count", count=len(chosen)), *lines), {"servers": [s.name for s in chosen]}
        )


def line_of(server: Server) -> str:
    """Return a server in a line of data."""
    where = "local" if server.connection == "local" else f"{server.ssh_user}@{server.host}:{server.port}"
    tags = " ".join(f"{key}={value}" for key, value in sorted(server.tags.items()))
    return "  ".join(
        filter(None, (f"• {server.name}", where, server.environment, server.role, tags, server.status))
    )


def about(server: Server) -> tuple[Say, ...]:
    """Return what a server's line does not say: its second account, and what its accounts can do."""
    parts = [say("server.restricted_so", server=server.name)] if server.restricted else []
    if server.read_credential_id:
        parts.append(say("server.reads_as", server=server.name, user=server.read_user))
    known = told(server)
    return (*parts, *(known or (say("account.unknown", server=server.name),)))


class AddArguments(BaseModel):
    """What ``add_server`` takes; never a secret: the credential is named."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    name: str
    host: str
    user: str
    credential: str = Field(description="Name of a stored credential.")
    port: int = 22
    environment: Literal["dev", "staging", "prod"] = "dev"
    role: Literal["web", "db", "cache", "worker", "gateway"] | None = None
    jump: str = ""
    read_user: str = Field(default="", description="A second user, for what only reads.")
    read_credential: str = Field(default="", description="Name of its credential.")


class AddServer:
    """Adds a server; a person confirms the host key that it shows."""

    name = "add_server"
    description = "Add a server (admins). Its host key must be confirmed by a person before anything runs."
    arguments = AddArguments

    def __init__(self, gate: Gate, fleet: Fleet) -> None:
        self._gate = gate
        self._fleet = fleet

    async def __call__(self, call: Call, arguments: AddArguments) -> Answer:
        """Answer with the card that asks for the confirmation; raises Refused before anything is added."""
        check_may_ask(call, Risk.L2, f"{self.name} {arguments.name}")
        new = NewServer(**arguments.model_dump())
        server, shown = await self._fleet.add_server(call.work.tenant, call.work.user, new)
        return await self._gate.trusting.ask(call, server, shown)


class CheckArguments(BaseModel):
    """What ``check_server`` takes."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    name: str


class CheckServer:
    """Connects to a server and tells what it0 can do there."""

    name = "check_server"
    description = "Connect and log in to a server, and tell what it0's account can do there (root, sudo, …)."
    arguments = CheckArguments

    def __init__(self, gate: Gate, fleet: Fleet) -> None:
        self._gate = gate
        self._fleet = fleet

    async def __call__(self, call: Call, arguments: CheckArguments) -> Answer:
        """Answer with how that went; a server that cannot be used is an answer, too."""
        work = call.work
        if not work.user.role.covers(Role.OPERATOR):
            raise NotAllowed("error.operators_only")
        server = await self._fleet.server(work.tenant, arguments.name)
        ok, words, _ = await self._gate.probing.check(work.tenant, work.user, server, work.address.channel)
        return Answer("done" if ok else "failed", words)


class HardenArguments(BaseModel):
    """What ``harden_server`` takes."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    name: str
    kinds: list[Literal["read-only", "operating", "cluster-role", "postgresql", "mysql"]] = Field(
        default=["read-only", "operating"], min_length=1
    )


class HardenServer:
    """Shows the script that narrows what it0 can do on a server."""

    name = "harden_server"
    description = (
        "Show (never run) a script for a read-only and an operating account on a server, a Kubernetes cluster"
        " role, a read-only database role (admins). People read it and run it themselves."
    )
    arguments = HardenArguments

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    async def __call__(self, call: Call, arguments: HardenArguments) -> Answer:
        """Answer with the text."""
        work = call.work
        server = await self._fleet.server(work.tenant, arguments.name)
        text = await self._fleet.hardening(work.tenant, work.user, server, arguments.kinds)
        kinds = " ".join(f"--for {kind}" for kind in arguments.kinds)
        words = say("harden.shown", server=server.name, command=f"it0 server harden {server.name} {kinds}")
        return Answer("done", (words, Code(text, "harden.sh")))
