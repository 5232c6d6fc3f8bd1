"""Reading and searching files, and ping: their commands, what they find, what hostile input comes to."""

import shlex
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fakes.tools import server
from pydantic import ValidationError
from support.bench import Bench, key_of, make_bench
from support.store import Store

from agent.engine import Answer
from agent.engines.direct import read
from agent.engines.targets import Intent, Suggestion
from agent.risk import classify
from agent.shell.local import Local
from agent.shell.ssh import SshShell
from agent.tools.files import ReadArguments, SearchArguments
from agent.tools.ping import PingArguments
from core.messages import Code
from core.work import Risk, Role

ARGUMENTS: dict[str, Any] = {
    "read_file": ReadArguments,
    "search_files": SearchArguments,
    "ping": PingArguments,
}
FLEET = [server("web-1", role="web"), server("web-2", "prod", "web"), server("db-1", "prod", "db")]


@pytest.fixture
async def bench(store: Store) -> Bench:
    """Return a bench with one server."""
    made = await make_bench(store)
    await made.knows("127.0.0.1")
    return made


@pytest.fixture
async def real(store: Store, tmp_path: Path) -> AsyncIterator[Bench]:
    """Return a bench whose one server is this machine."""
    shell = SshShell(connect_timeout_s=5, local=Local(home=tmp_path))
    made = await make_bench(store, shell)
    await made.knows("127.0.0.1")
    yield made
    await shell.close()


# --- the commands ------------------------------------------------------------------------------------------

COMMANDS: list[tuple[str, dict[str, Any], str]] = [
    ("read_file", {"path": "/var/log/x.log"}, "sed -n '1,200p;200q' /var/log/x.log"),
    ("read_file", {"path": "/var/log/x.log", "first": 10}, "sed -n '10,209p;209q' /var/log/x.log"),
    ("read_file", {"path": "/var/log/x.log", "first": 9, "last": 9}, "sed -n '9,9p;9q' /var/log/x.log"),
    (
        "search_files",
        {"path": "/var/log/nginx", "pattern": "timed out"},
        "grep -rnIF -m 100 -- 'timed out' /var/log/nginx | head -n 100",
    ),
    (
        "search_files",
        {"path": "/var/log", "pattern": "a|b$", "regex": True, "limit": 5},
        "grep -rnIE -m 5 -- 'a|b$' /var/log | head -n 5",
    ),
    (
        "search_files",
        {"path": "/var/log", "pattern": "-rf"},
        "grep -rnIF -m 100 -- -rf /var/log | head -n 100",
    ),
    ("ping", {"host": "example.com"}, "ping -c 3 -W 2 example.com"),
    ("ping", {"host": "web"}, "ping -c 3 -W 2 127.0.0.1"),
]


@pytest.mark.parametrize(("tool", "arguments", "command"), COMMANDS, ids=[each[2] for each in COMMANDS])
async def test_tool_runs_one_plain_command_that_only_reads(
    bench: Bench, tool: str, arguments: dict[str, Any], command: str
) -> None:
    answer = await bench(tool, servers=["web"], **arguments)
    assert answer.status == "done"
    assert [order.command for _, order in bench.shell.started] == [command]
    assert classify(command, "prod", 100).level == Risk.L0


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("read_file", {"path": "/etc/shadow"}),
        ("read_file", {"path": "/var/log/../../etc/shadow"}),
        ("search_files", {"path": "/etc/shadow", "pattern": "root"}),
        ("search_files", {"path": "/", "pattern": "root"}),
        ("search_files", {"path": "/root/.ssh", "pattern": "KEY"}),
    ],
)
async def test_secret_file_waits_for_an_admin(bench: Bench, tool: str, arguments: dict[str, Any]) -> None:
    answer = await bench(tool, servers=["web"], **arguments)
    assert (answer.status, key_of(answer)) == ("waiting", "gate.waiting")
    assert (await bench.asked(answer)).level == Risk.L2
    assert bench.shell.started == []


HOSTILE = [
    "$(reboot)",
    "`reboot`",
    "a'; reboot; '",
    'a"; reboot; "',
    "-rf",
    "--include=*",
    "-e x -f /etc/shadow",
    "a | tee /etc/passwd",
    "&& reboot",
    "> /etc/passwd",
    "\\",
    "'",
    "‮ x",
]


@pytest.mark.parametrize("text", HOSTILE)
async def test_hostile_text_stays_one_argument(bench: Bench, text: str) -> None:
    for tool, arguments, place in (
        ("search_files", {"path": "/var/log", "pattern": text}, ("--", text, "/var/log")),
        ("search_files", {"path": f"/var/log/{text}", "pattern": "x"}, ("--", "x", f"/var/log/{text}")),
        ("read_file", {"path": f"/var/log/{text}"}, ("1,200p;200q", f"/var/log/{text}")),
    ):
        answer = await bench(tool, servers=["web"], **arguments)
        assert answer.status in ("done", "waiting", "refused")
        ran = [order.command for _, order in bench.shell.started]
        asked = [(await bench.asked(answer)).action.command] if answer.approval_id else []
        for command in ran[-1:] if answer.status == "done" else asked:
            words = shlex.split(command)
            assert any(tuple(words[i : i + len(place)]) == place for i in range(len(words))), command


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("read_file", {"path": "var/log"}),
        ("read_file", {"path": "-n"}),
        ("read_file", {"path": "/a\nreboot"}),
        ("read_file", {"path": "/a\n"}),
        ("read_file", {"path": "/a", "first": 0}),
        ("read_file", {"path": "/a", "first": 10, "last": 9}),
        ("read_file", {"path": "/a", "first": 1, "last": 5001}),
        ("read_file", {"path": "/a", "first": "1p;e reboot"}),
        ("search_files", {"path": "/a", "pattern": ""}),
        ("search_files", {"path": "/a", "pattern": "a\nb"}),
        ("search_files", {"path": "/a", "pattern": "a" * 1001}),
        ("search_files", {"path": "-r", "pattern": "a"}),
        ("search_files", {"path": "/a", "pattern": "a", "limit": 1001}),
        *(("ping", {"host": host}) for host in ("", "-f", "a b", "a;reboot", "$(id)", "a\n", "x" * 254)),
    ],
)
async def test_wrong_arguments_run_nothing(bench: Bench, tool: str, arguments: dict[str, Any]) -> None:
    answer = await bench(tool, servers=["web"], **arguments)
    assert (answer.status, key_of(answer)) == ("refused", "tool.bad_arguments")
    assert bench.shell.started == []


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("read_file", {"path": "/a\0"}),
        ("search_files", {"path": "/a\0", "pattern": "a"}),
        ("search_files", {"path": "/a", "pattern": "a\0"}),
        ("ping", {"host": "a\0"}),
    ],
)
def test_nul_is_no_argument(tool: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ARGUMENTS[tool].model_validate({"servers": ["web"], **arguments})


async def test_viewer_may_use_none_of_them(bench: Bench) -> None:
    bench.as_role(Role.VIEWER)
    for tool, arguments, _ in COMMANDS:
        answer = await bench(tool, servers=["web"], **arguments)
        assert (answer.status, key_of(answer)) == ("refused", "error.operators_only")
    assert bench.shell.started == []


# --- on a real shell ---------------------------------------------------------------------------------------


def printed(answer: Answer) -> str:
    """Return what a command printed."""
    return "".join(part.code for part in answer.parts if isinstance(part, Code))


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return a log, where everything below the test's folder is judged as /var/log is."""
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "a.log").write_text("".join(f"line {number} it's -v $(id)\n" for number in range(1, 501)))
    monkeypatch.setattr("agent.risk.paths._LOGS", str(folder))
    return folder / "a.log"


async def test_read_shows_exactly_the_lines(real: Bench, log: Path) -> None:
    answer = await real("read_file", path=str(log), servers=["web"], first=499, last=600)
    assert printed(answer).splitlines() == [f"line {n} it's -v $(id)" for n in (499, 500)]
    assert printed(await real("read_file", path=str(log), servers=["web"], first=501)) == ""
    whole = await real("read_file", path=str(log), servers=["web"])
    assert len(printed(whole).splitlines()) == 200


async def test_search_finds_text_and_expressions_and_is_bounded(real: Bench, log: Path) -> None:
    folder = str(log.parent)
    for pattern in ("line 77 ", "7 it's -v $(id)"):
        answer = await real("search_files", path=folder, pattern=pattern, servers=["web"], limit=1)
        assert answer.status == "done"
        assert f"{log}:" in printed(answer)
        assert len(printed(answer).splitlines()) == 1
    dashed = await real("search_files", path=folder, pattern="-v", servers=["web"], limit=3)
    assert len(printed(dashed).splitlines()) == 3
    regex = await real("search_files", path=folder, pattern="^line 1?7 ", servers=["web"], regex=True)
    assert [line.split(":")[1] for line in printed(regex).splitlines()] == ["7", "17"]


async def test_search_without_a_hit_is_done_and_empty(real: Bench, log: Path) -> None:
    answer = await real("search_files", path=str(log.parent), pattern="nowhere", servers=["web"])
    assert (answer.status, printed(answer)) == ("done", "")
    assert [result["exit_code"] for result in answer.data["results"]] == [0]


async def test_ping_comes_back_with_whatever_the_machine_has(real: Bench) -> None:
    answer = await real("ping", host="127.0.0.1", servers=["web"])
    assert answer.status == "done"
    assert answer.data["results"][0]["exit_code"] in (0, 1, 2, 127)  # 127 where ping is not installed


# --- what the direct engine reads --------------------------------------------------------------------------

READ = {"path": "/var/log/syslog", "servers": ["web-1"]}
FOUND = {"pattern": "timed out", "path": "/var/log/nginx", "servers": ["web-1"]}

READINGS: list[tuple[str, str, dict[str, Any]]] = [
    ("/read web-1 /var/log/syslog", "read_file", READ),
    ("/read web-1 /var/log/syslog 100", "read_file", {**READ, "first": 100}),
    ("/read web-1 /var/log/syslog 100-150", "read_file", {**READ, "first": 100, "last": 150}),
    (
        '/read @prod "/a b" 1-1',
        "read_file",
        {"path": "/a b", "servers": ["web-2", "db-1"], "first": 1, "last": 1},
    ),
    ("lines 10 to 40 of /var/log/syslog on web-1", "read_file", {**READ, "first": 10, "last": 40}),
    ("show me lines 10-40 of /var/log/syslog on web-1", "read_file", {**READ, "first": 10, "last": 40}),
    ("看 web-1 的 /var/log/syslog 第 10 到 40 行", "read_file", {**READ, "first": 10, "last": 40}),
    ("查看 web-1 上 /var/log/syslog 的第10行至第40行", "read_file", {**READ, "first": 10, "last": 40}),
    ("/search web-1 /var/log/nginx timed out", "search_files", FOUND),
    ('/search web-1 /var/log/nginx "timed out"', "search_files", FOUND),
    ("/search web-1 '/var/log/nginx' `timed out`", "search_files", FOUND),
    ("/search --regex web-1 /var/log/nginx timed out", "search_files", {**FOUND, "regex": True}),
    ("/search web-1 /var/log/nginx -rf 'a", "search_files", {**FOUND, "pattern": "-rf 'a"}),
    ("search /var/log/nginx for “timed out” on web-1", "search_files", FOUND),
    ('search "timed out" in /var/log/nginx on web-1', "search_files", FOUND),
    ("在 web-1 的 /var/log/nginx 里搜索“timed out”", "search_files", FOUND),
    ("请在 web-1 上的 /var/log/nginx 里查找 `timed out`", "search_files", FOUND),
    ("/ping web-1 example.com", "ping", {"host": "example.com", "servers": ["web-1"]}),
    ("/ping all DB-1", "ping", {"host": "db-1", "servers": ["web-1", "web-2", "db-1"]}),
    ("ping db-1 from web-1", "ping", {"host": "db-1", "servers": ["web-1"]}),
    ("ping 10.0.0.7 from web-1 and web-2", "ping", {"host": "10.0.0.7", "servers": ["web-1", "web-2"]}),
    ("从 web-1 ping example.com", "ping", {"host": "example.com", "servers": ["web-1"]}),
    ("在 web-1 上 ping 8.8.8.8", "ping", {"host": "8.8.8.8", "servers": ["web-1"]}),
    ("从 web-1 上 ping db-1", "ping", {"host": "db-1", "servers": ["web-1"]}),
    ("ping web-1", "run_command", {"command": "uptime", "servers": ["web-1"]}),
]


@pytest.mark.parametrize(("text", "tool", "arguments"), READINGS, ids=[each[0] for each in READINGS])
def test_a_text_calls_the_tool(text: str, tool: str, arguments: dict[str, Any]) -> None:
    assert read(text, FLEET) == Intent(tool, arguments)
    if tool in ARGUMENTS:
        ARGUMENTS[tool].model_validate(arguments)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("/read", "direct.usage"),
        ("/read web-1", "direct.usage"),
        ("/read web-1 var/log", "direct.usage"),
        ("/read web-1 /a 1 2", "direct.usage"),
        ("/read web-1 /a 0", "direct.bad_range"),
        ("/read web-1 /a 9-3", "direct.bad_range"),
        ("/read web-1 /a 1-5001", "direct.bad_range"),
        ("/read web-1 /a 1,5p;e", "direct.bad_range"),
        ("/read wbe-1 /a", "direct.unknown_server_near"),
        ("lines 40 to 10 of /var/log/syslog on web-1", "direct.bad_range"),
        ("/search web-1 /var/log", "direct.usage"),
        ("/search web-1 timeout /var/log", "direct.usage"),
        ("/search web-1 /var/log a\nb", "direct.bad_search"),
        ("/search web-1 /var/log a\0b", "direct.bad_search"),
        ("search /var/log for timeout on web-1", "direct.not_understood_word"),
        ("search “timeout” on web-1", "direct.not_understood"),
        ("don't search /var/log for “timeout” on web-1", "direct.not_understood_word"),
        ("/ping web-1", "direct.usage"),
        ("/ping web-1 a b", "direct.usage"),
        ("/ping web-1 -f", "direct.bad_host"),
        ("/ping web-1 $(id)", "direct.bad_host"),
        ("ping wbe-1 from web-2", "direct.unknown_server_near"),
    ],
)
def test_what_is_wrong_is_said(text: str, key: str) -> None:
    reading = read(text, FLEET)
    assert isinstance(reading, Suggestion), reading
    assert reading.parts[0].key == key
