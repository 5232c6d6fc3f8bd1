"""Approvals: decided once, by those who may, in time, and every try is on record."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Literal

import pytest
from fakes.desk import Noted, make_desk, make_grants, taken_work
from support.store import Store, actions, add_user

from agent.gate.deciding.approvals import EXPIRY, Approvals
from agent.gate.deciding.votes import Click
from agent.keys import ApiKeys
from core.errors import Fenced, Late, NotAllowed, NotFound, Refused
from core.ids import new_id
from core.store import approvals as stored
from core.store import people, preferences, processes, timers
from core.store.log import events_after
from core.tenant import Tenant
from core.texts import Say
from core.work import Action, Approval, Risk, Role, User, Verdict

RESTART = Action("run", "systemctl restart nginx", ("s1",), ("SHA256:k",), ("ops",))


def verdict(level: Risk = Risk.L2) -> Verdict:
    """Return a verdict."""
    return Verdict(level, (Say("risk.restarts"),), "systemctl restart nginx", "r1")


def click(approval: Approval, how: Literal["approve", "reject"] = "approve", event: str = "") -> Click:
    """Return a click of its own."""
    return Click(approval.id, how, "console", event or new_id(), "192.0.2.7")


@dataclass
class Scene:
    """A tenant with people and the approvals' door."""

    store: Store
    tenant: Tenant
    door: Approvals
    noted: Noted
    admins: Sequence[User]

    async def ask(self, by: User | None = None, level: Risk = Risk.L2) -> Approval:
        """Ask for an approval in a conversation of its own."""
        desk = make_desk(self.store.clock)
        work = await taken_work(self.tenant, by or self.admins[0], desk)
        approval, short = await self.door.ask(work, 0, RESTART, verdict(level))
        assert short is None
        return approval

    async def prefer(self, **wishes: Any) -> None:
        """Set what the tenant decided for itself."""
        async with self.tenant.transaction() as tx:
            for key, value in wishes.items():
                await preferences.put(tx, key, value, self.store.clock(), None)

    async def now(self, approval: Approval) -> Approval:
        """Return it as it stands."""
        async with self.tenant.reading() as db:
            found = await stored.get(db, approval.id)
        assert found is not None
        return found

    async def follows(self) -> list[str]:
        """Return what was put into the inbox because of decisions."""
        rows = await self.store.as_owner(
            "SELECT event_id FROM it0_shared.inbox WHERE event_id ~ '^(act|decided):' ORDER BY id"
        )
        return [row["event_id"].split(":")[0] for row in rows]

    async def key_of(self, maker: User, name: str = "robot") -> User:
        """Return the user of a key that ``maker`` makes."""
        await ApiKeys(self.store.clock, make_grants(self.store.clock)).new(
            self.tenant, maker, name, "admin", "en"
        )
        async with self.tenant.reading() as db:
            found = await people.user_named(db, name)
        assert found is not None
        return found

    async def try_to(self, user: User, how: Literal["approve", "reject"], approval: Approval) -> Any:
        """Return the ballot or the refusal."""
        try:
            return await self.door.decide(self.tenant, user, click(approval, how))
        except Refused as refusal:
            return refusal

    async def outcomes(self, approval: Approval) -> list[dict[str, Any]]:
        """Return what its conversation shows of its state."""
        async with self.tenant.reading() as db:
            events = await events_after(db, approval.conversation_id, 0)
        return [event["body"] for event in events if event["kind"] == "settled"]


@pytest.fixture
async def store(module_store: Store) -> Store:
    """Return the module's database, emptied."""
    await module_store.wipe()
    return module_store


@pytest.fixture
async def scene(store: Store) -> Scene:
    """Return a tenant with three admins."""
    tenant, noted = await store.first(), Noted()
    admins = [await add_user(tenant, store.clock, name) for name in ("ann", "bob", "eve")]
    return Scene(store, tenant, Approvals(make_desk(store.clock, noted)), noted, admins)


async def test_request_is_stored_whole_with_its_timer_and_card(scene: Scene) -> None:
    approval = await scene.ask()
    assert await scene.now(approval) == approval
    assert approval.digest == RESTART.digest(scene.tenant.id, approval.id, approval.nonce)
    assert (approval.action, approval.requester_id) == (RESTART, scene.admins[0].id)
    rows = await scene.store.as_owner("SELECT * FROM it0_shared.timer WHERE kind = $1", EXPIRY)
    assert [(row["ref"], row["due_at"]) for row in rows] == [(approval.id, approval.expires_at)]
    assert scene.noted.reminders == [(rows[0]["id"], 1800.0)]
    async with scene.tenant.reading() as db:
        places = await db.all(stored.PLACES, id=approval.id)
    assert {place["user_id"] for place in places} == {admin.id for admin in scene.admins}
    assert await actions(scene.tenant) == ["approval.asked"]


@pytest.mark.parametrize(("level", "minutes"), [(Risk.L1, 5), (Risk.L2, 30)])
async def test_request_waits_as_long_as_its_level_says(scene: Scene, level: Risk, minutes: int) -> None:
    approval = await scene.ask(level=level)
    assert approval.expires_at - approval.created_at == timedelta(minutes=minutes)


async def test_same_step_asked_again_after_a_restart_is_the_same_request(scene: Scene) -> None:
    desk = make_desk(scene.store.clock)
    work = await taken_work(scene.tenant, scene.admins[0], desk)
    first, _ = await scene.door.ask(work, 3, RESTART, verdict())
    scene.store.clock.forward(minutes=1)
    again, _ = await scene.door.ask(work, 3, replace(RESTART, command="rm -rf /"), verdict())
    assert again == first
    assert await actions(scene.tenant) == ["approval.asked"]


async def test_one_approval_settles_and_one_act_follows(scene: Scene) -> None:
    approval = await scene.ask()
    ballot = await scene.door.decide(scene.tenant, scene.admins[1], click(approval))
    settled = await scene.now(approval)
    assert (ballot.status, settled.status, settled.settled_by) == ("approved", "approved", scene.admins[1].id)
    assert await scene.follows() == ["act"]
    assert scene.noted.wakes == 1
    body = {"approval_id": approval.id, "status": "approved", "by": "bob"}
    assert await scene.outcomes(approval) == [body]
    rows = await scene.store.as_owner("SELECT state FROM it0_shared.timer WHERE kind = $1", EXPIRY)
    assert [row["state"] for row in rows] == ["done"]


async def test_rejection_settles_and_no_act_follows(scene: Scene) -> None:
    approval = await scene.ask()
    ballot = await scene.door.decide(scene.tenant, scene.admins[1], click(approval, "reject"))
    assert ballot.status == "rejected"
    assert await scene.follows() == ["decided"]
    assert (await actions(scene.tenant))[-1] == "approval.reject"


async def test_second_decision_is_told_who_was_first_and_when(scene: Scene) -> None:
    approval = await scene.ask()
    scene.store.clock.forward(minutes=2, seconds=5)
    await scene.door.decide(scene.tenant, scene.admins[1], click(approval))
    scene.store.clock.forward(minutes=1)
    for how in ("approve", "reject"):
        with pytest.raises(Late) as caught:
            await scene.door.decide(scene.tenant, scene.admins[2], click(approval, how))  # type: ignore[arg-type]
        assert caught.value.say.key == "approval.was_approved"
        assert caught.value.say.params == {"who": "bob", "when": "12:02:05 UTC", "code": approval.code}
    assert (await scene.now(approval)).settled_by == scene.admins[1].id
    assert (await actions(scene.tenant))[-2:] == ["approval.late", "approval.late"]
    assert await scene.follows() == ["act"]


@pytest.mark.parametrize(
    "votes", [["approve"] * 50, ["reject"] * 50, ["approve", "reject"] * 25], ids=["yes", "no", "mixed"]
)
async def test_of_fifty_decisions_at_once_exactly_one_settles(
    scene: Scene, votes: list[Literal["approve", "reject"]]
) -> None:
    users = [await add_user(scene.tenant, scene.store.clock, f"u{n}") for n in range(50)]
    approval = await scene.ask()
    results = await asyncio.gather(
        *(scene.try_to(user, how, approval) for user, how in zip(users, votes, strict=True))
    )
    won = [result for result in results if not isinstance(result, Refused)]
    assert len(won) == 1
    assert all(isinstance(result, Late) for result in results if result is not won[0])
    settled = await scene.now(approval)
    assert (settled.status, settled.approvals) == (won[0].status, int(won[0].status == "approved"))
    async with scene.tenant.reading() as db:
        assert [vote["user_id"] for vote in await db.all(stored.VOTES, id=approval.id)] == [
            settled.settled_by
        ]
    assert len(await scene.follows()) == 1
    assert sorted(set(await actions(scene.tenant))) == sorted(
        {
            "approval.asked",
            "approval.late",
            "approval.approve" if won[0].status == "approved" else "approval.reject",
        }
    )
    assert (await actions(scene.tenant)).count("approval.late") == 49


async def test_fifty_clicks_of_one_person_are_one_vote(scene: Scene) -> None:
    await scene.prefer(approvals_needed=2)
    approval = await scene.ask()
    results = await asyncio.gather(*(scene.try_to(scene.admins[1], "approve", approval) for _ in range(50)))
    assert len([result for result in results if not isinstance(result, Refused)]) == 1
    late = [result for result in results if isinstance(result, Refused)]
    assert {error.say.key for error in late} == {"approval.voted_before"}
    assert ((await scene.now(approval)).status, (await scene.now(approval)).approvals) == ("pending", 1)
    assert await scene.follows() == []


async def test_click_delivered_twice_counts_once_and_is_no_refusal(scene: Scene) -> None:
    await scene.prefer(approvals_needed=2)
    approval = await scene.ask()
    for admin in scene.admins[:2]:
        same = click(approval)
        first = await scene.door.decide(scene.tenant, admin, same)
        again = await scene.door.decide(scene.tenant, admin, same)
        assert (again.status, again.approvals) == (first.status, first.approvals)
    assert (await actions(scene.tenant)).count("approval.approve") == 2
    assert "approval.refused" not in await actions(scene.tenant)
    assert await scene.follows() == ["act"]


async def test_another_person_with_the_settling_clicks_id_gets_no_credit(scene: Scene) -> None:
    approval = await scene.ask()
    await scene.door.decide(scene.tenant, scene.admins[1], click(approval, event="e1"))
    with pytest.raises(Late):
        await scene.door.decide(scene.tenant, scene.admins[2], click(approval, event="e1"))
    approvers = [row["approver_id"] async for row in scene.tenant.audit.rows() if row["approver_id"]]
    assert approvers == [scene.admins[1].id]


async def test_two_of_three_settle_and_each_step_shows(scene: Scene) -> None:
    await scene.prefer(approvals_needed=2)
    approval = await scene.ask()
    first = await scene.door.decide(scene.tenant, scene.admins[0], click(approval))
    assert (first.status, first.approvals, first.needed) == ("pending", 1, 2)
    assert await scene.follows() == []
    second = await scene.door.decide(scene.tenant, scene.admins[1], click(approval))
    assert (second.status, second.approvals) == ("approved", 2)
    assert [body["status"] for body in await scene.outcomes(approval)] == ["pending", "approved"]
    assert await scene.follows() == ["act"]


@pytest.mark.parametrize("needed", [2, 3])
async def test_votes_at_once_are_all_counted(scene: Scene, needed: int) -> None:
    await scene.prefer(approvals_needed=needed)
    for _ in range(5):
        approval = await scene.ask()
        results = await asyncio.gather(
            *(scene.try_to(admin, "approve", approval) for admin in scene.admins[:needed])
        )
        assert sorted(result.approvals for result in results) == list(range(1, needed + 1))
        assert (await scene.now(approval)).status == "approved"
    assert await scene.follows() == ["act"] * 5


async def test_any_rejection_settles_whatever_was_approved_before(scene: Scene) -> None:
    await scene.prefer(approvals_needed=3)
    approval = await scene.ask()
    for admin in scene.admins[:2]:
        await scene.door.decide(scene.tenant, admin, click(approval))
    ballot = await scene.door.decide(scene.tenant, scene.admins[2], click(approval, "reject"))
    assert ballot.status == "rejected"
    assert await scene.follows() == ["decided"]


async def test_four_eyes_keep_the_requester_from_deciding(scene: Scene) -> None:
    await scene.prefer(four_eyes=True)
    approval = await scene.ask(by=scene.admins[0])
    for how in ("approve", "reject"):
        with pytest.raises(NotAllowed) as caught:
            await scene.door.decide(scene.tenant, scene.admins[0], click(approval, how))  # type: ignore[arg-type]
        assert caught.value.say.key == "approval.not_yours_four_eyes"
    assert (await scene.now(approval)).status == "pending"
    assert (await scene.door.decide(scene.tenant, scene.admins[1], click(approval))).status == "approved"


@pytest.mark.parametrize("wish", [{"four_eyes": True}, {"approvals_needed": 2}])
async def test_key_is_no_second_person_where_two_must_agree(scene: Scene, wish: dict[str, Any]) -> None:
    approval = await scene.ask(by=scene.admins[0])
    robot = await scene.key_of(scene.admins[1])
    await scene.prefer(**wish)
    refusal = await scene.try_to(robot, "approve", approval)
    assert refusal.say.key == "approval.not_yours_key"
    await scene.prefer(four_eyes=False, approvals_needed=1)
    assert (await scene.try_to(robot, "approve", approval)).status == "approved"


async def test_four_eyes_keep_a_keys_maker_from_deciding_what_the_key_asked_for(scene: Scene) -> None:
    await scene.prefer(four_eyes=True)
    approval = await scene.ask(by=await scene.key_of(scene.admins[0]))
    refusal = await scene.try_to(scene.admins[0], "approve", approval)
    assert refusal.say.key == "approval.not_yours_four_eyes"
    assert (await scene.try_to(scene.admins[1], "approve", approval)).status == "approved"


async def test_four_eyes_see_a_keys_maker_behind_the_key_that_made_it(scene: Scene) -> None:
    await scene.prefer(four_eyes=True)
    first = await scene.key_of(scene.admins[0])
    approval = await scene.ask(by=await scene.key_of(first, "second"))
    refusal = await scene.try_to(scene.admins[0], "approve", approval)
    assert refusal.say.key == "approval.not_yours_four_eyes"
    assert (await scene.try_to(scene.admins[1], "approve", approval)).status == "approved"


async def test_key_approves_no_level_2_where_a_second_factor_is_wanted(scene: Scene) -> None:
    await scene.prefer(step_up=True)
    key = await scene.key_of(scene.admins[1])
    high, low = await scene.ask(), await scene.ask(level=Risk.L1)
    assert (await scene.try_to(key, "approve", high)).say.key == "approval.step_up_key"
    assert (await scene.try_to(key, "approve", low)).status == "approved"
    assert (await scene.try_to(key, "reject", high)).status == "rejected"


async def test_second_factor_that_is_wanted_by_now_is_asked_for_what_waits(scene: Scene) -> None:
    approval = await scene.ask()
    await scene.prefer(step_up=True)
    assert (await scene.try_to(scene.admins[1], "approve", approval)).say.key == "approval.step_up_enrol"
    assert (await scene.now(approval)).status == "pending"
    assert (await actions(scene.tenant))[-1] == "approval.refused"


async def test_four_eyes_do_not_hold_for_small_risks(scene: Scene) -> None:
    await scene.prefer(four_eyes=True, approvals_needed=3)
    approval = await scene.ask(by=scene.admins[0], level=Risk.L1)
    assert (await scene.door.decide(scene.tenant, scene.admins[0], click(approval))).status == "approved"


async def test_wish_changed_later_does_not_change_a_request_that_waits(scene: Scene) -> None:
    await scene.prefer(four_eyes=True, approvals_needed=2)
    approval = await scene.ask()
    await scene.prefer(four_eyes=False, approvals_needed=1)
    with pytest.raises(NotAllowed):
        await scene.door.decide(scene.tenant, scene.admins[0], click(approval))
    assert (await scene.door.decide(scene.tenant, scene.admins[1], click(approval))).status == "pending"


MAY = [
    (Role.VIEWER, Risk.L1, False),
    (Role.OPERATOR, Risk.L1, True),
    (Role.ADMIN, Risk.L1, True),
    (Role.VIEWER, Risk.L2, False),
    (Role.OPERATOR, Risk.L2, False),
    (Role.ADMIN, Risk.L2, True),
]


@pytest.mark.parametrize(("role", "level", "may"), MAY)
async def test_who_may_decide_what(scene: Scene, role: Role, level: Risk, may: bool) -> None:
    user = await add_user(scene.tenant, scene.store.clock, "user", role)
    approval = await scene.ask(level=level)
    if may:
        assert (await scene.door.decide(scene.tenant, user, click(approval))).status == "approved"
        return
    with pytest.raises(NotAllowed):
        await scene.door.decide(scene.tenant, user, click(approval))
    assert (await scene.now(approval)).status == "pending"
    assert await scene.outcomes(approval) == []
    assert (await actions(scene.tenant))[-1] == "approval.refused"


async def test_removed_user_may_decide_nothing(scene: Scene) -> None:
    approval, gone = await scene.ask(), scene.admins[1]
    async with scene.tenant.transaction() as tx:
        await tx.run(people.CHANGE, user=gone.id, role=None, language=None, active=False)
    with pytest.raises(NotAllowed) as caught:
        await scene.door.decide(scene.tenant, gone, click(approval))
    assert caught.value.say.key == "approval.not_yours_removed"
    assert (await actions(scene.tenant))[-1] == "approval.refused"


async def test_vote_of_one_who_loses_the_right_in_the_same_moment_counts_before_or_not_at_all(
    scene: Scene,
) -> None:
    approval, changing = await scene.ask(), scene.admins[1]
    async with scene.tenant.transaction() as tx:
        await tx.run(people.CHANGE, user=changing.id, role="viewer", language=None, active=None)
        vote = asyncio.ensure_future(scene.door.decide(scene.tenant, changing, click(approval)))
        await asyncio.sleep(0.2)
        assert not vote.done()
    with pytest.raises(NotAllowed):
        await vote
    assert (await scene.now(approval)).status == "pending"


async def test_what_the_tenant_asks_for_by_now_holds_for_what_waits(scene: Scene) -> None:
    approval, now = await scene.ask(), scene.store.clock()
    async with scene.tenant.transaction() as tx:
        await preferences.put(tx, "approvals_needed", 2, now, None)
    ballot = await scene.door.decide(scene.tenant, scene.admins[1], click(approval))
    assert (ballot.status, ballot.approvals, ballot.needed) == ("pending", 1, 2)
    async with scene.tenant.transaction() as tx:
        await preferences.put(tx, "four_eyes", True, now, None)
    with pytest.raises(NotAllowed):
        await scene.door.decide(scene.tenant, scene.admins[0], click(approval))


async def test_request_of_another_tenant_is_unknown_and_the_try_is_on_record(scene: Scene) -> None:
    approval, other = await scene.ask(), await scene.store.second()
    foreigner = await add_user(other, scene.store.clock, "mallory")
    with pytest.raises(NotFound) as caught:
        await scene.door.decide(other, foreigner, click(approval))
    assert caught.value.say.key == "approval.unknown"
    assert (await scene.now(approval)).status == "pending"
    assert await actions(other) == ["approval.refused"]


async def test_nothing_is_approved_during_a_halt_and_the_try_is_on_record(scene: Scene) -> None:
    approval = await scene.ask()
    await scene.prefer(halted_by="ann")
    with pytest.raises(Refused) as caught:
        await scene.door.decide(scene.tenant, scene.admins[1], click(approval))
    assert caught.value.say.key == "error.halted"
    assert (await actions(scene.tenant))[-1] == "approval.refused"
    assert (await scene.now(approval)).status == "pending"
    assert (await scene.door.decide(scene.tenant, scene.admins[1], click(approval, "reject"))).status


async def test_expired_request_cannot_be_decided_even_before_its_timer_ran(scene: Scene) -> None:
    approval = await scene.ask()
    scene.store.clock.now = approval.expires_at
    for how in ("approve", "reject"):
        with pytest.raises(Late) as caught:
            await scene.door.decide(scene.tenant, scene.admins[1], click(approval, how))  # type: ignore[arg-type]
        assert caught.value.say.key == "approval.time_over"
    assert (await scene.now(approval)).status == "pending"
    assert (await actions(scene.tenant))[-1] == "approval.late"
    assert await scene.follows() == []


async def test_request_can_be_decided_until_its_last_moment(scene: Scene) -> None:
    approval = await scene.ask()
    scene.store.clock.now = approval.expires_at - timedelta(microseconds=1)
    assert (await scene.door.decide(scene.tenant, scene.admins[1], click(approval))).status == "approved"


async def test_request_lapses_once_at_its_time_and_not_before(scene: Scene) -> None:
    approval = await scene.ask()
    scene.store.clock.now = approval.expires_at - timedelta(microseconds=1)
    assert not await scene.door.expire(scene.tenant, approval.id)
    scene.store.clock.now = approval.expires_at
    lapsed = await asyncio.gather(*(scene.door.expire(scene.tenant, approval.id) for _ in range(10)))
    assert sorted(lapsed) == [False] * 9 + [True]
    assert (await scene.now(approval)).status == "expired"
    assert await scene.follows() == ["decided"]
    assert (await actions(scene.tenant)).count("approval.expired") == 1
    with pytest.raises(Late) as caught:
        await scene.door.decide(scene.tenant, scene.admins[1], click(approval))
    assert caught.value.say.key == "approval.was_expired"
    assert caught.value.say.params["who"] == "it0"


async def test_decided_request_does_not_lapse(scene: Scene) -> None:
    approval = await scene.ask()
    await scene.door.decide(scene.tenant, scene.admins[1], click(approval))
    scene.store.clock.forward(hours=1)
    assert not await scene.door.expire(scene.tenant, approval.id)
    assert not await scene.door.expire(scene.tenant, "unknown")
    assert await scene.follows() == ["act"]


async def test_lapse_and_decision_at_once_have_one_winner(scene: Scene) -> None:
    for _ in range(10):
        approval = await scene.ask()
        early = Approvals(make_desk(lambda before=approval.created_at: before))  # type: ignore[misc]
        scene.store.clock.now = approval.expires_at
        lapsed, ballot = await asyncio.gather(
            scene.door.expire(scene.tenant, approval.id),
            early.decide(scene.tenant, scene.admins[1], click(approval)),
            return_exceptions=True,
        )
        assert (lapsed is True) == isinstance(ballot, Late)
        assert (await scene.now(approval)).status == ("expired" if lapsed else "approved")
    assert len(await scene.follows()) == 10


async def vote(scene: Scene, approval: Approval) -> Any:
    """Vote at the store itself."""
    async with scene.tenant.transaction() as tx:
        row = await stored.vote(
            tx, approval, scene.admins[1].id, "approve", "console", new_id(), scene.store.clock()
        )
        if row is None:
            raise Late
        return row


@pytest.mark.parametrize("change", ["digest", "command", "server", "other request", "other tenant"])
async def test_vote_for_another_act_than_the_stored_one_does_not_count(scene: Scene, change: str) -> None:
    approval, other = await scene.ask(), await scene.ask()
    act = approval.action
    foreign = {
        "digest": "0" * 64,
        "command": replace(act, command="rm -rf /").digest(scene.tenant.id, approval.id, approval.nonce),
        "server": replace(act, server_ids=("s2",)).digest(scene.tenant.id, approval.id, approval.nonce),
        "other request": other.digest,
        "other tenant": act.digest("ready1", approval.id, approval.nonce),
    }[change]
    assert foreign != approval.digest
    with pytest.raises(Late):
        await vote(scene, replace(approval, digest=foreign))
    async with scene.tenant.reading() as db:
        assert await db.all(stored.VOTES, id=approval.id) == []
    assert (await vote(scene, approval))["status"] == "approved"


async def test_withdrawn_request_cannot_be_decided_and_nothing_follows(scene: Scene) -> None:
    approval = await scene.ask()
    withdrawn = await asyncio.gather(
        *(scene.door.cancel(scene.tenant, scene.admins[0], approval) for _ in range(5))
    )
    assert sorted(withdrawn) == [False] * 4 + [True]
    with pytest.raises(Late) as caught:
        await scene.door.decide(scene.tenant, scene.admins[1], click(approval))
    assert (caught.value.say.key, caught.value.say.params["who"]) == ("approval.was_cancelled", "ann")
    assert await scene.follows() == []
    async with scene.store.database.transaction() as tx:
        assert await timers.claim(tx, "me", approval.expires_at, 10) == []


async def test_withdrawal_is_on_record_with_what_was_withdrawn(scene: Scene) -> None:
    approval = await scene.ask()
    await scene.door.cancel(scene.tenant, scene.admins[0], approval)
    row = [dict(row) async for row in scene.tenant.audit.rows()][-1]
    assert (row["action"], row["actor_id"]) == ("approval.cancelled", scene.admins[0].id)
    told = (row["detail"]["code"], row["detail"]["command"], row["detail"]["servers"])
    assert told == (approval.code, approval.action.command, list(approval.action.server_ids))


async def test_request_that_too_few_may_decide_says_so(scene: Scene) -> None:
    await scene.prefer(four_eyes=True, approvals_needed=3)
    work = await taken_work(scene.tenant, scene.admins[0], make_desk(scene.store.clock))
    _, short = await scene.door.ask(work, 0, RESTART, verdict())
    assert short == Say("approval.nobody_can_decide")


async def test_turn_that_was_taken_over_asks_for_nothing(scene: Scene) -> None:
    work = await taken_work(scene.tenant, scene.admins[0], make_desk(scene.store.clock))
    async with scene.store.database.transaction() as tx:
        await tx.run(processes.RECLAIM_LANES)
    with pytest.raises(Fenced):
        await scene.door.ask(work, 0, RESTART, verdict())
    assert await scene.store.as_owner("SELECT 1 FROM it0_shared.timer") == []
    assert await actions(scene.tenant) == []


async def test_every_decision_is_on_record_with_who_what_where_and_which_act(scene: Scene) -> None:
    approval = await scene.ask()
    sent = click(approval)
    await scene.door.decide(scene.tenant, scene.admins[1], sent)
    row = [dict(row) async for row in scene.tenant.audit.rows()][-1]
    assert (row["action"], row["actor_id"], row["approver_id"]) == (
        "approval.approve",
        *[scene.admins[1].id] * 2,
    )
    assert (row["resource_id"], row["channel"], row["ip"]) == (approval.id, "console", "192.0.2.7")
    assert row["detail"]["command"] == "systemctl restart nginx"
    assert (row["detail"]["digest"], row["detail"]["level"]) == (approval.digest, 2)
    assert (row["detail"]["event"], row["detail"]["servers"]) == (sent.event_id, ["s1"])
