"""Listing clusters."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from agent.context import Call
from agent.engine import Answer
from agent.fleet.clusters import Known
from agent.fleet.servers import Fleet
from core.texts import say


class ListClustersArguments(BaseModel):
    """What ``list_clusters`` takes."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    environment: Literal["dev", "staging", "prod"] | None = None


class ListClusters:
    """Lists the clusters that it0 looks after."""

    name = "list_clusters"
    description = (
        "List the clusters: name, kind, environment, entry server or API, servers. A cluster's name is a"
        " target of run_command: kubectl for k8s, docker service|node|stack for docker_swarm, any command"
        " on all its servers for bare_metal."
    )
    arguments = ListClustersArguments

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    async def __call__(self, call: Call, arguments: ListClustersArguments) -> Answer:
        """Answer with a line for each."""
        every, wanted = await self._fleet.clusters.known(call.work.tenant), arguments.environment
        known = [each for each in every if wanted in (None, each.cluster.environment)]
        if not known:
            return Answer("done", (say("clusters.none"),), {"clusters": []})
        head = say("clusters.count", count=len(known))
        return Answer("done", (head, *map(_line, known)), {"clusters": [each.cluster.name for each in known]})


def _line(known: Known) -> str:
    """Return a cluster in a line of data."""
    cluster = known.cluster
    way = f"→ {known.entry}" if known.entry else "→ API" if known.kubeconfig else ""
    facts = (cluster.kind, cluster.environment, way, ", ".join(known.servers), cluster.description)
    return "  ".join(filter(None, (f"• {cluster.name}", *facts)))
