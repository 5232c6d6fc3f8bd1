"""Audit rows as the page shows them: names where the log holds ids, and what a row is about in a line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.texts.render import joined
from core.store import clusters, people
from core.store.database import Row, Transaction
from core.texts import Language


@dataclass(frozen=True, slots=True)
class Known:
    """Names by id, of people and of servers (also of those that are gone)."""

    people: Mapping[str, str]
    servers: Mapping[str, str]


async def known_to(db: Transaction, rows: Sequence[Row]) -> Known:
    """Return the names of all that ``rows`` speak of."""
    users = await people.users(db)
    return Known({u.id: u.name for u in users}, await clusters.names_in(db, rows))


def audit_json(row: Row, known: Known, language: Language) -> Mapping[str, Any]:
    """Return an audit row as the page takes it; ``detail`` stays as it was written."""
    return {
        "seq": row["seq"],
        "at": row["at"].isoformat(),
        "action": row["action"],
        "actor": known.people.get(row["actor_id"] or "") or _nobody(row, known),
        "approver": known.people.get(row["approver_id"] or ""),
        "resource": f"{row['resource_type']} {row['resource_id']}".strip(),
        "about": _about(row, known, language),
        "command": row["detail"].get("command"),
        "channel": row["channel"],
        "ip": row["ip"],
        "detail": row["detail"],
    }


def _nobody(row: Row, known: Known) -> str:
    """Return who acted where it was no person that is known: it0, and for whom, or an id."""
    if row["actor_type"] == "user" and row["actor_id"]:
        return str(row["actor_id"])
    asked = known.people.get(str(row["detail"].get("requester", "")))
    return f"it0 ({asked})" if asked else "it0"


def _about(row: Row, known: Known, language: Language) -> str:
    """Return what a row is about: a code, names, never an id whose name is known."""
    detail, ref = row["detail"], row["resource_id"]
    on = joined([known.servers.get(each, each) for each in detail.get("servers") or ()], language)
    match row["resource_type"]:
        case "approval" | "grant":
            return " · ".join(filter(None, (detail.get("code"), on)))
        case "run" | "turn":
            return on
        case "server":
            return str(detail.get("name") or known.servers.get(ref, ref))
        case "user":
            return str(detail.get("name") or known.people.get(ref, ref))
        case "session" | "vault" | "":
            return str(detail.get("key") or detail.get("slug") or "")
    return str(detail.get("name") or ref)
