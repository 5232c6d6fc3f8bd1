"""Step-up: a second factor (TOTP, RFC 6238) that a tenant may want proved before level 2 is approved.

A person's secret lies sealed in the vault's form, bound to them. A typed code is looked at before anything
of its message is stored, and is kept nowhere: what is stored is what it came to.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from agent.context import Desk
from agent.fleet.changes import note
from agent.gate.proving import totp
from agent.speech import speak
from core.audit import Entry
from core.errors import NotAllowed, Refused
from core.messages import Address, Outbound
from core.store import log, people, preferences
from core.store import stepup as store
from core.store.database import Row, Transaction
from core.tenant import Tenant, console_installation
from core.texts import Say, say
from core.vault import Place
from core.work import Approval, Risk, Role, User

TRIES = 5
"""Wrong codes in a row, after which no code is looked at for ``LOCKED``."""
LOCKED = timedelta(minutes=5)
ASKED_FOR = timedelta(minutes=5)
"""How long a decision waits for the code that it was asked for."""
ASKED = timedelta(hours=1)
"""For so long after a question six digits alone are taken for a code, and kept out of the history."""

Outcome = Literal["right", "wrong", "used", "locked", "none", "form", "group"]
"""What a code came to. none: its person has no second factor; form: it is no code; group: others read it."""


class StepUpNeeded(NotAllowed):
    """Whoever decides has to prove their second factor first."""

    key = "approval.step_up"


@dataclass(frozen=True, slots=True)
class Standing:
    """How a person stands. wanted: the tenant asks for it; proven_until: None where it is to be proved."""

    wanted: bool
    enrolled: bool
    proven_until: datetime | None


@dataclass(frozen=True, slots=True)
class Proof:
    """What a typed code came to. approval_id: the decision that waited for it and may be made now.

    grants: it is for the offered minutes, too; entry: what is to be recorded as the transaction's last
    statement.
    """

    outcome: Outcome
    approval_id: str | None = None
    grants: bool = False
    entry: Entry | None = None


async def check_proven(
    tx: Transaction, user: User, approval: Approval, verdict: str, now: datetime, *, typed: bool
) -> None:
    """Raise NotAllowed unless ``user`` has proved who they are, where the tenant asks for it.

    typed: they decide in words, which for level 2 takes a second factor in any tenant. What is missing is
    said: StepUpNeeded where a code is all that is.
    """
    if verdict != "approve" or approval.level < Risk.L2:
        return
    wishes = await preferences.load(tx)
    if not wishes.step_up:
        if typed:
            raise NotAllowed("approval.words_for_low", code=approval.code)
        return
    if user.is_key:
        raise NotAllowed("approval.step_up_key")
    row = await tx.one(store.GET, user=user.id)
    if row is None or row["confirmed_at"] is None:
        raise NotAllowed("approval.step_up_enrol")
    if row["proven_until"] is None or row["proven_until"] <= now:
        raise StepUpNeeded("approval.step_up", code=approval.code)


def place_of(tenant: Tenant, user_id: str) -> Place:
    """Return where a person's secret belongs."""
    return Place(tenant.id, "totp", user_id, "sealed", "totp")


class StepUp:
    """Second factors of people. minutes: how long a proved one holds."""

    def __init__(self, desk: Desk, minutes: int) -> None:
        self._desk = desk
        self.minutes = minutes

    async def standing(self, tenant: Tenant, user: User) -> Standing:
        """Return how ``user`` stands."""
        async with tenant.reading() as db:
            wishes = await preferences.load(db)
            row = await db.one(store.GET, user=user.id)
        until = row["proven_until"] if row else None
        is_proven = until is not None and until > self._desk.clock()
        return Standing(wishes.step_up, _is_confirmed(row), until if is_proven else None)

    async def begin(self, tenant: Tenant, user: User) -> totp.Enrolment:
        """Make a secret that holds once a code of it was given; raises Refused where one holds already."""
        if user.is_key:
            raise NotAllowed("totp.people_only")
        secret = totp.new_secret()
        sealed = tenant.vault.seal(secret.encode(), place_of(tenant, user.id))
        now = self._desk.clock()
        async with tenant.transaction() as tx:
            if await tx.one(store.BEGIN, user=user.id, sealed=sealed, now=now) is None:
                raise Refused("totp.enrolled_already")
            await note(tx, tenant, now, "totp.begin", user, "user", user.id, {})
        return await asyncio.to_thread(totp.enrolment, secret, user.name, f"it0 {tenant.row.slug}")

    async def confirm(self, tenant: Tenant, user: User, code: str) -> None:
        """Let a new secret hold, by a first code of it; raises NotAllowed for a wrong one."""
        async with tenant.transaction() as tx:
            row = await tx.one(store.HOLD, user=user.id)
            if _is_confirmed(row):
                raise Refused("totp.enrolled_already")
            outcome = await self._look(tx, tenant, row, code)
            if outcome == "right":
                await note(tx, tenant, self._desk.clock(), "totp.enrol", user, "user", user.id, {})
        _check(outcome)
        self._desk.changed(tenant.id, "people")

    async def prove(self, tenant: Tenant, user: User, code: str, channel: str) -> None:
        """Take a code on the console; raises NotAllowed for a wrong one."""
        async with tenant.transaction() as tx:
            proof = await self.take(tx, tenant, user.id, code, channel)
            if proof.entry is not None:
                await tenant.audit.append_in(tx, proof.entry, self._desk.clock())
        _check(proof.outcome)

    async def take(
        self,
        tx: Transaction,
        tenant: Tenant,
        user_id: str,
        code: str,
        channel: str,
        *,
        is_private: bool = True,
    ) -> Proof:
        """Look at a typed code, in the transaction that keeps what it came to.

        is_private: nobody else could read it; else it is not looked at.
        """
        now = self._desk.clock()
        row = await tx.one(store.HOLD, user=user_id)
        was_locked = row is not None and row["locked_until"] is not None and row["locked_until"] > now
        outcome: Outcome = "none" if is_private else "group"
        if is_private and _is_confirmed(row):
            outcome = await self._look(tx, tenant, row, code)
        if was_locked and is_private:
            return Proof(outcome)  # that they were locked out is on record, and each further try adds nothing
        detail = {} if outcome == "right" else {"why": outcome}
        action = "totp.prove" if outcome == "right" else "totp.refused"
        entry = Entry(action, "user", user_id, None, "user", user_id, channel, detail=detail)
        if row is None or outcome != "right" or not _asked_within(row, ASKED_FOR, now):
            return Proof(outcome, entry=entry)
        return Proof(outcome, row["asked_for"], row["asked_grants"], entry)

    async def is_asked(self, tx: Transaction, user_id: str) -> bool:
        """Return whether a code was asked for of late: what looks like one is then taken for one."""
        return _asked_within(await tx.one(store.GET, user=user_id), ASKED, self._desk.clock())

    async def ask(self, tx: Transaction, user: User, approval_id: str, *, grants: bool) -> bool:
        """Note that ``user`` is asked for a code to decide; return False for one who has no second factor.

        grants: they decide for the offered minutes, too.
        """
        asked = {"approval": approval_id, "grants": grants, "now": self._desk.clock()}
        return await tx.one(store.ASK, user=user.id, **asked) is not None

    async def remove(self, tenant: Tenant, user: User, code: str) -> None:
        """Remove one's own second factor, by a code of it; raises NotAllowed for a wrong one."""
        async with tenant.transaction() as tx:
            row = await tx.one(store.HOLD, user=user.id)
            outcome: Outcome = await self._look(tx, tenant, row, code) if _is_confirmed(row) else "none"
            if outcome == "right":
                await tx.one(store.REMOVE, user=user.id)
                await note(tx, tenant, self._desk.clock(), "totp.remove", user, "user", user.id, {})
        _check(outcome)
        self._desk.changed(tenant.id, "people")

    async def take_away(self, tenant: Tenant, by: User | None, user: User) -> None:
        """Remove somebody's second factor, who is told so; raises Refused where there is none.

        by: the admin who does so, None for the owner at the command line.
        """
        if by is not None and not by.role.covers(Role.ADMIN):
            raise NotAllowed("error.admins_only")
        words = say("totp.taken_away", who=by.name if by else "it0")
        async with tenant.transaction() as tx:
            if await tx.one(store.REMOVE, user=user.id) is None:
                raise Refused("totp.not_enrolled", name=user.name)
            await self._tell(tx, tenant, user, words)
            named = {"name": user.name}
            await note(tx, tenant, self._desk.clock(), "totp.take_away", by, "user", user.id, named)
        self._desk.changed(tenant.id, "people")

    async def reseal(self, tenant: Tenant) -> int:
        """Seal every secret anew under the newest master key; return how many were under an older one."""
        async with tenant.reading() as db:
            rows = await db.all(store.ALL)
        count = 0
        for row in rows:
            if not tenant.vault.is_current(row["sealed"]):
                place = place_of(tenant, row["user_id"])
                fresh = tenant.vault.seal(tenant.vault.open(row["sealed"], place), place)
                async with tenant.transaction() as tx:
                    count += await tx.run(store.RESEAL, user=row["user_id"], old=row["sealed"], new=fresh)
        return count

    async def _look(self, tx: Transaction, tenant: Tenant, row: Row | None, code: str) -> Outcome:
        """Return what a code comes to, and count it, under its row's lock."""
        now = self._desk.clock()
        if row is None:
            return "none"
        if row["locked_until"] is not None and row["locked_until"] > now:
            return "locked"
        if not totp.is_code(code):
            return "form"
        secret = tenant.vault.open(row["sealed"], place_of(tenant, row["user_id"])).decode()
        step = totp.step_of(secret, code, now)
        if step is not None and step <= row["last_step"]:
            return "used"
        if step is None:
            failures = row["failures"] + 1
            is_last = failures >= TRIES
            until = now + LOCKED if is_last else None
            await tx.run(store.WRONG, user=row["user_id"], failures=0 if is_last else failures, until=until)
            return "locked" if is_last else "wrong"
        until = now + timedelta(minutes=self.minutes)
        confirmed_at = row["confirmed_at"] or now
        await tx.run(store.RIGHT, user=row["user_id"], step=step, confirmed_at=confirmed_at, until=until)
        return "right"

    async def _tell(self, tx: Transaction, tenant: Tenant, user: User, words: Say) -> None:
        homes = [address for _, address in await people.homes(tx, tenant.id, [user.id])]
        own = Address("console", console_installation(tenant.id), f"{user.id}:it0-says")
        for address in (own, *homes):
            now = self._desk.clock()
            place = await log.open_conversation(tx, self._desk.ids(), address, user.id, now, title="it0")
            await speak(self._desk, tx, tenant, place, address, Outbound("notice", [words]))
        tx.after_commit.append(lambda: self._desk.changed(tenant.id, "conversations"))


def _is_confirmed(row: Row | None) -> bool:
    return row is not None and row["confirmed_at"] is not None


def _asked_within(row: Row | None, span: timedelta, now: datetime) -> bool:
    return row is not None and row["asked_at"] is not None and row["asked_at"] > now - span


def _check(outcome: Outcome) -> None:
    if outcome != "right":
        raise NotAllowed(f"totp.{outcome}", minutes=int(LOCKED.total_seconds() // 60))
