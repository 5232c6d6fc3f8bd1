"""The engine port: a turn is a stream of events, and the toolbox is the only way to act."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from core.messages import Code, Part, Progress, part_as_json, part_from_json
from core.store.database import Row
from core.texts import Say
from core.work import Approval, Risk, RunTarget, Server, User


@dataclass(frozen=True, slots=True)
class Thinking:
    """A piece of the engine's reasoning."""

    text: str


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A tool is about to be called. no: the step's number within the turn, from 0."""

    no: int
    tool: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a tool call came to; every call is answered (decision 1).

    status: done; waiting for ``approval_id``; refused by the gate or for want of rights; failed.
    parts: for people; data: for engines, JSON.
    """

    status: Literal["done", "waiting", "refused", "failed"]
    parts: tuple[Part, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    approval_id: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the form that a ``result`` event stores."""
        return {
            "status": self.status,
            "parts": [part_as_json(part) for part in self.parts],
            "data": dict(self.data),
            "approval_id": self.approval_id,
        }

    @staticmethod
    def from_json(raw: Mapping[str, Any]) -> "Answer":
        """Return the answer that ``as_json`` wrote."""
        parts = tuple(part_from_json(part) for part in raw["parts"])
        return Answer(raw["status"], parts, raw["data"], raw["approval_id"])


@dataclass(frozen=True, slots=True)
class ToolResult:
    """A tool call was answered."""

    no: int
    answer: Answer


@dataclass(frozen=True, slots=True)
class ApprovalRequired:
    """The turn cannot go on before people decide; it ends as suspended."""

    approval_id: str


@dataclass(frozen=True, slots=True)
class Completed:
    """The turn has its answer. tokens: input plus output; cost_usd: our own account."""

    parts: Sequence[Part]
    tokens: int = 0
    cost_usd: float = 0.0


@dataclass(frozen=True, slots=True)
class Failed:
    """The turn ends without an answer. code: for the log and the API."""

    message: Say
    code: str


EngineEvent = Thinking | TextDelta | ToolUse | ToolResult | ApprovalRequired | Completed | Failed


class Tools(Protocol):
    """The toolbox as an engine sees it, bound to one turn."""

    async def call(self, no: int, tool: str, arguments: Mapping[str, Any], most: Risk = Risk.L3) -> Answer:
        """Answer step ``no``; called again after a restart it returns what the step came to before.

        most: the level up to which anything is done; what is above is refused.
        """
        ...

    async def transcript(self) -> Sequence[Row]:
        """Return the conversation's log so far, in order: what engines with a memory read."""
        ...

    async def keep(self, message: Mapping[str, Any]) -> None:
        """Store a message of the turn, before anything it asks for is done.

        message: JSON; with ``usage`` and ``usd`` it is a model's own, and is counted.
        """
        ...

    async def steering(self) -> Sequence[str]:
        """Return what the user typed since the last look; the turn takes it in from here."""
        ...

    async def servers(self) -> Sequence[Server]:
        """Return the tenant's servers."""
        ...

    async def show(self, progress: Progress) -> None:
        """Show a piece to whoever looks on."""
        ...

    def schemas(self) -> Sequence[Mapping[str, Any]]:
        """Return name, description and JSON Schema of every tool."""
        ...


@dataclass(frozen=True, slots=True)
class Request:
    """What a turn is about. text: the user's words, as they typed them."""

    turn_id: str
    conversation_id: str
    user: User
    text: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the approval that a turn waits for.

    results: one entry a server when it ran, else empty; refusal: why an approved act did not run.
    """

    approval: Approval
    results: Sequence[RunTarget] = ()
    refusal: Say | None = None


class Engine(Protocol):
    """A way to think. Engines hold no state that a restart would lose."""

    name: str

    def turn(self, request: Request, tools: Tools) -> AsyncIterator[EngineEvent]:
        """Run a turn; the last event is ApprovalRequired, Completed or Failed.

        It is cancelled to stop it, and run again from its start after its process died: steps that were
        answered before are answered alike.
        """
        ...

    def resume(self, request: Request, outcome: Outcome, tools: Tools) -> AsyncIterator[EngineEvent]:
        """Go on after an approval was settled; events as in ``turn``."""
        ...

    async def interrupt(self, turn_id: str) -> None:
        """End what runs outside this process for the turn, if anything does."""
        ...

    async def health(self) -> Say | None:
        """Return why it cannot work now, or None."""
        ...


def outputs(results: Sequence[RunTarget], most: int = 64_000) -> tuple[Part, ...]:
    """Return results as parts: a line a server, and its output, the tail where it is too long.

    most: characters in all.
    """
    share = max(400, most // max(1, len(results)))
    parts: list[Part] = []
    for result in results:
        parts.append(result_line(result))
        if note := result_note(result):
            parts.append(note)
        text = "\n".join(filter(None, (result.stdout.rstrip("\n"), result.stderr.rstrip("\n"))))
        if text:
            title = result.server if len(results) > 1 else ""  # of one server the line above has the name
            parts.append(Code(text if len(text) <= share else "…" + text[-share:], title))
    return tuple(parts)


def result_line(result: RunTarget) -> Say:
    """Return how it went on one server, in a sentence."""
    seconds = "?" if result.duration_ms is None else f"{result.duration_ms / 1000:.1f}"
    params = {"server": result.server, "seconds": seconds, "code": result.exit_code}
    if result.state == "done":
        return Say("run.ok" if result.exit_code == 0 else "run.exit", params)
    if result.error and result.state == "failed":
        return Say("run.failed", {**params, "reason": dict(result.error)})
    return Say(f"run.{result.state}", params)


def result_note(result: RunTarget) -> Say | None:
    """Return what more there is to know of a result: that output is missing, or why its end is unknown."""
    if result.error is None or result.state == "failed":
        return None
    note = Say(result.error["say"], result.error["params"])
    return None if note.key in ("shell.stopped", "shell.timeout") else note
