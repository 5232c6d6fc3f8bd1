"""Commands about a person's conversations: begin another, list them, go on with an earlier one."""

import re
from collections.abc import Mapping, Sequence

from agent.context import Desk, Work
from bot.chat.about import CONSOLE, Command, is_private
from core.audit import Entry
from core.errors import BadInput, NotFound, Refused
from core.messages import Address, Part
from core.store import log, talks
from core.store.database import Row
from core.tenant import Tenant, console_installation
from core.texts import Say, say
from core.work import User

START = "/start"
SHOWN = 10
MOST_WORDS = 10
CODE = re.compile(rf"[0-9a-f]{{{talks.CODE_LENGTH}}}")


class Talks:
    """The commands."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def commands(self) -> Mapping[str, Command]:
        """Return the commands by name."""
        return {
            START: self.start,
            "/new": self.new,
            "/conversations": self.list_mine,
            "/open": self.open,
        }

    async def start(self, work: Work, _: Sequence[str]) -> Sequence[Part]:
        """Greet who presses a platform's button for beginning."""
        return [say("start.hello")]

    async def new(self, work: Work, words: Sequence[str]) -> Sequence[Part]:
        """Say that another conversation has begun, which it did with this message, and name it."""
        if work.address.channel == CONSOLE:
            return [say("new.on_console")]
        title = log.title_of(" ".join(words))
        halted = [say("new.halted")] if work.opening.wishes.halted_by else []
        if not title:
            return [say("new.begun"), *halted]
        async with work.tenant.transaction() as tx:
            await tx.run(talks.RENAME, id=work.conversation_id, new_title=title)
        return [say("new.begun_as", title=title), *halted]

    async def list_mine(self, work: Work, words: Sequence[str]) -> Sequence[Part]:
        """List the person's newest conversations; where others read along, those of this place only."""
        only_at = await self._only_at(work)
        async with work.tenant.reading() as db:
            found = await talks.mine(db, work.user.id, words[:MOST_WORDS], only_at, SHOWN + 1)
        if not found:
            return [
                say(
                    "conversations.none_with" if words else "conversations.none",
                    words=log.title_of(" ".join(words)),
                )
            ]
        more = [say("conversations.more")] if len(found) > SHOWN else []
        return [say("conversations.head"), *(_line(work, row) for row in found[:SHOWN]), *more]

    async def open(self, work: Work, words: Sequence[str]) -> Sequence[Part]:
        """Let an earlier conversation go on at this place; the present one is closed."""
        code = words[0].lower() if len(words) == 1 else ""
        if not CODE.fullmatch(code):
            raise BadInput("open.usage")
        only_at = await self._only_at(work)
        async with work.tenant.reading() as db:
            row = await talks.by_code(db, work.user.id, code, only_at)
        if row is None:
            raise NotFound("open.unknown", code=code)
        if row["id"] == work.conversation_id:
            return [say("open.is_here")]
        here, there = work.address, log.address_of(row)
        if here.channel == there.channel == CONSOLE:
            return [say("open.in_list", title=_title(row))]
        if there != here:
            await _check_may_move(work.tenant, work.user, row)
        await self._bring(work.tenant, work.user, here, row)
        return [say("open.on_console" if here.channel == CONSOLE else "open.done", title=_title(row))]

    async def to_console(self, tenant: Tenant, user: User, conversation_id: str) -> None:
        """Let a person's conversation go on on the console; raises NotFound, and Refused as ``open`` does."""
        async with tenant.reading() as db:
            row = await talks.by_code(db, user.id, talks.code_of(conversation_id), None)
        if row is None or row["id"] != conversation_id:
            raise NotFound("error.no_such_conversation")
        if log.address_of(row).channel != CONSOLE:
            await _check_may_move(tenant, user, row)
            await self._bring(tenant, user, Address(CONSOLE, console_installation(tenant.id), ""), row)

    async def _only_at(self, work: Work) -> Address | None:
        return None if await is_private(work.tenant, work.user, work.address) else work.address

    async def _bring(self, tenant: Tenant, user: User, here: Address, row: Row) -> None:
        now = self._desk.clock()
        is_console = here.channel == CONSOLE
        # On the console each thread is a conversation: this one gets a thread of its own.
        place = (
            Address(CONSOLE, here.installation_id, f"{user.id}:{self._desk.ids()}") if is_console else here
        )
        detail = {"name": talks.code_of(row["id"]), "from": row["channel"]}
        entry = Entry(
            "conversation.open", "user", user.id, None, "conversation", row["id"], here.channel, detail=detail
        )
        async with tenant.transaction() as tx:
            if not is_console:
                await talks.close_at(tx, here)
            if not await talks.bring(tx, row["id"], user.id, place, now):
                raise NotFound("open.unknown", code=talks.code_of(row["id"]))
            # Asked once more: nothing is accepted in it any longer, now that its row is held.
            if log.address_of(row) != here and await talks.is_busy(tx, row["id"]):
                raise Refused("open.busy")
            tx.after_commit.append(lambda: self._desk.changed(tenant.id, "conversations"))
            await tenant.audit.append_in(tx, entry, now)


async def _check_may_move(tenant: Tenant, user: User, row: Row) -> None:
    """Raise Refused for what must stay where it is: work under way, its cards, and what a group said."""
    if not await is_private(tenant, user, log.address_of(row)):
        raise Refused("open.of_a_group")
    if row["runs"] or row["waits"] or row["shows_card"]:
        raise Refused("open.busy")


def _title(row: Row) -> Say | str:
    return str(row["title"]) if row["title"] else say("conversations.untitled")


def _line(work: Work, row: Row) -> Say:
    """Return a conversation in a line."""
    there = log.address_of(row)
    if row["id"] == work.conversation_id:
        state = "here"
    elif row["waits"]:
        state = "waiting"
    elif row["runs"]:
        state = "running"
    elif there != work.address:
        state = "on_console" if there.channel == CONSOLE else "elsewhere"
    else:
        state = "closed"
    return say(
        "conversations.line",
        code=talks.code_of(row["id"]),
        title=_title(row),
        when=row["updated_at"].strftime("%Y-%m-%d %H:%M UTC"),
        state=say(f"conversations.{state}"),
    )
