"""A tenant's policy in its store: who changes it, what is on record, and that the gate goes by it at once."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from support.bench import Bench, key_of, make_bench
from support.store import Store, actions, add_user

from agent.fleet.forms import NewServer
from agent.policy.documents import checked_draft
from agent.policy.policies import By, Policies
from agent.policy.simulating import MOST_CHANGED, Simulated, as_json, simulate
from agent.policy.words import outcome_of
from bot.texts.catalogue import load_catalogue
from core.audit import Entry
from core.errors import Late, NotAllowed, NotFound, Refused
from core.messages import Code
from core.store.policies import Stored
from core.texts import Say
from core.work import Risk, Role, User

DF: Mapping[str, Any] = {"program": "df", "level": 2, "reason": "Ask us."}
STATUS: Mapping[str, Any] = {"level": 0, "reason": "Our tool.", "sub": {"status": {"level": 0}}}


@pytest.fixture
async def bench(store: Store) -> Bench:
    """Return a bench with a server for each environment."""
    made = await make_bench(store)
    for name, environment in (("web", "dev"), ("stage", "staging"), ("live", "prod")):
        new = NewServer(name, "127.0.0.1", connection="local", environment=environment)
        await made.fleet.add_server(made.work.tenant, made.work.user, new)
    return made


def policies(bench: Bench) -> Policies:
    """Return the policies' door."""
    return Policies(bench.store.clock, bench.gate.redact)


async def put(bench: Bench, by: User | None = None, **document: Any) -> Stored:
    """Let ``document`` be the policy."""
    draft = checked_draft(document)
    return await policies(bench).put(bench.work.tenant, By(by or bench.work.user, "console"), draft)


async def on_record(bench: Bench, action: str) -> list[Mapping[str, Any]]:
    """Return the details of an action's audit rows, the newest first."""
    return [row["detail"] for row in await bench.work.tenant.audit.page() if row["action"] == action]


async def test_each_change_is_a_version_on_record_with_what_was_and_what_is(bench: Bench) -> None:
    await put(bench, tighten={"disk": DF})
    stored = await put(bench, tighten={"disk": {**DF, "level": 3}}, program={"acmectl": STATUS})
    assert stored.version == 2
    second, first = await on_record(bench, "policy.set")
    assert (first["old"], first["new"]["tighten.disk"]["level"]) == ({}, 2)
    assert second["old"]["tighten.disk"]["level"] == 2
    assert second["new"]["tighten.disk"]["level"] == 3
    assert "program.acmectl" in second["new"]


async def test_same_policy_again_is_no_change(bench: Bench) -> None:
    first = await put(bench, tighten={"disk": DF})
    assert await put(bench, tighten={"disk": DF}) == first
    assert len(await on_record(bench, "policy.set")) == 1


async def test_policy_that_was_made_from_an_older_one_is_refused(bench: Bench) -> None:
    await put(bench, version=0, tighten={"disk": DF})
    with pytest.raises(Late):
        await put(bench, version=0, tighten={})
    assert (await put(bench, version=1, tighten={})).version == 2


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
async def test_only_admins_change_it(bench: Bench, role: Role) -> None:
    other = await add_user(bench.work.tenant, bench.store.clock, "olga", role)
    with pytest.raises(NotAllowed):
        await put(bench, other, tighten={"disk": DF})
    with pytest.raises(NotAllowed):
        await policies(bench).remove(bench.work.tenant, By(other, ""), "disk")
    assert "policy.set" not in await actions(bench.work.tenant)


async def test_entry_is_removed_by_its_name(bench: Bench) -> None:
    await put(bench, tighten={"disk": DF}, program={"acmectl": STATUS})
    by = By(bench.work.user, "console")
    left = await policies(bench).remove(bench.work.tenant, by, "acmectl")
    assert left.document == {"tighten": {"disk": DF}, "program": {}}
    with pytest.raises(NotFound):
        await policies(bench).remove(bench.work.tenant, by, "acmectl")


async def test_secret_of_the_vault_stands_in_no_policy(bench: Bench) -> None:
    tenant, user = bench.work.tenant, bench.work.user
    await bench.fleet.credentials.add(tenant, user, "db", "ssh_password", b"hunter2-Secret", None)
    with pytest.raises(Refused):
        await put(bench, tighten={"disk": {"command": "x -p hunter2-Secret", "level": 2, "reason": "x"}})
    assert (await policies(bench).current(tenant)).version == 0


async def test_one_tenants_policy_is_nothing_to_another(bench: Bench) -> None:
    await put(bench, tighten={"disk": DF})
    other = await bench.store.second()
    assert (await policies(bench).current(other)).version == 0


async def test_read_that_the_policy_raised_waits_and_the_card_says_why(bench: Bench) -> None:
    assert (await bench("run_command", command="df -h", servers=["web"])).status == "done"
    stored = await put(bench, tighten={"disk": DF})
    answer = await bench("run_command", command="df -h", servers=["web"])
    approval = await bench.asked(answer)
    assert (approval.level, approval.policy) == (Risk.L2, stored.version)
    assert approval.reasons[0]["say"] == "policy.raised"
    assert approval.reasons[0]["params"]["words"] == "Ask us."
    (asked,) = await on_record(bench, "approval.asked")
    assert (asked["policy"], asked["kind"]) == (stored.version, "run")


async def test_what_the_policy_forbids_is_refused_with_its_version_on_record(bench: Bench) -> None:
    await put(bench, tighten={"disk": {**DF, "level": 3}})
    answer = await bench("run_command", command="sudo df -h", servers=["web"])
    assert (answer.status, key_of(answer)) == ("refused", "gate.forbidden")
    (refused,) = await on_record(bench, "command.refused")
    assert (refused["level"], refused["policy"]) == (3, 1)
    assert bench.shell.started == []


async def test_approved_act_is_refused_if_the_policy_has_raised_it_meanwhile(bench: Bench) -> None:
    answer = await bench("run_command", command="systemctl restart nginx", servers=["web"])
    await put(bench, tighten={"restarts": {"program": "systemctl", "level": 2, "reason": "x"}})
    _, refusal = await bench.approved(answer)
    assert isinstance(refusal, Say)
    assert refusal.key == "gate.level_rose"
    assert bench.shell.started == []


async def test_own_program_runs_at_its_level(bench: Bench) -> None:
    assert (await bench("run_command", command="acmectl status", servers=["web"])).status == "waiting"
    bench.box.waits_for = ""
    await put(bench, program={"acmectl": STATUS})
    assert (await bench("run_command", command="acmectl status", servers=["web"])).status == "done"
    assert (await bench("run_command", command="acmectl erase", servers=["web"])).status == "waiting"


@pytest.mark.parametrize(
    ("command", "servers", "first", "keys"),
    [
        ("df -h", [], 0, {"direct.why_rules"}),
        ("systemctl restart nginx", [], 1, {"direct.why_raised", "direct.why_by_operator"}),
        ("systemctl restart nginx", ["live"], 2, {"direct.why_on"}),
        ("frobnicate", [], 2, set()),
        ("rm -rf /", ["web"], 3, {"direct.why_on"}),
    ],
)
async def test_verdict_is_explained_without_running_anything(
    bench: Bench, command: str, servers: list[str], first: int, keys: set[str]
) -> None:
    bench.as_role(Role.VIEWER)
    answer = await bench("explain_command", command=command, servers=servers)
    found = {part.key for part in answer.parts if isinstance(part, Say)}
    assert key_of(answer) == f"direct.why_{first}"
    assert keys | {"direct.bullet"} <= found
    assert bench.shell.started == []


async def test_explanation_names_the_entry_the_versions_and_outside_hosts(bench: Bench) -> None:
    await put(bench, tighten={"disk": DF})
    answer = await bench("explain_command", command="df -h; curl http://db9.example/", servers=["stage"])
    assert (answer.data["entry"], answer.data["policy"], answer.data["hosts"]) == ("", 1, ["db9.example"])
    assert "gate.outside_host" in answer.data["reasons"]
    answer = await bench("explain_command", command="df -h")
    assert (answer.data["entry"], answer.data["part"]) == ("disk", "df -h")


async def tried(bench: Bench, **document: Any) -> Simulated:
    """Return what a policy would have done."""
    draft = checked_draft(document)
    return await simulate(bench.work.tenant, bench.gate.judging, draft.document, bench.store.clock)


async def test_simulation_counts_what_was_asked_by_level_and_tells_what_changes(bench: Bench) -> None:
    for command in ("df -h", "df -h", "uptime", "rm -rf /", "systemctl restart nginx"):
        await bench("run_command", command=command, servers=["stage"])
        bench.box.waits_for = ""
    found = as_json(await tried(bench, tighten={"disk": {**DF, "environments": ["staging"]}}))
    assert found["asked"] == 5
    assert {(c["old"], c["new"]): c["count"] for c in found["counts"]} == {
        (0, 0): 1,
        (0, 2): 2,
        (1, 1): 1,
        (3, 3): 1,
    }
    (change,) = found["changed"]
    assert (change["command"], change["servers"], change["times"]) == ("df -h", ["stage"], 2)
    assert (change["was"], change["new"], change["entry"]) == (0, 2, "disk")
    assert change["last"].startswith("2026-03-01")


async def test_simulation_changes_and_audits_nothing(bench: Bench) -> None:
    await bench("run_command", command="df -h", servers=["web"])
    before = await actions(bench.work.tenant)
    await tried(bench, tighten={"disk": DF})
    assert await actions(bench.work.tenant) == before
    assert (await policies(bench).current(bench.work.tenant)).version == 0


async def test_simulation_looks_thirty_days_back_and_at_removed_servers_too(bench: Bench) -> None:
    tenant, user = bench.work.tenant, bench.work.user
    await bench("run_command", command="df -i", servers=["web"])
    bench.store.clock.forward(days=29)
    await bench("run_command", command="df -h", servers=["live"])
    await bench.fleet.remove_server(tenant, user, await bench.fleet.server(tenant, "live"))
    bench.store.clock.forward(days=2)
    found = await tried(bench, tighten={"disk": {**DF, "environments": ["prod"]}})
    assert [each.command for each in found.changed] == ["df -h"]
    assert found.since == bench.store.clock() - timedelta(days=30)


async def test_policy_that_loosens_what_an_earlier_one_raised_is_seen(bench: Bench) -> None:
    await put(bench, tighten={"disk": DF})
    await bench("run_command", command="df -h", servers=["web"])
    found = await tried(bench)
    assert [(each.old, each.new, each.entry) for each in found.changed] == [(2, 0, "")]


async def test_what_is_read_or_written_for_a_file_act_is_no_command_of_its_own(bench: Bench) -> None:
    detail = {"command": "base64 /etc/x", "level": 0, "servers": [], "kind": "file"}
    await bench.work.tenant.audit.append(Entry("command.intent", "agent", detail=detail), bench.store.clock())
    assert (await tried(bench, tighten={"all": {**DF, "program": "*"}})).asked == 0


async def test_long_simulation_lists_the_newest_and_counts_the_rest(bench: Bench) -> None:
    for number in range(MOST_CHANGED + 3):
        detail = {"command": f"df /srv/{number}", "level": 0, "servers": ["web"]}
        entry = Entry("command.intent", "agent", detail=detail)
        await bench.work.tenant.audit.append(entry, bench.store.clock.forward(seconds=1))
    found = await tried(bench, tighten={"disk": DF})
    assert (found.asked, len(found.changed), found.left_out) == (MOST_CHANGED + 3, MOST_CHANGED, 3)
    assert found.changed[0].command == f"df /srv/{MOST_CHANGED + 2}"
    parts = outcome_of(found, most=5)
    assert sum(isinstance(part, Code) for part in parts) == 5
    last = parts[-1]
    assert isinstance(last, Say)
    assert str(MOST_CHANGED - 2) in load_catalogue()(last, "en")
