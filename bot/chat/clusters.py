"""``/cluster``: adding, checking and removing clusters, by admins' own words and no model's."""

from collections.abc import Mapping, Sequence

from agent.context import Work
from agent.fleet.changes import admins_only
from agent.fleet.clusters import NewCluster
from agent.fleet.servers import Fleet
from agent.gate.actions.probing import Probing
from bot.chat.about import Command
from core.errors import BadInput, Refused
from core.messages import Part
from core.texts import say

OPTIONS = ("entry", "kubeconfig", "environment", "description")


class ClusterCommands:
    """The command."""

    def __init__(self, fleet: Fleet, probing: Probing) -> None:
        self._clusters = fleet.clusters
        self._probing = probing

    def commands(self) -> Mapping[str, Command]:
        """Return the command by name."""
        return {"/cluster": self.cluster}

    async def cluster(self, work: Work, words: Sequence[str]) -> Sequence[Part]:
        """Add a cluster, check one, or remove one."""
        match list(words):
            case ["check", name]:
                return await self._check(work, name)
            case ["remove", name]:
                await self._clusters.remove(work.tenant, work.user, name)
                return [say("cluster.removed", cluster=name)]
            case ["add", name, kind, *rest]:
                given = dict(_option(word) for word in rest)
                added = await self._clusters.add(work.tenant, work.user, NewCluster(name, kind, **given))
                return [say(f"cluster.added_{added.kind}", cluster=added.name)]
            case _:
                raise BadInput("cluster.usage")

    async def _check(self, work: Work, name: str) -> Sequence[Part]:
        admins_only(work.user)
        checks = await self._probing.check_cluster(work.tenant, work.user, name, work.address.channel)
        if not checks:
            raise Refused("cluster.no_servers", cluster=name)
        return [line for _, _, words in checks for line in words]


def _option(word: str) -> tuple[str, str]:
    key, _, value = word.partition("=")
    if key not in OPTIONS or not value:
        raise BadInput("direct.bad_option", option=word, allowed=", ".join(OPTIONS))
    return key, value
