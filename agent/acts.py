"""Approved acts: each is run once, outside its conversation's lane, and the turn that waits is told."""

import asyncio
from dataclasses import replace

import structlog

from agent.context import Desk, Work
from agent.gate.answers import result_data
from agent.gate.gate import Gate
from agent.turns import uncancel
from core.audit import Entry
from core.errors import Fenced, It0Error, NotFound, StoreUnavailable
from core.store import approvals, arrivals, log, people, runs
from core.store.database import Transaction
from core.tenant import Tenant
from core.texts import Say, say
from core.work import Approval

logger = structlog.get_logger()


class Acts:
    """Performs approved acts: outside the conversation's lane, so that it is free meanwhile."""

    def __init__(self, desk: Desk, gate: Gate) -> None:
        self._desk = desk
        self._gate = gate

    async def perform(self, work: Work, approval_id: str) -> None:
        """Run an approved act once and hand its outcome to the turn that waits."""
        async with work.tenant.reading() as db:
            approval = await approvals.get(db, approval_id)
            decider = await people.user(db, approval.settled_by) if approval and approval.settled_by else None
        if approval is None or approval.status != "approved":
            raise NotFound("approval.unknown")
        work = replace(work, user=decider or work.user)
        try:
            refusal = await self._perform(work, approval)
            work.closing.set()
        except asyncio.CancelledError:
            if not work.stopping.is_set():
                raise
            uncancel()
            refusal = await self._stopped(work, approval)
        except (Fenced, StoreUnavailable):
            raise
        except It0Error as error:
            refusal = error.say
        except Exception:  # the turn that waits must hear of it
            await logger.aexception("act_failed", approval=approval.id)
            refusal = say("error.internal")
        work.closing.set()
        async with work.tenant.transaction() as tx:
            await self._hand_over(tx, work.tenant, approval, refusal)
            await self._desk.finish(tx, work.taken)
            if refusal is not None:
                await work.tenant.audit.append_in(tx, _not_run(approval, refusal), self._desk.clock())
        self._desk.grown(work.tenant.id, approval.conversation_id)

    async def set_aside(self, tenant: Tenant, approval_id: str) -> None:
        """Tell the turn that waits of an act whose process died with it again and again.

        What had begun counts as unknown, and nothing of it is begun any more.
        """
        async with tenant.transaction() as tx:
            approval = await approvals.get(tx, approval_id)
            if approval is None:
                return
            at, me = self._desk.clock(), self._desk.me
            found = await runs.get(tx, approval_id)
            if found and await runs.take_over(tx, approval_id, me):
                lost = say("act.set_aside").as_json()
                unknown = [replace(each, state="unknown", error=lost) for each in found[1]]
                await runs.end(tx, approval_id, me, unknown, at)
            refusal = None if found else say("act.set_aside")
            await self._hand_over(tx, tenant, approval, refusal)
            entry = _not_run(approval, refusal or say("act.set_aside"))
            await tenant.audit.append_in(tx, entry, at)
        self._desk.grown(tenant.id, approval.conversation_id)

    async def _perform(self, work: Work, approval: Approval) -> Say | None:
        """Run the act, unless it was stopped before it began, or before the process died that ran it."""
        return await (self._stopped if work.stopping.is_set() else self._gate.perform)(work, approval)

    async def _stopped(self, work: Work, approval: Approval) -> Say | None:
        """End what was begun of the act; return that it was stopped if nothing was."""
        work.closing.set()
        async with work.tenant.reading() as db:
            begun = await runs.get(db, approval.id) is not None
        if begun:
            await self._gate.begun.end(work, approval.id)
        return None if begun else say("turn.stopped")

    async def _hand_over(
        self, tx: Transaction, tenant: Tenant, approval: Approval, refusal: Say | None
    ) -> None:
        """Write what came of an act and wake the turn that waits for it."""
        run = await runs.get(tx, approval.id)
        place = await log.conversation(tx, approval.conversation_id)
        assert place is not None
        body = {
            "approval_id": approval.id,
            "step": approval.step,
            "refusal": refusal.as_json() if refusal else None,
            **result_data(run[1] if run else ()),
        }
        performed = log.Event("performed", body, approval.turn_id)
        decided = log.Event("decided", {**body, "turn_id": approval.turn_id}, self._desk.ids())
        seq = await log.append(tx, approval.conversation_id, [performed, decided], self._desk.clock())
        arrival = arrivals.Arrival(
            tenant.id,
            place["installation_id"],
            f"decided:{approval.id}",
            approval.conversation_id,
            seq,
            laned=True,
        )
        await arrivals.post(tx, arrival)
        tx.after_commit.append(self._desk.wake)


def _not_run(approval: Approval, why: Say) -> Entry:
    """Return the row that says why an approved act was not run, or not seen to its end."""
    detail = {"command": approval.action.command, "why": why.key, "digest": approval.digest}
    key = f"command.not_run:{approval.id}"
    return Entry("command.not_run", "system", None, None, "approval", approval.id, detail=detail, key=key)
