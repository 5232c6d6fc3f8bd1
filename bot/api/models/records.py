"""Audit, usage, health."""

from datetime import date, datetime
from typing import Any, Literal

from pydantic import Field

from bot.api.models.base import NumberedPage, Page, View


class AuditQuery(NumberedPage):
    """Which rows."""

    who: str | None = Field(None, min_length=1, max_length=100, description="A person's name.")
    server: str | None = Field(None, min_length=1, max_length=100, description="A server's name.")
    action: str | None = Field(
        None, min_length=1, max_length=100, description="Words of which one stands in the action."
    )
    since: str | None = Field(
        None,
        min_length=1,
        max_length=50,
        description="A moment, `today`, `yesterday`, or a span such as 24h.",
    )
    until: str | None = Field(None, min_length=1, max_length=50, description="Exclusive; forms as in since.")


class AuditRow(View):
    """A row of the audit log; ``about`` says with names what ``resource`` and ``detail`` say with ids."""

    seq: int
    at: datetime
    action: str
    actor: str
    approver: str | None
    resource: str
    about: str
    command: str | None
    channel: str | None
    ip: str | None
    detail: dict[str, Any]


class AuditRows(View):
    """Rows, the newest first."""

    rows: list[AuditRow]
    next: int | None


class Fault(View):
    """Where the chain is broken."""

    seq: int
    kind: str


class Verified(View):
    """Whether the chain stands. head: its last row's hash, in hex."""

    rows: int
    head: str | None
    faults: list[Fault]


class UsageQuery(Page):
    """Which days, and which part of the list."""

    days: int = Field(7, ge=1, le=366)


class UsageRow(View):
    """What one engine and model used on a day (UTC)."""

    day: date
    engine: str
    model: str
    calls: int
    input_tokens: int
    output_tokens: int
    usd: float


class Usage(View):
    """A page of what was used, the newest day first."""

    rows: list[UsageRow]
    next: str | None


class Health(View):
    """Whether work can be taken, and by which parts."""

    ready: bool
    store: str
    loops: bool
    channels: dict[str, str]


class Finding(View):
    """One thing that doctor looked at."""

    name: str
    state: Literal["ok", "warning", "failed"]
    message: str


class Findings(View):
    """Everything that it0 stands on."""

    findings: list[Finding]
