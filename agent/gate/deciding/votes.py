"""A decision as it came in, and what it came to."""

from dataclasses import dataclass, field
from typing import Literal

from core.work import Approval


@dataclass(frozen=True, slots=True)
class Click:
    """A decision as it came in. event_id: the platform's id of it, the same when it is delivered again.

    typed: it was made in words. grants: it approves the command for the offered minutes, too.
    """

    approval_id: str
    verdict: Literal["approve", "reject"]
    channel: str
    event_id: str
    ip: str | None = None
    typed: bool = field(default=False, kw_only=True)
    grants: bool = field(default=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Ballot:
    """What a vote came to. status: the approval's after it."""

    approval: Approval
    status: str
    approvals: int
    needed: int
