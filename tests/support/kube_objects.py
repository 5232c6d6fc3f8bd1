"""What a cluster of the double holds at first, and the tables that its API makes of it."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

Object = dict[str, Any]
NOW = datetime.now(UTC)
TYPES: Mapping[str, list[tuple[str, str, str, bool, str]]] = {
    "v1": [
        ("pods", "po", "Pod", True, "all"),
        ("nodes", "no", "Node", False, ""),
        ("services", "svc", "Service", True, "all"),
        ("configmaps", "cm", "ConfigMap", True, ""),
        ("secrets", "", "Secret", True, ""),
        ("events", "ev", "Event", True, ""),
        ("namespaces", "ns", "Namespace", False, ""),
    ],
    "apps/v1": [
        ("deployments", "deploy", "Deployment", True, "all"),
        ("replicasets", "rs", "ReplicaSet", True, ""),
        ("statefulsets", "sts", "StatefulSet", True, "all"),
        ("daemonsets", "ds", "DaemonSet", True, "all"),
    ],
    "shop.example/v1": [("carts", "crt", "Cart", True, "")],
}


def ago(**of: float) -> str:
    """Return a moment as the API writes it."""
    return (NOW - timedelta(**of)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _age(each: Object) -> str:
    return f"{(datetime.now(UTC) - datetime.fromisoformat(each['metadata']['creationTimestamp'])).days}d"


def _cells(plural: str, each: Object) -> list[Any]:
    name, age = each["metadata"]["name"], _age(each)
    spec, state = each.get("spec", {}), each.get("status", {})
    match plural:
        case "pods":
            restarts = sum(one["restartCount"] for one in state.get("containerStatuses", ()))
            ready = f"{sum(one['ready'] for one in state['containerStatuses'])}/{len(spec['containers'])}"
            return [
                name,
                ready,
                state["phase"],
                restarts,
                age,
                state.get("podIP", "<none>"),
                spec.get("nodeName"),
            ]
        case "deployments":
            images = ",".join(one["image"] for one in spec["template"]["spec"]["containers"])
            ready = f"{state.get('readyReplicas', 0)}/{spec['replicas']}"
            return [
                name,
                ready,
                state.get("updatedReplicas", 0),
                state.get("availableReplicas", 0),
                age,
                images,
            ]
        case "nodes":
            closed = ",SchedulingDisabled" if spec.get("unschedulable") else ""
            return [name, f"Ready{closed}", "<none>", age, "v1.32.4"]
    return [name, age]


COLUMNS = {
    "pods": ["Name", "Ready", "Status", "Restarts", "Age", "+IP", "+Node"],
    "deployments": ["Name", "Ready", "Up-to-date", "Available", "Age", "+Images"],
    "nodes": ["Name", "Status", "Roles", "Age", "Version"],
}


def table_of(plural: str, page: list[Object]) -> Object:
    columns = [
        {
            "name": name.strip("+"),
            "type": "string",
            "format": "name" if name == "Name" else "",
            "priority": int(name[0] == "+"),
        }
        for name in COLUMNS.get(plural, ["Name", "Age"])
    ]
    rows = [
        {
            "cells": _cells(plural, each),
            "object": {
                "kind": "PartialObjectMetadata",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": each["metadata"],
            },
        }
        for each in page
    ]
    return {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "columnDefinitions": columns, "rows": rows}


def _pod(name: str, images: Mapping[str, str], **more: Any) -> Object:
    states = [{"name": each, "ready": True, "restartCount": 2, "image": images[each]} for each in images]
    return {
        "metadata": {
            "name": name,
            "namespace": "shop",
            "labels": {"app": "web", "tier": "front"},
            "managedFields": [{"manager": "kubelet"}],
            **more,
        },
        "spec": {
            "containers": [{"name": each, "image": images[each]} for each in images],
            "nodeName": "node-1",
        },
        "status": {"phase": "Running", "podIP": "10.0.0.7", "containerStatuses": states},
    }


def workload(name: str, **more: Any) -> Object:
    """Return a workload of two replicas that is rolled out."""
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [{"name": "app", "image": "app:2"}, {"name": "side", "image": "side:1"}]},
    }
    state = {"replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2}
    return {
        "metadata": {
            "name": name,
            "namespace": "shop",
            "generation": 3,
            "labels": {"app": name},
            "annotations": {},
        },
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": name}}, "template": template, **more},
        "status": {"observedGeneration": 3, **state},
    }


def _revision(number: int, image: str) -> Object:
    base = workload("web")
    template = base["spec"]["template"]
    template["spec"]["containers"][0]["image"] = image
    template["metadata"]["labels"]["pod-template-hash"] = f"hash{number}"
    owner = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": "web",
        "uid": "uid-deployments-web",
        "controller": True,
    }
    notes = {
        "deployment.kubernetes.io/revision": str(number),
        **({"kubernetes.io/change-cause": "first"} if number == 1 else {}),
    }
    meta = {
        "name": f"web-hash{number}",
        "namespace": "shop",
        "labels": template["metadata"]["labels"],
        "annotations": notes,
        "ownerReferences": [{**owner, "controller": True}],
    }
    return {"metadata": meta, "spec": {**base["spec"], "replicas": 0}, "status": {"replicas": 0}}


def _event(name: str, of: tuple[str, str], minutes: float, **more: Any) -> Object:
    seen = ago(minutes=minutes)
    return {
        "metadata": {"name": name, "namespace": "shop"},
        "involvedObject": {"apiVersion": "v1", "kind": of[0], "name": of[1], "namespace": "shop"},
        "type": "Normal",
        "reason": "Pulled",
        "message": "Container image is there",
        "firstTimestamp": seen,
        "lastTimestamp": seen,
        "count": 1,
        **more,
    }


NASTY = {
    "yes": "yes",
    "number": "007",
    "float": "1e3",
    "date": "2026-01-02",
    "empty": "",
    "space": " a",
    "colon": "a: b",
    "hash": "a #b",
    "lines": "a\nb\n",
    "more": "a\nb",
    "quote": 'it\'s "so"',
    "star": "*x",
    "tab": "a\tb",
    "long": "a word and another " * 9,
    "zh": "中文：值",
    "null": "null",
    "tilde": "~",
    "dash": "- a",
    "html": "<a&b>",
    "base60": "1:20",
    "octal": "0o7",
    "plain": "plain",
    "y": "y",
    "percent": "%a",
    "brace": "{a}",
    "bool": "True",
}


def _named(name: str, namespace: str = "shop") -> Object:
    return {"metadata": {"name": name, "namespace": namespace}}


def seed() -> list[tuple[str, str, Object]]:
    """Return the objects that are there at first."""
    node = {"allocatable": {"cpu": "4", "memory": "8Gi"}, "capacity": {"cpu": "4", "memory": "8Gi"}}
    count = {"count": 7, "firstTimestamp": ago(hours=3), "lastTimestamp": ago(minutes=4)}
    warning = {"type": "Warning", "reason": "BackOff", "message": "Back-off restarting\nfailed container"}
    rolled = {"replicas": 2, "readyReplicas": 2, "updatedReplicas": 2, "currentReplicas": 2}
    revision = {"currentRevision": "db-1", "updateRevision": "db-1", "observedGeneration": 3}
    db = {**workload("db", updateStrategy={"type": "RollingUpdate"}), "status": {**rolled, **revision}}
    return [
        *(("namespaces", "v1", {"metadata": {"name": each}}) for each in ("shop", "batch", "empty")),
        ("pods", "v1", _pod("web-0", {"app": "app:2"})),
        ("pods", "v1", _pod("web-1", {"app": "app:2", "side": "side:1"}, labels={"app": "web"})),
        (
            "pods",
            "v1",
            {**_pod("job-x", {"app": "job:1"}), "metadata": {"name": "job-x", "namespace": "batch"}},
        ),
        ("nodes", "v1", {"metadata": {"name": "node-1"}, "spec": {}, "status": node}),
        ("nodes", "v1", {"metadata": {"name": "node-2"}, "spec": {"unschedulable": True}, "status": node}),
        (
            "services",
            "v1",
            {"metadata": {"name": "front", "namespace": "shop"}, "spec": {"clusterIP": "10.1.1.1"}},
        ),
        ("configmaps", "v1", {**_named("nasty"), "data": NASTY}),
        (
            "secrets",
            "v1",
            {
                "metadata": {"name": "db", "namespace": "shop"},
                "data": {"password": "c2VjcmV0"},
                "type": "Opaque",
            },
        ),
        ("events", "v1", _event("web-0.1", ("Pod", "web-0"), 30)),
        ("events", "v1", _event("web-1.1", ("Pod", "web-1"), 4, **warning, **count)),
        ("deployments", "apps/v1", workload("web")),
        ("deployments", "apps/v1", workload("paused", paused=True)),
        ("statefulsets", "apps/v1", db),
        ("replicasets", "apps/v1", _revision(1, "app:1")),
        ("replicasets", "apps/v1", _revision(2, "app:2")),
        (
            "carts",
            "shop.example/v1",
            {"metadata": {"name": "c-1", "namespace": "shop"}, "spec": {"items": 3}},
        ),
    ]
