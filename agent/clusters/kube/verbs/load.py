"""``kubectl top``: what pods and nodes use, as the metrics server knows."""

from collections.abc import Mapping, Sequence
from typing import Any

from agent.clusters.kube.session import Session
from agent.clusters.kube.verbs.units import mebibytes, millicores

METRICS = "/apis/metrics.k8s.io/v1beta1"


async def top_pods(session: Session) -> None:
    """Print what pods use."""
    found = await _metrics(session, "pods", session.scope)
    rows = []
    for each in found:
        used = [container["usage"] for container in each["containers"]]
        load = (sum(millicores(one["cpu"]) for one in used), sum(mebibytes(one["memory"]) for one in used))
        meta = each["metadata"]
        place = [meta["namespace"]] if session.scope is None else []
        rows.append(([*place, meta["name"]], load))
    header = [*(["NAMESPACE"] if session.scope is None else []), "NAME", "CPU(cores)", "MEMORY(bytes)"]
    cells = [[*names, f"{cpu}m", f"{memory}Mi"] for names, (cpu, memory) in _sorted(session, rows)]
    _load(session, cells, header)
    if not rows:
        where = (
            f"No resources found in {session.namespace} namespace." if session.scope else "No resources found"
        )
        session.warn(where)


async def top_nodes(session: Session) -> None:
    """Print what nodes use, and how much that is of what they have."""
    found = await _metrics(session, "nodes", None)
    nodes = {each["metadata"]["name"]: each for each in await session.items("/api/v1/nodes")}
    rows = []
    for each in found:
        name, used = each["metadata"]["name"], each["usage"]
        rows.append(([name], (millicores(used["cpu"]), mebibytes(used["memory"]))))
    cells = []
    for (name,), (cpu, memory) in _sorted(session, rows):
        has = nodes.get(name, {}).get("status", {}).get("allocatable", {})
        shares = (
            _share(cpu, millicores(has.get("cpu", "0"))),
            _share(memory, mebibytes(has.get("memory", "0"))),
        )
        cells.append([name, f"{cpu}m", shares[0], f"{memory}Mi", shares[1]])
    _load(session, cells, ["NAME", "CPU(cores)", "CPU(%)", "MEMORY(bytes)", "MEMORY(%)"])


async def _metrics(session: Session, what: str, namespace: str | None) -> Sequence[Mapping[str, Any]]:
    """Return the load that the metrics server knows of: of the named ones, or of all."""
    root = f"{METRICS}/namespaces/{namespace}/{what}" if namespace else f"{METRICS}/{what}"
    if session.ask.words:
        return [await session.api.get(f"{root}/{name}") for name in session.ask.words]
    selector = session.ask.flags.get("--selector")
    found: Sequence[Mapping[str, Any]] = (
        await session.api.get(root, {"labelSelector": selector} if selector else None)
    )["items"]
    return found


Load = tuple[list[str], tuple[int, int]]


def _sorted(session: Session, rows: list[Load]) -> list[Load]:
    by = session.ask.flags.get("--sort-by")
    at = 0 if by == "cpu" else 1
    return sorted(rows, key=lambda row: (-row[1][at], row[0]) if by else (0, row[0]))


def _load(session: Session, rows: Sequence[Sequence[str]], header: Sequence[str]) -> None:
    """Print a table whose last column is as wide as the others."""
    session.table([[*row, ""] for row in rows], [*header, ""])


def _share(used: int, has: int) -> str:
    return f"{int(used / has * 100)}%" if has else "<unknown>"
