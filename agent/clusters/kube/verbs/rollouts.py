"""``kubectl rollout``: how far a workload is, what it was before, and its restart."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from agent.clusters.kube.api import ApiError
from agent.clusters.kube.session import Session, selecting
from agent.clusters.kube.verbs.changes import JSON_PATCH, STRATEGIC, changed, named
from agent.clusters.kube.verbs.printing import columns
from agent.clusters.kube.verbs.units import seconds_of

POLL_S = 1.0
REVISION = "deployment.kubernetes.io/revision"
OWN = (
    REVISION,
    "kubectl.kubernetes.io/last-applied-configuration",
    "deployment.kubernetes.io/revision-history",
    "deployment.kubernetes.io/desired-replicas",
    "deployment.kubernetes.io/max-replicas",
    "deprecated.deployment.rollback.to",
)
"""Annotations of a deployment that are not its template's."""

CAUSE = "kubernetes.io/change-cause"
RESTARTED = "kubectl.kubernetes.io/restartedAt"
HASH = "pod-template-hash"


async def status(session: Session) -> None:
    """Print how far a rollout is until it is over."""
    limit = seconds_of(session.ask.flags.get("--timeout", "0s"))
    try:
        async with asyncio.timeout(limit or None):
            async for resource, name in session.each():
                await _follow(session, resource.path(session.namespace, name))
    except ApiError as error:
        session.fail(error.words)
    except TimeoutError:
        session.fail("error: timed out waiting for the condition")


async def _follow(session: Session, path: str) -> None:
    said = ""
    while True:
        text, over = progress(await session.api.glance(path))
        if over is None:
            session.fail(f"error: {text}")
            return
        if text != said:
            session.print(text)
            said = text
        if over or not session.ask.on("--watch", default=True):
            return
        await asyncio.sleep(POLL_S)


def progress(of: Mapping[str, Any]) -> tuple[str, bool | None]:
    """Return how far a workload is in words, and whether it is over; None when it has failed."""
    told = {"Deployment": _deployment, "DaemonSet": _daemon_set, "StatefulSet": _stateful_set}
    spec, state, name = of["spec"], of.get("status") or {}, of["metadata"]["name"]
    if (spec.get("updateStrategy") or {}).get("type", "RollingUpdate") != "RollingUpdate":
        return "rollout status is only available for RollingUpdate strategy type", None
    if state.get("observedGeneration", 0) < of["metadata"].get("generation", 0):
        what = {
            "Deployment": "deployment spec update to be observed...",
            "DaemonSet": "daemon set spec update to be observed...",
            "StatefulSet": "statefulset spec update to be observed...",
        }
        return f"Waiting for {what[of['kind']]}", False
    return told[of["kind"]](name, spec, state)


def _deployment(name: str, spec: Mapping[str, Any], state: Mapping[str, Any]) -> tuple[str, bool | None]:
    for each in state.get("conditions") or ():
        if each["type"] == "Progressing" and each.get("reason") == "ProgressDeadlineExceeded":
            return f'deployment "{name}" exceeded its progress deadline', None
    wanted, updated = spec.get("replicas", 1), state.get("updatedReplicas", 0)
    now, available = state.get("replicas", 0), state.get("availableReplicas", 0)
    waiting = f'Waiting for deployment "{name}" rollout to finish:'
    if updated < wanted:
        return f"{waiting} {updated} out of {wanted} new replicas have been updated...", False
    if now > updated:
        return f"{waiting} {now - updated} old replicas are pending termination...", False
    if available < updated:
        return f"{waiting} {available} of {updated} updated replicas are available...", False
    return f'deployment "{name}" successfully rolled out', True


def _daemon_set(name: str, spec: Mapping[str, Any], state: Mapping[str, Any]) -> tuple[str, bool | None]:
    wanted, updated = state.get("desiredNumberScheduled", 0), state.get("updatedNumberScheduled", 0)
    available = state.get("numberAvailable", 0)
    waiting = f'Waiting for daemon set "{name}" rollout to finish:'
    if updated < wanted:
        return f"{waiting} {updated} out of {wanted} new pods have been updated...", False
    if available < wanted:
        return f"{waiting} {available} of {wanted} updated pods are available...", False
    return f'daemon set "{name}" successfully rolled out', True


def _stateful_set(name: str, spec: Mapping[str, Any], state: Mapping[str, Any]) -> tuple[str, bool | None]:
    wanted, ready = spec.get("replicas", 1), state.get("readyReplicas", 0)
    updated = state.get("updatedReplicas", 0)
    if ready < wanted:
        return f"Waiting for {wanted - ready} pods to be ready...", False
    part = ((spec.get("updateStrategy") or {}).get("rollingUpdate") or {}).get("partition")
    if part:
        if updated < wanted - part:
            return (
                f"Waiting for partitioned roll out to finish: {updated} out of {wanted - part}"
                " new pods have been updated...",
                False,
            )
        return f"partitioned roll out complete: {updated} new pods have been updated...", True
    if state.get("updateRevision") != state.get("currentRevision"):
        return (
            f"waiting for statefulset rolling update to complete {updated} pods at revision"
            f" {state.get('updateRevision')}...",
            False,
        )
    revision = state.get("currentRevision")
    current = state.get("currentReplicas", 0)
    return f"statefulset rolling update complete {current} pods at revision {revision}...", True


async def restart(session: Session) -> None:
    """Let a workload start its pods anew."""
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    body = {"spec": {"template": {"metadata": {"annotations": {RESTARTED: at}}}}}
    async for resource, name, now in named(session):
        if now["spec"].get("paused"):
            session.fail(
                f'error: {resource.plural}.{resource.group} "{name}" can\'t restart paused deployment'
                " (run rollout resume first)"
            )
            continue
        await changed(session, resource, name, STRATEGIC, body, "restarted")


async def pause(session: Session) -> None:
    """Let changes of deployments wait."""
    await _pause(session, True, "paused")


async def resume(session: Session) -> None:
    """Roll out what waited."""
    await _pause(session, False, "resumed")


async def _pause(session: Session, paused: bool, done: str) -> None:
    async for resource, name, now in named(session):
        if bool(now["spec"].get("paused")) == paused:
            state = "already paused" if paused else "not paused"
            session.fail(f'error: {resource.plural}.{resource.group} "{name}" is {state}')
            continue
        await changed(session, resource, name, STRATEGIC, {"spec": {"paused": paused or None}}, done)


async def history(session: Session) -> None:
    """Print a deployment's revisions."""
    async for resource, name, now in named(session):
        rows = [
            [str(number), _notes(each).get(CAUSE) or "<none>"]
            for number, each in sorted((await _revisions(session, now)).items())
        ]
        session.print(f"{resource.shown}/{name} ")
        session.write(columns(rows, ["REVISION", "CHANGE-CAUSE"], padding=2))
        session.print("")


async def undo(session: Session) -> None:
    """Give a deployment the template of an earlier revision."""
    wanted = int(session.ask.flags.get("--to-revision", "0"))
    async for resource, name, now in named(session):
        known = await _revisions(session, now)
        number = wanted or _before(known)
        if number not in known:
            if wanted:
                session.fail(f"error: unable to find specified revision {wanted} in history")
            else:
                session.fail(f'error: no rollout history found for deployment "{name}"')
            continue
        if now["spec"].get("paused"):
            session.fail(
                "error: you cannot rollback a paused deployment; resume it first with"
                f" 'kubectl rollout resume {resource.shown}/{name}' and try again"
            )
            continue
        template = _template(known[number])
        if template == _template(now):
            why = f"(current template already matches revision {number})"
            session.print(f"{resource.shown}/{name} skipped rollback {why}")
            continue
        body = [
            {"op": "replace", "path": "/spec/template", "value": template},
            {"op": "add", "path": "/metadata/annotations", "value": _noted(now, known[number])},
        ]
        await changed(session, resource, name, JSON_PATCH, body, "rolled back")


def _noted(deployment: Mapping[str, Any], revision: Mapping[str, Any]) -> dict[str, str]:
    """Return a revision's annotations with those that stay the deployment's own."""
    own = {key: value for key, value in _notes(deployment).items() if key in OWN}
    return own | {key: value for key, value in _notes(revision).items() if key not in OWN}


def _before(known: Mapping[int, Any]) -> int:
    """Return the revision before the latest, 0 for none."""
    numbers: Sequence[int] = sorted(known)
    return numbers[-2] if len(numbers) > 1 else 0


async def _revisions(session: Session, deployment: Mapping[str, Any]) -> dict[int, Mapping[str, Any]]:
    """Return a deployment's replica sets by revision."""
    sets = await session.resources.named("replicasets")
    query = {"labelSelector": selecting(deployment["spec"]["selector"])}
    found = await session.items(sets.path(session.namespace), query)
    uid = deployment["metadata"].get("uid")
    mine = [each for each in found if uid in _owners(each)]
    numbers = ((int(_notes(each).get(REVISION, "0")), each) for each in mine)
    return {number: each for number, each in numbers if number}


def _owners(of: Mapping[str, Any]) -> list[str]:
    return [each.get("uid", "") for each in of["metadata"].get("ownerReferences") or ()]


def _notes(of: Mapping[str, Any]) -> Mapping[str, str]:
    return of["metadata"].get("annotations") or {}


def _template(of: Mapping[str, Any]) -> dict[str, Any]:
    """Return a pod template without the label that each replica set has of its own."""
    template = of["spec"]["template"]
    metadata = dict(template.get("metadata") or {})
    own = {key: value for key, value in (metadata.get("labels") or {}).items() if key != HASH}
    return {**template, "metadata": {**metadata, "labels": own}}
