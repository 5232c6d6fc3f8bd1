"""Grants: an approved command may be run again by its requester, on its servers, for some minutes."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from agent.context import Desk, Work
from agent.gate.deciding.standing import is_stopped
from agent.speech import speak
from core.audit import Entry
from core.errors import BadInput, Late, NotAllowed, NotFound
from core.messages import Outbound
from core.store import approvals, clusters, keys, log, people, preferences, timers
from core.store import grants as store
from core.store.database import Transaction
from core.store.grants import Grant
from core.store.preferences import Preferences
from core.store.statements import LOCK
from core.tenant import Tenant
from core.texts import Say, say
from core.work import Action, Approval, Risk, Role, User, Verdict, may_decide

GRANT_END = "grant_end"
"""The timer's kind; its ref is the grant's id."""


def minutes_offered(action: Action, level: Risk, wishes: Preferences) -> int:
    """Return how long a grant would hold that is given with an approval, 0 where none may be."""
    return wishes.grant_minutes if action.kind == "run" and level in (Risk.L1, Risk.L2) else 0


async def wish(tx: Transaction, tenant: Tenant, approval: Approval, user: User) -> None:
    """Note that a vote just cast was for the grant, too; raises BadInput where none was offered.

    Until the transaction's end none is made void: what is given then was there to be ended, or is not given.
    """
    if not approval.grant_minutes:
        raise BadInput("grant.not_offered", code=approval.code)
    await _hold(tx, tenant)
    await tx.run(store.WISH, id=approval.id, user_id=user.id)


async def covering(
    tx: Transaction, work: Work, action: Action, verdict: Verdict, seen: Sequence[str], now: datetime
) -> Grant | None:
    """Return a grant under which ``work`` may run ``action`` unasked, None if people have to be asked.

    seen: what its turn has read of data from outside.
    """
    for grant in await store.live(tx, now, work.user.id):
        if not grant.covers(action) or verdict.level > grant.approval.level:
            continue
        if set(seen) <= await _readable(tx, grant) and await fallen(tx, work.tenant, grant) is None:
            return grant
    return None


async def _readable(tx: Transaction, grant: Grant) -> set[str]:
    """Return what a turn may have read: what the approval's turn had, and the granted servers' output."""
    places = await clusters.places_by_id(tx, list(grant.approval.action.server_ids))
    return {*grant.approval.seen, *(f"server:{place.name}" for place in places.values())}


async def fallen(tx: Transaction, tenant: Tenant, grant: Grant) -> Say | None:
    """Return why the votes for a grant would not give it any more, None if they would."""
    approval, wishes = grant.approval, await preferences.load(tx)
    four_eyes = approval.four_eyes or wishes.four_eyes
    needed = max(approval.needed, wishes.approvals_needed if approval.level >= Risk.L2 else 1)
    strict = replace(approval, four_eyes=four_eyes, needed=needed)
    givers = (await approvals.approvers(tx, [approval.id])).get(approval.id, ())
    if len(givers) < needed:
        return say("grant.too_few")
    for giver in givers:
        user = await people.user(tx, giver)
        if user is None or may_decide(user, strict) is not None:
            return say("grant.giver_gone")
        is_split = four_eyes and approval.level >= Risk.L2
        if is_split and await keys.stands_behind(tx, tenant.id, giver, approval.requester_id):
            return say("grant.giver_gone")
    return None


async def _hold(tx: Transaction, tenant: Tenant) -> None:
    await tx.run(LOCK, lock=f"grants {tenant.id}")


async def _hold_place(tx: Transaction, grant: Grant) -> None:
    """Hold the conversation in which a grant's end is said, before the grant: as the start of a run does."""
    await tx.one(log.HOLD, id=grant.approval.conversation_id)


async def _standing_on(tx: Transaction, found: Sequence[Grant], person: str, place: str) -> Sequence[Grant]:
    """Return those that a person asked for or gave, or that name a place or a cluster behind it."""
    if not person and not place:
        return found
    givers = await approvals.approvers(tx, [grant.id for grant in found])
    behind = [each.id for each in await clusters.all_of(tx) if each.entry_server_id == place]
    return [
        grant
        for grant in found
        if person in (grant.approval.requester_id, *givers.get(grant.id, ()))
        or {place, *behind} & {*grant.approval.action.server_ids}
    ]


class Grants:
    """Gives, lists and ends grants."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def give(self, tx: Transaction, tenant: Tenant, approval: Approval, by: User) -> None:
        """Give the grant with the approval that ``by`` has just settled, if every vote was for it."""
        votes = await tx.value(store.WISHES, id=approval.id)
        givers = (await approvals.approvers(tx, [approval.id])).get(approval.id, ())
        if not approval.grant_minutes or votes < len(givers) or await is_stopped(tx, tenant):
            return
        now = self._desk.clock()
        until = now + timedelta(minutes=approval.grant_minutes)
        await tx.run(store.GIVE, id=approval.id, now=now, until=until)
        timer = await timers.set_timer(tx, tenant.id, GRANT_END, approval.id, until)
        if timer is not None:
            wait_s = (until - now).total_seconds()
            tx.after_commit.append(lambda: self._desk.remind(timer, wait_s))
        grant = Grant(approval, now, until, None)
        await self._say(tx, tenant, grant, say("grant.given", **self._about(grant), who=by.name))
        detail = {**_detail(grant), "givers": list(givers)}
        entry = Entry("grant.given", "user", by.id, by.id, "grant", grant.id, detail=detail)
        await tenant.audit.append_in(tx, entry, now)

    async def live(self, tenant: Tenant) -> Sequence[Grant]:
        """Return the grants that hold now."""
        async with tenant.reading() as db:
            return await store.live(db, self._desk.clock())

    async def revoke(
        self, tenant: Tenant, user: User, ref: str, channel: str, ip: str | None = None
    ) -> Grant:
        """End a grant, by its id or code; every operator may, as it only narrows.

        Raises NotAllowed, NotFound, or Late for one that has ended meanwhile.
        """
        now = self._desk.clock()
        async with tenant.transaction() as tx:
            present = await people.user(tx, user.id)
            if present is None or not present.active or not present.role.covers(Role.OPERATOR):
                raise NotAllowed("grant.operators_only")
            known = await store.live(tx, now)
            grant = next(
                (each for each in known if ref.upper() in (each.id.upper(), each.approval.code)), None
            )
            if grant is None:
                raise NotFound("grant.unknown")
            await _hold_place(tx, grant)
            if not await tx.value(store.REVOKE, id=grant.id, user_id=user.id, now=now):
                raise Late("grant.over", code=grant.approval.code)
            await tx.run(timers.CANCEL, tenant=tenant.id, kind=GRANT_END, ref=grant.id)
            words = say("grant.revoked", **self._about(grant), who=user.name)
            await self._say(tx, tenant, grant, words)
            entry = Entry(
                "grant.revoked", "user", user.id, None, "grant", grant.id, channel, ip, _detail(grant)
            )
            await tenant.audit.append_in(tx, entry, now)
        return grant

    async def expire(self, tenant: Tenant, grant_id: str) -> bool:
        """End a grant whose time is over; return whether it ended now."""
        now = self._desk.clock()
        async with tenant.transaction() as tx:
            grant = await store.get(tx, grant_id)
            if grant is None:
                return False
            await _hold_place(tx, grant)
            if not await tx.value(store.EXPIRE, id=grant_id, now=now):
                return False
            await self._say(tx, tenant, grant, say("grant.expired", **self._about(grant)))
            entry = Entry("grant.expired", "system", None, None, "grant", grant_id, detail=_detail(grant))
            await tenant.audit.append_in(tx, entry, now)
        return True

    async def void(
        self, tx: Transaction, tenant: Tenant, why: Say, *, person: str = "", place: str = ""
    ) -> Sequence[Entry]:
        """End every grant that holds, or what stands on a person or a place, and say so where it was given.

        person: who asked for it or gave it; place: a server or cluster that it names. Returns what is to be
        recorded with the transaction's last statements.
        """
        now, entries = self._desk.clock(), list[Entry]()
        await _hold(tx, tenant)
        found = await store.live(tx, now)
        for grant in sorted(found, key=lambda each: each.approval.conversation_id):
            await _hold_place(tx, grant)
        for grant in await _standing_on(tx, found, person, place):
            if await tx.value(store.VOID, id=grant.id, now=now):
                await tx.run(timers.CANCEL, tenant=tenant.id, kind=GRANT_END, ref=grant.id)
                await self._say(tx, tenant, grant, say("grant.void", **self._about(grant), why=why))
                detail = {**_detail(grant), "why": why.key}
                entries.append(Entry("grant.void", "system", None, None, "grant", grant.id, detail=detail))
        return entries

    async def use(self, tx: Transaction, work: Work, grant: Grant, run_id: str) -> None:
        """Say and record that a command begins under a grant, with the transaction in which it does."""
        used = say("grant.used", **self._about(grant))
        await self._say(tx, work.tenant, grant, used, work)
        detail = {**_detail(grant), "run": run_id, "turn": work.turn_id}
        entry = Entry(
            "grant.used", "agent", None, None, "grant", grant.id, detail=detail, key=f"grant:{run_id}"
        )
        await work.tenant.audit.append_in(tx, entry, self._desk.clock())

    async def _say(
        self, tx: Transaction, tenant: Tenant, grant: Grant, what: Say, work: Work | None = None
    ) -> None:
        """Say it where the grant was asked for, or where it is used."""
        conversation = work.conversation_id if work else grant.approval.conversation_id
        row = await log.conversation(tx, conversation)
        if row is not None:
            notice = Outbound("notice", (what,))
            await speak(self._desk, tx, tenant, conversation, log.address_of(row), notice)
        tx.after_commit.append(lambda: self._desk.changed(tenant.id, "grants"))

    def _about(self, grant: Grant) -> dict[str, object]:
        return {
            "code": grant.approval.code,
            "command": grant.approval.action.command,
            "until": grant.ends_at.strftime("%H:%M:%S UTC"),
        }


def _detail(grant: Grant) -> dict[str, object]:
    approval = grant.approval
    return {
        "code": approval.code,
        "command": approval.action.command,
        "level": int(approval.level),
        "servers": list(approval.action.server_ids),
        "requester": approval.requester_id,
        "until": grant.ends_at.isoformat(),
    }
