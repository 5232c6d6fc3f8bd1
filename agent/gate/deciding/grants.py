"""Grants: an approved command may be run again by its requester, on its servers, for some minutes."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from agent.context import Desk, Work
from agent.gate.deciding.standing import is_stopped
from agent.speech import speak
from core.audit import Entry
from core.errors import BadInput, Late, NotAllowed, NotFound
from core.messages import Outbound
from core.store import approvals, clusters, log, people, preferences, timers
from core.store import grants as store
from core.store.database import Transaction
from core.store.grants import Grant
from core.store.preferences import Preferences
from core.store.statements import LOCK
from core.tenant import Tenant
from core.texts import Say, say
from core.work import Action, Approval, Risk, Role, User

GRANT_END = "grant_end"
"""The timer's kind; its ref is the grant's id."""


def minutes_offered(action: Action, level: Risk, wishes: Preferences) -> int:
    """Return how long a grant would hold that is given with an approval, 0 where none may be."""
    return wishes.grant_minutes if action.kind == "run" and level in (Risk.L1, Risk.L2) else 0


async def wish(tx: Transaction, tenant: Tenant, approval: Approval, user: User) -> None:
    """Note that a vote just cast was for the grant, too; raises BadInput where none is offered by now.

    Until the transaction's end none is made void: what is given then was there to be ended, or is not given.
    """
    if not min(approval.grant_minutes, (await preferences.load(tx)).grant_minutes):
        raise BadInput("grant.not_offered", code=approval.code)
    await _hold(tx, tenant)
    await tx.run(store.WISH, id=approval.id, user_id=user.id)


async def _hold(tx: Transaction, tenant: Tenant) -> None:
    await tx.run(LOCK, lock=f"grants {tenant.id}")


async def _hold_place(tx: Transaction, grant: Grant) -> None:
    """Hold the conversation in which a grant's end is said, before the grant: as the start of a run does."""
    await tx.one(log.HOLD, id=grant.approval.conversation_id)


def _place_of(grant: Grant) -> str:
    return grant.approval.conversation_id


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
        minutes = min(approval.grant_minutes, (await preferences.load(tx)).grant_minutes)
        if not minutes or votes < len(givers) or await is_stopped(tx, tenant):
            return
        now = self._desk.clock()
        until = now + timedelta(minutes=minutes)
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
        now = self._desk.clock()
        await _hold(tx, tenant)
        found = await store.live(tx, now)
        for grant in sorted(found, key=_place_of):
            await _hold_place(tx, grant)
        standing = await _standing_on(tx, found, person, place)
        return [entry for grant in standing for entry in await self._void(tx, tenant, grant, why, now)]

    async def end(self, tenant: Tenant, ended: Sequence[tuple[Grant, Say]]) -> None:
        """End grants that hold no more, each with its reason, and say so where they were given."""
        now, entries = self._desk.clock(), list[Entry]()
        async with tenant.transaction() as tx:
            await _hold(tx, tenant)
            for grant in sorted((grant for grant, _ in ended), key=_place_of):
                await _hold_place(tx, grant)
            for grant, why in ended:
                entries += await self._void(tx, tenant, grant, why, now)
            for entry in entries:
                await tenant.audit.append_in(tx, entry, now)

    async def _void(
        self, tx: Transaction, tenant: Tenant, grant: Grant, why: Say, now: datetime
    ) -> Sequence[Entry]:
        """End a grant if it holds, and say so; return what is to be recorded."""
        if not await tx.value(store.VOID, id=grant.id, now=now):
            return ()
        await tx.run(timers.CANCEL, tenant=tenant.id, kind=GRANT_END, ref=grant.id)
        await self._say(tx, tenant, grant, say("grant.void", **self._about(grant), why=why))
        detail = {**_detail(grant), "why": why.key}
        return [Entry("grant.void", "system", None, None, "grant", grant.id, detail=detail)]

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
