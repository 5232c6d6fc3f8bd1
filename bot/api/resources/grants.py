"""Grants: what runs unasked for some minutes, listed and revoked."""

from collections.abc import Sequence

from agent.gate.deciding.grants import Grants as Gate
from bot.api.caller import Caller
from bot.api.endpoints import Endpoint, endpoint
from bot.api.models.base import Page
from bot.api.models.talk import Grant, Grants, Place
from bot.api.paging import cut
from bot.texts.render import place
from core.store import approvals, clusters, people
from core.store.grants import Grant as Stored
from core.tenant import Tenant


class GrantDesk:
    """The endpoints."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def endpoints(self) -> Sequence[Endpoint]:
        """Return them."""
        return [
            endpoint("GET", "/grants", self.list_grants),
            endpoint("DELETE", "/grants/{id}", self.revoke_grant),
        ]

    async def list_grants(self, caller: Caller, query: Page) -> Grants:
        """List the grants that hold now: commands that their requesters may run again unasked."""
        found, after = cut(await self._gate.live(caller.tenant), query, lambda grant: grant.id)
        return Grants(grants=await shown(caller.tenant, found), next=after)

    async def revoke_grant(self, caller: Caller, id: str) -> None:
        """End a grant before its time, by its id or code (operators)."""
        await self._gate.revoke(caller.tenant, caller.user, id, caller.channel, caller.visitor.ip)


async def shown(tenant: Tenant, found: Sequence[Stored]) -> list[Grant]:
    """Return grants as they are told: the whole command, the servers, who asked and who gave them."""
    ids = sorted({each for grant in found for each in grant.approval.action.server_ids})
    async with tenant.reading() as db:
        servers = await clusters.places_by_id(db, ids)
        names = {user.id: user.name for user in await people.users(db)}
        givers = await approvals.approvers(db, [grant.id for grant in found])
    return [
        Grant(
            id=grant.id,
            code=grant.approval.code,
            command=grant.approval.action.command,
            level=int(grant.approval.level),
            servers=[
                Place(**place(servers, server_id, user))
                for server_id, user in zip(
                    grant.approval.action.server_ids, grant.approval.action.os_users, strict=True
                )
            ],
            requester=names.get(grant.approval.requester_id, "?"),
            givers=[names.get(each, "?") for each in givers.get(grant.id, ())],
            given_at=grant.given_at,
            ends_at=grant.ends_at,
            conversation=grant.approval.conversation_id,
        )
        for grant in found
    ]
