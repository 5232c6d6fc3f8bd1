"""The other verbs that only read: logs, load, events, rights, and what the API is."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from agent.clusters.kube.session import Session
from agent.clusters.kube.verbs.printing import age, columns, moment
from agent.clusters.kube.verbs.units import mebibytes, millicores, seconds_of

DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
REVIEWS = "/apis/authorization.k8s.io/v1"
METRICS = "/apis/metrics.k8s.io/v1beta1"
NEVER = datetime.min.replace(tzinfo=UTC)
LOG_FLAGS = {
    "--tail": "tailLines",
    "--since-time": "sinceTime",
    "--previous": "previous",
    "--timestamps": "timestamps",
    "--limit-bytes": "limitBytes",
}


async def logs(session: Session) -> None:
    """Print what a container wrote."""
    flags, (pod,) = session.ask.flags, session.ask.words
    query = {LOG_FLAGS[name]: value for name, value in flags.items() if name in LOG_FLAGS}
    if query.get("tailLines", "").startswith("-"):
        del query["tailLines"]
    if "--since" in flags:
        query["sinceSeconds"] = str(max(1, round(seconds_of(flags["--since"]))))
    path = f"/api/v1/namespaces/{session.namespace}/pods/{pod}"
    query["container"] = flags.get("--container") or _default(session, await session.api.get(path))
    async with session.api.stream(f"{path}/log", query) as pieces:
        async for piece in pieces:
            session.output.add("stdout", piece)


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
    _table(session, cells, header)
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
    _table(session, cells, ["NAME", "CPU(cores)", "CPU%", "MEMORY(bytes)", "MEMORY%"])


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


def _share(used: int, has: int) -> str:
    return f"{int(used / has * 100)}%" if has else "<unknown>"


async def version(session: Session) -> None:
    """Print the server's version; there is no kubectl whose version could be told."""
    session.print(f"Server Version: {(await session.api.get('/version'))['gitVersion']}")


async def api_versions(session: Session) -> None:
    """Print the API's groups with their versions."""
    groups = await session.resources.groups()
    found = {each["groupVersion"] for group in groups for each in group["versions"]}
    for each in sorted({*found, "v1"}):
        session.print(each)


async def api_resources(session: Session) -> None:
    """Print the resource types."""
    flags = session.ask.flags
    found = [each for each in await session.resources.every() if each.verbs]
    if "--namespaced" in flags:
        found = [each for each in found if each.namespaced == session.ask.on("--namespaced")]
    if "--api-group" in flags:
        found = [each for each in found if each.group == flags["--api-group"]]
    found = sorted(found, key=lambda each: (each.group, each.plural))
    if "--output" in flags:
        for each in found:
            session.print(".".join(filter(None, (each.plural, each.group))))
        return
    rows = [
        [each.plural, ",".join(each.shorts), each.version, str(each.namespaced).lower(), each.kind]
        for each in found
    ]
    _table(session, rows, ["NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND"])


async def events(session: Session) -> None:
    """Print events, the latest last."""
    query, flags = {}, session.ask.flags
    if "--for" in flags:
        type_, _, name = flags["--for"].partition("/")
        kind = (await session.resources.named(type_)).kind
        query["fieldSelector"] = f"involvedObject.kind={kind},involvedObject.name={name}"
    path = "/api/v1/events" if session.scope is None else f"/api/v1/namespaces/{session.scope}/events"
    found = await session.items(path, query)
    types = [each.casefold() for each in flags.get("--types", "Normal,Warning").split(",")]
    found = sorted((each for each in found if each.get("type", "").casefold() in types), key=last_seen)
    if not found:
        session.warn(
            "No events found." if session.scope is None else f"No events found in {session.scope} namespace."
        )
        return
    rows = [_event(session, each) for each in found]
    place = ["NAMESPACE"] if session.scope is None else []
    _table(session, rows, [*place, "LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"])


def last_seen(event: Mapping[str, Any]) -> datetime:
    """Return when an event was last seen."""
    series = event.get("series") or {}
    known = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    return next(filter(None, map(moment, known)), NEVER)


def when(event: Mapping[str, Any]) -> str:
    """Return when an event was seen, and how often, in words."""
    first = moment(event.get("firstTimestamp")) or moment(event.get("eventTime"))
    count = (event.get("series") or {}).get("count") or event.get("count") or 1
    if count > 1:
        return f"{age(last_seen(event))} (x{count} over {age(first)})"
    return age(first)


def _event(session: Session, event: Mapping[str, Any]) -> list[str]:
    about = event["involvedObject"]
    place = [event["metadata"].get("namespace", "")] if session.scope is None else []
    message = str(event.get("message", "")).strip().replace("\n", "\\n")
    what = f"{about.get('kind', '')}/{about.get('name', '')}"
    return [*place, when(event), event.get("type", ""), event.get("reason", ""), what, message]


async def can_i(session: Session) -> None:
    """Print whether something is allowed, or all that is."""
    if session.ask.on("--list"):
        await _rights(session)
        return
    verb, thing = session.ask.words[0], session.ask.things[0]
    attributes = {"verb": verb, "resource": "*", "group": "*"}
    if thing.type != "*":
        resource = await session.resources.named(thing.type)
        attributes = {"verb": verb, "resource": resource.plural, "group": resource.group}
    if session.scope:
        attributes["namespace"] = session.scope
    name = session.ask.words[2] if len(session.ask.words) == 3 else "".join(thing.names)
    review = _review("SelfSubjectAccessReview", {"resourceAttributes": {**attributes, "name": name}})
    allowed = (await session.api.ask(f"{REVIEWS}/selfsubjectaccessreviews", review))["status"]
    if not session.ask.on("--quiet"):
        reason = f" - {allowed['reason']}" if allowed.get("reason") and not allowed["allowed"] else ""
        session.print(f"{'yes' if allowed['allowed'] else 'no'}{reason}")
    session.failed = not allowed["allowed"]


def _review(kind: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": dict(spec)}


async def _rights(session: Session) -> None:
    rules = await rights(session)
    rows = [
        [
            ", ".join(_types_of(rule)),
            _bracketed(rule.get("nonResourceURLs")),
            _bracketed(rule.get("resourceNames")),
            _bracketed(rule["verbs"]),
        ]
        for rule in rules
    ]
    _table(session, rows, ["Resources", "Non-Resource URLs", "Resource Names", "Verbs"])


async def rights(session: Session) -> list[Mapping[str, Any]]:
    """Return the rules by which we may do things in the namespace, those about types first."""
    review = _review("SelfSubjectRulesReview", {"namespace": session.namespace})
    told = (await session.api.ask(f"{REVIEWS}/selfsubjectrulesreviews", review))["status"]
    return [*(told.get("resourceRules") or ()), *(told.get("nonResourceRules") or ())]


def _types_of(rule: Mapping[str, Any]) -> list[str]:
    groups = [group for group in rule.get("apiGroups") or () if group]
    types = rule.get("resources") or []
    return [f"{each}.{group}" for each in types for group in groups] if groups else list(types)


def _bracketed(words: Sequence[str] | None) -> str:
    return f"[{' '.join(words or ())}]"


def _table(session: Session, rows: Sequence[Sequence[str]], header: Sequence[str]) -> None:
    if rows:
        session.write(columns(rows, None if session.ask.on("--no-headers") else header))
