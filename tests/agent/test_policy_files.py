"""A tenant's policy and what it0 does by scripts of its own: files, and looking at accounts."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from support.bench import Bench, key_of, make_bench
from support.store import Store

from agent.fleet.forms import NewServer
from agent.policy.documents import checked_draft
from agent.policy.policies import By, Policies
from agent.policy.simulating import as_json, simulate
from agent.shell.local import Local
from agent.shell.ssh import SshShell
from core.errors import BadInput, Refused
from core.texts import Say
from core.work import Risk


@pytest.fixture
async def bench(store: Store, tmp_path: Path) -> AsyncIterator[Bench]:
    """Return a bench whose servers, one in prod, are this machine."""
    shell = SshShell(connect_timeout_s=5, local=Local(home=tmp_path))
    made = await make_bench(store, shell)
    for name, environment in (("web", "dev"), ("live", "prod")):
        new = NewServer(name, "127.0.0.1", connection="local", environment=environment)
        await made.fleet.add_server(made.work.tenant, made.work.user, new)
    yield made
    await shell.close()


@pytest.fixture
def held(tmp_path: Path) -> Path:
    """Return a folder with a file, beside which others stand."""
    for name in ("app", "app-old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text("one\n")
    return tmp_path / "app"


def document(**fields: Any) -> Mapping[str, Any]:
    """Return a policy of one entry."""
    return {"tighten": {"held": {"level": 3, "reason": "Only by the pipeline.", **fields}}}


async def put(bench: Bench, **fields: Any) -> None:
    """Let a policy of one entry hold."""
    door = Policies(bench.store.clock, bench.gate.redact)
    await door.put(bench.work.tenant, By(bench.work.user, ""), checked_draft(document(**fields)))


async def write(bench: Bench, path: Path, server: str = "web") -> Any:
    """Ask for a file to be written; return the answer."""
    bench.box.waits_for = ""
    return await bench("write_file", server=server, path=str(path), content="two\n")


async def send(bench: Bench, path: Path, server: str = "web") -> Any:
    """Ask for a file to be sent; return the answer."""
    bench.box.waits_for = ""
    return await bench("send_file", server=server, path=str(path))


@pytest.mark.parametrize("program", ["write_file", "*"])
async def test_forbidden_write_is_refused_unread_with_its_entry_on_record(
    bench: Bench, held: Path, program: str
) -> None:
    await put(bench, program=program)
    answer = await write(bench, held / "a.txt")
    assert (answer.status, key_of(answer)) == ("refused", "gate.forbidden")
    assert answer.parts[1].params["words"] == "Only by the pipeline."
    row = next(r for r in await bench.work.tenant.audit.page() if r["action"] == "command.refused")
    assert row["detail"]["command"] == f"write_file {held / 'a.txt'}"
    assert (row["detail"]["kind"], row["detail"]["policy"]) == ("write", 1)
    assert await bench.store.as_owner(f"SELECT 1 FROM {bench.work.tenant.schema}.run") == []


async def test_path_means_the_file_or_all_below_the_folder_also_by_a_link(bench: Bench, held: Path) -> None:
    await put(bench, program="write_file", path=f"{held}/")
    (held.parent / "link").symlink_to(held / "a.txt")
    for path in (held / "a.txt", held / "new" / "b.txt", held.parent / "link"):
        assert (await write(bench, path)).status == "refused", path
    for path in (held.parent / "app-old" / "a.txt", held.parent / "app.txt"):
        assert (await write(bench, path)).status == "waiting", path
    assert (await send(bench, held / "a.txt")).status == "done"


async def test_entry_for_an_environment_leaves_others_alone(bench: Bench, held: Path) -> None:
    await put(bench, program="write_file", environments=["prod"])
    assert (await write(bench, held / "a.txt", "live")).status == "refused"
    assert (await write(bench, held / "a.txt", "web")).status == "waiting"


async def test_approved_change_is_not_made_if_the_policy_forbids_it_meanwhile(
    bench: Bench, held: Path
) -> None:
    answer = await write(bench, held / "a.txt")
    await put(bench, program="write_file", path=str(held))
    _, refusal = await bench.approved(answer)
    assert isinstance(refusal, Say)
    assert refusal.key == "gate.level_rose"
    assert (held / "a.txt").read_text() == "one\n"


async def test_change_is_not_taken_back_where_the_policy_forbids_writing(bench: Bench, held: Path) -> None:
    approval, _ = await bench.approved(await write(bench, held / "a.txt"))
    await put(bench, program="write_file", path=str(held))
    assert (await bench("undo_write", code=approval.code)).status == "refused"
    assert (held / "a.txt").read_text() == "two\n"


@pytest.mark.parametrize(("level", "status"), [(1, "waiting"), (2, "waiting"), (3, "refused")])
async def test_file_that_is_sent_has_at_least_the_level_of_its_entry(
    bench: Bench, held: Path, level: int, status: str
) -> None:
    assert (await send(bench, held / "a.txt")).status == "done"
    await put(bench, program="send_file", path=str(held), level=level)
    (held.parent / "link").symlink_to(held / "a.txt")
    for path in (held / "a.txt", held.parent / "link"):
        answer = await send(bench, path)
        assert answer.status == status
        if status == "waiting":
            approval = await bench.asked(answer)
            assert (approval.level, approval.policy) == (Risk(level), 1)
            assert approval.reasons[0]["say"] == "policy.raised"


async def test_approved_file_is_not_sent_if_the_policy_raised_it_meanwhile(bench: Bench, held: Path) -> None:
    (held / "app.conf").write_text("port = 1\n")
    answer = await send(bench, held / "app.conf")
    await put(bench, program="send_file", level=2)
    _, refusal = await bench.approved(answer)
    assert isinstance(refusal, Say)
    assert refusal.key == "gate.level_rose"


async def test_command_that_is_called_like_an_act_is_none(bench: Bench, held: Path) -> None:
    for name in ("send_file", "write_file"):
        bench.box.waits_for = ""
        answer = await bench("run_command", command=f"{name} {held / 'a.txt'}", servers=["web"])
        assert (await bench.asked(answer)).level == Risk.L2


@pytest.mark.parametrize("program", ["id", "sudo", "*"])
async def test_account_is_not_looked_at_with_what_the_policy_raised(bench: Bench, program: str) -> None:
    tenant, user = bench.work.tenant, bench.work.user
    await put(bench, program=program, level=2, environments=["prod"])
    with pytest.raises(Refused) as caught:
        await bench.gate.probing.probe(tenant, user, await bench.fleet.server(tenant, "live"))
    assert caught.value.say.key == "account.not_asked_policy"
    assert await bench.gate.probing.probe(tenant, user, await bench.fleet.server(tenant, "web"))


async def test_simulation_counts_files_and_tells_those_that_change(bench: Bench, held: Path) -> None:
    other = held.parent / "app-old" / "a.txt"
    for path in (held / "a.txt", other):
        await write(bench, path)
        await send(bench, path)
    trial = document(program="write_file", path=str(held))
    draft = checked_draft(trial)
    found = as_json(await simulate(bench.work.tenant, bench.gate.judging, draft.document, bench.store.clock))
    counts = {(each["old"], each["new"]): each["count"] for each in found["counts"]}
    assert counts == {(0, 0): 2, (2, 2): 1, (2, 3): 1}
    (change,) = found["changed"]
    assert change["command"].startswith(f"write_file {held / 'a.txt'} sha256 ")
    assert (change["entry"], change["servers"]) == ("held", ["web"])


@pytest.mark.parametrize(
    ("command", "level"),
    [
        ("write_file {}/a.txt", 3),
        ("write_file {}-old/a.txt", 2),
        ("send_file {}/a.txt", 0),
        ("write_file /etc/shadow", 3),
        ("send_file /etc/shadow", 3),
        ("send_file /etc/ssh/sshd_config", 1),
    ],
)
async def test_file_act_is_explained_as_it_is_judged(
    bench: Bench, held: Path, command: str, level: int
) -> None:
    await put(bench, program="write_file", path=str(held))
    answer = await bench("explain_command", command=command.format(held), servers=["web"])
    assert answer.data["level"] == level
    assert answer.data["entry"] == ("held" if str(held) + "/" in command.format(held) and level == 3 else "")


@pytest.mark.parametrize(
    "fields",
    [
        {"program": "nginx", "path": "/etc"},
        {"program": "*", "path": "/etc"},
        {"command": "write_file /etc", "path": "/etc"},
        {"program": "write_file", "subcommand": "x"},
        *(
            {"program": "write_file", "path": path}
            for path in ("etc", "/etc/../x", "/etc//x", "/./x", "/a\nb")
        ),
    ],
)
def test_entry_whose_path_can_mean_nothing_is_not_taken(fields: Mapping[str, Any]) -> None:
    with pytest.raises(BadInput):
        checked_draft(document(**fields))


@pytest.mark.parametrize(
    ("path", "kept"),
    [("/", "/"), ("/etc/nginx/", "/etc/nginx"), ("/srv/.env", "/srv/.env"), ("/a b/…", "/a b/…")],
)
def test_path_is_kept_in_one_form(path: str, kept: str) -> None:
    found = checked_draft(document(program="send_file", path=path)).document
    assert found["tighten"]["held"]["path"] == kept
