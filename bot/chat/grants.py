"""``/grants`` and ``/revoke``: what runs unasked for some minutes, and its end before its time."""

from collections.abc import Mapping, Sequence

from agent.context import Desk, Work
from agent.gate.deciding.grants import Grants
from bot.chat.about import Command
from bot.texts.visible import listed, visible
from core.errors import BadInput
from core.messages import Code, Part
from core.store import approvals, clusters, people
from core.texts import say


class GrantCommands:
    """The commands."""

    def __init__(self, desk: Desk) -> None:
        self._grants = Grants(desk)

    def commands(self) -> Mapping[str, Command]:
        """Return the commands by name."""
        return {"/grants": self.list_grants, "/revoke": self.revoke}

    async def list_grants(self, work: Work, _: Sequence[str]) -> Sequence[Part]:
        """List the grants that hold, each with its whole command."""
        found = await self._grants.live(work.tenant)
        if not found:
            return [say("grants.none")]
        ids = sorted({each for grant in found for each in grant.approval.action.server_ids})
        async with work.tenant.reading() as db:
            places = await clusters.places_by_id(db, ids)
            names = {user.id: user.name for user in await people.users(db)}
            givers = await approvals.approvers(db, [grant.id for grant in found])
        parts: list[Part] = [say("grants.count", count=len(found))]
        for grant in found:
            approval = grant.approval
            servers = [places[each].name for each in approval.action.server_ids if each in places]
            line = say(
                "grants.line",
                code=approval.code,
                servers=listed(servers),
                requester=visible(names.get(approval.requester_id, "?")),
                givers=listed([visible(names.get(each, "?")) for each in givers.get(grant.id, ())]),
                until=grant.ends_at.strftime("%H:%M:%S UTC"),
            )
            parts += [line, Code(visible(approval.action.command), approval.code)]
        return parts

    async def revoke(self, work: Work, words: Sequence[str]) -> Sequence[Part]:
        """End a grant; what runs under it goes on."""
        if len(words) != 1:
            raise BadInput("grant.usage")
        grant = await self._grants.revoke(work.tenant, work.user, words[0], work.address.channel)
        if grant.approval.conversation_id == work.conversation_id:
            return []  # its end is said here already
        return [say("grant.ended", code=grant.approval.code)]
