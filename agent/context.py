"""What a turn or an act carries with it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from core.clock import Clock
from core.ids import Ids
from core.messages import Address, Live
from core.ports import Bus
from core.store import inbox
from core.store.database import Transaction
from core.store.inbox import Taken
from core.store.openings import Opening
from core.store.outbox import Parcel
from core.tenant import Tenant
from core.work import Risk, User


@dataclass(frozen=True, slots=True)
class Desk:
    """What all work in a process shares.

    me: the process's id. Called after a commit, never blocking: ``post`` hands over a parcel that is to be
    delivered, ``grown`` tells that a conversation's log has grown, ``changed`` that a list of a tenant's
    (approvals, conversations) has changed, ``wake`` that work waits, ``remind`` that a timer (id) is due in
    so many seconds.
    """

    me: str
    clock: Clock
    ids: Ids
    bus: Bus
    post: Callable[[Parcel], None]
    grown: Callable[[str, str], None]
    changed: Callable[[str, str], None]
    wake: Callable[[], None]
    remind: Callable[[int, float], None]

    async def finish(self, tx: Transaction, taken: Taken) -> None:
        """Mark work done in the transaction that writes its end; raises as ``inbox.finish`` does."""
        if await inbox.finish(tx, taken, self.me):
            tx.after_commit.append(self.wake)


@dataclass(frozen=True, slots=True)
class Work:
    """One accepted inbound, taken by this process.

    user: who asked, as their rights are now. turn_id: given at acceptance, the same after a restart.
    is_control: a click or a command that passes by the running turn; Stop does not stop it.
    opening: what held when its turn came.
    stopping: set before the work is cancelled because a person wants it ended; closing: set when its end
    is being written, which nothing may interrupt.
    """

    tenant: Tenant
    taken: Taken
    user: User
    address: Address
    turn_id: str
    live: Live
    is_control: bool = False
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    opening: Opening = field(default_factory=Opening)
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def conversation_id(self) -> str:
        """Return the conversation."""
        return self.taken.conversation_id


@dataclass(frozen=True, slots=True)
class Call:
    """One tool call.

    waits_for: the code of the approval that the turn waits for already, "" if none; most: the level up to
    which anything is done.
    """

    work: Work
    step: int
    waits_for: str
    most: Risk = Risk.L3
