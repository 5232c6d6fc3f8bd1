"""API keys: made by admins, shown once, revoked; each acts in its own name with its own role."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from agent.fleet.changes import note
from agent.gate.deciding.grants import Grants
from agent.people import clean_name, role_of
from core.clock import Clock
from core.errors import BadInput, NotAllowed, NotFound
from core.ids import key_token, new_id
from core.store import keys, people
from core.store.people import token_hash
from core.store.statements import LOCK
from core.tenant import Tenant, console_installation
from core.texts import Language, say
from core.work import Role, User


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is listed. prefix: how its token begins; made_by: a user, None for the command line."""

    id: str
    name: str
    role: Role
    prefix: str
    made_by: str | None
    created_at: datetime
    expires_at: datetime | None
    used_at: datetime | None = None
    revoked_at: datetime | None = None


class ApiKeys:
    """The API keys of tenants. grants: end with the key that asked for or gave them."""

    def __init__(self, clock: Clock, grants: Grants) -> None:
        self._clock = clock
        self._grants = grants

    async def new(
        self,
        tenant: Tenant,
        by: User | None,
        name: str,
        role: str,
        language: Language,
        expires_at: datetime | None = None,
    ) -> tuple[ApiKey, str]:
        """Make a key; return it with its token, which nothing can show again.

        A name whose key was revoked may be taken again: it is the same actor in the log. language: of the
        sentences that it is answered with. Raises BadInput for a bad name or role, a name in use, or an
        expiry that is over, and NotAllowed.
        """
        _admin(by)
        name, wanted, now = clean_name(name), role_of(role), self._clock()
        if expires_at is not None and expires_at <= now:
            raise BadInput("key.expires_past")
        prefix, token = key_token()
        async with tenant.transaction() as tx:
            await tx.run(LOCK, lock=f"people {tenant.id}")
            if by is not None:  # who was let out while this waited would have left a key behind
                _admin(await people.user(tx, by.id) or replace(by, active=False))
            if await tx.one(keys.LIVE_NAMED, name=name):
                raise BadInput("key.name_taken", name=name)
            user_id = new_id()
            values = {"id": user_id, "name": name, "role": str(wanted), "language": language}
            kept = await tx.one(keys.SET_USER, **values, created_at=now)
            if kept is None:
                raise BadInput("people.name_taken", name=name)
            user_id = kept["id"]
            console = console_installation(tenant.id)
            await people.add_identity(tx, tenant.id, console, user_id, user_id, now)
            made = ApiKey(new_id(), name, wanted, prefix, by.id if by else None, now, expires_at)
            await tx.run(
                keys.ADD,
                token_hash=token_hash(token),
                id=made.id,
                tenant_id=tenant.id,
                user_id=user_id,
                prefix=prefix,
                made_by=made.made_by,
                created_at=now,
                expires_at=expires_at,
            )
            until = expires_at.isoformat() if expires_at else None
            detail = {"name": name, "role": role, "prefix": prefix, "expires_at": until}
            await note(tx, tenant, now, "key.add", by, "key", made.id, detail)
        return made, token

    async def listed(self, tenant: Tenant) -> Sequence[ApiKey]:
        """Return every key, the newest first, also those that were revoked."""
        async with tenant.reading() as db:
            rows = await db.all(keys.LISTED)
        return [ApiKey(**{**row, "role": Role(row["role"])}) for row in map(dict, rows)]

    async def revoke(self, tenant: Tenant, by: User | None, name: str) -> None:
        """Let a key in no more, from this moment. Raises NotFound and NotAllowed."""
        _admin(by)
        now = self._clock()
        async with tenant.transaction() as tx:
            await tx.run(LOCK, lock=f"people {tenant.id}")
            key = await tx.one(keys.LIVE_NAMED, name=name)
            if key is None:
                raise NotFound("key.unknown", name=name)
            await tx.run(keys.REVOKE, tenant=tenant.id, id=key["id"], now=now)
            await tx.run(people.CHANGE, user=key["user_id"], role=None, language=None, active=False)
            why = say("grant.why_key", name=name)
            ended = await self._grants.void(tx, tenant, why, person=key["user_id"])
            await note(tx, tenant, now, "key.revoke", by, "key", key["id"], {"name": name})
            for entry in ended:
                await tenant.audit.append_in(tx, entry, now)


def _admin(by: User | None) -> None:
    if by is not None and not (by.active and by.role.covers(Role.ADMIN)):
        raise NotAllowed("error.admins_only")
