"""Strangers: paired by a code that an admin made, or told once how to get one."""

import re
from collections.abc import Awaitable, Callable
from datetime import datetime

from bot.console.limits import Rate
from core.audit import Entry
from core.clock import Clock
from core.errors import NotFound
from core.messages import Inbound, Outbound, Reply, Sending, Text
from core.store import people
from core.store.database import Database, Row
from core.tenant import Tenant, Tenants
from core.texts import Say, say

PAIRING = re.compile(r"[A-Za-z0-9]{5}[- ]?[A-Za-z0-9]{5}")
WRONG_CODES_A_MINUTE = 3
"""So many of a stranger's are answered; of more nothing is said, and a right one still lets them in."""


class Strangers:
    """Speaks with who is not known; of what they say nothing is kept.

    knock: tells admins of a stranger; returns whether there is anybody to tell.
    """

    def __init__(
        self,
        database: Database,
        tenants: Tenants,
        clock: Clock,
        knock: Callable[[Tenant, Inbound], Awaitable[bool]],
    ) -> None:
        self._database = database
        self._tenants = tenants
        self._clock = clock
        self._knock = knock
        self._wrong_codes = Rate(WRONG_CODES_A_MINUTE)

    async def __call__(self, inbound: Inbound, reply: Reply) -> None:
        """Pair by a code that an admin made, or say once how to get one."""
        assert inbound.sender is not None
        installation_id, external_id = inbound.address.installation_id, inbound.sender.external_id
        now = self._clock()
        typed = inbound.body.text.removeprefix("/start ") if isinstance(inbound.body, Text) else ""
        digest = people.code_hash(typed)
        async with self._database.reading() as db:
            installation = await db.one(people.INSTALLATION, id=installation_id)
            if installation is None:
                raise NotFound("error.no_such_installation")
            code = await db.one(people.CODE, token_hash=digest, now=now)
        if code is not None and code["tenant_id"] != installation["tenant_id"]:
            raise NotFound("pair.other_tenant")
        if code is not None and await self._pair(inbound, code, digest, now):
            words: Say | None = say("pair.welcome")
        else:
            async with self._database.transaction() as tx:
                told = await tx.one(
                    people.TELL_STRANGER,
                    installation_id=installation_id,
                    external_id=external_id,
                    told_at=now,
                    name=inbound.sender.name[:100],
                    language=inbound.sender.language,
                    home=inbound.sender.home or None,
                )
            words = None
            if PAIRING.fullmatch(typed.strip()):
                is_heard = self._wrong_codes.allows((installation_id, external_id))
                words = say("pair.bad_code") if is_heard else None
            elif told is not None:
                asked = await self._knock(await self._tenants.by_id(installation["tenant_id"]), inbound)
                words = say("pair.asked" if asked else "pair.stranger")
        if words is not None:
            body = Outbound("notice", [words]).as_json()
            language = inbound.sender.language
            await reply.deliver(Sending(installation["tenant_id"], "", 0, body, language=language))

    async def _pair(self, inbound: Inbound, code: Row, digest: bytes, now: datetime) -> bool:
        """Use a code up, link its person to the sender, record it: all or nothing. False if it is void."""
        assert inbound.sender is not None
        installation_id, external_id = inbound.address.installation_id, inbound.sender.external_id
        tenant = await self._tenants.by_id(code["tenant_id"])
        user_id, channel = code["user_id"], inbound.address.channel
        detail = {"installation": installation_id, "external_id": external_id}
        try:
            async with tenant.transaction() as tx:
                # Held first, so that whoever is being let out at this moment is not paired afterwards.
                user = await tx.one(people.HOLD_USER, id=user_id)
                if user is None or not user["active"]:
                    return False
                if await tx.one(people.USE_CODE, token_hash=digest, now=now) is None:
                    return False
                home = inbound.sender.home
                if not await people.add_identity(
                    tx, tenant.id, installation_id, external_id, user_id, now, home
                ):
                    raise _LinkedMeanwhile
                entry = Entry("user.paired", "user", user_id, channel=channel, detail=detail)
                await tenant.audit.append_in(tx, entry, now)
        except _LinkedMeanwhile:
            return False
        return True


class _LinkedMeanwhile(Exception):
    """The sender was paired by another code at this moment: this one is not used up."""
