"""Approvals: asked for by the gate, decided by people at a click, settled once, and shown everywhere."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from agent.context import Desk, Work
from agent.gate.deciding import records
from agent.gate.deciding.cards import Cards
from agent.gate.deciding.goes_ahead import settle_by_time
from agent.gate.deciding.grants import Grants, wish
from agent.gate.deciding.requests import new_request
from agent.gate.deciding.rights import check_right, deciders
from agent.gate.deciding.standing import still_allowed
from agent.gate.deciding.votes import Ballot, Click
from agent.gate.proving.stepup import check_proven
from core.errors import Halted, Late, NotAllowed, NotFound, Refused
from core.store import approvals as store
from core.store import arrivals, inbox, log, people, preferences, timers
from core.store.arrivals import Arrival
from core.store.database import Transaction
from core.store.log import Event
from core.tenant import Tenant
from core.texts import Say, say
from core.work import Action, Approval, User, Verdict

EXPIRY = "approval_expiry"
"""The timer's kind; its ref is the approval's id."""


class Approvals:
    """Stored acts that wait for people, and the grants that come of them.

    a_hour: requests that one person may make within an hour.
    """

    def __init__(self, desk: Desk, a_hour: int = 60) -> None:
        self._desk = desk
        self._a_hour = a_hour
        self._cards = Cards(desk)
        self.grants = Grants(desk)

    async def ask(
        self, work: Work, step: int, action: Action, verdict: Verdict
    ) -> tuple[Approval, Say | None]:
        """Store a request and post its card; return it, and why nobody can decide it, if so.

        Asked again for the same step after a restart it returns the one that stands.
        """
        at = self._desk.clock()
        async with work.tenant.transaction() as tx:
            wishes = await preferences.load(tx)
            able = await deciders(tx, work.user, verdict.level, wishes.four_eyes)
            approval = await store.of_step(tx, work.turn_id, step)
            if approval is None:
                await self._check_rate(tx, work.user, at)
                approval = await new_request(tx, work, step, action, verdict, wishes, at)
                await self._keep(tx, work, approval, able)
            if await inbox.check_fence(tx, work.taken, self._desk.me):
                raise Refused("turn.stopped")
            await still_allowed(work)(tx)
            await work.tenant.audit.append_in(tx, records.asked(work, approval), at)
        short = None if len(able) >= approval.needed else say("approval.nobody_can_decide")
        return approval, short

    async def _check_rate(self, tx: Transaction, asker: User, at: datetime) -> None:
        """Raise Refused when a person has asked for so much that nobody reads it any more (SECURITY A10)."""
        since = at - timedelta(hours=1)
        if await tx.value(store.ASKED_SINCE, user_id=asker.id, since=since) >= self._a_hour:
            raise Refused("approval.too_many", limit=self._a_hour)

    async def _keep(self, tx: Transaction, work: Work, approval: Approval, able: Sequence[User]) -> None:
        """Store a request with the timer of its end and its cards."""
        await store.ask(tx, approval)
        timer = await timers.set_timer(tx, work.tenant.id, EXPIRY, approval.id, approval.expires_at)
        wait_s = (approval.expires_at - approval.created_at).total_seconds()
        if timer is not None:
            tx.after_commit.append(lambda: self._desk.remind(timer, wait_s))
        await self._cards.post(tx, work, approval, able)

    async def decide(self, tenant: Tenant, user: User, click: Click) -> Ballot:
        """Count one person's vote, as their rights are at this moment.

        Raises NotFound, NotAllowed, Halted, Late naming who was first, or Refused in a suspended tenant; each
        is audited.
        """
        async with tenant.reading() as db:
            status = await db.value(people.TENANT_STATUS, tenant=tenant.id)  # the handle's is seconds old
            approval = await store.get(db, click.approval_id)
            halted = (await preferences.load(db)).halted_by
        if approval is None:
            await self._refused(tenant, user, None, click, say("approval.unknown"))
            raise NotFound("approval.unknown")
        if status != "active":
            await self._refused(tenant, user, approval, click, say("error.tenant_suspended"))
            raise Refused("error.tenant_suspended")
        ballot = None
        if halted and click.verdict == "approve":
            ballot = await self._cast_before(tenant, approval, user, click)
            if ballot is None:
                await self._refused(tenant, user, approval, click, say("error.halted"))
                raise Halted
        try:
            return ballot or await self._vote(tenant, user, approval, click)
        except NotAllowed as refusal:
            await self._refused(tenant, user, approval, click, refusal.say)
            raise

    async def _vote(self, tenant: Tenant, user: User, approval: Approval, click: Click) -> Ballot:
        now = self._desk.clock()
        try:
            async with tenant.transaction() as tx:
                await check_right(tx, tenant, user, approval)
                await check_proven(tx, user, approval, click.verdict, now, typed=click.typed)
                row = await store.vote(
                    tx, approval, user.id, click.verdict, click.channel, click.event_id, now
                )
                if row is None:
                    raise Late("approval.late")
                if click.grants:
                    await wish(tx, tenant, approval, user)
                ballot = Ballot(approval, row["status"], row["approvals"], row["needed"])
                if ballot.status != "pending":
                    await self._settled(tx, tenant, approval, ballot.status, user)
                else:
                    await self._cards.progress(tx, tenant, approval, ballot)
                await tenant.audit.append_in(tx, records.voted(user, ballot, click), now)
                if ballot.status == "approved":
                    await self.grants.give(tx, tenant, replace(approval, settled_by=user.id), user)
        except Late:
            if (standing := await self._cast_before(tenant, approval, user, click)) is not None:
                return standing
            why = await self._why_late(tenant, approval.id, user)
            await self._refused(tenant, user, approval, click, why)
            raise Late(why.key, **why.params) from None
        return ballot

    async def _cast_before(
        self, tenant: Tenant, approval: Approval, user: User, click: Click
    ) -> Ballot | None:
        """Return what this very click came to before a restart, None if it was not counted then."""
        async with tenant.reading() as db:
            votes = await db.all(store.VOTES, id=approval.id)
            now = await store.get(db, approval.id)
        if now is None or not any((v["user_id"], v["event_id"]) == (user.id, click.event_id) for v in votes):
            return None
        return Ballot(now, now.status, now.approvals, now.needed)

    async def _settled(
        self, tx: Transaction, tenant: Tenant, approval: Approval, status: str, by: User | None
    ) -> None:
        """In the settling transaction: what follows is work of its own, and every card says so."""
        row = await log.conversation(tx, approval.conversation_id)
        assert row is not None
        kind, laned = (inbox.ACT, False) if status == "approved" else ("decided", True)
        event = Event(kind, {"approval_id": approval.id}, self._desk.ids())
        seq = await log.append(tx, approval.conversation_id, [event], self._desk.clock())
        await arrivals.post(
            tx,
            Arrival(
                tenant.id,
                row["installation_id"],
                f"{kind}:{approval.id}",
                approval.conversation_id,
                seq,
                laned,
            ),
        )
        cancel = {"tenant": tenant.id, "kind": EXPIRY, "ref": approval.id}
        await tx.run(timers.CANCEL, **cancel)
        await self._cards.outcome(tx, tenant, approval, status, by)
        tx.after_commit.append(self._desk.wake)

    async def expire(self, tenant: Tenant, approval_id: str) -> bool:
        """Settle a request whose time is over: it lapses or goes ahead; return whether it was settled now."""
        async with tenant.transaction() as tx:
            approval = await store.get(tx, approval_id)
            if approval is None:
                return False
            status = await settle_by_time(tx, tenant, approval, self._desk.clock())
            if status is None:
                return False
            await self._settled(tx, tenant, approval, status, None)
            entry = records.by_time(approval, status)
            await tenant.audit.append_in(tx, entry, self._desk.clock())
        return True

    async def cancel(self, tenant: Tenant, user: User, approval: Approval) -> bool:
        """Withdraw a request, by its requester or an admin; nothing follows from it."""
        async with tenant.transaction() as tx:
            now = self._desk.clock()
            if not await tx.value(store.CANCEL, id=approval.id, user_id=user.id, now=now):
                return False
            await tx.run(timers.CANCEL, tenant=tenant.id, kind=EXPIRY, ref=approval.id)
            await self._cards.outcome(tx, tenant, approval, "cancelled", user)
            await tenant.audit.append_in(tx, records.withdrawn(user, approval), now)
        return True

    async def _why_late(self, tenant: Tenant, approval_id: str, user: User) -> Say:
        async with tenant.reading() as db:
            now = await store.get(db, approval_id)
            votes = await db.all(store.VOTES, id=approval_id)
            by = await people.user(db, now.settled_by) if now and now.settled_by else None
        if now is None:
            return say("approval.unknown")
        if now.status == "pending" and any(vote["user_id"] == user.id for vote in votes):
            return say("approval.voted_before", approvals=now.approvals, needed=now.needed)
        if now.status == "pending":
            return say("approval.time_over")
        when = (now.settled_at or now.expires_at).strftime("%H:%M:%S UTC")
        who = by.name if by else "it0"
        outcome = "ahead" if now.went_ahead else now.status
        return say(f"approval.was_{outcome}", who=who, when=when, code=now.code)

    async def _refused(
        self, tenant: Tenant, user: User, approval: Approval | None, click: Click, why: Say
    ) -> None:
        await tenant.audit.append(records.refused(user, approval, click, why), self._desk.clock())
