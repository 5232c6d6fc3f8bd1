"""Turns: start, suspend, resume, stop; the end of a turn is one transaction with its answer."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import structlog

from agent.context import Desk, Work
from agent.engine import (
    ApprovalRequired,
    Completed,
    Engine,
    EngineEvent,
    Failed,
    Outcome,
    Request,
    TextDelta,
    Thinking,
    ToolResult,
    ToolUse,
)
from agent.fleet.servers import Fleet
from agent.gate.actions.binding import MAX_COMMAND
from agent.gate.gate import Gate
from agent.quotas import admit, engine_refused
from agent.redaction.stored import parts_without_secrets
from agent.speech import answer, speak
from agent.toolbox import Tool, Toolbox, journal_of
from core.audit import Entry
from core.errors import Fenced, It0Error, NotFound, StoreUnavailable
from core.messages import Outbound, Part, Progress
from core.store import approvals, log, people, runs, turns
from core.store.database import Transaction
from core.texts import say
from core.work import PLANS, RunTarget

logger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Ending:
    """How a turn ended. status: the turn's; approval_id: what it waits for when suspended."""

    status: str
    parts: Sequence[Part]
    approval_id: str | None = None


class Turns:
    """Runs the turns of a process.

    engines: by name; pick: which of them, for a conversation's own and its tenant's choice and a text.
    """

    def __init__(
        self,
        desk: Desk,
        gate: Gate,
        fleet: Fleet,
        tools: Mapping[str, Tool],
        engines: Mapping[str, Engine],
        pick: Callable[[str | None, str | None, str], str],
        timeout_s: float,
    ) -> None:
        self._desk = desk
        self._gate = gate
        self._fleet = fleet
        self._tools = tools
        self._engines = engines
        self._pick = pick
        self._timeout_s = timeout_s

    async def start(self, work: Work, text: str) -> None:
        """Run the turn that a typed message asks for."""
        engine, toolbox = await self._prepare(work, text)
        await admit(work, self._desk.me, toolbox)
        request = Request(work.turn_id, work.conversation_id, work.user, text)
        await self._run(work, toolbox, engine, engine.turn(request, toolbox))

    async def refuse_secret(self, work: Work, text: str) -> bool:
        """Return whether a typed message held a secret of the vault, and was refused for it.

        The secret is taken out of the stored message and its turn ends, together: what is left is never run.
        """
        redact = await self._gate.redact(work.tenant, work.opening.vault)
        shown = redact.known(text)
        if shown == text:
            return False
        now = self._desk.clock()
        why = say("gate.secret_in_message")
        detail = {"command": shown[:MAX_COMMAND], "reasons": [why.key]}
        entry = Entry(
            "command.refused",
            "user",
            work.user.id,
            None,
            "turn",
            work.turn_id,
            work.address.channel,
            detail=detail,
        )
        async with work.tenant.transaction() as tx:
            await log.retell(tx, work.conversation_id, work.taken.seq, shown)
            await log.retitle(tx, work.conversation_id, text, shown)
            await self._speak(tx, work, Outbound("reply", (why,)))
            await self._desk.finish(tx, work.taken)
            await work.tenant.audit.append_in(tx, entry, now)
        return True

    async def resume(self, work: Work, approval_id: str) -> None:
        """Run the continuation of a turn whose approval was settled."""
        outcome = await self._outcome(work, approval_id)
        async with work.tenant.reading() as db:
            asked = await turns.get(db, outcome.approval.turn_id)
            asker = await people.user(db, outcome.approval.requester_id)
        if asker is not None and asker.active:  # their turn goes on with their rights, as these are now
            work = replace(work, user=asker)
        engine, toolbox = await self._prepare(work, "", asked["engine"] if asked else None)
        request = Request(work.turn_id, work.conversation_id, work.user, "")
        await self._run(work, toolbox, engine, engine.resume(request, outcome, toolbox))

    async def _prepare(self, work: Work, text: str, engine_of: str | None = None) -> tuple[Engine, Toolbox]:
        opening = work.opening
        engine = self._engines[self._engine_for(work, engine_of, opening.engine, opening.wishes.engine, text)]
        journal, begun = await journal_of(work) if work.taken.attempts > 1 else ({}, set())
        toolbox = Toolbox(
            work,
            self._desk,
            self._gate,
            self._fleet,
            self._tools,
            engine.name,
            self._desk.clock(),
            journal,
            begun,
        )
        return engine, toolbox

    def _engine_for(
        self, work: Work, goes_on: str | None, own: str | None, tenants: str | None, text: str
    ) -> str:
        """Return the engine of a turn; raises Refused for a chosen one that the plan does not hold.

        goes_on: the engine of the turn that this one continues, which no plan cuts.
        """
        found = self._pick(goes_on or own, tenants, text)
        if goes_on or PLANS[work.tenant.row.plan].allows(found):
            return found
        if not own and not tenants:
            return "direct"
        raise engine_refused(work.tenant, found)

    async def _outcome(self, work: Work, approval_id: str) -> Outcome:
        async with work.tenant.reading() as db:
            approval = await approvals.get(db, approval_id)
            found = await runs.get(db, approval_id)
            refusal = await log.performed(db, approval.turn_id, approval_id) if approval else None
        if approval is None:
            raise NotFound("approval.unknown")
        results: Sequence[RunTarget] = found[1] if found else ()
        return Outcome(approval, results, refusal)

    async def _run(
        self, work: Work, toolbox: Toolbox, engine: Engine, events: AsyncIterator[EngineEvent]
    ) -> None:
        if work.stopping.is_set():  # before it could begin, or before the process died that ran it
            return await self._finish(work, toolbox, await self._stopped(work, toolbox))
        heard: list[str] = []
        try:
            async with asyncio.timeout(self._timeout_s):
                ending = await self._consume(work, events, heard)
            work.closing.set()
        except TimeoutError:
            await engine.interrupt(work.turn_id)
            late = say("turn.timeout", seconds=int(self._timeout_s))
            ending = Ending("failed", (late, *await toolbox.cut_off()))
        except asyncio.CancelledError:
            if not work.stopping.is_set():
                raise
            uncancel()
            await engine.interrupt(work.turn_id)
            ending = await self._stopped(work, toolbox, "".join(heard))
        except (Fenced, StoreUnavailable):
            raise
        except It0Error as error:
            ending = Ending("failed", (error.say,))
        except Exception:
            await logger.aexception("turn_failed", turn=work.turn_id)
            ending = Ending("failed", (say("error.internal"),))
        work.closing.set()
        await self._finish(work, toolbox, ending)

    async def _stopped(self, work: Work, toolbox: Toolbox, heard: str = "") -> Ending:
        """Return the end of a stopped turn, after the end of what it began before its process died.

        heard: what it had begun to say; it is kept, with a mark.
        """
        work.closing.set()
        if work.taken.attempts > 1:
            await self._gate.begun.end(work)
        begun = (say("turn.interrupted", text=heard.strip()),) if heard.strip() else ()
        return Ending("stopped", (*begun, say("turn.stopped"), *await toolbox.cut_off()))

    async def _consume(self, work: Work, events: AsyncIterator[EngineEvent], heard: list[str]) -> Ending:
        """Take the events in until the turn ends. heard: gets what is being said, for a stop."""
        notices: Sequence[Part] = ()
        async for event in events:
            match event:
                case TextDelta(text):
                    heard.append(text)
                    await work.live.update(Progress("text", {"text": text}))
                case Thinking(text):
                    await work.live.update(Progress("thinking", {"text": text}))
                case ToolResult(_, answer) if answer.status == "waiting":
                    notices = answer.parts[1:]  # the first says that it waits, which the card shows
                case ToolUse():
                    heard.clear()  # the engine has stored it by now
                case ToolResult():
                    pass
                case ApprovalRequired(approval_id):
                    return Ending("suspended", notices, approval_id)
                case Completed(parts):
                    return Ending("completed", parts)
                case Failed(message):
                    return Ending("failed", (message,))
        return Ending("failed", (say("turn.no_answer"),))

    async def _finish(self, work: Work, toolbox: Toolbox, ending: Ending) -> None:
        """Write the end, the answer and the next claim's way free, together."""
        turn = toolbox.turn(ending.status, self._desk.clock(), ending.approval_id)
        if ending.parts:
            # What no step brought in was there when the turn began, and so were its secrets.
            redact = await self._gate.redact(work.tenant, None if toolbox.stepped else work.opening.vault)
            return await answer(self._desk, work, turn, parts_without_secrets(ending.parts, redact))
        async with work.tenant.transaction() as tx:
            await turns.write(tx, turn)
            await tx.run(log.HOLD, id=work.conversation_id)
            await self._desk.finish(tx, work.taken)
        self._desk.grown(work.tenant.id, work.conversation_id)

    async def _speak(self, tx: Transaction, work: Work, reply: Outbound) -> None:
        await speak(
            self._desk,
            tx,
            work.tenant,
            work.conversation_id,
            work.address,
            reply,
            work.turn_id,
        )


def uncancel() -> None:
    """Take the cancellation of a stop as dealt with, so that the end can be written."""
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()
