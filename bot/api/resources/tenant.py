"""The tenant itself: what it decided, what it uses of its plan, its bots on platforms, its halt."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

from agent.quotas import engine_refused
from bot.api.caller import Caller
from bot.api.endpoints import Endpoint, endpoint
from bot.api.models import tenant as models
from bot.api.models.base import Page
from bot.api.paging import cut
from bot.chat.controls import Controls
from bot.installations import DatabaseInstallations
from bot.texts.visible import listed
from core.audit import Entry
from core.clock import Clock
from core.errors import BadInput
from core.store import preferences, quotas
from core.work import PLANS, Role


class TenantDesk:
    """The endpoints. engines: their names; changed: tells open pages."""

    def __init__(
        self,
        controls: Controls,
        installations: DatabaseInstallations,
        engines: Collection[str],
        changed: Callable[[str, str], None],
        clock: Clock,
    ) -> None:
        self._controls = controls
        self._installations = installations
        self._engines = engines
        self._changed = changed
        self._clock = clock

    def endpoints(self) -> Sequence[Endpoint]:
        """Return them."""
        return [
            endpoint("GET", "/tenant", self.show_tenant),
            endpoint("PATCH", "/tenant", self.change_tenant),
            endpoint("POST", "/halt", self.halt),
            endpoint("POST", "/resume", self.resume),
            endpoint("GET", "/channels", self.list_channels),
            endpoint("POST", "/channels", self.add_channel, 201),
            endpoint("DELETE", "/channels/{id}", self.remove_channel),
        ]

    async def show_tenant(self, caller: Caller) -> models.Tenant:
        """Show what the tenant decided, and what it uses of its plan (admins)."""
        caller.needs(Role.ADMIN)
        row = caller.tenant.row
        async with caller.tenant.reading() as db:
            wishes = await preferences.load(db)
            used = await quotas.used(db, row.plan, self._clock())
        engines = PLANS[row.plan].engines
        own = {name: getattr(wishes, name) for name in models.Preferences.model_fields}
        return models.Tenant(
            **{name: getattr(row, name) for name in ("slug", "name", "plan", "status")},
            engines=list(engines) if engines is not None else None,
            preferences=models.Preferences(**own),
            quotas=[models.Quota(name=each.name, used=each.used, limit=each.limit) for each in used],
        )

    async def change_tenant(self, caller: Caller, form: models.PreferencesChange) -> models.Tenant:
        """Decide something for the tenant (admins)."""
        caller.needs(Role.ADMIN)
        changes = form.model_dump(exclude_unset=True)
        if changes.get("engine") is not None:
            self._check_engine(caller, changes["engine"])
        now = self._clock()
        async with caller.tenant.transaction() as tx:
            for key, value in changes.items():
                await preferences.put(tx, key, value, now, caller.user.id)
            for key, value in changes.items():
                await caller.tenant.audit.append_in(tx, _decided(caller, key, value), now)
        self._changed(caller.tenant.id, "people")
        return await self.show_tenant(caller)

    def _check_engine(self, caller: Caller, engine: str) -> None:
        """Raise BadInput for an engine that is none, Refused for one that the plan does not hold."""
        if engine not in self._engines:
            raise BadInput("engine.unknown", engine=engine[:40], engines=listed(list(self._engines)))
        if not PLANS[caller.tenant.row.plan].allows(engine):
            raise engine_refused(caller.tenant, engine)

    async def halt(self, caller: Caller) -> None:
        """Stop every turn and act of the tenant (operators)."""
        await self._controls.set_halted(caller.tenant, caller.user, caller.channel, halted=True)

    async def resume(self, caller: Caller) -> None:
        """Let work go on after a halt (admins)."""
        await self._controls.set_halted(caller.tenant, caller.user, caller.channel, halted=False)

    async def list_channels(self, caller: Caller, query: Page) -> models.Channels:
        """List the tenant's bots on platforms, never their tokens (admins)."""
        caller.needs(Role.ADMIN)
        found, after = cut(await self._installations.listed(caller.tenant), query, lambda row: str(row["id"]))
        return models.Channels(channels=[models.Channel(**row) for row in found], next=after)

    async def add_channel(self, caller: Caller, form: models.NewChannel) -> models.Channel:
        """Seal a bot's token (admins); the bot begins within seconds."""
        caller.needs(Role.ADMIN)
        made = await self._installations.add(
            caller.tenant, form.channel, form.token.encode(), caller.user, caller.channel
        )
        rows = await self._installations.listed(caller.tenant)
        return next(models.Channel(**row) for row in rows if row["id"] == made)

    async def remove_channel(self, caller: Caller, id: str) -> None:
        """Destroy a bot's token (admins)."""
        caller.needs(Role.ADMIN)
        await self._installations.remove(caller.tenant, id, caller.user, caller.channel)


def _decided(caller: Caller, key: str, value: Any) -> Entry:
    visitor = caller.visitor
    detail = {"key": key, "value": value}
    return Entry("tenant.set", "user", visitor.user.id, None, "", "", visitor.channel, visitor.ip, detail)
