"""Events, and what the API is."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from agent.clusters.kube.session import Session
from agent.clusters.kube.verbs.printing import age, moment

NEVER = datetime.min.replace(tzinfo=UTC)


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
