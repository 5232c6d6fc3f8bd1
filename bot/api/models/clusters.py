"""Clusters."""

from typing import Literal

from pydantic import Field

from bot.api.models.base import Form, Name, View
from bot.api.models.fleet import Environment


class NewClusterForm(Form):
    """A cluster to be added. entry: the server by which it is reached, none for bare metal.

    kubeconfig: the credential with which a k8s cluster's API is called, instead of an entry.
    """

    name: str
    kind: str = Field(description="bare_metal, k8s or docker_swarm.")
    environment: str = "dev"
    entry: str = ""
    kubeconfig: str = ""
    description: str = ""


class Cluster(View):
    """A cluster. servers: those that are in it, by name."""

    name: str
    kind: Literal["bare_metal", "k8s", "docker_swarm"]
    environment: Environment
    entry: str | None
    kubeconfig: str | None
    servers: list[Name]
    description: str


class Clusters(View):
    """A page of the clusters."""

    clusters: list[Cluster]
    next: str | None


class ServerChecked(View):
    """How one of the servers stands by which a cluster is reached."""

    server: str
    ok: bool
    message: str
    can: list[str]


class ClusterChecked(View):
    """How each of them stands."""

    checks: list[ServerChecked]
