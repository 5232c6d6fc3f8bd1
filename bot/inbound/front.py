"""The front: an inbound is accepted when its row is on the disk, and only then does its platform hear so."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from agent.gate.deciding.typed import read as read_decision
from agent.gate.proving.stepup import Proof, StepUp
from agent.gate.proving.totp import bare_code, typed_code
from agent.redaction.pasted import kinds_in
from bot.inbound.beginnings import CONSOLE, Beginnings, Begun
from bot.inbound.strangers import Strangers
from bot.inbound.waiting import Waiting
from core.clock import Clock
from core.errors import BadInput, NotFound, StoreUnavailable
from core.ids import Ids
from core.messages import (
    Accepted,
    Body,
    Click,
    Inbound,
    Progress,
    Reply,
    Text,
    command_word,
)
from core.store import arrivals, people
from core.store.arrivals import Arrival, Repeat
from core.store.database import Database, Transaction
from core.store.inbox import Taken
from core.store.log import Event
from core.store.openings import Opening
from core.tenant import Tenant, Tenants

MAX_TEXT = 64_000
MAX_EVENT_ID = 200
IDENTITY_S = 5.0
STOP_WORDS = ("stop", "停止")
CONTROL = ("/stop", "/halt", "/resume", "/revoke")
"""What passes by a running turn (decision 3)."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """Work that was accepted and taken, with its content still at hand."""

    tenant: Tenant
    taken: Taken
    event: dict[str, Any]
    opening: Opening


@dataclass(frozen=True, slots=True)
class _Stored:
    """What was written of an inbound. taken: None while it waits; laned: whether it needs the lane.

    opening: what held then, if it was read with it.
    """

    begun: Begun
    taken: Taken | None
    event: Event
    laned: bool
    opening: Opening = field(default_factory=Opening)


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
    strangers: speaks with who is not known.
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
        strangers: Strangers,
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
        self._strangers = strangers
        self._beginnings = beginnings
        self._waiting = waiting
        self._step_up = step_up
        self._known: dict[tuple[str, str], tuple[float, str, str]] = {}

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
            await self._strangers(inbound, reply)
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
        # Work on it begins before it is on the disk: whatever that work does is committed after it.
        stored = await self._store_at_once(tenant, inbound, event, now) if laned else None
        stored = stored or await self._store(tenant, inbound, event, laned, now)
        begun, taken = stored.begun, stored.taken
        forsake = None
        if taken is not None:
            sender = inbound.sender
            more = {"at": now, "ip": sender.ip if sender else None, "event_id": inbound.event_id}
            content = {**stored.event.as_json(), **more, "address": inbound.address}
            forsake = self._start(Arrived(tenant, taken, content, stored.opening))
        elif stored.laned:
            self._waiting.note(tenant, begun, inbound.address)
        await asyncio.shield(self._on_disk(forsake))
        work, fence = (taken.id, taken.fence) if taken else (0, None)
        return Accepted(tenant.id, work, begun.conversation_id, begun.seq, fence), stored.laned

    async def _store_at_once(
        self, tenant: Tenant, inbound: Inbound, event: Event, now: datetime
    ) -> _Stored | None:
        """Store a message in one statement; None, and nothing is stored, if there is more to it."""
        spot = self._beginnings.spot(inbound, event, now)
        if spot is None or _codes_in(event) != (None, None):
            return None
        async with tenant.statement(flushed=False) as db:
            found = await arrivals.accept_at_once(db, tenant.id, spot, inbound.event_id, event, now, self._me)
        if found is None:
            return None
        begun = Begun(found.conversation_id, found.seq, None)
        return _Stored(begun, found.taken, event, True, found.opening)

    async def _store(
        self, tenant: Tenant, inbound: Inbound, event: Event, laned: bool, now: datetime
    ) -> _Stored:
        installation_id = inbound.address.installation_id
        async with tenant.transaction(flushed=False) as tx:
            proof = await self._proof(tx, tenant, inbound, event)
            if proof is not None:
                event, laned = _withheld(event, inbound, proof), False
            begun = await self._beginnings(tx, tenant, inbound, event, now)
            arrival = Arrival(
                tenant.id, installation_id, inbound.event_id, begun.conversation_id, begun.seq, laned
            )
            taken = await arrivals.accept(tx, arrival, self._me)
            for entry in (begun.entry, proof.entry if proof else None):
                if entry is not None:
                    await tenant.audit.append_in(tx, entry, now)
        return _Stored(begun, taken, event, laned)

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
        code, bare = _codes_in(event)
        if event.user_id is None:
            return None
        if code is None and bare and await self._step_up.is_asked(tx, event.user_id):
            code = bare
        if code is None:
            return None
        address, sender = inbound.address, inbound.sender
        is_private = address.channel == CONSOLE or (sender is not None and sender.home == address.thread)
        return await self._step_up.take(
            tx, tenant, event.user_id, code, address.channel, is_private=is_private
        )

    async def _repeated(self, inbound: Inbound) -> Accepted:
        async with self._database.reading() as db:
            row = await arrivals.seen(db, inbound.address.installation_id, inbound.event_id)
        if row is None:
            raise NotFound
        await self._database.flush_all()  # another process may have accepted it
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


def _codes_in(event: Event) -> tuple[str | None, str | None]:
    """Return (a code that was typed as one, a text that may be one): None for what is not there."""
    if event.kind != "said":
        return None, None
    return typed_code(event.body["text"]), bare_code(event.body["text"])


def _withheld(event: Event, inbound: Inbound, proof: Proof) -> Event:
    """Return what is stored of a message that held a code: not the code."""
    found = {"outcome": proof.outcome, "approval_id": proof.approval_id, "grants": proof.grants}
    return replace(event, kind="withheld", body={"kinds": ["totp"], "message": inbound.message, **found})
