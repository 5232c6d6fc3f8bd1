"""The command line: what scripts rely on, line by line and by exit code."""

import asyncio
import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncssh
import click
import pytest
from click.testing import CliRunner, Result
from fakes.clock import FakeClock
from fakes.desk import make_desk, taken_work
from hypothesis import given, settings
from hypothesis import strategies as st
from support.store import AUDIT_KEY, Store, actions, add_user

from agent.gate.deciding.approvals import Approvals
from bot.chat.controls import Controls
from bot.cli import main
from bot.commands import terminal
from bot.upkeep.doctor import Doctor
from bot.upkeep.heads import Heads
from core.audit import Entry
from core.errors import NotAllowed
from core.messages import Code
from core.settings import Settings, load_settings
from core.store import fleet
from core.tenant import Tenant
from core.texts import Say, say
from core.vault import Place, Vault, new_key
from core.work import Action, Risk, Role, Server, Verdict

COMMANDS = {
    "up", "bot", "worker", "migrate", "doctor", "classify",
    "user", "pair", "key", "credential", "server", "approval", "tenant", "audit", "policy",
}  # fmt: skip
GROUPS = {
    "user": {"add", "link", "list", "change"},
    "pair": {"new"},
    "key": {"new", "list", "revoke"},
    "credential": {"add", "list", "revoke", "rotate"},
    "server": {"add", "list", "check", "trust", "distrust", "remove", "import", "harden"},
    "approval": {"list", "approve", "reject"},
    "tenant": {"create", "list", "set", "show", "suspend", "resume", "delete", "restore"},
    "audit": {"verify", "export"},
    "policy": {"show", "set", "remove", "simulate"},
}


def it0(*arguments: str, typed: str | bytes = "") -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(main, arguments, input=typed)


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder, on a home where nothing runs."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("IT0_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_lists_every_command_with_a_line(flag: str) -> None:
    result = it0(flag)
    assert result.exit_code == 0
    listed = result.output.split("Commands:")[1].splitlines()
    named = {line.split()[0]: line.split(maxsplit=1)[1] for line in listed if line.strip()}
    assert set(named) == set(main.commands) >= COMMANDS


@pytest.mark.parametrize("group", GROUPS)
def test_groups_have_the_commands_that_scripts_use(group: str) -> None:
    commands = main.commands[group]
    assert isinstance(commands, click.Group)
    assert set(commands.commands) >= GROUPS[group]
    assert it0(group, "--help").exit_code == 0


@pytest.mark.parametrize("group", [[], *([name] for name in GROUPS)], ids=" ".join)
def test_no_line_of_help_is_cut(group: list[str]) -> None:
    listed = it0(*group, "--help").output.split("Commands:")[1]
    assert "..." not in listed
    assert all(re.match(r"  \S+ +\S", line) for line in listed.strip("\n").splitlines()), listed


def leaves() -> list[tuple[str, ...]]:
    """Return every command that does something."""
    found: list[tuple[str, ...]] = []
    for name, command in main.commands.items():
        if isinstance(command, click.Group):
            found += [(name, inner) for inner in command.commands]
        else:
            found.append((name,))
    return found


@pytest.mark.parametrize("path", leaves(), ids=" ".join)
def test_every_command_explains_itself(path: tuple[str, ...]) -> None:
    result = it0(*path, "--help")
    assert result.exit_code == 0
    assert len(result.output.splitlines()[2].strip()) > 10


@pytest.mark.parametrize("path", [path for path in leaves() if len(path) == 2], ids=" ".join)
def test_every_command_on_data_takes_a_tenant_and_prints_json(path: tuple[str, ...]) -> None:
    text = it0(*path, "--help").output
    assert "--json" in text
    assert "--tenant" in text or (path[0] == "tenant" and path[1] != "set")


def options() -> list[tuple[str, click.Parameter]]:
    """Return every parameter of every command."""
    found = []
    for path in leaves():
        command: Any = main
        for name in path:
            command = command.commands[name]
        found += [(" ".join(path), parameter) for parameter in command.params]
    return found


def test_no_secret_is_taken_as_an_argument() -> None:
    telling = ("password", "secret", "token", "private", "passphrase")
    assert [(path, p.name) for path, p in options() if any(word in (p.name or "") for word in telling)] == []


USAGE = [
    ["nonsense"],
    ["user"],
    ["user", "add"],
    ["user", "add", "ann"],
    ["user", "add", "ann", "--role", "root"],
    ["user", "add", "ann", "--role", "admin", "--language", "de"],
    ["credential", "add", "c", "--type", "ssh_key"],
    ["credential", "add", "c", "--type", "magic", "--file", "-"],
    ["server", "add", "web"],
    ["pair", "new"],
    ["approval", "approve", "A1-100"],
    ["tenant", "create", "x", "--plan", "gold"],
    ["doctor", "--nonsense"],
    ["user", "change", "ann"],
    ["server", "add", "w", "--host", "h", "--user", "u", "--credential", "c", "--tag", "foo"],
    ["server", "add", "w", "--host", "h", "--user", "u", "--credential", "c", "--tag", "=x"],
    ["server", "add", "w", "--host", "h", "--user", "u", "--credential", "c", "--ssh-option", "compression"],
    ["approval", "list", "--status", "open"],
    ["tenant", "suspend"],
]


@pytest.mark.parametrize("arguments", USAGE, ids=" ".join)
def test_wrong_usage_ends_with_two(arguments: list[str]) -> None:
    result = it0(*arguments)
    assert result.exit_code == 2
    assert "Usage:" in result.stderr
    assert result.stdout == ""


NEEDS_DATA = [
    ["doctor"], ["user", "list"], ["user", "add", "ann", "--role", "admin"], ["server", "list"],
    ["audit", "verify"], ["tenant", "list"], ["tenant", "create", "x"], ["approval", "list"],
    ["bot"], ["worker"], ["migrate"],
]  # fmt: skip


@pytest.mark.parametrize("arguments", NEEDS_DATA, ids=" ".join)
def test_command_where_nothing_runs_ends_with_one_and_one_sentence(arguments: list[str]) -> None:
    result = it0(*arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    said = result.stderr.strip().splitlines()
    assert len(said) == 1
    assert said[0].startswith("it0: ")
    assert "setup." not in said[0]


def test_sentence_comes_in_the_language_that_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IT0_LANGUAGE", "zh")
    assert "没有运行" in it0("user", "list").stderr


@pytest.mark.parametrize("command", [["bot"], ["user", "list"], ["up"]], ids=" ".join)
def test_wrong_setting_is_one_sentence_without_its_value(
    monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setenv("FAN_OUT", "geheim")
    result = it0(*command)
    assert result.exit_code == 1
    assert "FAN_OUT" in result.stderr
    assert "geheim" not in result.output
    assert len(result.stderr.strip().splitlines()) == 1


def test_unreadable_file_is_said_and_ends_with_one(tmp_path: Path) -> None:
    result = it0("credential", "add", "c", "--type", "ssh_key", "--file", str(tmp_path / "none"))
    assert result.exit_code == 1
    assert result.stderr.startswith("it0: ")
    assert result.stderr.count("\n") == 1
    assert "cannot be read" in result.stderr


def judged(typed: str, code: int = 0) -> list[dict[str, Any]]:
    """Return what classify prints."""
    result = it0("classify", typed=typed)
    assert result.exit_code == code, result.output
    assert bool(result.stderr) == bool(code)
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_classify_answers_each_line_in_order() -> None:
    lines = ["uptime", "systemctl restart nginx", "rm -rf /"]
    found = judged("\n".join(map(json.dumps, lines)))
    assert [each["level"] for each in found] == [0, 1, 3]
    for each in found:
        assert set(each) == {"level", "reasons", "part", "rules", "policy", "entry", "hosts"}
        assert all(isinstance(reason, str) for reason in each["reasons"])
        assert each["reasons"]
        assert isinstance(each["part"], str)


def test_classify_takes_environment_and_count() -> None:
    plain = {"command": "systemctl restart nginx"}
    on_prod, on_many = {**plain, "environment": "prod"}, {**plain, "count": 50}
    found = judged("\n".join(map(json.dumps, [plain, on_prod, on_many])))
    assert found[0] == judged(json.dumps("systemctl restart nginx"))[0]
    assert found[1]["level"] >= found[0]["level"]
    assert found[2]["level"] >= found[0]["level"]


BAD = [
    "uptime", "{", "[]", "1", "null", "true", '["uptime"]', "{}", '{"command": 1}', '{"command": null}',
    '{"command": "w", "environment": "moon"}', '{"command": "w", "environment": null}',
    '{"command": "w", "count": 0}', '{"command": "w", "count": -1}', '{"command": "w", "count": 1.5}',
    '{"command": "w", "count": true}', '{"command": "w", "count": "2"}', "[" * 100_000, "9" * 10_000, "NaN",
]  # fmt: skip


def test_classify_answers_a_bad_line_with_an_error_and_goes_on() -> None:
    typed = "\n".join(line for bad in BAD for line in (bad, '"uptime"'))
    found = judged(typed, code=1)
    assert len(found) == 2 * len(BAD)
    assert [each for each in found[::2] if set(each) != {"error"}] == []
    assert {each["level"] for each in found[1::2]} == {0}


def test_classify_judges_by_a_policy_in_a_file_and_names_its_entry_and_hosts(tmp_path: Path) -> None:
    entry = {"program": "df", "level": 2, "reason": "Ask us."}
    (tmp_path / "policy.json").write_text(json.dumps({"tighten": {"disk": entry}}))
    typed = '"df -h"\n"redis-cli -h db9 ping"\n'
    result = it0("classify", "--policy", "policy.json", typed=typed)
    raised, other = map(json.loads, result.stdout.splitlines())
    assert (raised["level"], raised["entry"], raised["policy"], raised["part"]) == (2, "disk", 1, "df -h")
    assert "Ask us." in raised["reasons"][0]
    assert (other["entry"], other["hosts"]) == ("", ["db9"])


@pytest.mark.parametrize("text", ["[tighten.x]\nlevel = 9\n", "what = ", '{"grant": {}}'])
def test_policy_that_is_wrong_is_refused_in_one_sentence(text: str) -> None:
    for command in (("classify", "--policy", "-"), ("policy", "set", "-"), ("policy", "simulate", "-")):
        result = it0(*command, typed=text)
        assert result.exit_code == 1
        assert result.stderr.startswith("it0: The policy ")
        assert result.stderr.count("\n") == 1


def test_classify_passes_empty_lines_over() -> None:
    assert judged("") == []
    assert len(judged('\n\n  \n"uptime"\n\t\n"w"')) == 2


@given(st.lists(st.text(), max_size=5))
@settings(max_examples=60, deadline=None)
def test_classify_gives_one_object_a_line_whatever_the_commands(commands: list[str]) -> None:
    found = judged("\n".join(map(json.dumps, commands)))
    assert len(found) == len(commands)
    assert all(each["level"] in (0, 1, 2, 3) for each in found)


def piped(typed: bytes, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run classify as a process of its own."""
    kept = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **environment}
    command = [sys.executable, "-m", "bot", "classify"]
    folder = Path(__file__).parents[2]
    return subprocess.run(command, input=typed, capture_output=True, env=kept, cwd=folder, check=False)


@pytest.mark.parametrize(
    "locale", [{"LC_ALL": "C"}, {"PYTHONIOENCODING": "utf-8:strict"}, {"PYTHONIOENCODING": "ascii"}]
)
def test_classify_as_a_process_takes_any_bytes(locale: dict[str, str]) -> None:
    typed = b'"uptime"\n\xff\xfe\n"\\ud800 \xe5\x90\xaf\xe5\x8a\xa8"\n"cat /etc/\xe5\x90\xaf"\r\n"w"'
    done = piped(typed, **locale)
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == 5
    assert "error" in found[1]
    assert all("level" in found[number] for number in (0, 2, 3, 4))


Beside = Callable[..., Any]


@pytest.fixture
def beside(store: Store, monkeypatch: pytest.MonkeyPatch) -> Beside:
    """Return how to run a command on a fresh database; --tenant is the first one's."""
    monkeypatch.setenv("DATABASE_URL", store.app_url)
    monkeypatch.setenv("DATABASE_ADMIN_URL", store.owner_url)
    monkeypatch.setenv("VAULT_MASTER_KEY", new_key())
    monkeypatch.setenv("AUDIT_KEY", base64.b64encode(AUDIT_KEY).decode())

    async def run(*arguments: str, typed: str | bytes = "", tenant: str = "first") -> Result:
        of_all = arguments[0] == "tenant" and arguments[1] != "set"
        more = [] if of_all or not tenant else ["--tenant", tenant]
        return await asyncio.to_thread(it0, *arguments, *more, typed=typed)

    return run


async def test_people_are_added_listed_and_changed(beside: Beside, store: Store) -> None:
    added = await beside("user", "add", "林小雨", "--role", "admin", "--language", "zh", "--json")
    assert added.exit_code == 0
    assert set(json.loads(added.stdout)) == {"id", "name", "role"}
    again = await beside("user", "add", "林小雨", "--role", "admin")
    assert (again.exit_code, again.stdout) == (1, "")
    assert "林小雨" in again.stderr
    last = await beside("user", "change", "林小雨", "--inactive")
    assert last.exit_code == 1
    listed = json.loads((await beside("user", "list", "--json")).stdout)
    assert listed == [{"name": "林小雨", "role": "admin", "language": "zh", "active": True}]
    assert await actions(await store.first()) == ["user.add"]


async def test_link_and_code_are_printed_alone(beside: Beside) -> None:
    await beside("user", "add", "ann", "--role", "viewer")
    link = await beside("user", "link", "ann")
    assert link.stdout.startswith("http://127.0.0.1:8080/login?token=")
    assert link.stdout.count("\n") == 1
    assert "10 minutes" in link.stderr
    code = await beside("pair", "new", "--user", "ann")
    assert len(code.stdout.strip()) == 11
    assert "60 minutes" in code.stderr
    machine = await beside("pair", "new", "--user", "ann", "--json")
    assert (set(json.loads(machine.stdout)), machine.stderr) == ({"code", "minutes"}, "")
    nobody = await beside("user", "link", "nobody")
    assert (nobody.exit_code, nobody.stdout) == (1, "")


async def test_secret_comes_from_standard_input_and_is_never_shown(beside: Beside, tmp_path: Path) -> None:
    add = ("credential", "add")
    made = await beside(*add, "pw", "--type", "ssh_password", "--file", "-", typed="geheim-1\n")
    assert made.exit_code == 0
    key = asyncssh.generate_private_key("ssh-ed25519")
    (tmp_path / "id").write_bytes(key.export_private_key("openssh"))
    made = await beside(
        "credential", "add", "id", "--type", "ssh_key", "--file", str(tmp_path / "id"), "--json"
    )
    assert json.loads(made.stdout) == {"name": "id", "fingerprint": key.get_fingerprint()}
    listed = await beside("credential", "list", "--json")
    assert [row["name"] for row in json.loads(listed.stdout)] == ["id", "pw"]
    assert "geheim" not in listed.output
    bad = await beside(*add, "x", "--type", "ssh_key", "--file", "-", typed=b"\xff\x00")
    assert bad.exit_code == 1
    revoked = await beside("credential", "revoke", "pw", "--json")
    assert json.loads(revoked.stdout) == {"name": "pw", "servers": []}
    assert json.loads((await beside("credential", "rotate", "--json")).stdout) == {"resealed": 0}
    assert "already" in (await beside("credential", "rotate")).stdout


async def test_audit_is_verified_and_exported_and_a_broken_one_ends_with_one(
    beside: Beside, store: Store
) -> None:
    for name in ("ann", "bob", "eve"):
        await beside("user", "add", name, "--role", "admin")
    good = await beside("audit", "verify", "--json")
    assert (good.exit_code, json.loads(good.stdout)) == (0, {"rows": 3, "faults": []})
    exported = [json.loads(line) for line in (await beside("audit", "export")).stdout.splitlines()]
    assert [row["seq"] for row in exported] == [1, 2, 3]
    schema = (await store.first()).schema
    async with store.connection() as owner:
        await owner.execute(f"ALTER TABLE {schema}.audit DISABLE TRIGGER ALL")
        await owner.execute(f"UPDATE {schema}.audit SET actor_id = 'x' WHERE seq = 2")
    broken = await beside("audit", "verify", "--json")
    assert broken.exit_code == 1
    assert json.loads(broken.stdout)["faults"] == [{"seq": 2, "kind": "altered"}]
    assert broken.stderr.count("\n") == 1


async def test_tenants_are_made_and_set(beside: Beside) -> None:
    made = await beside("tenant", "create", "third", "--plan", "free", "--json")
    for noun in ("user", "server", "credential", "cluster", "key"):
        proposed = (await beside(noun, "list", tenant="third")).stdout.strip()
        assert re.search(rf"it0 {noun} (add|new) NAME .*--tenant third$", proposed), proposed
    assert made.exit_code == 0
    rows = json.loads((await beside("tenant", "list", "--json")).stdout)
    assert {row["slug"]: row["plan"] for row in rows}["third"] == "free"
    for slug in ("third", "Not A Slug", "-x", "x" * 41):
        assert (await beside("tenant", "create", "--", slug)).exit_code == 1
    assert (await beside("tenant", "set", "four_eyes", "on", tenant="third")).exit_code == 0
    assert (await beside("tenant", "set", "approvals_needed", "0", tenant="third")).exit_code == 1
    for number in range(3):
        await beside("user", "add", f"u{number}", "--role", "admin", tenant="third")
    full = await beside("user", "add", "u3", "--role", "admin", tenant="third")
    assert full.exit_code == 1
    assert "3" in full.stderr


async def test_unknown_tenant_is_one_sentence(beside: Beside) -> None:
    result = await beside("user", "list", tenant="nobody")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.count("\n") == 1


async def test_approval_that_does_not_exist_ends_with_one(beside: Beside) -> None:
    await beside("user", "add", "ann", "--role", "admin")
    assert (await beside("approval", "list", "--json")).stdout == "[]\n"
    assert (await beside("approval", "approve", "A1-100", "--as", "ann")).exit_code == 1
    assert (await beside("approval", "reject", "A1-100", "--as", "nobody")).exit_code == 1


# What is printed is data: it cannot pass for what it0 itself says.

EVIL = "echo a\nA9-999  L0  pending   uptime\x1b[2K\u202e\u2028\u3164x\ttail"
SHOWN = "echo a↵A9-999  L0  pending   uptime\\u001b[2K\\u202e\\u2028\\u3164x\\ttail"


def server_of(name: str, **values: Any) -> Server:
    """Return a server."""
    plain: dict[str, Any] = {
        "id": f"id-{name}", "connection": "ssh", "host": "10.0.0.5", "port": 22, "environment": "prod",
        "role": "web", "ssh_user": "ops", "credential_id": None, "jump_server_id": None, "ssh_options": {},
        "tags": {}, "status": "untrusted", "description": "", "host_key": None,
    }  # fmt: skip
    return Server(name=name, **{**plain, **values})


async def put_server(tenant: Tenant, clock: FakeClock, server: Server) -> None:
    """Store a server as it is."""
    async with tenant.transaction() as tx:
        await tx.run(fleet.ADD_SERVER, **fleet.server_row(server, clock()))


async def ask_for(store: Store, command: str) -> str:
    """Store a request for a command on web-1; return its code."""
    tenant, clock = await store.first(), FakeClock(datetime.now(UTC))
    desk, vera = make_desk(clock), await add_user(tenant, clock, "vera", Role.ADMIN)
    await put_server(tenant, clock, server_of("web-1"))
    action = Action("run", command, ("id-web-1",), ("SHA256:k",), ("ops",))
    reasons = (say("risk.restarts"), say("risk.reads_secret", path="x\n• B2-222  L0  uptime"))
    verdict = Verdict(Risk.L2, reasons, action.command, "r1")
    approval, _ = await Approvals(desk).ask(await taken_work(tenant, vera, desk), 0, action, verdict)
    return approval.code


async def test_approvals_are_listed_with_all_that_a_decision_needs(beside: Beside, store: Store) -> None:
    nothing = await beside("approval", "list")
    assert (nothing.exit_code, nothing.stdout) == (0, "No approval is waiting.\n")
    code = await ask_for(store, EVIL)
    text = (await beside("approval", "list")).stdout
    assert text.splitlines()[0].split()[:3] == [code, "L2", "pending"]
    assert [line for line in text.splitlines()[1:] if not line.startswith("  ")] == []
    assert f"command   {SHOWN}" in text
    for needed in ("web-1  ops@10.0.0.5", "vera", "0 of 1", "expires"):
        assert needed in text
    reason = terminal.words_of(say("risk.restarts"))
    assert f"reason    {reason}" in text
    printed = (await beside("approval", "list", "--json")).stdout
    assert printed.strip().isprintable()
    (found,) = json.loads(printed)
    assert (found["command"], found["code"], found["level"]) == (EVIL, code, 2)
    assert (found["requester"], found["reasons"][0]) == ("vera", reason)
    assert [(each["name"], each["user"], each["host"]) for each in found["servers"]] == [
        ("web-1", "ops", "10.0.0.5")
    ]
    assert datetime.fromisoformat(found["expires_at"]) > datetime.now(UTC)
    decided = await beside("approval", "reject", code, "--as", "vera")
    assert decided.stdout == f"{code}: rejected\n"
    assert json.loads((await beside("approval", "list", "--status", "all", "--json")).stdout)[0]["settled_by"]


async def test_approvals_in_a_chat_are_as_complete_and_cannot_be_forged(store: Store) -> None:
    code = await ask_for(store, EVIL)
    tenant, desk = await store.first(), make_desk(FakeClock(datetime.now(UTC)))
    reader = await add_user(tenant, store.clock, "li", Role.OPERATOR, "zh")
    work = await taken_work(tenant, reader, desk, "/approvals")
    controls = Controls(desk, Approvals(desk), lambda *_: 0, "", lambda _: asyncio.sleep(0, []))
    count, line, command = await controls.list_approvals(work, [])
    texts = terminal.load_catalogue()
    assert isinstance(count, Say)
    assert command == Code(SHOWN, code)  # data in a block of its own, in one line
    for language in ("en", "zh"):
        words = texts(line, language)  # type: ignore[arg-type]
        assert f"• {code}  L2  " in words
        assert "A9-999" not in words
        assert all(each in words for each in ("web-1 (ops@10.0.0.5)", "vera", "UTC"))
        assert texts(say("risk.restarts"), language) in words  # type: ignore[arg-type]
        assert len(words.splitlines()) == 2
        assert "x↵• B2-222" in words


@pytest.mark.parametrize(("role", "verb"), [(Role.VIEWER, "halt"), (Role.OPERATOR, "resume")])
async def test_who_may_not_stop_everything_hears_about_stopping(store: Store, role: Role, verb: str) -> None:
    tenant, desk = await store.first(), make_desk(store.clock)
    work = await taken_work(tenant, await add_user(tenant, store.clock, "v", role), desk, f"/{verb}")
    controls = Controls(desk, Approvals(desk), lambda *_: 0, "", lambda _: asyncio.sleep(0, []))
    with pytest.raises(NotAllowed) as caught:
        await (controls.halt if verb == "halt" else controls.resume)(work, [])
    assert "stopped" in terminal.words_of(caught.value.say)
    assert f"tenant.{verb}" not in await actions(tenant)


def test_lists_have_one_style_and_line_up() -> None:
    rows = [("林小雨", "admin"), ("b\nad", ""), ("x" * 9, None)]
    text = terminal.table(("NAME", "ROLE"), rows, say("cli.no_users"))
    assert text.splitlines() == ["NAME       ROLE", "林小雨     admin", "b↵ad       -", "xxxxxxxxx  -"]
    assert terminal.table(("NAME",), [], say("approvals.none")) == "No approval is waiting."


async def test_lists_have_a_header_and_say_so_when_they_are_empty(beside: Beside) -> None:
    for group in ("user", "server", "credential", "approval"):
        empty = await beside(group, "list")
        assert (empty.exit_code, empty.stdout.count("\n")) == (0, 1)
        assert len(empty.stdout) > 10
        assert json.loads((await beside(group, "list", "--json")).stdout) == []
    await beside("user", "add", "ann", "--role", "admin")
    assert (await beside("user", "list")).stdout.splitlines()[0].split() == [
        "NAME",
        "ROLE",
        "LANGUAGE",
        "ACTIVE",
    ]
    assert (await beside("tenant", "list")).stdout.split()[:4] == ["SLUG", "PLAN", "STATUS", "NAME"]


# What is wrong is said on stderr, with the command that goes on.


async def test_sentences_name_commands_where_a_chat_is_told_of_slashes(beside: Beside) -> None:
    await beside("user", "add", "ann", "--role", "admin")
    cases = {
        "it0 server list": ("server", "check", "nobody"),
        "it0 credential list": ("credential", "revoke", "nobody"),
        "it0 approval list": ("approval", "approve", "A1-100", "--as", "ann"),
    }
    for command, arguments in cases.items():
        found = await beside(*arguments)
        assert (found.exit_code, found.stdout) == (1, "")
        assert command in found.stderr
        assert not re.search(r"(^|\s)/[a-z]", found.stderr), found.stderr


def test_sentences_for_the_command_line_have_the_same_places_and_no_slash() -> None:
    texts = dict(terminal.load_catalogue().items())
    for chat, here in terminal.IN_OTHER_WORDS.items():
        for language in ("en", "zh"):
            names = re.findall(r"{(\w+)}", texts[here][language])  # type: ignore[index]
            assert set(names) <= set(re.findall(r"{(\w+)}", texts[chat][language]))  # type: ignore[index]
    inner = say("server.unreachable", server="w", reason=say("credential.expired", credential="c"))
    assert "it0 credential add" in terminal.words_of(inner)


def test_no_refusal_of_a_start_says_the_name_twice() -> None:
    for key, words in terminal.load_catalogue().items():
        if key.startswith(("setup.", "cli.")):
            assert not any(text.lower().startswith("it0 ") for text in words.values()), key


async def test_server_that_fails_its_check_is_a_sentence_on_stderr(beside: Beside, store: Store) -> None:
    await put_server(await store.first(), store.clock, server_of("web-1", host="127.0.0.1", port=1))
    found = await beside("server", "check", "web-1")
    assert (found.exit_code, found.stdout) == (1, "")
    assert (found.stderr.count("\n"), found.stderr[:5]) == (1, "it0: ")
    machine = await beside("server", "check", "web-1", "--json")
    assert (machine.exit_code, json.loads(machine.stdout)["ok"]) == (1, False)
    assert machine.stderr == found.stderr


async def test_servers_are_listed_with_all_that_is_known(beside: Beside, store: Store) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    public = key.export_public_key().decode().split()
    first = await store.first()
    await beside("credential", "add", "main", "--type", "ssh_password", "--file", "-", typed="x")
    async with first.reading() as db:
        credential = (await db.all(fleet.CREDENTIALS))[0]["id"]
    more: dict[str, Any] = {"credential_id": credential, "status": "active"}
    gate = server_of("gate", host_key=" ".join(public[:2]), **more)
    await put_server(first, store.clock, gate)
    web = server_of(
        "web-1", jump_server_id=gate.id, tags={"team": "shop"}, ssh_options={"keepalive_s": 5}, **more
    )
    await put_server(first, store.clock, web)
    rows = {row["name"]: row for row in json.loads((await beside("server", "list", "--json")).stdout)}
    assert rows["web-1"].items() >= {
        "role": "web", "tags": {"team": "shop"}, "credential": "main", "jump": "gate", "fingerprint": None,
        "ssh_options": {"keepalive_s": 5},
    }.items()  # fmt: skip
    assert rows["gate"]["fingerprint"] == key.get_fingerprint()
    header, _, line = (await beside("server", "list")).stdout.splitlines()
    assert header.split() == ["NAME", "WHERE", "ENVIRONMENT", "ROLE", "STATUS", "CREDENTIAL", "JUMP", "TAGS"]
    assert line.split() == ["web-1", "ops@10.0.0.5:22", "prod", "web", "active", "main", "gate", "team=shop"]


async def test_server_is_changed_and_its_key_confirmed_anew_where_it_moved(
    beside: Beside, store: Store
) -> None:
    more: dict[str, Any] = {"host_key": "ssh-ed25519 AAAA", "status": "active"}
    await put_server(await store.first(), store.clock, server_of("web-1", **more))
    assert (await beside("server", "change", "web-1")).exit_code == 2
    tagged = await beside("server", "change", "web-1", "--tag", "team=shop", "--environment", "dev", "--json")
    assert json.loads(tagged.stdout) == {"name": "web-1", "status": "active"}
    moved = await beside("server", "change", "web-1", "--port", "2222", "--json")
    assert json.loads(moved.stdout)["status"] == "untrusted"
    row = json.loads((await beside("server", "list", "--json")).stdout)[0]
    assert (row["port"], row["environment"], row["tags"]) == (2222, "dev", {"team": "shop"})


async def test_credential_in_use_is_revoked_only_by_somebody_who_is_sure(
    beside: Beside, store: Store
) -> None:
    await beside("credential", "add", "main", "--type", "ssh_password", "--file", "-", typed="x")
    first = await store.first()
    async with first.reading() as db:
        credential = (await db.all(fleet.CREDENTIALS))[0]["id"]
    for name in ("web-1", "web-2"):
        await put_server(first, store.clock, server_of(name, credential_id=credential))
    refused = await beside("credential", "revoke", "main")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "web-1, web-2" in refused.stderr
    assert "--yes" in refused.stderr
    assert len(json.loads((await beside("credential", "list", "--json")).stdout)) == 1
    done = await beside("credential", "revoke", "main", "--yes")
    assert (done.exit_code, "web-1, web-2" in done.stderr) == (0, True)
    assert json.loads((await beside("credential", "list", "--json")).stdout) == []


async def test_options_of_ssh_are_taken_by_name_and_kind(beside: Beside) -> None:
    await beside("credential", "add", "main", "--type", "ssh_password", "--file", "-", typed="x")
    base = ("server", "add", "w", "--host", "127.0.0.1", "--port", "1", "--user", "u", "--credential", "main")
    good = await beside(*base, "--ssh-option", "keepalive_s=5", "--ssh-option", "compression=true")
    assert good.exit_code == 1
    assert "keepalive_s" not in good.stderr  # nobody listens there: the options were taken
    for wrong in ("proxy_command=x", "compression=1", "keepalive_s=true"):
        bad = await beside(*base, "--ssh-option", wrong)
        assert bad.exit_code == 1
        assert wrong.split("=")[0] in bad.stderr


async def test_added_person_is_told_how_to_come_in(beside: Beside) -> None:
    added = await beside("user", "add", "ann b", "--role", "viewer")
    assert "it0 user link 'ann b' --tenant first" in added.stdout


# Tenants


async def test_tenant_is_suspended_resumed_and_deleted_with_its_data_kept(
    beside: Beside, store: Store
) -> None:
    async def status() -> str:
        rows = json.loads((await beside("tenant", "list", "--json")).stdout)
        return {str(row["slug"]): str(row["status"]) for row in rows}["first"]

    await beside("user", "add", "ann", "--role", "admin")
    for verb, after in (("suspend", "suspended"), ("resume", "active"), ("delete", "deleted")):
        found = await beside("tenant", verb, "first", "--json")
        assert (found.exit_code, json.loads(found.stdout)["status"]) == (0, after)
        assert await status() == after
        assert "nothing was changed" in (await beside("tenant", verb, "first")).stdout
    gone = await beside("user", "list")
    assert (gone.exit_code, "it0 tenant restore first" in gone.stderr) == (1, True)
    assert (await beside("audit", "verify")).exit_code == 0
    assert await store.as_owner("SELECT deleted_at IS NOT NULL FROM it0_shared.tenant WHERE slug = 'first'")
    assert (await beside("tenant", "resume", "first")).exit_code == 1
    assert (await beside("tenant", "restore", "first")).exit_code == 0
    assert json.loads((await beside("user", "list", "--json")).stdout)[0]["name"] == "ann"
    assert (await actions(await store.first()))[1:] == [
        "tenant.suspend", "tenant.resume", "tenant.delete", "tenant.restore",
    ]  # fmt: skip
    assert (await beside("tenant", "suspend", "nobody")).exit_code == 1


async def test_plan_is_changed_and_shown_with_what_is_used_of_it(beside: Beside, store: Store) -> None:
    await beside("user", "add", "ann", "--role", "admin")
    changed = await beside("tenant", "set", "plan", "free")
    assert changed.exit_code == 0, changed.stderr
    assert (await beside("tenant", "set", "plan", "gold")).exit_code == 1
    shown = json.loads((await beside("tenant", "show", "first", "--json")).stdout)
    assert (shown["plan"], shown["engines"], shown["dropped_after"]) == ("free", ["direct"], None)
    assert {each["name"]: (each["used"], each["limit"]) for each in shown["quotas"]} == {
        "servers": (0, 5), "users": (1, 3), "skills": (0, 10), "sessions": (0, 50), "tasks": (0, 2),
    }  # fmt: skip
    assert "no limit" in (await beside("tenant", "show", "second")).stdout
    assert (await actions(await store.first()))[-1] == "tenant.set"


async def test_default_tenant_is_never_deleted(beside: Beside, store: Store) -> None:
    await store.make_tenant("default")
    refused = await beside("tenant", "delete", "default")
    assert (refused.exit_code, "it0 tenant suspend default" in refused.stderr) == (1, True)


async def test_deleted_tenant_has_no_sessions_left(beside: Beside, store: Store) -> None:
    await beside("user", "add", "ann", "--role", "admin")
    await beside("user", "link", "ann")
    await beside("tenant", "delete", "first")
    assert (await store.as_owner("SELECT count(*) FROM it0_shared.login_link WHERE used_at IS NULL"))[0][
        0
    ] == 0
    assert (await beside("user", "link", "ann")).exit_code == 1


# The doctor


async def report(beside: Beside, code: int) -> dict[str, tuple[str, str]]:
    """Return (state, words) of each part that the doctor looked at."""
    found = await beside("doctor", "--json", tenant="")
    assert found.exit_code == code, found.output
    return {each["name"]: (each["state"], each["message"]) for each in json.loads(found.stdout)}


async def test_doctor_looks_at_what_it0_stands_on(
    beside: Beside, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    well = await report(beside, 0)
    assert {
        well[part][0] for part in ("database", "redis", "vault", "audit heads", "logins", "host keys")
    } == {"ok"}
    first = await store.first()
    await beside("credential", "add", "main", "--type", "ssh_password", "--file", "-", typed="x")
    async with first.transaction() as tx:
        place = Place(first.id, "credential", "lost", "sealed", "token")
        row = {
            "id": "lost", "name": "lost", "kind": "token", "fingerprint": "", "key_type": "", "server": "",
            "created_by": "", "created_at": store.clock(), "used_at": None,
            "expires_at": store.clock() - timedelta(days=1), "revoked_at": None,
            "sealed": Vault(new_key()).seal(b"x", place),
        }  # fmt: skip
        await tx.run(fleet.ADD_CREDENTIAL, **row)
    await put_server(first, store.clock, server_of("web-1", credential_id="lost"))
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    ill = await report(beside, 1)
    assert (ill["redis"][0], "ConnectionError" in ill["redis"][1]) == ("warning", True)
    assert (ill["vault"][0], "1 of 2" in ill["vault"][1], "first/lost" in ill["vault"][1]) == (
        "failed",
        True,
        True,
    )
    assert (ill["logins"][0], "first/web-1" in ill["logins"][1]) == ("warning", True)
    assert (ill["host keys"][0], "first/web-1" in ill["host keys"][1]) == ("warning", True)
    assert ill["audit heads"][0] == "ok"  # nothing is older than two intervals
    text = await beside("doctor", tenant="")
    assert text.stderr.startswith("it0: ")
    assert "vault" in text.stderr
    monkeypatch.setenv("IT0_LANGUAGE", "zh")
    assert "无法打开" in (await beside("doctor", tenant="")).stdout


async def test_doctor_misses_the_heads_of_an_audit_log_that_nobody_keeps(
    beside: Beside, store: Store, tmp_path: Path
) -> None:
    first = await store.first()
    await first.audit.append(Entry("user.add", "system"), datetime.now(UTC) - timedelta(hours=3))
    state, words = (await report(beside, 0))["audit heads"]
    assert (state, "3.0 hours" in words) == ("warning", True)
    await Heads(tmp_path / "home" / "audit").write([first], datetime.now(UTC))
    assert (await report(beside, 0))["audit heads"][0] == "ok"


async def no_bots() -> dict[str, bool]:
    """Return that there are no bots on platforms."""
    return {}


async def test_doctor_in_a_chat_names_nothing_of_another_tenant(store: Store, tmp_path: Path) -> None:
    await put_server(await store.second(), store.clock, server_of("theirs"))
    await put_server(await store.first(), store.clock, server_of("ours"))
    texts = terminal.load_catalogue()
    at_home = load_settings(it0_home=tmp_path / "home")
    looks = Doctor(at_home, store.database, store.tenants, texts, {}, dict, no_bots)
    said = " ".join(
        texts(part, "en") for part in await looks.say(await store.first()) if isinstance(part, Say)
    )
    assert "ours" in said
    assert "theirs" not in said
    assert "second/theirs" in " ".join(texts(found.words, "en") for found in await looks.findings())


async def test_inventory_is_shown_first_and_taken_with_yes(beside: Beside, tmp_path: Path) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519").export_private_key("openssh")
    await beside("credential", "add", "main", "--type", "ssh_key", "--file", "-", typed=key)
    file = tmp_path / "config"
    file.write_text("Host bastion\n User ops\nHost web-1\n User ops\n ProxyJump bastion\n ForwardAgent yes\n")
    importing = ("server", "import", str(file), "--credential", "main", "--environment", "prod")
    shown = await beside(*importing)
    assert shown.exit_code == 0
    assert f"{file}:6: ForwardAgent yes: it hands keys on by an agent" in shown.stdout
    assert "New 2, changed 0, the same 0, not taken 0." in shown.stdout
    assert json.loads((await beside("server", "list", "--json")).stdout) == []
    taken = json.loads((await beside(*importing, "--yes", "--json")).stdout)
    assert taken["taken"] is True
    listed = json.loads((await beside("server", "list", "--json")).stdout)
    assert [(each["name"], each["jump"], each["environment"]) for each in listed] == [
        ("bastion", None, "prod"),
        ("web-1", "bastion", "prod"),
    ]


async def test_hardening_is_printed_whole_or_a_part_of_it(beside: Beside, store: Store) -> None:
    await beside("credential", "add", "main", "--type", "ssh_password", "--file", "-", typed="a password")
    importing = ("server", "import", "-", "--credential", "main", "--yes")
    await beside(*importing, typed="Host web-1\n User ops\n")
    whole = await beside("server", "harden", "web-1")
    assert (whole.exit_code, whole.stdout.splitlines()[0]) == (0, "#!/bin/sh")
    part = await beside("server", "harden", "web-1", "--for", "mysql")
    assert part.stdout.startswith("-- An account that reads.")
    assert (await beside("server", "harden", "web-1", "--for", "windows")).exit_code == 2
    assert (await beside("server", "harden", "web-2")).exit_code == 1


async def test_inventory_of_which_nothing_can_be_taken_ends_with_one(beside: Beside) -> None:
    refused = await beside("server", "import", "-", typed="Host a\n User ops\n")
    assert refused.exit_code == 1
    assert "no credential is named for it" in refused.stdout
    assert (await beside("server", "import", "-", typed="# nothing\n")).exit_code == 1
    gone = await beside("server", "import", "/nowhere/hosts")
    assert "/nowhere/hosts cannot be read" in gone.stderr
    assert "nothing was taken" in gone.stderr
    assert (await beside("server", "import", "-", "--yes", "--dry-run", typed="")).exit_code == 2
