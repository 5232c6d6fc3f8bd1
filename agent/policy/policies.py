"""Changing a tenant's policy: by admins, in versions, each on record with what was and what is."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from agent.fleet.changes import admins_only
from agent.policy.documents import Draft
from agent.redaction.redact import Redact
from core.audit import Entry
from core.clock import Clock
from core.errors import Late, NotFound, Refused
from core.store import policies as store
from core.store.database import Transaction
from core.store.policies import Stored
from core.store.statements import LOCK
from core.tenant import Tenant
from core.work import User, canonical


@dataclass(frozen=True, slots=True)
class By:
    """Who changes it, and whence. user: its id is "" at the command line."""

    user: User
    channel: str
    ip: str | None = None


class Policies:
    """The policies of tenants. redact: what takes a tenant's secrets out of a text."""

    def __init__(self, clock: Clock, redact: Callable[[Tenant], Awaitable[Redact]]) -> None:
        self._clock = clock
        self._redact = redact

    async def current(self, tenant: Tenant) -> Stored:
        """Return the policy that holds."""
        async with tenant.reading() as db:
            return await store.current(db)

    async def put(self, tenant: Tenant, by: By, draft: Draft) -> Stored:
        """Let ``draft`` be the whole policy; one that says the same makes no new version.

        Raises NotAllowed, Refused for a secret in it, and Late where another than it was made from holds.
        """
        admins_only(by.user)
        text = canonical(draft.document)
        if (await self._redact(tenant))(text) != text:
            raise Refused("policy.has_secret")
        async with tenant.transaction() as tx:
            now = await _held(tx, tenant)
            if draft.made_from not in (None, now.version):
                raise Late("policy.changed_meanwhile", version=now.version)
            return await self._store(tx, tenant, by, now, draft.document)

    async def remove(self, tenant: Tenant, by: By, name: str) -> Stored:
        """Remove the entry ``name``; raises NotAllowed, NotFound."""
        admins_only(by.user)
        async with tenant.transaction() as tx:
            now = await _held(tx, tenant)
            left = {
                kind: {key: entry for key, entry in entries.items() if key != name}
                for kind, entries in now.document.items()
            }
            if left == now.document:
                raise NotFound("policy.no_such_entry", entry=name[:80])
            return await self._store(tx, tenant, by, now, left)

    async def _store(
        self, tx: Transaction, tenant: Tenant, by: By, old: Stored, document: Mapping[str, Any]
    ) -> Stored:
        if document == old.document:
            return old
        now = self._clock()
        new = Stored(old.version + 1, document, now, by.user.id or None)
        await store.add(tx, new)
        before, after = changes(old.document, document)
        detail = {"version": new.version, "old": before, "new": after}
        is_person = bool(by.user.id)
        entry = Entry(
            "policy.set",
            "user" if is_person else "system",
            by.user.id or None,
            resource_type="policy",
            channel=by.channel or None,
            ip=by.ip,
            detail=detail,
        )
        await tenant.audit.append_in(tx, entry, now)
        return new


async def _held(tx: Transaction, tenant: Tenant) -> Stored:
    """Return the policy that holds, which nobody else changes until the end of the transaction."""
    await tx.run(LOCK, lock=f"policy {tenant.id}")
    return await store.current(tx)


def entries_of(document: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return a document's entries by where they stand, such as ``tighten.no-rollback``."""
    return {
        f"{kind}.{name}": entry
        for kind in ("tighten", "program")
        for name, entry in document.get(kind, {}).items()
    }


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the entries that differ, as they were and as they are; one that is not there is left out."""
    before, after = entries_of(old), entries_of(new)
    differ = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    return (
        {key: before[key] for key in sorted(differ & before.keys())},
        {key: after[key] for key in sorted(differ & after.keys())},
    )
