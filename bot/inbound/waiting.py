"""A message behind a running turn is told so, where it still waits after a moment."""

import asyncio
from dataclasses import dataclass

import structlog

from agent.context import Desk
from agent.speech import speak
from bot.inbound.beginnings import CONSOLE, Begun
from core.errors import It0Error
from core.messages import Address, Outbound
from core.store import inbox
from core.tenant import Tenant
from core.texts import say

logger = structlog.get_logger()

PATIENCE_S = 2.0
"""What waits no longer needs no word: most turns are over by then."""


@dataclass(frozen=True, slots=True)
class Waiter:
    """A message that found its lane taken. due: by the loop's clock."""

    tenant: Tenant
    begun: Begun
    address: Address
    due: float


class Waiting:
    """Says of the first message that waits for a turn's end that it does; lost without harm."""

    def __init__(self, desk: Desk, patience_s: float = PATIENCE_S) -> None:
        self._desk = desk
        self._patience_s = patience_s
        self._waiters: asyncio.Queue[Waiter] = asyncio.Queue()

    def note(self, tenant: Tenant, begun: Begun, address: Address) -> None:
        """Take note of a message that waits from now on."""
        self._desk.wake()  # it did not look whether its lane is free by now
        if address.channel == CONSOLE:  # its page shows it
            return
        due = asyncio.get_running_loop().time() + self._patience_s
        self._waiters.put_nowait(Waiter(tenant, begun, address, due))

    async def run(self) -> None:
        """Look after each when its time has come, until cancelled."""
        while True:
            waiter = await self._waiters.get()
            await asyncio.sleep(waiter.due - asyncio.get_running_loop().time())
            try:
                await self._look(waiter)
            except It0Error as error:
                await logger.awarning("word_lost", reason=str(error))

    async def _look(self, waiter: Waiter) -> None:
        tenant, begun = waiter.tenant, waiter.begun
        async with tenant.transaction() as tx:
            ahead = await inbox.waiting(tx, tenant.id, begun.conversation_id)
            if ahead[:1] == [begun.seq]:
                words = Outbound("notice", [say("message.waits")])
                await speak(self._desk, tx, tenant, begun.conversation_id, waiter.address, words)
