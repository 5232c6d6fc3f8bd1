"""The verbs that change one object after another: scale, delete, cordon, set image, label, patch …"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from agent.clusters.kube.api import ApiError
from agent.clusters.kube.resources import Resource
from agent.clusters.kube.session import Session

STRATEGIC, MERGE, JSON_PATCH = "strategic-merge-patch", "merge-patch", "json-patch"
PATCHES = {"strategic": STRATEGIC, "merge": MERGE, "json": JSON_PATCH}
POLL_S = 1.0
"""How often it is looked whether something is gone."""


async def named(session: Session) -> AsyncIterator[tuple[Resource, str, Mapping[str, Any]]]:
    """Yield each named object with its type and how it is now; one that cannot be had is told of."""
    async for resource, name in session.each():
        try:
            yield resource, name, await session.one(resource, name)
        except ApiError as error:
            session.fail(error.words)


async def changed(session: Session, resource: Resource, name: str, kind: str, body: Any, done: str) -> None:
    """Patch an object and say that it is ``done``."""
    try:
        await session.api.patch(resource.path(session.namespace, name), kind, body)
    except ApiError as error:
        session.fail(error.words)
    else:
        session.print(f"{resource.shown}/{name} {done}")


async def scale(session: Session) -> None:
    """Set how many replicas there are."""
    body = {"spec": {"replicas": int(session.ask.flags["--replicas"])}}
    async for resource, name in session.each():
        try:
            await session.api.patch(resource.path(session.namespace, name, "scale"), MERGE, body)
        except ApiError as error:
            session.fail(error.words)
        else:
            session.print(f"{resource.shown}/{name} scaled")


async def delete(session: Session) -> None:
    """Delete objects by name, and wait until they are gone."""
    flags, gone = session.ask.flags, []
    body: dict[str, Any] = {"propagationPolicy": "Background"}
    if int(flags.get("--grace-period", "-1")) >= 0:
        body["gracePeriodSeconds"] = int(flags["--grace-period"])
    async for resource, name in session.each():
        path = resource.path(session.namespace, name)
        try:
            told = await session.api.delete(path, body)
        except ApiError as error:
            if error.status != 404 or not session.ask.on("--ignore-not-found"):
                session.fail(error.words)
            continue
        session.print(f'{resource.shown} "{name}" deleted')
        gone.append((path, _uid(told)))
    if session.ask.on("--wait", default=True):
        for path, uid in gone:
            await _wait(session, path, uid)


def _uid(told: Mapping[str, Any]) -> str:
    """Return the id of what is being deleted, as the answer has it: an object, or a Status that names it."""
    found = told.get("metadata", {}).get("uid") or (told.get("details") or {}).get("uid")
    return str(found or "")


async def _wait(session: Session, path: str, uid: str) -> None:
    """Wait until what was deleted is gone, or another has its name."""
    while True:
        try:
            now = await session.api.glance(path)
        except ApiError as error:
            if error.status == 404:
                return
            if error.status == 403:  # who may delete may not always look
                return
            raise
        if uid and now["metadata"].get("uid") != uid:
            return
        await asyncio.sleep(POLL_S)


async def cordon(session: Session) -> None:
    """Let no new pod onto nodes."""
    await _cordon(session, True, "cordoned")


async def uncordon(session: Session) -> None:
    """Let pods onto nodes again."""
    await _cordon(session, False, "uncordoned")


async def _cordon(session: Session, closed: bool, done: str) -> None:
    nodes = await session.resources.named("nodes")
    for name in session.ask.words:
        try:
            node = await session.one(nodes, name)
        except ApiError as error:
            session.fail(error.words)
            continue
        if bool(node["spec"].get("unschedulable")) == closed:
            session.print(f"node/{name} already {done}")
            continue
        body = {"spec": {"unschedulable": closed or None}}
        await changed(session, nodes, name, STRATEGIC, body, done)


async def set_image(session: Session) -> None:
    """Give containers of a workload other images."""
    wanted = dict(word.split("=", 1) for word in session.ask.words)
    async for resource, name, now in named(session):
        template = now["spec"]["template"]["spec"]
        body: dict[str, list[dict[str, str]]] = {}
        left = {container for container in wanted if container != "*"}
        for kind in ("initContainers", "containers"):
            for each in template.get(kind) or ():
                image = wanted.get(each["name"], wanted.get("*"))
                left.discard(each["name"])
                if image and image != each["image"]:
                    body.setdefault(kind, []).append({"name": each["name"], "image": image})
        if left:
            for container in sorted(left):
                session.fail(f'error: unable to find container named "{container}"')
        elif body:
            patch = {"spec": {"template": {"spec": body}}}
            await changed(session, resource, name, STRATEGIC, patch, "image updated")


async def label(session: Session) -> None:
    """Set labels, or take them away."""
    await _note(session, "labels", _labelled)


async def annotate(session: Session) -> None:
    """Set annotations, or take them away."""
    await _note(session, "annotations", lambda before, wanted: "annotated")


def _labelled(before: Mapping[str, str], wanted: Mapping[str, str | None]) -> str:
    """Return what became of an object's labels, in kubectl's word."""
    after = {**before, **wanted}
    if {key: value for key, value in after.items() if value is not None} == dict(before):
        return "not labeled"
    added = any(value is not None for value in wanted.values())
    return "labeled" if added else "unlabeled"


Done = Callable[[Mapping[str, str], Mapping[str, str | None]], str]


async def _note(session: Session, where: str, done: Done) -> None:
    wanted = dict(map(_pair, session.ask.words))
    async for resource, name, now in named(session):
        before = now["metadata"].get(where) or {}
        other = [
            key for key, value in wanted.items() if value is not None and before.get(key, value) != value
        ]
        if other and not session.ask.on("--overwrite"):
            first = other[0]
            what = f"'{first}' already has a value ({before[first]})"
            if where == "annotations":
                what = f"--overwrite is false but found the following declared annotation(s): {what}"
            session.fail(f"error: {what}{', and --overwrite is false' if where == 'labels' else ''}")
            continue
        for key in (key for key, value in wanted.items() if value is None and key not in before):
            if where == "labels":
                session.print(f'label "{key}" not found.')
        word = done(before, wanted)
        if word == "not labeled":
            session.print(f"{resource.shown}/{name} {word}")
            continue
        await changed(session, resource, name, MERGE, {"metadata": {where: wanted}}, word)


def _pair(word: str) -> tuple[str, str | None]:
    key, given, value = word.partition("=")
    return (key, value) if given else (word.removesuffix("-"), None)


async def patch(session: Session) -> None:
    """Patch an object with what was typed."""
    kind = PATCHES[session.ask.flags.get("--type", "strategic")]
    try:
        body = json.loads(session.ask.flags["--patch"])
    except ValueError:
        session.fail("error: the patch is no JSON")
        return
    async for resource, name, now in named(session):
        try:
            after = await session.api.patch(resource.path(session.namespace, name), kind, body)
        except ApiError as error:
            session.fail(error.words)
            continue
        same = after["metadata"].get("resourceVersion") == now["metadata"].get("resourceVersion")
        session.print(f"{resource.shown}/{name} patched{' (no change)' if same else ''}")
