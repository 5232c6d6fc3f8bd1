"""A pasted secret: what was said with it is not kept, its owner is told so, its platform deletes it."""

from collections.abc import Mapping
from typing import Any

from agent.context import Desk, Work
from agent.speech import speak
from bot.texts.visible import listed
from core.audit import Entry
from core.messages import Outbound
from core.texts import say


class Withheld:
    """Answers a message that was not kept, because it held what looks like a secret."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def __call__(self, work: Work, body: Mapping[str, Any]) -> None:
        """Say so, have the message taken away where it stands, and put it on record, together."""
        kinds = body["kinds"]
        shown = listed([say(f"withheld.{kind}") for kind in kinds])
        words = [say("withheld.not_kept", kinds=shown), say("withheld.rotate"), say("withheld.store")]
        notice = Outbound("notice", words, takes_back=body["message"])
        detail = {"kinds": list(kinds)}
        entry = Entry(
            "message.withheld",
            "user",
            work.user.id,
            None,
            "conversation",
            work.conversation_id,
            work.address.channel,
            detail=detail,
            key=f"message.withheld:{work.turn_id}",
        )
        async with work.tenant.transaction() as tx:
            await speak(self._desk, tx, work.tenant, work.conversation_id, work.address, notice)
            await self._desk.finish(tx, work.taken)
            await work.tenant.audit.append_in(tx, entry, self._desk.clock())
        self._desk.grown(work.tenant.id, work.conversation_id)
