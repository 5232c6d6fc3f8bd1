"""The console as a channel: pages read the log by number, so to deliver is to tell them that it has grown."""

import asyncio

from core.messages import Address, Handler, Progress, Sending
from core.ports import Bus


def log_topic(tenant_id: str, conversation_id: str) -> str:
    """Return the topic of a conversation: ``{"grown": seq}`` and live pieces."""
    return f"log:{tenant_id}:{conversation_id}"


class ConsoleLive:
    """A growing reply, for whoever has the conversation open."""

    def __init__(self, bus: Bus, topic: str, turn_id: str) -> None:
        self._bus = bus
        self._topic = topic
        self._turn_id = turn_id

    async def update(self, progress: Progress) -> None:
        """Show a piece."""
        message = {"live": progress.kind, "turn": self._turn_id, "data": dict(progress.data)}
        await self._bus.publish(self._topic, message)

    async def close(self) -> None:
        """Leave the page as it is: the stored reply takes the place of what it shows."""


class ConsoleReply:
    """The way back to a console's conversation."""

    def __init__(self, bus: Bus, address: Address) -> None:
        self._bus = bus
        self.address = address

    def live(self, tenant_id: str, conversation_id: str, turn_id: str) -> ConsoleLive:
        """Return the growing reply of a turn."""
        return ConsoleLive(self._bus, log_topic(tenant_id, conversation_id), turn_id)

    async def deliver(self, sending: Sending) -> None:
        """Tell open pages; a closed one reads it when it opens."""
        topic = log_topic(sending.tenant_id, sending.conversation_id)
        await self._bus.publish(topic, {"grown": sending.seq})


class Console:
    """The built-in web console."""

    name = "console"

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def run(self, handler: Handler) -> None:
        """Wait: its sockets are routes of the web server, which calls the handler."""
        await asyncio.Event().wait()

    def reply_to(self, address: Address) -> ConsoleReply:
        """Return the way back to ``address``."""
        return ConsoleReply(self._bus, address)
