"""Asking the audit log: who did what, where and when (admins)."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from agent.context import Call
from agent.engine import Answer
from agent.gate.gate import Gate
from agent.redaction.redact import Redact
from core.audit import Wanted
from core.clock import Clock
from core.errors import BadInput, NotAllowed
from core.messages import Code
from core.store import clusters, fleet, people
from core.store.database import Row
from core.tenant import Tenant
from core.texts import say
from core.work import Role, User

MOST = 50
USUAL = 20
LONGEST = 300
"""Characters of a command in a row; the console's page has the whole of it."""

_SPAN = re.compile(r"([0-9]{1,5}) ?(m|h|d|w)", re.IGNORECASE)
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DAYS_AGO = {"today": 0, "yesterday": 1}
_MOMENT = "2026-03-01, 2026-03-01T14:00+02:00, today, yesterday, or a span such as 24h or 7d"

Word = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")]


class AuditArguments(BaseModel):
    """What ``ask_audit`` takes."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    who: Word | None = Field(
        default=None, description="Name of a person: what they did, asked for or approved."
    )
    server: Word | None = Field(default=None, description="Name of a server, also of one that was removed.")
    action: Word | None = Field(
        default=None,
        description="Words of which one stands in the action, e.g. 'approval', 'command.refused', 'sign_in'.",
    )
    since: Word | None = Field(default=None, description=f"From when on, UTC unless it says so: {_MOMENT}.")
    until: Word | None = Field(default=None, description="Up to when, exclusive; forms as in since.")
    limit: int = Field(default=USUAL, ge=1, le=MOST, description="The most rows, the newest first.")


class AskAudit:
    """Reads rows of the audit log."""

    name = "ask_audit"
    description = (
        "Ask the audit log (admins): who did what, on which server, when. Answers rows with number, time,"
        " actor, action and command, the newest first. command.intent is written before a command runs,"
        " command.result after it; cite rows by their numbers."
    )
    arguments = AuditArguments

    def __init__(self, gate: Gate, clock: Clock) -> None:
        self._gate = gate
        self._clock = clock

    async def __call__(self, call: Call, arguments: AuditArguments) -> Answer:
        """Answer with the rows. Raises NotAllowed, and BadInput for what nobody and nothing is called."""
        if not call.work.user.role.covers(Role.ADMIN):
            raise NotAllowed("error.admins_only")
        tenant, now = call.work.tenant, self._clock()
        asked = arguments.model_dump(exclude={"limit"})
        wanted = await wanted_of(tenant, **asked, at=now)
        async with tenant.reading() as db:
            users = await people.users(db)
        rows = await tenant.audit.find(wanted, arguments.limit + 1)
        names = {user.id: user.name for user in users}
        async with tenant.reading() as db:
            names |= await clusters.names_in(db, rows)
        redact = await self._gate.redact(tenant)  # a secret may have been stored after the row was written
        return _told([_row(row, names, redact) for row in rows], arguments.limit)


async def wanted_of(
    tenant: Tenant,
    *,
    who: str | None,
    server: str | None,
    action: str | None,
    since: str | None,
    until: str | None,
    at: datetime,
) -> Wanted:
    """Return which rows are asked for by names, words and moments as people write them.

    Raises BadInput for what nobody and nothing is called.
    """
    async with tenant.reading() as db:
        users = await people.users(db)
    return Wanted(
        user_id=_person(who, users),
        servers=await _server(tenant, server),
        words=tuple((action or "").replace(",", " ").lower().split()),
        since=moment_of(since, at),
        until=moment_of(until, at),
    )


def moment_of(text: str | None, now: datetime) -> datetime | None:
    """Return the moment that ``text`` means at ``now``, None for no text.

    Raises BadInput with the forms that are known.
    """
    if text is None:
        return None
    word = text.strip()
    if word.lower() in _DAYS_AGO:
        day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return day - timedelta(days=_DAYS_AGO[word.lower()])
    try:
        if span := _SPAN.fullmatch(word):
            return now - timedelta(**{_UNITS[span[2].lower()]: int(span[1])})
        moment = datetime.fromisoformat(word)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadInput("audit.bad_time", text=word, example="since=24h") from error


def _person(name: str | None, users: Sequence[User]) -> str | None:
    if name is None:
        return None
    found = [user.id for user in users if user.name == name]
    found = found or [user.id for user in users if user.name.lower() == name.lower()]
    if len(found) != 1:
        raise BadInput("audit.no_such_person", who=name)
    return found[0]


async def _server(tenant: Tenant, name: str | None) -> tuple[str, ...]:
    """Return a server's name with its ids: some rows have the one, some the other."""
    if name is None:
        return ()
    async with tenant.reading() as db:
        ids = [*await fleet.ids_named(db, name), *await clusters.ids_named(db, name)]
    if not ids:
        raise BadInput("error.no_such_server", server=name)
    return (name, *ids)


def _row(row: Row, names: Mapping[str, str], redact: Redact) -> dict[str, Any]:
    """Return what a row says, with names where it has ids."""
    detail = row["detail"]
    actor = names.get(row["actor_id"] or "") or names.get(str(detail.get("requester", ""))) or "it0"
    about = detail.get("command") or detail.get("name") or detail.get("key") or ""
    return {
        "no": row["seq"],
        "at": row["at"].astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S"),
        "actor": actor,
        "approver": names.get(row["approver_id"] or "", ""),
        "action": row["action"],
        "code": str(detail.get("code", "")),
        "servers": [names.get(each, each) for each in clusters.targets_in(row)],
        "command": _in_line(redact(str(about))),
    }


def _in_line(text: str) -> str:
    """Return ``text`` in one line, so that no command can pass for another row."""
    line = "".join(char if char.isprintable() else " " for char in text)
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def _line(row: Mapping[str, Any]) -> str:
    approved = f"(approved by {row['approver']})" if row["approver"] else ""
    on = f"[{', '.join(row['servers'])}]" if row["servers"] else ""
    head = (f"#{row['no']}", row["at"], row["actor"], row["action"])
    words = (*head, approved, row["code"], on, row["command"])
    return "  ".join(_in_line(word) for word in words if word)


def _told(rows: Sequence[Mapping[str, Any]], limit: int) -> Answer:
    if not rows:
        return Answer("done", (say("audit.none"),), {"rows": [], "more": False})
    shown, more = list(rows[:limit]), len(rows) > limit
    table = Code("\n".join(_line(row) for row in shown))
    note = (say("audit.more", no=shown[-1]["no"], at=shown[-1]["at"]),) if more else ()
    return Answer("done", (say("audit.found", count=len(shown)), table, *note), {"rows": shown, "more": more})
