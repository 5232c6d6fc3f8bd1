"""Conversations, their logs, turns, runs and approvals."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from bot.api.models.base import MOST, Form, Page, Query, View

ApprovalStatus = Literal["pending", "approved", "rejected", "expired", "cancelled"]


class ConversationQuery(Page):
    """Which conversations."""

    q: str = Field("", max_length=200, description="Words that are all in the title or in what was said.")
    everywhere: bool = Field(False, description="Those too that take place in other channels.")


class Conversation(View):
    """A conversation."""

    id: str
    title: str
    channel: str = Field(description="Where it takes place; `console` is console and API.")
    status: Literal["open", "closed"]
    updated_at: datetime
    last_seq: int
    running: bool = Field(description="A turn is under way in it.")


class Conversations(View):
    """A page of conversations."""

    conversations: list[Conversation]
    next: str | None


class Message(Form):
    """What is said."""

    text: str = Field(min_length=1, max_length=64_000)


class Accepted(View):
    """What was accepted: it is kept, and will be handled once."""

    conversation: str
    seq: int = Field(description="Its number in the conversation's log.")
    repeat: bool = Field(description="It was accepted before, under the same Idempotency-Key.")


class EventQuery(Query):
    """Which part of a log: the newest, those before ``cursor``, or those that follow ``after``."""

    cursor: int | None = Field(None, ge=1, lt=2**62, description="`next` of the page before.")
    after: int | None = Field(None, ge=0, lt=2**62, description="Numbers above this one, the oldest first.")
    limit: int = Field(MOST, ge=1, le=MOST, description="The most events.")


class Event(View):
    """A row of a conversation's log (docs/console-protocol.md tells each kind's body)."""

    seq: int
    kind: str
    turn: str | None
    user: str | None
    at: datetime
    body: dict[str, Any]


class Events(View):
    """Events in their order. next: the cursor of older ones, null at the log's beginning."""

    events: list[Event]
    next: int | None


class Turn(View):
    """A turn."""

    id: str
    conversation: str
    engine: str
    status: Literal["running", "suspended", "completed", "failed", "stopped"]
    approval: str | None = Field(description="The approval that it waits, or waited, for.")
    started_at: datetime
    ended_at: datetime | None


class Place(View):
    """Where a command runs, and as whom."""

    name: str
    host: str
    port: int | None
    user: str
    environment: str
    jump: str | None


class Act(View):
    """How an approved act stands."""

    state: Literal["running", "done", "exit", "failed", "stopped", "timeout", "unknown", "refused"]
    exit_code: int | None
    why: str | None


class Approval(View):
    """A request that waits for people, or waited."""

    id: str
    code: str
    kind: str
    command: str
    level: int
    status: ApprovalStatus
    servers: list[Place]
    reasons: list[str]
    part: str
    requester: str
    created_at: datetime
    expires_at: datetime
    needed: int
    approvals: int
    voters: list[str]
    settled_by: str | None
    settled_at: datetime | None
    may_decide: bool
    why_not: str | None
    conversation: str
    digest: str
    sha256: str = Field(description="Of `command`, as text in UTF-8.")
    effects: list[str] = Field(description="What comes of it and how it is taken back, where the rule knows.")
    rationale: str | None = Field(description="The model's own words for it while it waits; not checked.")
    deciders: str = Field(description="Who may decide it.")
    then: str = Field(description="Who decides until when, and what happens if nobody does.")
    goes_ahead: bool = Field(description="If nobody decides it goes ahead at `expires_at`; else it lapses.")
    read: str = Field(description="What its turn had read of data from outside, empty for none.")
    grant_minutes: int = Field(description="Of the grant that may be given with it, 0 for none.")
    went_ahead: bool = Field(description="Nobody decided it: it was approved by the time-out rule.")
    act: Act | None


class ApprovalQuery(Page):
    """Which approvals."""

    status: ApprovalStatus | Literal[""] = ""
    ids: str = Field("", max_length=2000, description="These instead: at most 50, with commas between.")


class Approvals(View):
    """A page of approvals."""

    approvals: list[Approval]
    next: str | None


class Vote(View):
    """What a vote came to. status: the approval's after it."""

    status: str
    approvals: int
    needed: int


class Grant(View):
    """A command that its requester may run again unasked. id, code: its approval's."""

    id: str
    code: str
    command: str
    level: int
    servers: list[Place]
    requester: str
    givers: list[str]
    given_at: datetime
    ends_at: datetime
    conversation: str


class Grants(View):
    """A page of grants."""

    grants: list[Grant]
    next: str | None


class Run(View):
    """A command that was run."""

    id: str
    command: str
    level: int
    state: Literal["running", "done", "unknown"]
    started_at: datetime
    ended_at: datetime | None


class Target(View):
    """How a command went on one server."""

    server: str
    os_user: str
    state: Literal["running", "done", "failed", "stopped", "timeout", "unknown"]
    exit_code: int | None
    duration_ms: int | None
    stdout: str
    stderr: str
    dropped: int = Field(description="Bytes of output that were not kept.")


class RunTold(View):
    """A command with its whole kept output."""

    run: Run
    targets: list[Target]
