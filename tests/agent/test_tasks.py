"""What is under way: who sees what of it, and how it is asked for in both languages."""

from dataclasses import replace
from datetime import timedelta

import pytest
from support.bench import Bench, make_bench
from support.store import Store, add_user

from agent.engine import Answer
from agent.engines.direct import read
from agent.engines.targets import Intent
from core.ids import new_id
from core.messages import Address
from core.store import log, runs
from core.store.runs import Run
from core.texts import Say
from core.work import Risk, Role


@pytest.fixture
async def bench(store: Store) -> Bench:
    """Return a bench with one server."""
    made = await make_bench(store)
    await made.knows("127.0.0.1")
    return made


def lines_of(answer: Answer) -> list[str]:
    """Return the keys of an answer's lines."""
    found = [part.params["text"] for part in answer.parts[1:] if isinstance(part, Say)]
    return [line["say"] for line in found]


async def another_run(bench: Bench, user_id: str) -> None:
    """Have a command run that needed no approval."""
    run = Run("r1", "c9", "t9", None, "tail -f x", Risk.L0, (("s1", "web"),), user_id, None)
    async with bench.work.tenant.transaction() as tx:
        await runs.start(tx, run, "p1", bench.store.clock())


async def test_nothing_under_way_is_said_so(bench: Bench) -> None:
    answer = await bench("list_tasks")
    assert [part.key for part in answer.parts if isinstance(part, Say)] == ["tasks.none"]


async def test_what_waits_runs_and_is_approved_is_listed(bench: Bench) -> None:
    asked = await bench.asked(await bench("run_command", command="systemctl restart nginx", servers=["web"]))
    await another_run(bench, bench.work.user.id)
    answer = await bench("list_tasks")
    assert lines_of(answer) == ["tasks.run", "tasks.waits"]
    assert asked.code in str(answer.parts)
    await bench.store.as_owner(f"UPDATE {bench.work.tenant.schema}.approval SET status = 'approved'")
    assert lines_of(await bench("list_tasks")) == ["tasks.run"]


async def test_a_request_whose_time_is_over_waits_no_more(bench: Bench) -> None:
    await bench("run_command", command="systemctl restart nginx", servers=["web"])
    bench.store.clock.now += timedelta(hours=1)
    assert lines_of(await bench("list_tasks")) == []


async def test_a_viewer_sees_only_their_own_of_what_runs(bench: Bench) -> None:
    await another_run(bench, bench.work.user.id)
    victor = await add_user(bench.work.tenant, bench.store.clock, "victor", Role.VIEWER)
    bench.work = replace(bench.work, user=victor)
    bench.as_role(Role.VIEWER)
    assert lines_of(await bench("list_tasks")) == []
    bench.as_role(Role.OPERATOR)
    assert lines_of(await bench("list_tasks")) == ["tasks.run"]


async def test_a_title_is_for_its_own_people_only(bench: Bench) -> None:
    tenant, at = bench.work.tenant, bench.store.clock()
    bob = await add_user(tenant, bench.store.clock, "bob")
    for user in (bob, bench.work.user):
        address = Address("console", "i1", f"thread of {user.name}")
        async with tenant.transaction() as tx:
            talk = await log.open_conversation(tx, new_id(), address, user.id, at, title=f"by {user.name}")
        lane = "INSERT INTO it0_shared.lane (tenant_id, conversation_id, owner) VALUES ($1, $2, 'p1')"
        await bench.store.as_owner(lane, tenant.id, talk)
    answer = await bench("list_tasks")
    assert sorted(lines_of(answer)) == ["tasks.own_talk", "tasks.talk"]
    assert "by ann" in str(answer.parts)
    assert "by bob" not in str(answer.parts)


async def test_only_admins_hear_of_credentials_that_will_expire(bench: Bench) -> None:
    tenant, at = bench.work.tenant, bench.store.clock()
    ends = at + timedelta(days=30)
    await bench.fleet.credentials.add(tenant, bench.work.user, "db", "ssh_password", b"hunter2-x", ends)
    assert set(lines_of(await bench("list_tasks"))) == {"tasks.warning"}
    bench.as_role(Role.OPERATOR)
    assert lines_of(await bench("list_tasks")) == []


@pytest.mark.parametrize("text", ["/tasks", "tasks", "Tasks?", "任务", "任务列表", "what is running"])
def test_it_is_asked_for_in_both_languages(text: str) -> None:
    assert read(text, []) == Intent("list_tasks", {})
