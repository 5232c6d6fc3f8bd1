"""``/quiet``: whether a chat sees what is under way, or answers, cards and errors only."""

from collections.abc import Mapping, Sequence

from agent.context import Desk, Work
from bot.chat.about import CONSOLE, Command, is_private
from core.audit import Entry
from core.errors import BadInput, NotAllowed
from core.messages import Part
from core.store import quiet
from core.texts import say
from core.work import Role

WORDS = {"on": True, "开": True, "开启": True, "off": False, "关": False, "关闭": False}


class Quiet:
    """The command."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def commands(self) -> Mapping[str, Command]:
        """Return the command by name."""
        return {"/quiet": self.quiet}

    async def quiet(self, work: Work, words: Sequence[str]) -> Sequence[Part]:
        """Say whether this place is quiet, or make it so, or end that."""
        if work.address.channel == CONSOLE:
            return [say("quiet.on_console")]
        if not words:
            async with work.tenant.reading() as db:
                is_quiet = await quiet.is_quiet(db, work.address)
            return [say("quiet.is_on" if is_quiet else "quiet.is_off")]
        if len(words) > 1 or words[0].lower() not in WORDS:
            raise BadInput("quiet.usage")
        if not work.user.role.covers(Role.OPERATOR) and not await is_private(
            work.tenant, work.user, work.address
        ):
            raise NotAllowed("quiet.operators_only")
        wanted = WORDS[words[0].lower()]
        await self._set(work, wanted)
        return [say("quiet.is_on" if wanted else "quiet.is_off")]

    async def _set(self, work: Work, wanted: bool) -> None:
        channel, user = work.address.channel, work.user.id
        entry = Entry(
            "conversation.quiet",
            "user",
            user,
            None,
            "conversation",
            work.conversation_id,
            channel,
            detail={"quiet": wanted, "thread": work.address.thread},
        )
        async with work.tenant.transaction() as tx:
            if await quiet.put(tx, work.address, quiet=wanted):
                await work.tenant.audit.append_in(tx, entry, self._desk.clock())
