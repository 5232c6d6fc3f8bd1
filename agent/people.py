"""People of a tenant: letting in, changing rights, pairing codes."""

import re
import unicodedata
from collections.abc import Sequence
from datetime import datetime, timedelta

from agent.fleet.changes import note
from agent.gate.deciding.grants import Grants
from core.audit import Entry
from core.clock import Clock
from core.errors import BadInput, Late, NotAllowed, NotFound, Refused
from core.ids import new_id, pairing_code
from core.store import keys, people
from core.store.database import Row, Transaction
from core.store.people import code_hash
from core.store.statements import LOCK
from core.tenant import Tenant, console_installation
from core.texts import LANGUAGES, Language, Say, as_language, say
from core.work import PLANS, Role, User

NAME = re.compile(r"[^\s\x00-\x1f\x7f:/][^\x00-\x1f\x7f:/]{0,62}")
SPACED = re.compile(r"[^ ]+(?: [^ ]+)*")
LETTERS = ("Lu", "Ll", "Lt", "Lo")
MORE = frozenset("0123456789 ._-@々ー〆")
BLANK_LETTERS = frozenset("\u115f\u1160")
ALIKE = ("LATIN", "CYRILLIC", "GREEK")
"""Scripts that share shapes: a name has letters of one of them at most."""
RESERVED = frozenset({"it0"})
"""Who speaks in the log and in chats beside people."""


def role_of(text: str) -> Role:
    """Return the role that ``text`` names; raises BadInput."""
    if text not in list(Role):
        raise BadInput("people.bad_role", roles=", ".join(Role))
    return Role(text)


def clean_name(text: str) -> str:
    """Return a person's name as it is stored: in the form in which equal looks are equal characters.

    Letters of any script, digits, and ``. _ - @`` with single spaces between. Raises BadInput.
    """
    name = unicodedata.normalize("NFKC", text)
    if not NAME.fullmatch(text) or not NAME.fullmatch(name):
        raise BadInput("people.bad_name")
    scripts = {unicodedata.name(char, "").split(" ")[0] for char in name}
    is_spaced = text.isprintable() and SPACED.fullmatch(name) and any(map(str.isalnum, name))
    if not is_spaced or not all(map(_is_plain, name)) or len(scripts.intersection(ALIKE)) > 1:
        raise BadInput("people.odd_name")
    if name.casefold() in RESERVED:
        raise BadInput("people.name_reserved", name=name)
    return name


def _is_plain(char: str) -> bool:
    is_letter = unicodedata.category(char) in LETTERS and char not in BLANK_LETTERS
    return is_letter or char in MORE


async def set_language(tenant: Tenant, user: User, language: str, channel: str, at: datetime) -> None:
    """Let a user be spoken to in another language, and record it; raises BadInput for an unknown one."""
    if language not in LANGUAGES:
        raise BadInput("language.unknown", languages=", ".join(LANGUAGES))
    async with tenant.transaction() as tx:
        await tx.run(people.CHANGE, user=user.id, role=None, language=language, active=None)
        detail = {"name": user.name, "language": language}
        entry = Entry("user.language", "user", user.id, None, "user", user.id, channel, detail=detail)
        await tenant.audit.append_in(tx, entry, at)


class Staff:
    """The users of tenants.

    code_minutes: how long a pairing code holds; grants: end with the rights of who asked for or gave them.
    """

    def __init__(self, clock: Clock, code_minutes: int, grants: Grants) -> None:
        self._clock = clock
        self._grants = grants
        self._code_life = timedelta(minutes=code_minutes)

    @property
    def code_minutes(self) -> int:
        """Return how long a pairing code holds."""
        return int(self._code_life.total_seconds() // 60)

    async def named(self, tenant: Tenant, name: str) -> User:
        """Return a user by name; raises NotFound."""
        async with tenant.reading() as db:
            user = await people.user_named(db, name)
        if user is None or user.is_key:
            raise NotFound("people.no_such_user", name=name)
        return user

    async def add(self, tenant: Tenant, by: User | None, name: str, role: str, language: Language) -> User:
        """Add a user. by: the admin who does so, None for the owner at the command line.

        Raises BadInput for a bad name, role or language or a name in use, Refused at the plan's limit.
        """
        _admin(by)
        name = clean_name(name)
        if language not in LANGUAGES:
            raise BadInput("language.unknown", languages=", ".join(LANGUAGES))
        user = User(new_id(), name, role_of(role), language)
        async with tenant.transaction() as tx:
            await _one_at_a_time(tx, tenant)
            if await people.user_named(tx, name):
                raise BadInput("people.name_taken", name=name)
            await self._add(tx, tenant, user)
            await self._note(tx, tenant, "user.add", by, user, {"name": name, "role": role})
        return user

    async def _add(self, tx: Transaction, tenant: Tenant, user: User) -> None:
        """Store a user with their console; raises Refused at the plan's limit."""
        await _check_quota(tx, tenant)
        now = self._clock()
        await tx.run(
            people.ADD_USER,
            id=user.id,
            name=user.name,
            role=str(user.role),
            language=user.language,
            created_at=now,
        )
        console = console_installation(tenant.id)
        await people.add_identity(tx, tenant.id, console, user.id, user.id, now)

    async def admit(
        self, tenant: Tenant, by: User, installation_id: str, external_id: str, role: str
    ) -> tuple[User, str]:
        """Let a stranger in who has knocked; return them as a user, with their private chat's thread.

        Their name is what the platform calls them, in a form that names may have. Raises NotFound for one
        who has not knocked, Late for one who is in already, Refused at the plan's limit.
        """
        _admin(by)
        now = self._clock()
        async with tenant.transaction() as tx:
            await _one_at_a_time(tx, tenant)
            found = {"installation_id": installation_id, "external_id": external_id}
            stranger = await tx.one(people.STRANGER, **found)
            if stranger is None or not stranger["home"]:
                raise NotFound("pair.nobody_knocked")
            name = await _free_name(tx, stranger["name"] or "", external_id)
            user = User(new_id(), name, role_of(role), as_language(stranger["language"] or ""))
            await self._add(tx, tenant, user)
            home = str(stranger["home"])
            linked = await people.add_identity(
                tx, tenant.id, installation_id, external_id, user.id, now, home
            )
            if not linked:
                raise Late("pair.in_already")
            detail: dict[str, object] = {"name": name, "role": role, **found}
            await self._note(tx, tenant, "user.admit", by, user, detail)
        return user, home

    async def change(
        self, tenant: Tenant, by: User | None, name: str, *, role: str | None, active: bool | None
    ) -> list[str]:
        """Change a user's role, or let them out or in again; the last admin stays one.

        Whoever made an API key knows its token: those that may more than their maker from now on are revoked,
        and their names returned. Raises NotFound, BadInput, or Refused for the last active admin or at the
        plan's limit.
        """
        _admin(by)
        wanted = role_of(role) if role is not None else None
        async with tenant.transaction() as tx:
            await _one_at_a_time(tx, tenant)
            everybody = await people.persons(tx)
            user = next((each for each in everybody if each.name == name), None)
            if user is None:
                raise NotFound("people.no_such_user", name=name)
            loses = (wanted not in (None, Role.ADMIN)) or active is False
            others = [u for u in everybody if u.active and u.role is Role.ADMIN and u.id != user.id]
            if user.role is Role.ADMIN and user.active and loses and not others:
                raise Refused("people.last_admin", name=name)
            if active and not user.active:
                await _check_quota(tx, tenant)
            await tx.run(people.CHANGE, user=user.id, role=wanted, language=None, active=active)
            if active is False:
                gone = {"tenant": tenant.id, "user_id": user.id, "now": self._clock()}
                await tx.run(people.VOID_LINKS, **gone)
                await tx.run(people.VOID_CODES, **gone)
                await tx.all(people.END_SESSIONS_OF, **gone)
            is_active = user.active if active is None else active
            revoked = await self._revoke_keys(tx, tenant, user.id, wanted or user.role, is_active)
            ended = await self._end_grants(tx, tenant, user, wanted, active, revoked)
            await self._note(
                tx, tenant, "user.change", by, user, {"name": name, "role": role, "active": active}
            )
            for row in revoked:
                at, known = self._clock(), {"name": row["name"]}
                await note(tx, tenant, at, "key.revoke", by, "key", row["id"], known)
            for entry in ended:
                await tenant.audit.append_in(tx, entry, self._clock())
        return [str(row["name"]) for row in revoked]

    async def _revoke_keys(
        self, tx: Transaction, tenant: Tenant, maker_id: str, role: Role, is_active: bool
    ) -> Sequence[Row]:
        made = await keys.made_by(tx, maker_id)
        revoked = [row for row in made if not (is_active and role.covers(Role(row["role"])))]
        for row in revoked:
            await tx.run(keys.REVOKE, tenant=tenant.id, id=row["id"], now=self._clock())
            await tx.run(people.CHANGE, user=row["user_id"], role=None, language=None, active=False)
        return revoked

    async def _end_grants(
        self,
        tx: Transaction,
        tenant: Tenant,
        user: User,
        role: Role | None,
        active: bool | None,
        revoked: Sequence[Row],
    ) -> Sequence[Entry]:
        """End the grants of who may do less from now on, and of their keys that are revoked."""
        who: list[tuple[str, Say]] = []
        if active is False:
            who.append((user.id, say("grant.why_let_out", name=user.name)))
        elif role and not role.covers(user.role):
            who.append((user.id, say("grant.why_lowered", name=user.name)))
        who += [(row["user_id"], say("grant.why_key", name=row["name"])) for row in revoked]
        ended = [await self._grants.void(tx, tenant, why, person=person) for person, why in who]
        return [entry for entries in ended for entry in entries]

    async def pairing_code(self, tenant: Tenant, by: User | None, name: str) -> str:
        """Return a one-time code by which ``name`` pairs a chat account."""
        _admin(by)
        user = await self.named(tenant, name)
        code = pairing_code()
        async with tenant.transaction() as tx:
            await tx.run(
                people.ADD_CODE,
                token_hash=code_hash(code),
                tenant=tenant.id,
                user_id=user.id,
                expires_at=self._clock() + self._code_life,
            )
            await self._note(tx, tenant, "user.pairing_code", by, user, {"name": name})
        return code

    async def _note(
        self,
        tx: Transaction,
        tenant: Tenant,
        action: str,
        by: User | None,
        user: User,
        detail: dict[str, object],
    ) -> None:
        """Audit a change within its own transaction, last: it holds the chain's lock."""
        actor = by.id if by else None
        entry = Entry(action, "user" if by else "system", actor, None, "user", user.id, detail=detail)
        await tenant.audit.append_in(tx, entry, self._clock())


def _admin(by: User | None) -> None:
    if by is not None and not by.role.covers(Role.ADMIN):
        raise NotAllowed("error.admins_only")


async def _free_name(tx: Transaction, given: str, external_id: str) -> str:
    """Return a name that nobody has yet, as near to the ``given`` one as names may be."""
    try:
        name = clean_name(" ".join(given.split())[:40])
    except BadInput:
        name = f"chat-{external_id}"[:60]
    taken = await people.user_named(tx, name)
    return f"{name} {external_id}"[:63] if taken else name


async def _one_at_a_time(tx: Transaction, tenant: Tenant) -> None:
    """Let changes of people follow one another: two admins must not dismiss each other at once."""
    await tx.run(LOCK, lock=f"people {tenant.id}")


async def _check_quota(tx: Transaction, tenant: Tenant) -> None:
    limit = PLANS[tenant.row.plan].users
    if limit is not None and await tx.value(people.COUNT) >= limit:
        raise Refused("quota.users", limit=limit, plan=tenant.row.plan)
