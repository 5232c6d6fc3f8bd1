"""Decisions as they come in: a click, words with a code, and the second factor that they may be asked for."""

from collections.abc import Mapping, Sequence
from typing import Any

from agent.context import Desk, Work
from agent.gate.deciding.approvals import Approvals
from agent.gate.deciding.typed import Words, meant
from agent.gate.deciding.votes import Ballot
from agent.gate.deciding.votes import Click as Decision
from agent.gate.proving.stepup import ASKED_FOR, LOCKED, StepUp, StepUpNeeded
from agent.speech import speak
from bot.chat.controls import described
from bot.console.limits import Rate
from core.errors import Fenced, It0Error, NotAllowed, NotFound, Refused, StoreUnavailable
from core.messages import Outbound, Part
from core.store import approvals as store
from core.store import clusters, log, people
from core.store.database import Transaction
from core.texts import say
from core.work import Approval

CONSOLE = "console"
WRONG_A_MINUTE = 5
"""Wrong codes of a person in words: a code is short, and one of many that wait."""


class Decisions:
    """Has decisions counted, and asks for what they lack."""

    def __init__(self, desk: Desk, approvals: Approvals, step_up: StepUp) -> None:
        self._desk = desk
        self._approvals = approvals
        self._step_up = step_up
        self._wrong = Rate(WRONG_A_MINUTE)

    async def clicked(self, work: Work, decision: Decision) -> Sequence[Part]:
        """Count a click; a chat is asked for a code in private, the console's page asks by itself."""
        try:
            await self._approvals.decide(work.tenant, work.user, decision)
        except StepUpNeeded:
            if work.address.channel == CONSOLE:
                raise
            return await self._ask(work, decision)
        return []

    async def said(self, work: Work, words: Words, event: Mapping[str, Any]) -> Sequence[Part]:
        """Count a decision in words; raises Refused for one that means nothing, or too often a wrong one."""
        key = (work.tenant.id, work.user.id)
        if self._wrong.is_spent(key):
            raise Refused("approval.words_too_many", limit=WRONG_A_MINUTE)
        try:
            async with work.tenant.reading() as db:
                approval = await meant(db, work.user, words, work.conversation_id, self._desk.clock())
        except NotFound:
            self._wrong.allows(key)
            raise
        decision = Decision(
            approval.id, words.verdict, work.address.channel, event["event_id"], event["ip"], typed=True
        )
        try:
            return [_counted(await self._approvals.decide(work.tenant, work.user, decision))]
        except StepUpNeeded:
            return await self._ask(work, decision)

    async def waits_here(self, work: Work) -> bool:
        """Return whether a request waits in the conversation: a yes may be meant for it, and is none."""
        async with work.tenant.reading() as db:
            return bool(await db.all(store.PENDING_AT, conversation=work.conversation_id))

    async def proved(self, work: Work, body: Mapping[str, Any], event: Mapping[str, Any]) -> None:
        """Answer a code that was typed: what it came to, and what becomes of the decision that it was for."""
        outcome, minutes = body["outcome"], int(LOCKED.total_seconds() // 60)
        words: list[Part] = [say(f"totp.{outcome}", minutes=minutes)]
        if outcome == "right":
            words = [say("totp.right", minutes=self._step_up.minutes)]
            if body["approval_id"]:
                words += await self._cast(work, body, event)
        notice = Outbound("notice", words, takes_back=body["message"])
        async with work.tenant.transaction() as tx:
            await speak(self._desk, tx, work.tenant, work.conversation_id, work.address, notice)
            await self._desk.finish(tx, work.taken)
        self._desk.grown(work.tenant.id, work.conversation_id)

    async def _cast(self, work: Work, body: Mapping[str, Any], event: Mapping[str, Any]) -> Sequence[Part]:
        """Count the decision that waited for the code; what it is refused for is said with the rest."""
        decision = Decision(
            body["approval_id"],
            "approve",
            work.address.channel,
            event["event_id"],
            event["ip"],
            grants=body.get("grants", False),  # a code that came in before an upgrade says nothing of it
        )
        try:
            return [_counted(await self._approvals.decide(work.tenant, work.user, decision))]
        except (Fenced, StoreUnavailable):
            raise
        except It0Error as error:
            return [error.say]

    async def _ask(self, work: Work, decision: Decision) -> Sequence[Part]:
        """Ask for a code in the person's private chat; return what to say where they decided."""
        tenant, user = work.tenant, work.user
        async with tenant.transaction() as tx:
            approval = await store.get(tx, decision.approval_id)
            if approval is None or not await self._step_up.ask(tx, user, approval.id, grants=decision.grants):
                raise NotAllowed("approval.step_up_enrol")
            question = await _question(tx, approval, grants=decision.grants)
            if work.address.channel == CONSOLE:
                return question
            homes = [address for _, address in await people.homes(tx, tenant.id, [user.id])]
            if work.address in homes:
                return question
            near = [each for each in homes if each.installation_id == work.address.installation_id]
            if not near:
                raise NotAllowed("totp.no_private_chat")
            now = self._desk.clock()
            place = await log.open_conversation(tx, self._desk.ids(), near[0], user.id, now)
            await speak(self._desk, tx, tenant, place, near[0], Outbound("notice", question))
        return [say("totp.asked_in_private", name=user.name, code=approval.code)]


async def _question(tx: Transaction, approval: Approval, *, grants: bool) -> Sequence[Part]:
    """Return what asks for a code, with all that it will approve. grants: for the offered minutes, too."""
    servers = await clusters.places_by_id(tx, list(approval.action.server_ids))
    names = {user.id: user.name for user in await people.users(tx)}
    minutes = int(ASKED_FOR.total_seconds() // 60)
    key = "totp.question_grant" if grants else "totp.question"
    asks = say(key, code=approval.code, minutes=minutes, grant=approval.grant_minutes)
    return [asks, *described(approval, servers, names, "chat.card_about")]


def _counted(ballot: Ballot) -> Part:
    code, key = ballot.approval.code, f"approval.counted_{ballot.status}"
    return say(key, code=code, approvals=ballot.approvals, needed=ballot.needed)
