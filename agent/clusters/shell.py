"""Where a command goes: to its server, to the server that is a cluster's entry, or to a cluster's API."""

from dataclasses import replace

from agent.clusters.kube.shell import KubeShell
from core.ports import OnOutput, Order, Shell, Target
from core.work import RunTarget


class ClusterShell:
    """Implements ``core.ports.Shell``: a cluster's commands run on its entry server, or by its API.

    servers: runs everything else; api: calls Kubernetes APIs.
    """

    def __init__(self, servers: Shell, api: KubeShell) -> None:
        self._servers = servers
        self._api = api

    async def run(self, target: Target, order: Order, on_output: OnOutput | None = None) -> RunTarget:
        """Start ``order`` once where it belongs."""
        if target.server.by_api:
            return await self._api.run(target, order, on_output)
        if target.entry is None:
            return await self._servers.run(target, order, on_output)
        own = replace(order, run_id=_run_id(target, order.run_id))
        return _named(target, await self._servers.run(target.entry, own, on_output))

    async def outcome(self, target: Target, run_id: str) -> RunTarget:
        """Return what became of a run."""
        if target.server.by_api:
            return await self._api.outcome(target, run_id)
        if target.entry is None:
            return await self._servers.outcome(target, run_id)
        return _named(target, await self._servers.outcome(target.entry, _run_id(target, run_id)))

    async def stop(self, target: Target, run_id: str) -> bool:
        """End a run."""
        if target.server.by_api:
            return await self._api.stop(target, run_id)
        if target.entry is None:
            return await self._servers.stop(target, run_id)
        return await self._servers.stop(target.entry, _run_id(target, run_id))

    async def host_key(self, target: Target) -> str:
        """Return the key that the server, or the entry, shows."""
        return await self._servers.host_key(target.entry or target)

    async def reach(self, target: Target) -> None:
        """Connect and log in."""
        if target.server.by_api:
            return await self._api.reach(target)
        await self._servers.reach(target.entry or target)

    def forget(self, tenant_id: str, server_id: str) -> None:
        """Close the connections to a server."""
        self._servers.forget(tenant_id, server_id)

    def forget_credential(self, credential_id: str) -> None:
        """Close what a credential opened."""
        self._servers.forget_credential(credential_id)

    async def leave(self) -> None:
        """Let what runs go on when its run is cancelled from now on."""
        await self._servers.leave()

    async def close(self) -> None:
        """Close every connection."""
        await self._servers.close()


def _run_id(target: Target, run_id: str) -> str:
    """Return a run's id on the entry server, where the same run may be for that server itself as well."""
    return f"{run_id}-{target.server.id[-8:]}"


def _named(target: Target, result: RunTarget) -> RunTarget:
    return replace(result, server_id=target.server.id, server=target.server.name)
