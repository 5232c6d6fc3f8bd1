"""A platform that keeps what it is given, beside the console of a process inside the test."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

from support.place import Place

from core.ids import new_id
from core.messages import Accepted, Address, Click, Handler, Inbound, Live, Progress, Sender, Sending, Text
from core.store import log, people
from core.store.database import Row
from core.work import User

CHAT = "chat"


@dataclass
class Growing:
    """A growing reply, which notes what it shows."""

    shown: list[Progress]

    async def update(self, progress: Progress) -> None:
        """Note it."""
        self.shown.append(progress)

    async def close(self) -> None:
        """Take nothing away."""


@dataclass
class KeepsAll:
    """The way back to a place, which notes what comes by it."""

    address: Address
    said: list[tuple[str, Sending]]
    shown: list[Progress]

    def live(self, tenant_id: str, conversation_id: str, turn_id: str) -> Live:
        """Return a growing reply."""
        return Growing(self.shown)

    async def deliver(self, sending: Sending) -> None:
        """Note it with its place; its number is what the platform calls it."""
        self.said.append((self.address.thread, sending))
        sending.receipt.append(len(self.said))


@dataclass
class Chat:
    """A platform with private chats, whose thread is ``home-NAME``, and groups."""

    place: Place
    installation: str
    name: str = CHAT
    said: list[tuple[str, Sending]] = field(default_factory=list)
    shown: list[Progress] = field(default_factory=list)

    async def run(self, handler: Handler) -> None:
        """Wait until cancelled."""
        await asyncio.Event().wait()

    def reply_to(self, address: Address) -> KeepsAll:
        """Return the way back."""
        return KeepsAll(address, self.said, self.shown)

    async def join(self, user: User) -> None:
        """Let a person write here."""
        tenant = self.place.tenant
        async with tenant.transaction() as tx:
            at, home = self.place.store.clock(), f"home-{user.name}"
            await people.add_identity(tx, tenant.id, self.installation, user.name, user.id, at, home)

    async def send(
        self, user: User, body: str | Click, thread: str = "", event_id: str = "", answers: int = 0
    ) -> Accepted:
        """Say or press something, in the private chat where no other thread is named."""
        home = f"home-{user.name}"
        address = Address(CHAT, self.installation, thread or home)
        sender = Sender(user.name, home=home if address.thread == home else "")
        content = Text(body) if isinstance(body, str) else body
        inbound = Inbound(address, event_id or new_id(), content, sender, answers=answers)
        accepted = await self.place.app.front(inbound, self.reply_to(address))
        assert accepted is not None
        return accepted

    async def ask(self, user: User, text: str, thread: str = "") -> list[Any]:
        """Say something and return the parts of the answer: texts, and the keys of sentences."""
        return (await self.place.replies(await self.send(user, text, thread)))[0]

    async def conversation(self, conversation_id: str) -> Row:
        """Return a conversation as it is stored."""
        async with self.place.tenant.reading() as db:
            row = await log.conversation(db, conversation_id)
        assert row is not None
        return row


async def chat_at(place: Place) -> Chat:
    """Return a platform of the place's tenant, with Ann."""
    chat = Chat(place, f"chat-{place.tenant.id}")
    row = {"id": chat.installation, "channel": CHAT, "name": "chat", "created_at": place.store.clock()}
    async with place.tenant.transaction() as tx:
        await tx.one(people.SET_INSTALLATION, tenant=place.tenant.id, sealed=None, **row)
    cast(dict[str, Any], place.app.channels)[CHAT] = chat
    await chat.join(place.ann)
    return chat
