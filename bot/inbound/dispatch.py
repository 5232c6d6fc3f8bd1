"""Dispatch: what each kind of accepted work is for. Middleware stands before it, in one visible list."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

import structlog

from agent.acts import Acts
from agent.context import Desk, Work
from agent.gate.deciding.typed import is_yes
from agent.gate.deciding.typed import read as read_decision
from agent.gate.deciding.votes import Click as Decision
from agent.speech import speak
from agent.turns import Turns
from bot.chat.controls import Controls
from bot.inbound.admission import VERB, Admission
from bot.inbound.again import VERB as AGAIN
from bot.inbound.again import Again
from bot.inbound.beginnings import NEW
from bot.inbound.decisions import Decisions
from bot.inbound.front import STOP_WORDS
from bot.inbound.withheld import Withheld
from core.errors import Fenced, It0Error, NotFound, StoreUnavailable
from core.messages import Outbound, Part, command_word
from core.store import log, openings
from core.store.database import Row
from core.tenant import Tenants
from core.texts import Say, say

logger = structlog.get_logger()

Handle = Callable[[Work, Mapping[str, Any]], Awaitable[None]]
Middleware = Callable[[Handle], Handle]


def fold(handle: Handle, middleware: Sequence[Middleware]) -> Handle:
    """Return ``handle`` inside ``middleware``, the first of which sees the work first."""
    return reduce(lambda inner, wrap: wrap(inner), reversed(middleware), handle)


async def finish(desk: Desk, work: Work, parts: Sequence[Part]) -> None:
    """End work with an answer, in one transaction."""
    async with work.tenant.transaction() as tx:
        if parts:
            reply = Outbound("reply", parts)
            await speak(
                desk, tx, work.tenant, work.conversation_id, work.address, reply, work.turn_id or None
            )
        else:
            await tx.run(log.HOLD, id=work.conversation_id)
        await desk.finish(tx, work.taken)
    desk.grown(work.tenant.id, work.conversation_id)


def errors_are_said(desk: Desk) -> Middleware:
    """Return the middleware that turns an error into a sentence and an end."""

    def wrap(inner: Handle) -> Handle:
        async def handle(work: Work, event: Mapping[str, Any]) -> None:
            try:
                await inner(work, event)
            except (Fenced, StoreUnavailable):
                raise
            except It0Error as error:
                await finish(desk, work, [error.say])
            except Exception:
                await logger.aexception("handler_failed")
                await finish(desk, work, [say("error.internal")])

        return handle

    return wrap


def opened(inner: Handle) -> Handle:
    """Wrap a handler so that it gets the work with its user, and with all that holds as it begins."""

    async def handle(work: Work, event: Mapping[str, Any]) -> None:
        opening = work.opening
        if opening.until < time.monotonic():
            async with work.tenant.reading() as db:
                opening = await openings.read(db, work.conversation_id, event["user_id"])
        await inner(replace(work, user=opening.user or work.user, opening=opening), event)

    return handle


def tenants_and_people(desk: Desk, end_runs: Callable[[Work], Awaitable[None]]) -> Middleware:
    """Return the middleware that lets only active users of active, running tenants through.

    end_runs: ends what a turn began before its process died, because the turn will not go on.
    """

    async def turn_away(work: Work, why: Say) -> None:
        if work.taken.attempts > 1:
            await end_runs(work)
        await finish(desk, work, [why])

    def wrap(inner: Handle) -> Handle:
        async def handle(work: Work, event: Mapping[str, Any]) -> None:
            kind, is_ours = event["kind"], event["kind"] in ("act", "decided")
            # A click is refused by the approvals, which put it on record; what runs may always be stopped.
            # A pasted secret is taken away whoever pasted it.
            passes = is_ours or kind in ("clicked", "withheld") or is_stop(event)
            if work.tenant.row.status != "active" and not passes:
                return await turn_away(work, say("error.tenant_suspended"))
            if not work.user.active and not is_ours and kind != "withheld":
                return await turn_away(work, say("approval.not_yours_removed"))
            if kind == "said" and not work.is_control:
                halted_by = work.opening.wishes.halted_by
                if halted_by and command_word(event["body"]["text"]) != NEW:
                    return await turn_away(work, say("error.halted"))
            return await inner(work, event)

        return handle

    return wrap


def is_stop(event: Mapping[str, Any]) -> bool:
    """Return whether a message only asks to stop what runs."""
    if event["kind"] != "said":
        return False
    text = event["body"]["text"]
    return command_word(text) == "/stop" or text.strip().lower() in STOP_WORDS


class Dispatch:
    """Sends each kind of work to where it belongs."""

    def __init__(
        self,
        desk: Desk,
        turns: Turns,
        acts: Acts,
        decisions: Decisions,
        controls: Controls,
        admission: Admission,
    ) -> None:
        self._desk = desk
        self._withheld = Withheld(desk)
        self._again = Again(desk)
        self._admission = admission
        self._turns = turns
        self._acts = acts
        self._decisions = decisions
        self._controls = controls

    async def __call__(self, work: Work, event: Mapping[str, Any]) -> None:
        """See one piece of work to its end; raises NotFound for a button that nobody made."""
        body = event["body"]
        match event["kind"]:
            case "said":
                await self._said(work, body["text"], event)
            case "clicked":
                await self._clicked(work, body["button"], event)
            case "withheld" if "outcome" in body:
                await self._decisions.proved(work, body, event)
            case "withheld":
                await self._withheld(work, body)
            case "act":
                await self._acts.perform(work, body["approval_id"])
            case "decided":
                await self._turns.resume(work, body["approval_id"])
            case kind:
                raise NotFound("error.bad_input", kind=kind)

    async def _said(self, work: Work, text: str, event: Mapping[str, Any]) -> None:
        if (decision := read_decision(text)) is not None:
            return await finish(self._desk, work, await self._decisions.said(work, decision, event))
        if is_yes(text) and await self._decisions.waits_here(work):
            return await finish(self._desk, work, [say("approval.yes_is_no_vote")])
        command = self._controls.find(text)
        words = text.split()[1:] if command else ()  # of a long text they would be kept as long as its turn
        may_hold_secret = command is None or words  # a bare /stop waits for nothing
        if may_hold_secret and await self._turns.refuse_secret(work, text):
            return
        if command is None:
            await self._turns.start(work, text)
        else:
            await finish(self._desk, work, await command(work, words))

    async def _clicked(self, work: Work, button: str, event: Mapping[str, Any]) -> None:
        verb, _, ref = button.partition(":")
        if verb == VERB:
            return await finish(self._desk, work, await self._admission.admit(work, ref))
        if verb == AGAIN and ref:
            await self._again(work.tenant, work.user, ref, work.conversation_id)
            return await finish(self._desk, work, [])
        if verb not in ("approve", "grant", "reject") or not ref:
            raise NotFound("button.unknown")
        click = Decision(
            ref,
            "reject" if verb == "reject" else "approve",
            work.address.channel,
            event["event_id"],
            event["ip"],
            grants=verb == "grant",
        )
        await finish(self._desk, work, await self._decisions.clicked(work, click))


class SetAside:
    """Tells people of a message, or of an approved act, whose process died with it too often."""

    def __init__(self, desk: Desk, tenants: Tenants, acts: Acts) -> None:
        self._desk = desk
        self._tenants = tenants
        self._acts = acts

    async def __call__(self, row: Row) -> None:
        """Say so where the message came from."""
        tenant = await self._tenants.by_id(row["tenant_id"])
        async with tenant.reading() as db:
            event = await log.event_at(db, row["conversation_id"], row["seq"])
        if event is not None and event["kind"] == "act":
            return await self._acts.set_aside(tenant, event["body"]["approval_id"])
        async with tenant.transaction() as tx:
            place = await log.conversation(tx, row["conversation_id"])
            if place is None:
                return
            notice = Outbound("notice", [say("message.set_aside")])
            await speak(self._desk, tx, tenant, row["conversation_id"], log.address_of(place), notice)
