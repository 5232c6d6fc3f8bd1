"""What is known of kubectl: verbs, the flags of each, the form of each value."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

FORMS: Mapping[str, re.Pattern[str]] = {
    "bool": re.compile(r"true|false"),
    "namespace": re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"),
    "text": re.compile(r"[^\x00-\x1f]{1,1000}"),
    "name": re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9])?"),
    "int": re.compile(r"-?[0-9]{1,9}"),
    "count": re.compile(r"[0-9]{1,6}"),
    "duration": re.compile(r"([0-9]{1,6}(ms|s|m|h))+"),
    "moment": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)"),
    "table": re.compile(r"wide|json|yaml|name"),
    "justname": re.compile(r"name"),
    "load": re.compile(r"cpu|memory"),
    "patch": re.compile(r"strategic|merge|json"),
    "kinds": re.compile(r"(Normal|Warning)(,(Normal|Warning))?"),
    "thing": re.compile(r"[a-z][a-z0-9.-]*/[A-Za-z0-9][A-Za-z0-9_.-]*"),
}
SHORT: Mapping[str, str] = {
    "-n": "--namespace",
    "-A": "--all-namespaces",
    "-l": "--selector",
    "-o": "--output",
    "-c": "--container",
    "-p": "--previous",
    "-f": "--filename",
    "-w": "--watch",
    "-q": "--quiet",
}
OF_VERB = {("patch", "-p"): "--patch", ("logs", "-f"): "--follow"}
_WHERE = {"--namespace": "namespace"}
_SELECTING = {**_WHERE, "--all-namespaces": "bool", "--selector": "text", "--no-headers": "bool"}
WORKLOADS = ("deployments", "deployment", "deploy", "statefulsets", "statefulset", "sts")
DAEMONS = ("daemonsets", "daemonset", "ds")
PODS = ("pods", "pod", "po")
REPLICAS = ("replicasets", "replicaset", "rs")


@dataclass(frozen=True, slots=True)
class Verb:
    """What a verb takes. args: their shape; types: the only resource types it is for, if not all."""

    flags: Mapping[str, str] = field(default_factory=dict)
    args: str = "none"
    types: Sequence[str] = ()
    needs: Sequence[str] = ()


_ROLLED = (*WORKLOADS, *DAEMONS)
_DEPLOYMENTS = WORKLOADS[:3]
VERBS: Mapping[str, Verb] = {
    "get": Verb(
        {
            **_SELECTING,
            "--field-selector": "text",
            "--output": "table",
            "--show-labels": "bool",
            "--ignore-not-found": "bool",
        },
        "things",
    ),
    "describe": Verb({**_WHERE}, "named"),
    "logs": Verb(
        {
            **_WHERE,
            "--container": "name",
            "--tail": "int",
            "--since": "duration",
            "--since-time": "moment",
            "--previous": "bool",
            "--timestamps": "bool",
            "--limit-bytes": "count",
        },
        "pod",
        (*PODS, *WORKLOADS, *DAEMONS, *REPLICAS),
    ),
    "top pods": Verb({**_SELECTING, "--sort-by": "load"}, "names"),
    "top nodes": Verb({"--selector": "text", "--no-headers": "bool", "--sort-by": "load"}, "names"),
    "version": Verb(),
    "api-versions": Verb(),
    "api-resources": Verb(
        {"--namespaced": "bool", "--api-group": "text", "--no-headers": "bool", "--output": "justname"}
    ),
    "events": Verb(
        {**_WHERE, "--all-namespaces": "bool", "--for": "thing", "--types": "kinds", "--no-headers": "bool"}
    ),
    "auth can-i": Verb(
        {**_WHERE, "--all-namespaces": "bool", "--list": "bool", "--quiet": "bool", "--no-headers": "bool"},
        "can",
    ),
    "rollout status": Verb({**_WHERE, "--timeout": "duration", "--watch": "bool"}, "one", _ROLLED),
    "rollout history": Verb({**_WHERE}, "one", _DEPLOYMENTS),
    "rollout restart": Verb({**_WHERE}, "named", _ROLLED),
    "rollout pause": Verb({**_WHERE}, "named", _DEPLOYMENTS),
    "rollout resume": Verb({**_WHERE}, "named", _DEPLOYMENTS),
    "rollout undo": Verb({**_WHERE, "--to-revision": "count"}, "one", _DEPLOYMENTS),
    "scale": Verb({**_WHERE, "--replicas": "count"}, "named", (*WORKLOADS, *REPLICAS), ("--replicas",)),
    "delete": Verb(
        {**_WHERE, "--ignore-not-found": "bool", "--wait": "bool", "--grace-period": "int"}, "named"
    ),
    "cordon": Verb({}, "nodes"),
    "uncordon": Verb({}, "nodes"),
    "set image": Verb({**_WHERE}, "images", _ROLLED),
    "label": Verb({**_WHERE, "--overwrite": "bool"}, "pairs"),
    "annotate": Verb({**_WHERE, "--overwrite": "bool"}, "pairs"),
    "patch": Verb({**_WHERE, "--patch": "text", "--type": "patch"}, "one", (), ("--patch",)),
}
NOUNS = {"top": {"pod": "pods", "po": "pods", "node": "nodes", "no": "nodes"}}
"""Other spellings of a verb's second word."""

INSTEAD: Mapping[str, str] = {
    "exec": "cluster.api_exec",
    "cp": "cluster.api_exec",
    "run": "cluster.api_exec",
    "debug": "cluster.api_exec",
    "apply": "cluster.api_files",
    "create": "cluster.api_files",
    "replace": "cluster.api_files",
    "diff": "cluster.api_files",
    "--follow": "cluster.api_follow",
    "--watch": "cluster.api_follow",
    "--filename": "cluster.api_files",
}
"""Verbs and flags that have a sentence of their own."""
