"""The command line: what scripts rely on, line by line and by exit code."""

import asyncio
import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncssh
import click
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st
from support.store import AUDIT_KEY, Store, actions

from bot.cli import main
from core.settings import Settings
from core.vault import new_key

COMMANDS = {
    "up", "bot", "worker", "migrate", "doctor", "classify",
    "user", "pair", "credential", "server", "approval", "tenant", "audit",
}  # fmt: skip
GROUPS = {
    "user": {"add", "link", "list", "change"},
    "pair": {"new"},
    "credential": {"add", "list", "revoke", "rotate"},
    "server": {"add", "list", "check", "trust", "distrust", "remove"},
    "approval": {"list", "approve", "reject"},
    "tenant": {"create", "list", "set"},
    "audit": {"verify", "export"},
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
    assert "--tenant" in text or path in (("tenant", "create"), ("tenant", "list"))


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
    assert "cannot be read" in result.stderr


def judged(typed: str) -> list[dict[str, Any]]:
    """Return what classify prints."""
    result = it0("classify", typed=typed)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_classify_answers_each_line_in_order() -> None:
    lines = ["uptime", "systemctl restart nginx", "rm -rf /"]
    found = judged("\n".join(map(json.dumps, lines)))
    assert [each["level"] for each in found] == [0, 1, 3]
    for each in found:
        assert set(each) == {"level", "reasons", "part", "rules"}
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
    found = judged(typed)
    assert len(found) == 2 * len(BAD)
    assert [each for each in found[::2] if set(each) != {"error"}] == []
    assert {each["level"] for each in found[1::2]} == {0}


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
    assert (done.returncode, done.stderr) == (0, b"")
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
        of_all = arguments[:2] in (("tenant", "create"), ("tenant", "list"))
        more = [] if of_all else ["--tenant", tenant]
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
    code = await beside("pair", "new", "--user", "ann")
    assert len(code.stdout.strip()) == 11
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


async def test_tenants_are_made_and_set(beside: Beside) -> None:
    made = await beside("tenant", "create", "third", "--plan", "free", "--json")
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
