"""Logs, events, and what the API is."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from agent.clusters.kube.api import ApiError
from agent.clusters.kube.session import Session
from agent.clusters.kube.verbs.printing import age, moment
from agent.clusters.kube.verbs.units import seconds_of

DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
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
    try:
        found = await session.api.get(path)
    except ApiError as error:
        if error.status != 404:
            raise
        session.fail(
            f'error: error from server (NotFound): {error.message} in namespace "{session.namespace}"'
        )
        return
    query["container"] = flags.get("--container") or _default(session, found)
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
    session.table(rows, ["NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND"])


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
    session.table(rows, [*place, "LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"])


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
    message = str(event.get("message", "")).strip()
    what = f"{about.get('kind', '')}/{about.get('name', '')}"
    return [*place, when(event), event.get("type", ""), event.get("reason", ""), what, message]
