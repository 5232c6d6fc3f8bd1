"""Clicks that are refused: each is on record, whoever else was refused, and none of them counts."""

import pytest
from fakes.desk import make_desk, taken_work
from support.store import Store, actions, add_user

from agent.gate.deciding.approvals import Approvals
from agent.gate.deciding.votes import Click
from core.errors import NotAllowed, Refused
from core.store import approvals as stored
from core.tenant import Tenant
from core.work import Action, Approval, Risk, Role, User, Verdict

TOUCH = Action("run", "touch /tmp/x", ("s1",), ("SHA256:k",), ("ops",))


async def asked(store: Store, tenant: Tenant, by: User) -> tuple[Approvals, Approval]:
    """Return the approvals' door and a request that waits."""
    desk = make_desk(store.clock)
    door = Approvals(desk)
    approval, _ = await door.ask(await taken_work(tenant, by, desk), 0, TOUCH, Verdict(Risk.L2, (), "", "r"))
    return door, approval


async def test_two_people_with_equal_event_ids_are_both_on_record(store: Store) -> None:
    tenant = await store.first()
    door, approval = await asked(store, tenant, await add_user(tenant, store.clock, "root"))
    for name in ("olga", "oleg"):
        user = await add_user(tenant, store.clock, name, Role.OPERATOR)
        for _ in range(2):  # a click that is delivered again is the same refusal
            with pytest.raises(NotAllowed):
                await door.decide(tenant, user, Click(approval.id, "approve", "chat", "event-1"))
    assert (await actions(tenant)).count("approval.refused") == 2


@pytest.mark.parametrize("status", ["suspended", "deleted"])
@pytest.mark.parametrize("verdict", ["approve", "reject"])
async def test_nothing_is_decided_in_a_tenant_that_is_not_active(
    store: Store, status: str, verdict: str
) -> None:
    tenant = await store.first()
    root = await add_user(tenant, store.clock, "root")
    door, approval = await asked(store, tenant, root)
    await store.as_owner("UPDATE it0_shared.tenant SET status = $1 WHERE id = $2", status, tenant.id)
    with pytest.raises(Refused) as caught:  # the handle is the one of before
        await door.decide(tenant, root, Click(approval.id, verdict, "console", "e"))  # type: ignore[arg-type]
    assert caught.value.say.key == "error.tenant_suspended"
    async with tenant.reading() as db:
        assert (await stored.get(db, approval.id)) == approval
        assert await db.all(stored.VOTES, id=approval.id) == []
    assert await store.as_owner("SELECT * FROM it0_shared.inbox WHERE event_id LIKE 'act:%'") == []
    assert (await actions(tenant))[-1] == "approval.refused"
