"""An engine that does what a test wrote for it."""

import asyncio
from collections.abc import AsyncIterator, Callable

from agent.engine import Completed, EngineEvent, Outcome, Request, ToolResult, Tools, ToolUse
from core.texts import Say, say

Turn = Callable[[Request, Tools], AsyncIterator[EngineEvent]]


async def answers_at_once(request: Request, tools: Tools) -> AsyncIterator[EngineEvent]:
    """Repeat what was said."""
    yield Completed((f"heard {request.text}",))


class ScriptedEngine:
    """An ``agent.engine.Engine``; ``script`` is its turn.

    requests, outcomes, interrupted: what it was asked, in order. A script that calls ``pause`` tells by
    ``reached`` that it is there and waits for ``go``; ``running`` counts the scripts that are under way.
    """

    def __init__(self, name: str = "scripted", script: Turn = answers_at_once) -> None:
        self.name = name
        self.script = script
        self.requests: list[Request] = []
        self.outcomes: list[Outcome] = []
        self.interrupted: list[str] = []
        self.reached, self.go = asyncio.Event(), asyncio.Event()
        self.running = 0

    async def turn(self, request: Request, tools: Tools) -> AsyncIterator[EngineEvent]:
        """Do what the script says."""
        self.requests.append(request)
        self.running += 1
        try:
            async for event in self.script(request, tools):
                yield event
        finally:
            self.running -= 1

    async def resume(self, request: Request, outcome: Outcome, tools: Tools) -> AsyncIterator[EngineEvent]:
        """Say what was decided."""
        self.outcomes.append(outcome)
        yield Completed((f"{self.name} goes on: {outcome.approval.status}",))

    async def interrupt(self, turn_id: str) -> None:
        """Note it."""
        self.interrupted.append(turn_id)

    async def health(self) -> Say | None:
        """It always works; ``ill`` does not."""
        return say("turn.no_answer") if self.name == "ill" else None

    async def pause(self) -> None:
        """Wait until the test lets it go on."""
        self.reached.set()
        await self.go.wait()


async def run(no: int, command: str, tools: Tools) -> AsyncIterator[EngineEvent]:
    """Yield a step that runs ``command`` on the server ``web``, with its answer."""
    arguments = {"command": command, "servers": ["web"]}
    yield ToolUse(no, "run_command", arguments)
    yield ToolResult(no, await tools.call(no, "run_command", arguments))


def waiting_engine() -> ScriptedEngine:
    """Return an engine that repeats what was said; with "slow" in it, once the test lets it go on."""
    scripted = ScriptedEngine()

    async def script(request: Request, tools: Tools) -> AsyncIterator[EngineEvent]:
        if "slow" in request.text:
            await scripted.pause()
        yield Completed((f"heard {request.text}",))

    scripted.script = script
    return scripted
