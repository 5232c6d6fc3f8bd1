"""Approvals: asked for by the gate, decided by people at a click, settled once, and shown everywhere."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from agent.context import Desk, Work
from agent.gate.deciding.goes_ahead import by_time, settle_by_time
from agent.gate.deciding.grants import Grants, wish
from agent.gate.deciding.offers import with_offers
from agent.gate.deciding.standing import still_allowed
from agent.gate.deciding.stepup import check_proven
from agent.speech import speak
from core.audit import Entry
from core.errors import Halted, Late, NotAllowed, NotFound, Refused
from core.ids import approval_code, new_id, new_token
from core.messages import Address, Outbound
from core.store import approvals as store
from core.store import inbox, keys, log, outbox, people, preferences, timers
from core.store.database import Transaction
from core.store.inbox import Arrival
from core.store.log import Event
from core.store.preferences import Preferences
from core.tenant import Tenant, console_installation
from core.texts import Say, say
from core.work import Action, Approval, Risk, Role, User, Verdict, approval_expiry, may_decide

EXPIRY = "approval_expiry"
"""The timer's kind; its ref is the approval's id."""


@dataclass(frozen=True, slots=True)
class Click:
    """A decision as it came in. event_id: the platform's id of it, the same when it is delivered again.

    typed: it was made in words. grants: it approves the command for the offered minutes, too.
    """

    approval_id: str
    verdict: Literal["approve", "reject"]
    channel: str
    event_id: str
    ip: str | None = None
    typed: bool = field(default=False, kw_only=True)
    grants: bool = field(default=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Ballot:
    """What a vote came to. status: the approval's after it."""

    approval: Approval
    status: str
    approvals: int
    needed: int


def feed_address(installation_id: str, user_id: str) -> Address:
    """Return the console's place for cards that concern a user but were asked for elsewhere."""
    return Address("console", installation_id, f"feed:{user_id}")


class Approvals:
    """Stored acts that wait for people, and the grants that come of them.

    a_hour: requests that one person may make within an hour.
    """

    def __init__(self, desk: Desk, a_hour: int = 60) -> None:
        self._desk = desk
        self._a_hour = a_hour
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
            deciders = await self._deciders(tx, work.user, verdict.level, wishes.four_eyes)
            approval = await store.of_step(tx, work.turn_id, step)
            if approval is None:
                await self._check_rate(tx, work.user, at)
                approval = _request(work, step, action, verdict, wishes, at)
                approval = await with_offers(tx, work, approval, wishes)
                await self._keep(tx, work, approval, deciders)
            if await inbox.check_fence(tx, work.taken, self._desk.me):
                raise Refused("turn.stopped")
            await still_allowed(work)(tx)
            await work.tenant.audit.append_in(tx, _asked(work, approval), at)
        short = None if len(deciders) >= approval.needed else say("approval.nobody_can_decide")
        return approval, short

    async def _check_rate(self, tx: Transaction, asker: User, at: datetime) -> None:
        """Raise Refused when a person has asked for so much that nobody reads it any more (SECURITY A10)."""
        since = at - timedelta(hours=1)
        if await tx.value(store.ASKED_SINCE, user_id=asker.id, since=since) >= self._a_hour:
            raise Refused("approval.too_many", limit=self._a_hour)

    async def _keep(self, tx: Transaction, work: Work, approval: Approval, deciders: Sequence[User]) -> None:
        """Store a request with the timer of its end and its cards."""
        await store.ask(tx, approval)
        timer = await timers.set_timer(tx, work.tenant.id, EXPIRY, approval.id, approval.expires_at)
        wait_s = (approval.expires_at - approval.created_at).total_seconds()
        if timer is not None:
            tx.after_commit.append(lambda: self._desk.remind(timer, wait_s))
        await self._post(tx, work, approval, deciders)

    async def _deciders(self, tx: Transaction, asker: User, level: Risk, four_eyes: bool) -> list[User]:
        needed = Role.OPERATOR if level <= Risk.L1 else Role.ADMIN
        able = [user for user in await people.persons(tx) if user.active and user.role.covers(needed)]
        return [user for user in able if not (four_eyes and level >= Risk.L2 and user.id == asker.id)]

    async def _post(self, tx: Transaction, work: Work, approval: Approval, deciders: Sequence[User]) -> None:
        """Post the card where it was asked for, and an L2 also to each who may decide it."""
        card = Outbound("card", approval_id=approval.id)
        seq = await speak(self._desk, tx, work.tenant, work.conversation_id, work.address, card, work.turn_id)
        places = [(work.conversation_id, seq, work.user.id)]
        feeds = await self._feeds(tx, work, deciders) if approval.level >= Risk.L2 else {}
        for feed, (address, user_id) in sorted(feeds.items()):
            places.append((feed, await speak(self._desk, tx, work.tenant, feed, address, card), user_id))
        tx.after_commit.append(lambda: self._desk.changed(work.tenant.id, "approvals"))
        for conversation_id, number, user_id in places:
            place = {"approval_id": approval.id, "conversation_id": conversation_id}
            await tx.run(store.PLACE, **place, seq=number, user_id=user_id)

    async def _feeds(
        self, tx: Transaction, work: Work, deciders: Sequence[User]
    ) -> dict[str, tuple[Address, str]]:
        """Return where those who may decide are reached, beside the requester's own conversation.

        That is each one's console feed, and their private chats.
        """
        others = [user.id for user in deciders if user.id != work.user.id]
        console = console_installation(work.tenant.id)
        places = [(user_id, feed_address(console, user_id)) for user_id in others]
        places += await people.homes(tx, work.tenant.id, others)
        found = {}
        for user_id, address in places:
            feed = await log.open_conversation(tx, new_id(), address, user_id, self._desk.clock())
            if feed != work.conversation_id:
                found[feed] = (address, user_id)
        return found

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
                await _check_right(tx, tenant, user, approval)
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
                    await self._progress(tx, tenant, approval, ballot)
                await tenant.audit.append_in(tx, _voted(user, ballot, click), now)
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
        await inbox.post(
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
        await self._show_outcome(tx, tenant, approval, status, by)
        tx.after_commit.append(self._desk.wake)

    async def _show_outcome(
        self, tx: Transaction, tenant: Tenant, approval: Approval, status: str, by: User | None
    ) -> None:
        body = {"approval_id": approval.id, "status": status, "by": by.name if by else None}
        await self._tell_places(tx, tenant, approval, Event("settled", body))

    async def _progress(self, tx: Transaction, tenant: Tenant, approval: Approval, ballot: Ballot) -> None:
        body = {"approval_id": approval.id, "status": "pending", "approvals": ballot.approvals}
        await self._tell_places(tx, tenant, approval, Event("settled", body))

    async def _tell_places(self, tx: Transaction, tenant: Tenant, approval: Approval, event: Event) -> None:
        tx.after_commit.append(lambda: self._desk.changed(tenant.id, "approvals"))
        places = {row["conversation_id"] for row in await tx.all(store.PLACES, id=approval.id)}
        for conversation_id in sorted(places):
            seq = await log.append(tx, conversation_id, [event], self._desk.clock())
            tx.after_commit.append(_grown(self._desk, tenant.id, conversation_id))
            await self._redraw(tx, tenant, conversation_id, seq, event)

    async def _redraw(
        self, tx: Transaction, tenant: Tenant, conversation_id: str, seq: int, event: Event
    ) -> None:
        """Have the card on a platform show how its approval stands; the console reads it from the log."""
        row = await log.conversation(tx, conversation_id)
        if row is not None and row["channel"] != "console":
            address = log.address_of(row)
            parcel = await outbox.put(tx, self._desk.me, tenant.id, address, conversation_id, seq, event.body)
            tx.after_commit.append(lambda: self._desk.post(parcel))

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
            entry = by_time(approval, status, _detail(approval))
            await tenant.audit.append_in(tx, entry, self._desk.clock())
        return True

    async def cancel(self, tenant: Tenant, user: User, approval: Approval) -> bool:
        """Withdraw a request, by its requester or an admin; nothing follows from it."""
        async with tenant.transaction() as tx:
            now = self._desk.clock()
            if not await tx.value(store.CANCEL, id=approval.id, user_id=user.id, now=now):
                return False
            await tx.run(timers.CANCEL, tenant=tenant.id, kind=EXPIRY, ref=approval.id)
            await self._show_outcome(tx, tenant, approval, "cancelled", user)
            entry = Entry("approval.cancelled", "user", user.id, None, "approval", approval.id)
            await tenant.audit.append_in(tx, entry, self._desk.clock())
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
        about = _detail(approval) if approval else {}
        detail = {**about, "verdict": click.verdict, "why": why.key, "event": click.event_id}
        action = (
            "approval.late" if why.key.startswith(("approval.was", "approval.time")) else "approval.refused"
        )
        entry = Entry(
            action,
            "user",
            user.id,
            None,
            "approval",
            click.approval_id[:64],
            click.channel,
            click.ip,
            detail,
            key=f"{action}:{user.id}:{click.event_id}",
        )
        await tenant.audit.append(entry, self._desk.clock())


def _asked(work: Work, approval: Approval) -> Entry:
    return Entry(
        "approval.asked",
        "agent",
        None,
        None,
        "approval",
        approval.id,
        channel=work.address.channel,
        detail={**_detail(approval), "requester": approval.requester_id},
        key=f"approval.asked:{approval.id}",
    )


async def _check_right(tx: Transaction, tenant: Tenant, user: User, approval: Approval) -> None:
    """Raise NotAllowed unless ``user`` may decide now; until the transaction's end nobody changes that.

    What the tenant asks for by now counts as well as what it asked for when the request was made.
    """
    await tx.one(people.HOLD_USER, id=user.id)
    present = await people.user(tx, user.id)
    wishes = await preferences.load(tx)
    strict = replace(
        approval,
        four_eyes=approval.four_eyes or wishes.four_eyes,
        needed=max(approval.needed, wishes.approvals_needed),
    )
    refusal = may_decide(present or replace(user, active=False), strict)
    if refusal is None and strict.four_eyes and approval.level >= Risk.L2:
        made = await keys.stands_behind(tx, tenant.id, user.id, approval.requester_id)
        refusal = say("approval.not_yours_four_eyes") if made else None
    if refusal is not None:
        raise NotAllowed(refusal.key, **refusal.params)
    if approval.level >= Risk.L2:
        await tx.run(store.ASK_MORE, id=approval.id, needed=wishes.approvals_needed)


def _voted(user: User, ballot: Ballot, click: Click) -> Entry:
    detail = {**_detail(ballot.approval), "verdict": click.verdict, "status": ballot.status}
    if click.grants:
        detail["grants_minutes"] = ballot.approval.grant_minutes
    return Entry(
        f"approval.{click.verdict}",
        "user",
        user.id,
        user.id if click.verdict == "approve" else None,
        "approval",
        ballot.approval.id,
        click.channel,
        click.ip,
        {**detail, "event": click.event_id},
        key=f"approval.vote:{ballot.approval.id}:{user.id}",
    )


def _request(
    work: Work, step: int, action: Action, verdict: Verdict, wishes: Preferences, at: datetime
) -> Approval:
    request_id, nonce = new_id(), new_token()
    return Approval(
        id=request_id,
        code=approval_code(),
        conversation_id=work.conversation_id,
        turn_id=work.turn_id,
        step=step,
        action=action,
        digest=action.digest(work.tenant.id, request_id, nonce),
        nonce=nonce,
        level=verdict.level,
        reasons=tuple(reason.as_json() for reason in verdict.reasons),
        part=verdict.part,
        rules=verdict.rules,
        requester_id=work.user.id,
        needed=wishes.approvals_needed if verdict.level >= Risk.L2 else 1,
        approvals=0,
        four_eyes=wishes.four_eyes,
        status="pending",
        created_at=at,
        expires_at=approval_expiry(verdict.level, at),
        policy=verdict.policy,
    )


def _detail(approval: Approval) -> dict[str, object]:
    return {
        "code": approval.code,
        "command": approval.action.command,
        "level": int(approval.level),
        "digest": approval.digest,
        "rules": approval.rules,
        "policy": approval.policy,
        "kind": approval.action.kind,
        "servers": list(approval.action.server_ids),
    }


def _grown(desk: Desk, tenant_id: str, conversation_id: str) -> Callable[[], None]:
    return lambda: desk.grown(tenant_id, conversation_id)
