"""Whether a host answers a ping from a server."""

import shlex

from pydantic import BaseModel, ConfigDict, Field

from agent.context import Call
from agent.engine import Answer
from agent.fleet.servers import Fleet
from agent.gate.gate import Gate

HOST_FORM = r"^[A-Za-z0-9:][A-Za-z0-9.:_-]{0,252}$"
"""A host name or an address; none begins with a dash, because that would be an option."""


class PingArguments(BaseModel):
    """What ``ping`` takes."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    host: str = Field(
        description="Host name or IP address that is pinged, or the name of one of the servers.",
        pattern=HOST_FORM,
    )
    servers: list[str] = Field(description="Names of the servers to ping from.", min_length=1)


class Ping:
    """Pings a host from servers."""

    name = "ping"
    description = "Ping a host three times from one or many servers: does it answer, and how fast."
    arguments = PingArguments

    def __init__(self, gate: Gate, fleet: Fleet) -> None:
        self._gate = gate
        self._fleet = fleet

    async def __call__(self, call: Call, arguments: PingArguments) -> Answer:
        """Answer with what ping printed on each server."""
        hosts = {each.name: each.host for each in await self._fleet.servers(call.work.tenant)}
        host = hosts.get(arguments.host) or arguments.host
        return await self._gate.command(call, f"ping -c 3 -W 2 {shlex.quote(host)}", arguments.servers)
