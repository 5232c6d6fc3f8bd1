"""``kubectl logs``: what a container wrote, of a pod that is named or of one of a workload's."""

from collections.abc import Mapping
from typing import Any

from agent.clusters.kube.api import ApiError
from agent.clusters.kube.resources import Resource
from agent.clusters.kube.session import Session, selecting
from agent.clusters.kube.verbs.units import seconds_of

DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
PHASES = ("Running", "Unknown", "Pending")
LOG_FLAGS = {
    "--tail": "tailLines",
    "--since-time": "sinceTime",
    "--previous": "previous",
    "--timestamps": "timestamps",
    "--limit-bytes": "limitBytes",
}


async def logs(session: Session) -> None:
    """Print what a container wrote."""
    flags = session.ask.flags
    query = {LOG_FLAGS[name]: value for name, value in flags.items() if name in LOG_FLAGS}
    if query.get("tailLines", "").startswith("-"):
        del query["tailLines"]
    if "--since" in flags:
        query["sinceSeconds"] = str(max(1, round(seconds_of(flags["--since"]))))
    async for resource, name in session.each():
        pod = await _pod(session, resource, name)
        if pod is None:
            return
        query["container"] = flags.get("--container") or _default(session, pod)
        if query["container"] not in _containers(pod):
            session.fail(
                f"error: container {query['container']} is not valid for pod {pod['metadata']['name']}"
            )
            return
        pods = await session.resources.named("pods")
        path = pods.path(session.namespace, pod["metadata"]["name"], "log")
        async with session.api.stream(path, query) as pieces:
            async for piece in pieces:
                session.output.add("stdout", piece)


async def _pod(session: Session, resource: Resource, name: str) -> Mapping[str, Any] | None:
    """Return the pod that is meant, None when it was told that there is none."""
    try:
        found = await session.one(resource, name)
    except ApiError as error:
        if error.status != 404:
            raise
        where = f' in namespace "{session.namespace}"'
        session.fail(f"error: error from server (NotFound): {error.message}{where}")
        return None
    if resource.kind == "Pod":
        return found
    pods = await session.resources.named("pods")
    query = {"labelSelector": selecting(found["spec"]["selector"])}
    candidates = sorted(await session.items(pods.path(session.namespace), query), key=_rank)
    if not candidates:
        session.fail(f"error: no pods of {resource.shown}/{name} were found")
        return None
    if len(candidates) > 1:
        first = candidates[0]["metadata"]["name"]
        session.warn(f"Found {len(candidates)} pods, using pod/{first}")
    return candidates[0]


def _rank(pod: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return a pod's place among those of a workload: one that runs and is ready comes first."""
    state = pod.get("status") or {}
    told = state.get("conditions") or ()
    ready = [each for each in told if (each["type"], each["status"]) == ("Ready", "True")]
    restarts = max((each["restartCount"] for each in state.get("containerStatuses") or ()), default=0)
    phase = state.get("phase")
    return (
        not pod["spec"].get("nodeName"),
        PHASES.index(phase) if phase in PHASES else len(PHASES),
        not ready,
        ready[0].get("lastTransitionTime") or "" if ready else "",
        -restarts,
    )


def _containers(pod: Mapping[str, Any]) -> list[str]:
    kinds = ("containers", "initContainers", "ephemeralContainers")
    return [each["name"] for kind in kinds for each in pod["spec"].get(kind) or ()]


def _default(session: Session, pod: Mapping[str, Any]) -> str:
    """Return the container that is meant where none is named."""
    spec, noted = pod["spec"], (pod["metadata"].get("annotations") or {}).get(DEFAULT_CONTAINER)
    names = [each["name"] for each in spec["containers"]]
    if noted in names:
        return str(noted)
    inits = [f"{each['name']} (init)" for each in spec.get("initContainers") or ()]
    if len(names) + len(inits) > 1:
        session.warn(f'Defaulted container "{names[0]}" out of: {", ".join([*names, *inits])}')
    return str(names[0])
