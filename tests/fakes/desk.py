"""A desk that notes what is called after commits, and work that was just taken."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.context import Desk, Work
from agent.gate.deciding.grants import Grants
from core.clock import Clock
from core.ids import new_id
from core.messages import Address, Progress
from core.store import arrivals, log
from core.store.log import Event
from core.store.outbox import Parcel
from core.tenant import Tenant, console_installation
from core.work import User


class Silent:
    """A live reply and a bus that nobody looks at."""

    async def update(self, progress: Progress) -> None:
        """Show nothing."""

    async def publish(self, topic: str, message: Mapping[str, Any]) -> None:
        """Tell nobody."""

    def subscribe(self, topic: str) -> Any:
        """Refuse."""
        raise AssertionError(f"nobody listens to {topic} here")


@dataclass
class Noted:
    """What a desk was told, in order."""

    parcels: list[Parcel] = field(default_factory=list)
    grown: list[tuple[str, str]] = field(default_factory=list)
    changed: list[tuple[str, str]] = field(default_factory=list)
    wakes: int = 0
    reminders: list[tuple[int, float]] = field(default_factory=list)

    def wake(self) -> None:
        """Count."""
        self.wakes += 1


def make_grants(clock: Clock) -> Grants:
    """Return what gives and ends grants."""
    return Grants(make_desk(clock))


def make_desk(clock: Clock, noted: Noted | None = None, me: str = "me") -> Desk:
    """Return a desk."""
    noted = noted or Noted()
    return Desk(
        me=me,
        clock=clock,
        ids=new_id,
        bus=Silent(),
        post=noted.parcels.append,
        grown=lambda tenant, conversation: noted.grown.append((tenant, conversation)),
        changed=lambda tenant, what: noted.changed.append((tenant, what)),
        wake=noted.wake,
        remind=lambda timer, delay_s: noted.reminders.append((timer, delay_s)),
    )


async def taken_work(tenant: Tenant, user: User, desk: Desk, text: str = "uptime") -> Work:
    """Return a message that ``user`` sent and that this desk's process has taken."""
    address = Address("console", console_installation(tenant.id), new_id())
    turn_id, now = new_id(), desk.clock()
    async with tenant.transaction() as tx:
        conversation = await log.open_conversation(tx, new_id(), address, user.id, now)
        seq = await log.append(tx, conversation, [Event("said", {"text": text}, turn_id, user.id)], now)
        arrival = arrivals.Arrival(tenant.id, address.installation_id, new_id(), conversation, seq, True)
        taken = await arrivals.accept(tx, arrival, desk.me)
    assert taken is not None
    return Work(tenant, taken, user, address, turn_id, Silent())
