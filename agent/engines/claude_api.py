"""The engine with a model: the Messages API and a loop of our own.

The turn's state is the conversation's log. Each round reads it, does the next thing and stores it before
anything else happens: so a turn goes on after a kill with what the model said, and runs nothing again.
"""

import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from agent import memory
from agent.engine import (
    Answer,
    ApprovalRequired,
    Completed,
    EngineEvent,
    Outcome,
    Request,
    ToolResult,
    Tools,
    ToolUse,
    outputs,
)
from agent.engines.messages_api import Message, MessagesApi, Patience, Prompt, ToolCall
from agent.engines.prices import usd
from agent.memory import MESSAGE, UNREADABLE, Talk, Words
from agent.prompt import instructions
from core.messages import Progress, framed, part_as_json
from core.texts import Say, say

RAW_SHOWN = 2_000


@dataclass(frozen=True, slots=True)
class Limits:
    """What one turn may use. steps: messages of the model; tokens: in and out together; usd."""

    steps: int
    tokens: int
    usd: float


class ClaudeApi:
    """Thinks with a model, acts through the toolbox. words: puts sentences in the model's language."""

    name = "claude_api"

    def __init__(self, api: MessagesApi, limits: Limits, words: Words, today: Callable[[], str]) -> None:
        self._api = api
        self._limits = limits
        self._words = words
        self._today = today

    async def turn(self, request: Request, tools: Tools) -> AsyncIterator[EngineEvent]:
        """Go round until the model has nothing more to do."""
        acted = False
        while True:
            talk = memory.read(await tools.transcript(), request.turn_id, self._api.model, self._words)
            if talk.uses:
                async for event in _call(talk, tools):
                    yield event
                acted = True
            elif talk.waiting:  # what was typed meanwhile has a turn of its own, or it would wait as well
                yield ApprovalRequired(talk.waiting)
                return
            elif acted:
                await tools.steering()
                acted = False
            elif talk.answer is not None:
                yield Completed((talk.answer or say("model.silent"),), talk.tokens, talk.usd)
                return
            elif over := self._over(talk):
                yield Completed((over,), talk.tokens, talk.usd)
                return
            else:
                body, no = await self._body(request, talk, tools), talk.calls
                del talk  # while the model is waited for, a long conversation is held once
                async for event in self._think(body, no, tools):
                    yield event

    async def resume(self, request: Request, outcome: Outcome, tools: Tools) -> AsyncIterator[EngineEvent]:
        """Tell the model what was decided and what came of it, once, and go on."""
        if outcome.approval.status == "pending":
            yield ApprovalRequired(outcome.approval.id)
            return
        if not any(
            row["turn_id"] == request.turn_id and row["kind"] == MESSAGE for row in await tools.transcript()
        ):
            await tools.keep({"role": "user", "content": [{"type": "text", "text": self._told(outcome)}]})
        async for event in self.turn(request, tools):
            yield event

    async def interrupt(self, turn_id: str) -> None:
        """Nothing runs outside this process."""

    async def health(self) -> Say | None:
        """Return why the API cannot be used, or None."""
        return await self._api.health()

    async def _body(self, request: Request, talk: Talk, tools: Tools) -> bytes:
        told = instructions(request.user, await tools.servers(), self._today())
        return self._api.body(Prompt(told, tools.schemas(), talk.messages))

    async def _think(self, body: bytes, no: int, tools: Tools) -> AsyncIterator[EngineEvent]:
        """Ask the model for its next message and store it whole. no: of its first call."""
        async for piece in self._api.stream(body):
            match piece:
                case Patience(why, seconds):
                    await tools.show(Progress("state", {"again": True}))
                    waits = say("model.waits", reason=why, seconds=round(seconds))
                    await tools.show(Progress("state", waits.as_json()))
                case Message():
                    await tools.keep(self._stored(piece, no))
                case _:
                    yield piece

    def _stored(self, message: Message, no: int) -> dict[str, Any]:
        """Return the message as the log holds it. no: of its first call."""
        return {
            "role": "assistant",
            "content": list(message.content),
            "uses": [_use(no + at, call) for at, call in enumerate(message.calls)],
            "nonce": secrets.token_hex(6),
            "model": self._api.model,
            "stop": message.stop,
            "tokens": sum(message.usage.values()),
            "usd": usd(message.model, message.usage),
            "usage": dict(message.usage),
        }

    def _over(self, talk: Talk) -> Say | None:
        limits = self._limits
        if talk.steps >= limits.steps:
            return say("model.limit_steps", limit=limits.steps)
        if talk.tokens >= limits.tokens:
            return say("model.limit_tokens", limit=limits.tokens)
        if talk.usd >= limits.usd:
            return say("model.limit_usd", limit=f"{limits.usd:.2f}")
        return None

    def _told(self, outcome: Outcome) -> str:
        """Return what became of an approval, for the model; what servers said stands as data."""
        approval = outcome.approval
        head = f"[it0] The request {approval.code} was {approval.status}: {approval.action.command}"
        parts = [part_as_json(part) for part in outputs(outcome.results)]
        if outcome.refusal is not None:
            parts.insert(0, outcome.refusal.as_json())
        if not parts:
            did = approval.status == "approved" and approval.action.kind == "send"
            return f"{head}\n{'It was sent.' if did else 'It was not run.'}"
        return f"{head}\n{framed(memory.told(parts, self._words), secrets.token_hex(6))}"


async def _call(talk: Talk, tools: Tools) -> AsyncIterator[EngineEvent]:
    """Make the calls of a message in their order; what must wait is answered so (decision 2)."""
    for use in talk.uses:
        yield ToolUse(use.no, use.tool, use.arguments)
        answer: Answer = await tools.call(use.no, use.tool, use.arguments)
        yield ToolResult(use.no, answer)


def _use(no: int, call: ToolCall) -> Mapping[str, Any]:
    arguments = {UNREADABLE: call.raw[:RAW_SHOWN]} if call.arguments is None else dict(call.arguments)
    return {"no": no, "id": call.id, "tool": call.tool, "arguments": arguments}
