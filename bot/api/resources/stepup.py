"""Second factors: one's own, and taking away somebody's."""

from collections.abc import Sequence

from agent.gate.proving.stepup import StepUp
from agent.people import Staff
from bot.api.caller import Caller
from bot.api.endpoints import Endpoint, endpoint
from bot.api.models import people as models
from core.work import Role


class StepUpDesk:
    """The endpoints."""

    def __init__(self, step_up: StepUp, staff: Staff) -> None:
        self._step_up = step_up
        self._staff = staff

    def endpoints(self) -> Sequence[Endpoint]:
        """Return them."""
        return [
            endpoint("GET", "/me/totp", self.show_totp),
            endpoint("POST", "/me/totp", self.begin_totp, 201),
            endpoint("POST", "/me/totp/confirm", self.confirm_totp),
            endpoint("POST", "/me/totp/prove", self.prove_totp),
            endpoint("POST", "/me/totp/remove", self.remove_totp),
            endpoint("DELETE", "/users/{name}/totp", self.take_totp_away),
        ]

    async def show_totp(self, caller: Caller) -> models.StepUp:
        """Show how the caller's second factor stands."""
        stands = await self._step_up.standing(caller.tenant, caller.user)
        return models.StepUp(wanted=stands.wanted, enrolled=stands.enrolled, proven_until=stands.proven_until)

    async def begin_totp(self, caller: Caller) -> models.Enrolment:
        """Make a second factor for the caller (people only); it holds once a first code of it was given."""
        made = await self._step_up.begin(caller.tenant, caller.user)
        return models.Enrolment(secret=made.secret, uri=made.uri, qr=list(made.qr))

    async def confirm_totp(self, caller: Caller, form: models.TotpCode) -> None:
        """Let the caller's new second factor hold, by a first code of it."""
        await self._step_up.confirm(caller.tenant, caller.user, form.code)

    async def prove_totp(self, caller: Caller, form: models.TotpCode) -> None:
        """Prove the caller's second factor; it holds for STEP_UP_MINUTES."""
        await self._step_up.prove(caller.tenant, caller.user, form.code, caller.channel)

    async def remove_totp(self, caller: Caller, form: models.TotpCode) -> None:
        """Remove the caller's second factor, by a code of it."""
        await self._step_up.remove(caller.tenant, caller.user, form.code)

    async def take_totp_away(self, caller: Caller, name: str) -> None:
        """Remove somebody's second factor, who is told so (admins)."""
        caller.needs(Role.ADMIN)
        user = await self._staff.named(caller.tenant, name)
        await self._step_up.take_away(caller.tenant, caller.user, user)
