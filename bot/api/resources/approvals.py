"""Approvals: listed, shown, decided."""

from collections.abc import Sequence
from typing import Literal

from agent.gate.deciding.approvals import Approvals as Gate
from agent.gate.deciding.votes import Click
from bot.api.caller import Caller
from bot.api.endpoints import Endpoint, endpoint
from bot.api.models.talk import Approval, ApprovalQuery, Approvals, Vote
from bot.api.problems import Unfit, Wrong, naming
from bot.texts.catalogue import Catalogue
from bot.texts.render import Renderer
from core.errors import NotFound
from core.ids import new_id
from core.store import approvals as store
from core.store import people
from core.store.database import Transaction
from core.work import Approval as Stored

MOST_IDS = 50


class ApprovalDesk:
    """The endpoints."""

    def __init__(self, gate: Gate, texts: Catalogue) -> None:
        self._gate = gate
        self._texts = texts

    def endpoints(self) -> Sequence[Endpoint]:
        """Return them."""
        return [
            endpoint("GET", "/approvals", self.list_approvals),
            endpoint("GET", "/approvals/{id}", self.show_approval),
            endpoint("POST", "/approvals/{id}/approve", self.approve),
            endpoint("POST", "/approvals/{id}/grant", self.grant),
            endpoint("POST", "/approvals/{id}/reject", self.reject),
        ]

    async def list_approvals(self, caller: Caller, query: ApprovalQuery) -> Approvals:
        """List approvals, the newest first, or certain ones."""
        async with caller.tenant.reading() as db:
            if query.ids:
                found, more = await _these(db, query.ids), False
            else:
                with naming():
                    found, more = await store.page_of(db, query.status, query.cursor, query.limit)
            shown = await self._shown(db, caller, found)
        return Approvals(approvals=shown, next=found[-1].id if more else None)

    async def show_approval(self, caller: Caller, id: str) -> Approval:
        """Show an approval."""
        async with caller.tenant.reading() as db:
            found = await store.get(db, id)
            if found is None:
                raise NotFound("approval.unknown")
            return (await self._shown(db, caller, [found]))[0]

    async def _shown(self, db: Transaction, caller: Caller, found: Sequence[Stored]) -> list[Approval]:
        names = {user.id: user.name for user in await people.users(db)}
        cards = await Renderer(self._texts, caller.user).approvals(db, found, names)
        return [Approval(**cards[each.id]) for each in found]

    async def approve(self, caller: Caller, id: str, once: str) -> Vote:
        """Approve. What was approved runs exactly as it is shown."""
        return await self._decide(caller, id, "approve", once)

    async def grant(self, caller: Caller, id: str, once: str) -> Vote:
        """Approve; for the offered minutes the requester may run the same on these servers unasked."""
        return await self._decide(caller, id, "approve", once, grants=True)

    async def reject(self, caller: Caller, id: str, once: str) -> Vote:
        """Reject; one rejection settles."""
        return await self._decide(caller, id, "reject", once)

    async def _decide(
        self,
        caller: Caller,
        approval_id: str,
        verdict: Literal["approve", "reject"],
        once: str,
        grants: bool = False,
    ) -> Vote:
        visitor = caller.visitor
        event_id = f"api:{visitor.user.id}:{once or new_id()}"
        click = Click(approval_id, verdict, visitor.channel, event_id, visitor.ip, grants=grants)
        ballot = await self._gate.decide(caller.tenant, caller.user, click)
        return Vote(status=ballot.status, approvals=ballot.approvals, needed=ballot.needed)


async def _these(db: Transaction, ids: str) -> list[Stored]:
    wanted = dict.fromkeys(ids.split(","))
    if len(wanted) > MOST_IDS:
        raise Unfit([Wrong(pointer="/ids", detail=f"more than {MOST_IDS}")])
    found = [await store.get(db, each) for each in wanted]
    return [each for each in found if each is not None]
