"""Strangers who write to us: admins are asked, and one tap lets them in."""

from collections.abc import Sequence

from agent.context import Desk, Work
from agent.people import Staff
from agent.speech import speak
from core.errors import NotFound
from core.messages import Address, Button, Inbound, Outbound, Part
from core.store import log, people
from core.store.database import Transaction
from core.tenant import Tenant
from core.texts import say
from core.work import Role

VERB = "admit"
OFFERED = (Role.VIEWER, Role.OPERATOR)
"""An admin is made by an admin at the console, not by a tap on a name that anybody may give themselves."""


class Admission:
    """Tells admins who has knocked, and lets in whom they choose."""

    def __init__(self, desk: Desk, staff: Staff) -> None:
        self._desk = desk
        self._staff = staff

    async def knock(self, tenant: Tenant, inbound: Inbound) -> bool:
        """Ask the admins who are reached by the same bot about a stranger; return whether there are any."""
        sender = inbound.sender
        if sender is None or not sender.home:
            return False
        name = " ".join(sender.name.split())[:60] or "?"
        words = say("pair.knock", name=name, external_id=sender.external_id)
        buttons = [
            Button(say(f"pair.admit_{role}"), f"{VERB}:{role}:{sender.external_id}", "primary")
            for role in OFFERED
        ]
        async with tenant.transaction() as tx:
            admins = [u.id for u in await people.persons(tx) if u.active and u.role is Role.ADMIN]
            homes = [
                (user_id, address)
                for user_id, address in await people.homes(tx, tenant.id, admins)
                if address.installation_id == inbound.address.installation_id
            ]
            for user_id, address in homes:
                await self._say(tx, tenant, user_id, address, Outbound("notice", [words], buttons))
        return bool(homes)

    async def admit(self, work: Work, value: str) -> Sequence[Part]:
        """Let somebody in by a button's value; returns what to say to who pressed it."""
        role, _, external_id = value.partition(":")
        if role not in OFFERED or not external_id:
            raise NotFound("button.unknown")
        tenant, installation_id = work.tenant, work.address.installation_id
        user, home = await self._staff.admit(tenant, work.user, installation_id, external_id, role)
        address = Address(work.address.channel, installation_id, home)
        async with tenant.transaction() as tx:
            await self._say(tx, tenant, user.id, address, Outbound("notice", [say("pair.welcome")]))
        self._desk.changed(tenant.id, "people")
        return [say("pair.admitted", name=user.name, role=say(f"role.{user.role}"))]

    async def _say(
        self, tx: Transaction, tenant: Tenant, user_id: str, address: Address, words: Outbound
    ) -> None:
        place = await log.open_conversation(tx, self._desk.ids(), address, user_id, self._desk.clock())
        await speak(self._desk, tx, tenant, place, address, words)
