"""The tenant's policy."""

from collections.abc import Sequence

from agent.gate.judging.judging import Judging
from agent.policy.documents import Draft, checked_draft
from agent.policy.policies import By, Policies
from agent.policy.simulating import Changed, simulate
from bot.api.caller import Caller
from bot.api.endpoints import Endpoint, endpoint
from bot.api.models import policy as models
from bot.texts.catalogue import Catalogue
from core.clock import Clock
from core.store import people
from core.work import Role


class PolicyDesk:
    """The endpoints."""

    def __init__(self, policies: Policies, judging: Judging, texts: Catalogue, clock: Clock) -> None:
        self._policies = policies
        self._judging = judging
        self._texts = texts
        self._clock = clock

    def endpoints(self) -> Sequence[Endpoint]:
        """Return them."""
        return [
            endpoint("GET", "/policy", self.show_policy),
            endpoint("POST", "/policy", self.set_policy),
            endpoint("DELETE", "/policy/{name}", self.remove_policy_entry),
            endpoint("POST", "/policy/simulate", self.simulate_policy),
        ]

    async def show_policy(self, caller: Caller) -> models.Policy:
        """Show the policy that holds (admins)."""
        caller.needs(Role.ADMIN)
        stored = await self._policies.current(caller.tenant)
        async with caller.tenant.reading() as db:
            by = await people.user(db, stored.changed_by) if stored.changed_by else None
        return models.Policy(
            version=stored.version,
            changed_at=stored.changed_at,
            changed_by=by.name if by else None,
            tighten=stored.document.get("tighten", {}),
            program=stored.document.get("program", {}),
        )

    async def set_policy(self, caller: Caller, form: models.PolicyForm) -> models.Policy:
        """Let this be the whole policy (admins)."""
        await self._policies.put(caller.tenant, _by(caller), _draft(form))
        return await self.show_policy(caller)

    async def remove_policy_entry(self, caller: Caller, name: str) -> None:
        """Remove an entry of the policy (admins)."""
        await self._policies.remove(caller.tenant, _by(caller), name)

    async def simulate_policy(self, caller: Caller, form: models.SimulationForm) -> models.Simulation:
        """Tell what a policy would have done to what was asked for in the last days (admins)."""
        caller.needs(Role.ADMIN)
        document = _draft(form).document
        found = await simulate(caller.tenant, self._judging, document, self._clock, form.days)
        return models.Simulation(
            since=found.since,
            asked=found.asked,
            counts=[
                models.Count(old=old, new=new, count=count)
                for (old, new), count in sorted(found.counts.items())
            ],
            changed=[self._changed(caller, each) for each in found.changed],
            left_out=found.left_out,
        )

    def _changed(self, caller: Caller, each: Changed) -> models.ChangedCommand:
        same = ("command", "was", "old", "new", "entry", "times", "first", "last")
        return models.ChangedCommand(
            **{name: getattr(each, name) for name in same},
            servers=list(each.servers),
            reasons=[self._texts(reason, caller.user.language) for reason in each.reasons],
        )


def _by(caller: Caller) -> By:
    visitor = caller.visitor
    return By(visitor.user, visitor.channel, visitor.ip)


def _draft(form: models.PolicyForm) -> Draft:
    return checked_draft(form.model_dump(exclude={"days"}))
