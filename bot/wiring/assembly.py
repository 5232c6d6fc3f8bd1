"""How a process's parts are put together."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any

from agent.acts import Acts
from agent.context import Desk
from agent.fleet.expiry import Expiry
from agent.fleet.servers import Fleet
from agent.gate.deciding.approvals import Approvals
from agent.gate.gate import Gate
from agent.gate.proving.stepup import StepUp
from agent.gate.running.execution import Executor
from agent.keys import ApiKeys
from agent.people import Staff
from agent.policy.policies import Policies
from agent.redaction.redactions import Redactions
from agent.risk import classify
from agent.tools import all_tools
from agent.turns import Turns
from bot.api.resources.approvals import ApprovalDesk
from bot.api.resources.clusters import ClusterDesk
from bot.api.resources.credentials import CredentialDesk
from bot.api.resources.fleet import FleetDesk
from bot.api.resources.grants import GrantDesk
from bot.api.resources.page import PageDesk
from bot.api.resources.policy import PolicyDesk
from bot.api.resources.records import RecordsDesk
from bot.api.resources.stepup import StepUpDesk
from bot.api.resources.talk import Talk
from bot.api.resources.tenant import TenantDesk
from bot.api.service import Api, Resource
from bot.chat.controls import Controls
from bot.chat.talks import Talks
from bot.console.entrance import Entrance
from bot.console.pages import Pages
from bot.engines import default_of, pick_engine
from bot.inbound.admission import Admission
from bot.inbound.again import Again
from bot.inbound.beginnings import Beginnings
from bot.inbound.decisions import Decisions
from bot.inbound.dispatch import Dispatch, SetAside, errors_are_said, fold, opened, tenants_and_people
from bot.inbound.front import Front
from bot.inbound.shares import Shares
from bot.inbound.strangers import Strangers
from bot.inbound.waiting import Waiting
from bot.inbound.workers import Workers
from bot.installations import DatabaseInstallations
from bot.upkeep.chores import timer_handlers
from bot.upkeep.doctor import Doctor
from bot.upkeep.heads import Heads
from bot.web.server import Web
from bot.wiring.ground import App, Ground, Hands
from bot.wiring.surfaces import (
    callers_of,
    more_commands_of,
    people_desk_of,
    sessions_of,
    sockets_of,
    telegram_of,
)
from channels.console import Console, log_topic
from channels.delivery import Delivery
from core.ids import new_id
from core.ports import Channel
from scheduler.timers import TimerWorker


def assemble(ground: Ground) -> App:
    settings, clock = ground.settings, ground.clock
    installations = DatabaseInstallations(ground.me, ground.database, ground.tenants, settings, clock)
    telegram = telegram_of(ground, installations)
    channels: Mapping[str, Channel] = {"console": Console(ground.bus), "telegram": telegram}
    delivery = Delivery(ground.me, ground.database, ground.tenants, channels, ground.bus, settings.sweep_s)
    desk = _desk(ground, delivery, lambda: workers.wake())
    hands = _hands(ground, desk, installations)
    doctor = Doctor(
        settings,
        ground.database,
        ground.tenants,
        ground.texts,
        ground.engines,
        telegram.states,
        partial(installations.states, "telegram"),
    )
    sessions = sessions_of(ground)
    controls = Controls(
        desk,
        hands.approvals,
        lambda tenant, c: workers.stop_where(tenant, c),
        settings.url,
        doctor.say,
        more_commands_of(ground, desk, sessions, hands),
    )
    staff = Staff(clock, settings.pairing_code_minutes, hands.approvals.grants)
    keys = ApiKeys(clock, hands.approvals.grants)
    admission = Admission(desk, staff)
    step_up = StepUp(desk, settings.step_up_minutes)
    decisions = Decisions(desk, hands.approvals, step_up)
    workers = _workers(ground, desk, hands, decisions, controls, admission, channels)
    waiting = Waiting(desk)
    front = Front(
        ground.me,
        ground.database,
        ground.tenants,
        clock,
        new_id,
        workers.start,
        Strangers(ground.database, ground.tenants, clock, admission.knock),
        Beginnings(new_id, settings.conversation_silence_hours),
        waiting,
        step_up,
    )
    heads = Heads(settings.home / "audit")
    entrance = Entrance(front, Console(ground.bus), ground.bus)
    sockets = sockets_of(ground, sessions, entrance)
    callers = callers_of(ground, sessions)
    resources: list[Resource] = [
        Talk(entrance, Talks(desk), ground.texts),
        ApprovalDesk(hands.approvals, Again(desk), ground.texts),
        GrantDesk(hands.approvals.grants),
        FleetDesk(hands.fleet, hands.gate.probing, ground.texts),
        ClusterDesk(hands.fleet.clusters, hands.gate.probing, ground.texts),
        CredentialDesk(hands.fleet.credentials),
        people_desk_of(ground, callers, sessions, staff, keys, desk),
        RecordsDesk(doctor, heads, ground.texts, clock),
        StepUpDesk(step_up, staff),
        TenantDesk(controls, installations, ground.engines.keys(), desk.changed, clock),
        PolicyDesk(hands.policies, hands.gate.judging, ground.texts, clock),
        PageDesk(ground.texts),
    ]
    api = Api(callers, resources, settings.api_requests_per_minute, settings.origins)
    pages = Pages(sessions, sockets, ground.texts, ground.tenants, hands.fleet.credentials, clock)
    site = Web(sessions, pages, api, sockets, telegram, ground.texts, doctor.ready, settings.public_url)
    expiry = Expiry(desk, ground.tenants)
    chores = timer_handlers(settings, ground.database, ground.tenants, clock, hands.approvals, heads, expiry)
    timers = TimerWorker(ground.me, ground.database, clock, chores, settings.sweep_s)
    return App(
        me=ground.me,
        desk=desk,
        settings=settings,
        database=ground.database,
        tenants=ground.tenants,
        texts=ground.texts,
        clock=clock,
        fleet=hands.fleet,
        probing=hands.gate.probing,
        judging=hands.gate.judging,
        policies=hands.policies,
        staff=staff,
        step_up=step_up,
        keys=keys,
        sessions=sessions,
        shell=ground.shell,
        executor=hands.executor,
        workers=workers,
        delivery=delivery,
        timers=timers,
        channels=channels,
        front=front,
        sockets=sockets,
        web=site,
        doctor=doctor,
        heads=heads,
        installations=installations,
        telegram=telegram,
        background=[waiting.run],
    )


def _desk(ground: Ground, delivery: Delivery, wake: Callable[[], None]) -> Desk:
    bus, queue = ground.bus, ground.queue
    tasks: set[asyncio.Task[None]] = set()

    def later(call: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(call)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    return Desk(
        me=ground.me,
        clock=ground.clock,
        ids=new_id,
        bus=bus,
        post=delivery.post,
        grown=lambda tenant, conversation: later(bus.publish(log_topic(tenant, conversation), {"grown": 0})),
        changed=lambda tenant, what: later(bus.publish(f"user:{tenant}", {"changed": what})),
        wake=wake,
        remind=lambda timer, delay_s: later(queue.wake(timer, delay_s)),
    )


def _hands(ground: Ground, desk: Desk, installations: DatabaseInstallations) -> Hands:
    settings, shell = ground.settings, ground.shell
    warn_days = sorted({settings.credential_warning_days, settings.credential_last_warning_days})
    approvals = Approvals(desk, settings.approvals_per_user_per_hour)
    fleet = Fleet(shell, ground.clock, warn_days, approvals.grants)
    redactions = Redactions(fleet.credentials, installations.own_secrets)
    executor = Executor(shell, desk, redactions, settings.fan_out)
    gate = Gate(
        desk,
        fleet,
        approvals,
        executor,
        classify,
        settings.command_timeout_s,
        settings.command_timeout_max_s,
        settings.command_timeout_approved_s,
        settings.send_file_bytes,
    )
    pick = pick_engine(ground.engines, default_of(settings, ground.engines))
    turns = Turns(
        desk, gate, fleet, all_tools(gate, fleet, desk.clock), ground.engines, pick, settings.turn_timeout_s
    )
    policies = Policies(ground.clock, gate.redact)
    return Hands(fleet, approvals, executor, gate, turns, Acts(desk, gate), policies)


def _workers(
    ground: Ground,
    desk: Desk,
    hands: Hands,
    decisions: Decisions,
    controls: Controls,
    admission: Admission,
    channels: Mapping[str, Channel],
) -> Workers:
    settings = ground.settings
    dispatch = Dispatch(desk, hands.turns, hands.acts, decisions, controls, admission)
    return Workers(
        ground.me,
        ground.role,
        ground.database,
        ground.tenants,
        channels,
        ground.bus,
        fold(dispatch, [opened, errors_are_said(desk), tenants_and_people(desk, hands.gate.begun.end)]),
        SetAside(desk, ground.tenants, hands.acts),
        shares=Shares(settings.turns_at_once, settings.turns_per_tenant, settings.turns_per_user),
        acts_at_once=settings.acts_at_once,
        heartbeat_s=settings.heartbeat_s,
        dead_after_s=settings.dead_after_s,
        sweep_s=settings.sweep_s,
    )
