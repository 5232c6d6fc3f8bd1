"""The front: an inbound is accepted when its row is on the disk, and only then does its platform hear so."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import structlog

from agent.gate.deciding.typed import read as read_decision
from agent.gate.proving.stepup import Proof, StepUp
from agent.gate.proving.totp import may_be_code, typed_code
from agent.redaction.pasted import kinds_in
from bot.console.limits import Rate
from bot.inbound.beginnings import CONSOLE, Beginnings
from bot.inbound.waiting import Waiting
from core.audit import Entry
from core.clock import Clock
from core.errors import BadInput, NotFound, StoreUnavailable
from core.ids import Ids
from core.messages import (
    Accepted,
    Body,
    Click,
    Inbound,
    Outbound,
    Progress,
    Reply,
    Sending,
    Text,
    command_word,
)
from core.store import inbox, people
from core.store.database import Database, Row, Transaction
from core.store.inbox import Arrival, Repeat, Taken
from core.store.log import Event
from core.tenant import Tenant, Tenants
from core.texts import Say, say

logger = structlog.get_logger()

MAX_TEXT = 64_000
MAX_EVENT_ID = 200
PAIRING = re.compile(r"[A-Za-z0-9]{5}[- ]?[A-Za-z0-9]{5}")
IDENTITY_S = 5.0
WRONG_CODES_A_MINUTE = 3
"""So many of a stranger's are answered; of more nothing is said, and a right one still lets them in."""
STOP_WORDS = ("stop", "停止")
CONTROL = ("/stop", "/halt", "/resume", "/revoke")
"""What passes by a running turn (decision 3)."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """Work that was accepted and taken, with its content still at hand."""

    tenant: Tenant
    taken: Taken
    event: dict[str, Any]


def kind_of(body: Body) -> tuple[str, dict[str, Any], bool]:
    """Return (the event's kind, its body, whether it needs the conversation's lane).

    Raises BadInput for what is empty or too long.
    """
    match body:
        case Text(text):
            if not text.strip():
                raise BadInput("message.empty")
            if len(text) > MAX_TEXT:
                raise BadInput("message.too_long", length=len(text), limit=MAX_TEXT)
            is_control = command_word(text) in CONTROL or text.strip().lower() in STOP_WORDS
            is_control = is_control or read_decision(text) is not None
            return "said", {"text": text.replace("\0", "")}, not is_control
        case Click(button):
            return "clicked", {"button": button[:200]}, False
    raise BadInput


class Front:
    """Accepts what comes in: tenant from the installation, user from the identity, then the rows.

    start: takes the accepted work on in this process, and returns what gives it up again.
    knock: tells admins of a stranger; returns whether there is anybody to tell.
    beginnings: finds a message's conversation. waiting: is told of one that has to wait.
    step_up: looks at typed codes.
    """

    def __init__(
        self,
        me: str,
        database: Database,
        tenants: Tenants,
        clock: Clock,
        ids: Ids,
        start: Callable[[Arrived], Callable[[], object]],
        knock: Callable[[Tenant, Inbound], Awaitable[bool]],
        beginnings: Beginnings,
        waiting: Waiting,
        step_up: StepUp,
    ) -> None:
        self._me = me
        self._database = database
        self._tenants = tenants
        self._clock = clock
        self._ids = ids
        self._start = start
        self._knock = knock
        self._beginnings = beginnings
        self._waiting = waiting
        self._step_up = step_up
        self._known: dict[tuple[str, str], tuple[float, str, str]] = {}
        self._wrong_codes = Rate(WRONG_CODES_A_MINUTE)

    async def __call__(self, inbound: Inbound, reply: Reply) -> Accepted | None:
        """Accept ``inbound``; None for a stranger, who leaves no content.

        Of a message that holds a secret only the secret's kind is kept, of a typed code what it came to.

        Raises BadInput for what cannot be taken and StoreUnavailable when it cannot be kept: then it is not
        accepted, and its platform must send it again.
        """
        if not inbound.event_id or len(inbound.event_id) > MAX_EVENT_ID:
            raise BadInput("message.bad_id", limit=MAX_EVENT_ID)
        kind, body, laned = kind_of(inbound.body)
        identity = await self._identity(inbound)
        if identity is None:
            await self._meet_stranger(inbound, reply)
            return None
        tenant_id, user_id = identity
        tenant = await self._tenants.by_id(tenant_id)
        if kind == "said" and (kinds := kinds_in(body["text"])):
            kind, body, laned = "withheld", {"kinds": kinds, "message": inbound.message}, False
        event = Event(kind, body, self._ids(), user_id)
        try:
            accepted, laned = await self._commit(tenant, inbound, event, laned)
        except Repeat:
            return await self._repeated(inbound)
        if laned and accepted.fence is None:
            live = reply.live(tenant.id, accepted.conversation_id, event.turn_id or "")
            await live.update(Progress("state", {"waits": accepted.seq}))
        return accepted

    async def _commit(
        self, tenant: Tenant, inbound: Inbound, event: Event, laned: bool
    ) -> tuple[Accepted, bool]:
        """Store what came in; return it, and whether it needs the conversation's lane."""
        now = self._clock()
        address = inbound.address
        # Work on it begins before it is on the disk: whatever that work does is committed after it.
        async with tenant.transaction(flushed=False) as tx:
            proof = await self._proof(tx, tenant, inbound, event)
            if proof is not None:
                event, laned = _withheld(event, inbound, proof), False
            begun = await self._beginnings(tx, tenant, inbound, event, now)
            conversation_id, seq = begun.conversation_id, begun.seq
            arrival = Arrival(
                tenant.id, address.installation_id, inbound.event_id, conversation_id, seq, laned
            )
            taken = await inbox.accept(tx, arrival, self._me)
            for entry in (begun.entry, proof.entry if proof else None):
                if entry is not None:
                    await tenant.audit.append_in(tx, entry, now)
        if laned and taken is None and address.channel != CONSOLE:  # its page shows it
            self._waiting.note(tenant, begun, address)
        forsake = None
        if taken is not None:
            sender = inbound.sender
            more = {"at": now, "ip": sender.ip if sender else None, "event_id": inbound.event_id}
            forsake = self._start(Arrived(tenant, taken, {**event.as_json(), **more, "address": address}))
        await asyncio.shield(self._on_disk(forsake))
        fence = taken.fence if taken else None
        return Accepted(tenant.id, taken.id if taken else 0, conversation_id, seq, fence), laned

    async def _on_disk(self, forsake: Callable[[], object] | None) -> None:
        """Wait for the disk; what a crash of the database may have undone is not worked on any more."""
        try:
            await self._database.flush()
        except StoreUnavailable:
            if forsake is not None:
                forsake()
            raise

    async def _proof(self, tx: Transaction, tenant: Tenant, inbound: Inbound, event: Event) -> Proof | None:
        """Return what a typed code of a second factor comes to, None where nothing of the kind was typed."""
        if event.kind != "said" or event.user_id is None:
            return None
        text = event.body["text"]
        code = typed_code(text)
        if code is None and may_be_code(text) and await self._step_up.is_asked(tx, event.user_id):
            code = "".join(text.split())
        if code is None:
            return None
        address, sender = inbound.address, inbound.sender
        is_private = address.channel == CONSOLE or (sender is not None and sender.home == address.thread)
        return await self._step_up.take(
            tx, tenant, event.user_id, code, address.channel, is_private=is_private
        )

    async def _repeated(self, inbound: Inbound) -> Accepted:
        async with self._database.reading() as db:
            row = await inbox.seen(db, inbound.address.installation_id, inbound.event_id)
        if row is None:
            raise NotFound
        await self._database.flush()
        return Accepted(row["tenant_id"], row["id"], row["conversation_id"], row["seq"], None, repeat=True)

    async def _identity(self, inbound: Inbound) -> tuple[str, str] | None:
        """Return (tenant, user) of the sender; a stranger is told once how to be let in."""
        if inbound.sender is None:
            raise BadInput
        key = (inbound.address.installation_id, inbound.sender.external_id)
        until, tenant_id, user_id = self._known.get(key, (0.0, "", ""))
        if until > time.monotonic():
            return tenant_id, user_id
        async with self._database.reading() as db:
            row = await db.one(people.IDENTITY, installation_id=key[0], external_id=key[1])
        if row is None:
            return None
        if len(self._known) > 10_000:
            self._known.clear()
        if inbound.sender.home and row["home"] != inbound.sender.home:
            async with self._database.transaction() as tx:
                found = {"installation_id": key[0], "external_id": key[1]}
                await tx.run(people.SET_HOME, home=inbound.sender.home, **found)
        self._known[key] = (time.monotonic() + IDENTITY_S, row["tenant_id"], row["user_id"])
        return row["tenant_id"], row["user_id"]

    async def _meet_stranger(self, inbound: Inbound, reply: Reply) -> None:
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


def _withheld(event: Event, inbound: Inbound, proof: Proof) -> Event:
    """Return what is stored of a message that held a code: not the code."""
    found = {"outcome": proof.outcome, "approval_id": proof.approval_id, "grants": proof.grants}
    return replace(event, kind="withheld", body={"kinds": ["totp"], "message": inbound.message, **found})


class _LinkedMeanwhile(Exception):
    """The sender was paired by another code at this moment: this one is not used up."""
