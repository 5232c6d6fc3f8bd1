"""``kubectl describe``, shorter: what an object is, how it is, and what happened to it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agent.clusters.kube.session import Session
from agent.clusters.kube.verbs.changes import named
from agent.clusters.kube.verbs.looks import last_seen, when
from agent.clusters.kube.verbs.printing import as_yaml, cell, columns

APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


async def describe(session: Session) -> None:
    """Print objects one after another."""
    first = True
    async for resource, name, now in named(session):
        if not first:
            session.write("\n\n")
        first = False
        session.write("".join(f"{line}\n" for line in _lines(now)))
        about = f"involvedObject.kind={resource.kind},involvedObject.name={name}"
        scope = session.namespace if resource.namespaced else None
        path = f"/api/v1/namespaces/{scope}/events" if scope else "/api/v1/events"
        found = sorted(await session.items(path, {"fieldSelector": about}), key=last_seen)
        session.write(_events(found))


def _lines(now: Mapping[str, Any]) -> Iterator[str]:
    metadata = now["metadata"]
    notes = dict(metadata.get("annotations") or {})
    notes.pop(APPLIED, None)
    head = {
        "Name": metadata["name"],
        "Namespace": metadata.get("namespace"),
        "Kind": now["kind"],
        "Created": metadata.get("creationTimestamp"),
        "Controlled By": ", ".join(f"{o['kind']}/{o['name']}" for o in metadata.get("ownerReferences") or ()),
        "Labels": _pairs(metadata.get("labels")),
        "Annotations": _pairs(notes),
    }
    details = {"Pod": _pod, "Node": _node, "Secret": _secret, "ConfigMap": _config}.get(now["kind"], _other)
    for name, value in (head | details(now)).items():
        if isinstance(value, (Mapping, list)):
            yield f"{name}:"
            yield from (f"  {line}" for line in as_yaml(value).splitlines())
        elif value not in (None, ""):
            yield f"{f'{name}:':<18}{value}"
    if conditions := (now.get("status") or {}).get("conditions"):
        yield "Conditions:"
        yield from _conditions(conditions)


def _pairs(values: Mapping[str, str] | None) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted((values or {}).items())) or "<none>"


def _pod(now: Mapping[str, Any]) -> dict[str, Any]:
    spec, state = now["spec"], now.get("status") or {}
    seen = (*_all(state, "initContainerStatuses"), *_all(state, "containerStatuses"))
    states = {each["name"]: each for each in seen}
    containers = {
        each["name"]: _container(each, states.get(each["name"], {}))
        for each in (*_all(spec, "initContainers"), *_all(spec, "containers"))
    }
    return {
        "Node": spec.get("nodeName") or "<none>",
        "Service Account": spec.get("serviceAccountName"),
        "Started": state.get("startTime"),
        "Status": f"{state.get('phase', '')} {state.get('reason', '')}".strip(),
        "Message": state.get("message"),
        "IP": state.get("podIP"),
        "QoS Class": state.get("qosClass"),
        "Containers": containers,
    }


def _all(of: Mapping[str, Any], name: str) -> Sequence[Mapping[str, Any]]:
    return of.get(name) or ()


def _container(spec: Mapping[str, Any], state: Mapping[str, Any]) -> dict[str, Any]:
    """Return a container without the values of its environment, which may be secrets."""
    ports = ", ".join(
        f"{each['containerPort']}/{each.get('protocol', 'TCP')}" for each in _all(spec, "ports")
    )
    found = {
        "Image": spec["image"],
        "Ports": ports,
        "Ready": state.get("ready"),
        "Restarts": state.get("restartCount"),
        "State": state.get("state"),
        "Last State": state.get("lastState"),
        "Resources": spec.get("resources"),
        "Environment": ", ".join(each["name"] for each in _all(spec, "env")),
        "Mounts": ", ".join(
            f"{each['mountPath']} from {each['name']}" for each in _all(spec, "volumeMounts")
        ),
    }
    return {name: value for name, value in found.items() if value not in (None, "", {})}


def _node(now: Mapping[str, Any]) -> dict[str, Any]:
    spec, state = now["spec"], now.get("status") or {}
    taints = [f"{each['key']}={each.get('value', '')}:{each['effect']}" for each in _all(spec, "taints")]
    return {
        "Unschedulable": str(bool(spec.get("unschedulable"))).lower(),
        "Taints": ", ".join(taints) or "<none>",
        "Addresses": ", ".join(f"{each['type']}={each['address']}" for each in _all(state, "addresses")),
        "Capacity": state.get("capacity"),
        "Allocatable": state.get("allocatable"),
        "System Info": state.get("nodeInfo"),
    }


def _secret(now: Mapping[str, Any]) -> dict[str, Any]:
    """Return a secret's keys, and none of its values."""
    return {"Type": now.get("type"), "Keys": ", ".join(sorted(now.get("data") or {}))}


def _config(now: Mapping[str, Any]) -> dict[str, Any]:
    return {"Data": now.get("data") or {}, "Binary Data": ", ".join(sorted(now.get("binaryData") or {}))}


def _other(now: Mapping[str, Any]) -> dict[str, Any]:
    state = {name: value for name, value in (now.get("status") or {}).items() if name != "conditions"}
    rest = {name: now[name] for name in ("spec", "rules", "roleRef", "subjects", "subsets") if now.get(name)}
    shown = {name[:1].upper() + name[1:]: _without_values(value) for name, value in rest.items()}
    return {**shown, "Status": state or None}


def _without_values(of: Any) -> Any:
    """Return JSON in which an environment is its names alone, wherever a custom resource has one."""
    match of:
        case {"env": list(env), **rest}:
            names = [each.get("name") for each in env if isinstance(each, Mapping)]
            return {**_without_values(rest), "env": names}
        case Mapping():
            return {key: _without_values(value) for key, value in of.items()}
        case list():
            return [_without_values(each) for each in of]
    return of


def _conditions(conditions: Sequence[Mapping[str, Any]]) -> Sequence[str]:
    rows = [
        [f"  {each.get('type', '')}", each.get("status", ""), each.get("reason", ""), each.get("message", "")]
        for each in conditions
    ]
    return columns(rows, ["  TYPE", "STATUS", "REASON", "MESSAGE"]).splitlines()


def _events(found: Sequence[Mapping[str, Any]]) -> str:
    if not found:
        return f"{'Events:':<18}<none>\n"
    rows = [
        [
            f"  {each.get('type', '')}",
            each.get("reason", ""),
            when(each),
            cell(each.get("message")),
        ]
        for each in found
    ]
    return "Events:\n" + columns(rows, ["  TYPE", "REASON", "AGE", "MESSAGE"])
