"""Clusters."""

from collections.abc import Sequence

from agent.fleet.clusters import Clusters, Known, NewCluster
from agent.gate.actions.probing import Probing
from bot.api.caller import Caller
from bot.api.endpoints import Endpoint, endpoint
from bot.api.models import clusters as models
from bot.api.models.base import Page
from bot.api.models.fleet import Using
from bot.api.paging import cut
from bot.api.problems import naming
from bot.texts.catalogue import Catalogue
from core.errors import NotFound
from core.work import Role


class ClusterDesk:
    """The endpoints."""

    def __init__(self, clusters: Clusters, probing: Probing, texts: Catalogue) -> None:
        self._clusters = clusters
        self._probing = probing
        self._texts = texts

    def endpoints(self) -> Sequence[Endpoint]:
        """Return them."""
        return [
            endpoint("GET", "/clusters", self.list_clusters),
            endpoint("POST", "/clusters", self.add_cluster, 201),
            endpoint("GET", "/clusters/{name}", self.show_cluster),
            endpoint("POST", "/clusters/{name}/check", self.check_cluster),
            endpoint("DELETE", "/clusters/{name}", self.remove_cluster),
        ]

    async def list_clusters(self, caller: Caller, query: Page) -> models.Clusters:
        """List the clusters by name."""
        found, after = cut(await self._clusters.known(caller.tenant), query, lambda each: each.cluster.name)
        return models.Clusters(clusters=[_cluster(each) for each in found], next=after)

    async def show_cluster(self, caller: Caller, name: str) -> models.Cluster:
        """Show a cluster."""
        for each in await self._clusters.known(caller.tenant):
            if each.cluster.name == name:
                return _cluster(each)
        raise NotFound("error.no_such_cluster", cluster=name)

    async def add_cluster(self, caller: Caller, form: models.NewClusterForm) -> models.Cluster:
        """Add a cluster (admins)."""
        with naming():
            await self._clusters.add(caller.tenant, caller.user, NewCluster(**form.model_dump()))
        return await self.show_cluster(caller, form.name)

    async def check_cluster(self, caller: Caller, name: str) -> models.ClusterChecked:
        """Check each server by which a cluster is reached, or its API (operators)."""
        caller.needs(Role.OPERATOR)
        checks = []
        found = await self._probing.check_cluster(caller.tenant, caller.user, name, caller.channel)
        for server, ok, words in found:
            message, *can = [self._texts(each, caller.user.language) for each in words]
            checks.append(models.ServerChecked(server=server, ok=ok, message=message, can=can))
        return models.ClusterChecked(checks=checks)

    async def remove_cluster(self, caller: Caller, name: str) -> Using:
        """Remove a cluster (admins); answers with the servers that were in it, which stay."""
        return Using(servers=list(await self._clusters.remove(caller.tenant, caller.user, name)))


def _cluster(known: Known) -> models.Cluster:
    cluster = known.cluster
    return models.Cluster(
        name=cluster.name,
        kind=cluster.kind,
        environment=cluster.environment,
        entry=known.entry or None,
        kubeconfig=known.kubeconfig or None,
        servers=list(known.servers),
        description=cluster.description,
    )
