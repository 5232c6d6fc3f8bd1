"""Listing servers, and adding one by chat."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from agent.context import Call
from agent.engine import Answer
from agent.fleet.forms import NewServer
from agent.fleet.servers import Fleet
from agent.gate.gate import Gate
from core.texts import say
from core.work import Server


class ListArguments(BaseModel):
    """What ``list_servers`` takes."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    environment: Literal["dev", "staging", "prod"] | None = None


class ListServers:
    """Lists the servers that it0 looks after."""

    name = "list_servers"
    description = "List the servers: name, host, environment, role, tags, status."
    arguments = ListArguments

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    async def __call__(self, call: Call, arguments: ListArguments) -> Answer:
        """Answer with a line for each."""
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


class AddServer:
    """Adds a server; a person confirms the host key that it shows."""

    name = "add_server"
    description = "Add a server (admins). Its host key must be confirmed by a person before anything runs."
    arguments = AddArguments

    def __init__(self, gate: Gate, fleet: Fleet) -> None:
        self._gate = gate
        self._fleet = fleet

    async def __call__(self, call: Call, arguments: AddArguments) -> Answer:
        """Answer with the card that asks for the confirmation."""
        new = NewServer(**arguments.model_dump())
        server, shown = await self._fleet.add_server(call.work.tenant, call.work.user, new)
        return await self._gate.ask_trust(call, server, shown)
