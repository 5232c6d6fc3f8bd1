"""Resource types: those that every cluster has, and those that one tells of."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from agent.clusters.kube.api import Api, ApiError

_BUILT_IN = """
pods po Pod v1 | nodes no Node v1 * | services svc Service v1 | namespaces ns Namespace v1 *
configmaps cm ConfigMap v1 | secrets - Secret v1 | events ev Event v1 | endpoints ep Endpoints v1
persistentvolumes pv PersistentVolume v1 * | persistentvolumeclaims pvc PersistentVolumeClaim v1
serviceaccounts sa ServiceAccount v1 | resourcequotas quota ResourceQuota v1
limitranges limits LimitRange v1
replicationcontrollers rc ReplicationController v1
deployments deploy Deployment apps/v1 | replicasets rs ReplicaSet apps/v1 | daemonsets ds DaemonSet apps/v1
statefulsets sts StatefulSet apps/v1 | controllerrevisions - ControllerRevision apps/v1
jobs - Job batch/v1 | cronjobs cj CronJob batch/v1
ingresses ing Ingress networking.k8s.io/v1 | networkpolicies netpol NetworkPolicy networking.k8s.io/v1
ingressclasses - IngressClass networking.k8s.io/v1 *
poddisruptionbudgets pdb PodDisruptionBudget policy/v1 | storageclasses sc StorageClass storage.k8s.io/v1 *
horizontalpodautoscalers hpa HorizontalPodAutoscaler autoscaling/v2
roles - Role rbac.authorization.k8s.io/v1 | rolebindings - RoleBinding rbac.authorization.k8s.io/v1
clusterroles - ClusterRole rbac.authorization.k8s.io/v1 *
clusterrolebindings - ClusterRoleBinding rbac.authorization.k8s.io/v1 *
priorityclasses pc PriorityClass scheduling.k8s.io/v1 *
customresourcedefinitions crd,crds CustomResourceDefinition apiextensions.k8s.io/v1 *
"""
AT_ONCE = 6
MOST_GROUPS = 1000


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource type. version: ``v1`` or ``GROUP/VERSION``."""

    plural: str
    shorts: tuple[str, ...]
    kind: str
    version: str
    namespaced: bool
    verbs: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()

    @property
    def group(self) -> str:
        """Return its API group, "" for the core's."""
        return self.version.rpartition("/")[0]

    @property
    def shown(self) -> str:
        """Return the type as it stands before a name: ``pod``, ``deployment.apps``."""
        return ".".join(filter(None, (self.kind.lower(), self.group)))

    def is_called(self, text: str) -> bool:
        """Return whether ``text`` names it: ``po``, ``pods``, ``deployments.apps``, ``pods.v1.`` …"""
        name, _, rest = text.partition(".")
        if name not in (self.plural, self.kind.lower(), *self.shorts):
            return False
        version = self.version.rpartition("/")[2]
        return rest in ("", self.group, f"{version}.{self.group}".rstrip("."))

    def path(self, namespace: str | None, name: str = "", sub: str = "") -> str:
        """Return the path to one, or to all of a namespace, or with None to all."""
        root = f"/apis/{self.version}" if self.group else f"/api/{self.version}"
        inner = f"/namespaces/{quote(namespace, safe='')}" if self.namespaced and namespace else ""
        parts = (f"{root}{inner}/{self.plural}", quote(name, safe=""), sub)
        return "/".join(filter(None, parts))


def _built_in() -> tuple[Resource, ...]:
    found = []
    for line in _BUILT_IN.replace("|", "\n").strip().splitlines():
        plural, shorts, kind, version, *rest = line.split()
        names = tuple(shorts.split(",")) if shorts != "-" else ()
        found.append(Resource(plural, names, kind, version, not rest))
    return tuple(found)


BUILT_IN = _built_in()


class NoSuchType(Exception):
    """The cluster has no such resource type."""


class Resources:
    """The types of one cluster, which is asked only for what is not built in."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._told: Sequence[Resource] | None = None

    async def named(self, text: str) -> Resource:
        """Return the type that ``text`` names; raises NoSuchType."""
        for each in BUILT_IN:
            if each.is_called(text):
                return each
        for each in await self.every():
            # What shows a secret is judged by its name, so no other name leads to one.
            if each.is_called(text) and (each.group, each.plural) != ("", "secrets"):
                return each
        raise NoSuchType(text)

    async def of_category(self, category: str) -> Sequence[Resource]:
        """Return the types of a category such as ``all``."""
        return [each for each in await self.every() if category in each.categories]

    async def groups(self) -> Sequence[Mapping[str, Any]]:
        """Return the API's groups with their versions, the core left out."""
        found = list((await self._api.get("/apis"))["groups"])
        if len(found) > MOST_GROUPS:
            raise ApiError(200, {"message": f"it has more than {MOST_GROUPS} API groups"})
        return found

    async def every(self) -> Sequence[Resource]:
        """Return every type in the versions that the cluster prefers, as kubectl orders them."""
        if self._told is None:
            preferred = [each["preferredVersion"]["groupVersion"] for each in await self.groups()]
            slots = asyncio.Semaphore(AT_ONCE)

            async def of(version: str) -> Sequence[Resource]:
                async with slots:
                    return await self._of_version(version)

            found = await asyncio.gather(*(of(version) for version in ("v1", *preferred)))
            self._told = [each for one in found for each in one]
        return self._told

    async def _of_version(self, version: str) -> Sequence[Resource]:
        """Return the types of a group's version; an aggregated API that is down has none."""
        try:
            told = await self._api.get(f"/apis/{version}" if "/" in version else f"/api/{version}")
        except ApiError as error:
            if error.status in (404, 503):
                return []
            raise
        return [
            Resource(
                each["name"],
                tuple(each.get("shortNames", ())),
                each["kind"],
                version,
                each["namespaced"],
                tuple(each.get("verbs", ())),
                tuple(each.get("categories", ())),
            )
            for each in told.get("resources", ())
            if "/" not in each["name"]
        ]
