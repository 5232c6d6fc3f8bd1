"""A model's engine with ``direct`` behind it, for the time when the model cannot be reached."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from agent.engine import Answer, Completed, Engine, EngineEvent, Outcome, Request, Tools
from core.errors import Unavailable
from core.messages import Progress
from core.store.database import Row
from core.texts import Say, say
from core.work import Risk, Server


class WithFallback:
    """Asks ``model``; where that is not to be had before anything was done, ``direct`` reads the words.

    It says so, and from free text it runs nothing above L0 (SPEC 2).
    """

    def __init__(self, model: Engine, direct: Engine) -> None:
        self._model = model
        self._direct = direct
        self.name = model.name

    async def turn(self, request: Request, tools: Tools) -> AsyncIterator[EngineEvent]:
        """Run a turn of the model, or else of ``direct``."""
        try:
            async for event in self._model.turn(request, tools):
                yield event
            return
        except Unavailable as error:
            why = error.say
            if any(
                row["turn_id"] == request.turn_id and row["kind"] != "said"
                for row in await tools.transcript()
            ):
                raise  # half way: what was done stands in the chat, and the model alone knows what comes next
        notice = say("model.fallback", reason=why)
        async for event in self._direct.turn(request, OnlyReads(tools)):
            yield Completed((notice, *event.parts)) if isinstance(event, Completed) else event

    async def resume(self, request: Request, outcome: Outcome, tools: Tools) -> AsyncIterator[EngineEvent]:
        """Go on with the model; what was decided and what came of it is told even without."""
        try:
            async for event in self._model.resume(request, outcome, tools):
                yield event
            return
        except Unavailable as error:
            notice = say("model.fallback_resume", reason=error.say)
        async for event in self._direct.resume(request, outcome, tools):
            yield Completed((*event.parts, notice)) if isinstance(event, Completed) else event

    async def interrupt(self, turn_id: str) -> None:
        """End what runs outside this process."""
        await self._model.interrupt(turn_id)

    async def health(self) -> Say | None:
        """Return why the model cannot be used, or None."""
        return await self._model.health()


class OnlyReads:
    """A turn's tools, by which nothing above L0 is done."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def call(self, no: int, tool: str, arguments: Mapping[str, Any], most: Risk = Risk.L0) -> Answer:
        """Answer a step; what is above L0 is refused."""
        return await self._tools.call(no, tool, arguments, min(most, Risk.L0))

    async def transcript(self) -> Sequence[Row]:
        """Return the conversation's log."""
        return await self._tools.transcript()

    async def keep(self, message: Mapping[str, Any]) -> None:
        """Store a message of the turn."""
        await self._tools.keep(message)

    async def steering(self) -> Sequence[str]:
        """Return what the user typed since the last look."""
        return await self._tools.steering()

    async def servers(self) -> Sequence[Server]:
        """Return the tenant's servers."""
        return await self._tools.servers()

    async def show(self, progress: Progress) -> None:
        """Show a piece to whoever looks on."""
        await self._tools.show(progress)

    def schemas(self) -> Sequence[Mapping[str, Any]]:
        """Return every tool's schema."""
        return self._tools.schemas()
