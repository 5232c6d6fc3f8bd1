"""What a process stands on, what it is made of, and what tests put in place of the real thing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.acts import Acts
from agent.context import Desk
from agent.engine import Engine
from agent.fleet.servers import Fleet
from agent.gate.actions.probing import Probing
from agent.gate.deciding.approvals import Approvals
from agent.gate.gate import Gate
from agent.gate.judging.judging import Judging
from agent.gate.proving.stepup import StepUp
from agent.gate.running.execution import Executor
from agent.keys import ApiKeys
from agent.people import Staff
from agent.policy.policies import Policies
from agent.turns import Turns
from bot.bus import LocalBus
from bot.console.auth import Sessions
from bot.console.socket import Sockets
from bot.inbound.front import Front
from bot.inbound.workers import Workers
from bot.installations import DatabaseInstallations
from bot.texts.catalogue import Catalogue
from bot.upkeep.doctor import Doctor
from bot.upkeep.heads import Heads
from bot.web.server import Web
from channels.delivery import Delivery
from channels.telegram.adapter import Telegram
from core.clock import Clock, system_clock
from core.ports import Channel, Shell
from core.settings import Settings
from core.store.database import Database
from core.tenant import Tenants
from scheduler.queue import ArqQueue, NoQueue
from scheduler.timers import TimerWorker


@dataclass(slots=True)
class Parts:
    """What tests put in place of the real thing.

    engines: more engines by name; shell: instead of SSH; wrap_shell: around the real one.
    """

    clock: Clock = system_clock
    shell: Shell | None = None
    engines: Mapping[str, Engine] = field(default_factory=dict)
    database: type[Database] = Database
    wrap_shell: Callable[[Shell], Shell] = lambda shell: shell


@dataclass(frozen=True, slots=True)
class Ground:
    """What everything in a process stands on."""

    settings: Settings
    parts: Parts
    me: str
    role: str
    database: Database
    tenants: Tenants
    bus: LocalBus
    queue: ArqQueue | NoQueue
    shell: Shell
    texts: Catalogue
    engines: Mapping[str, Engine]

    @property
    def clock(self) -> Clock:
        """Return the process's clock."""
        return self.parts.clock


@dataclass(frozen=True, slots=True)
class Hands:
    """What thinks and acts."""

    fleet: Fleet
    approvals: Approvals
    executor: Executor
    gate: Gate
    turns: Turns
    acts: Acts
    policies: Policies


@dataclass(slots=True)
class App:
    """A built process, not yet running. alone: no other process can share its database."""

    me: str
    desk: Desk
    settings: Settings
    database: Database
    tenants: Tenants
    texts: Catalogue
    clock: Clock
    fleet: Fleet
    probing: Probing
    judging: Judging
    policies: Policies
    staff: Staff
    step_up: StepUp
    keys: ApiKeys
    sessions: Sessions
    shell: Shell
    executor: Executor
    workers: Workers
    delivery: Delivery
    timers: TimerWorker
    channels: Mapping[str, Channel]
    front: Front
    sockets: Sockets
    web: Web
    doctor: Doctor
    heads: Heads
    installations: DatabaseInstallations
    telegram: Telegram
    background: list[Callable[[], Any]]
