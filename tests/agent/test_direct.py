"""The engine without a model: what it runs for which sentence, what it says, and that it never guesses."""

import re
import string
import time
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fakes.tools import ScriptedTools, server
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.engine import Answer, ApprovalRequired, Completed, Outcome, Request, ToolResult, ToolUse
from agent.engines import commands, grammar
from agent.engines.direct import Direct, read
from agent.engines.targets import Intent, Suggestion
from agent.engines.words import DF, TOPICS, in_chinese
from agent.risk import classify
from agent.tools.audit import AuditArguments
from agent.tools.checks import HttpArguments, TcpArguments
from agent.tools.commands import RunArguments, TailArguments
from agent.tools.files import ReadArguments, SearchArguments, UndoArguments, WriteArguments
from agent.tools.ping import PingArguments
from agent.tools.servers import AddArguments, ListArguments
from core.messages import Code, with_file
from core.texts import Say, say
from core.work import Action, Approval, Risk, Role, RunTarget, User

ROOT = Path(__file__).parents[2]
TEXTS: dict[str, dict[str, str]] = tomllib.loads((ROOT / "bot/texts/agent.toml").read_text("utf-8"))
ARGUMENTS: dict[str, Any] = {
    "run_command": RunArguments,
    "tail_file": TailArguments,
    "list_servers": ListArguments,
    "add_server": AddArguments,
    "check_http": HttpArguments,
    "check_tcp": TcpArguments,
    "read_file": ReadArguments,
    "search_files": SearchArguments,
    "write_file": WriteArguments,
    "undo_write": UndoArguments,
    "ping": PingArguments,
    "ask_audit": AuditArguments,
}
OPERATOR = User("u1", "Ann", Role.OPERATOR, "en")
ADMIN = replace(OPERATOR, role=Role.ADMIN)
VIEWER = replace(OPERATOR, role=Role.VIEWER)
ONE = [server("web-1", role="web")]
FLEET = [
    server("web-1", role="web", tags={"team": "shop"}),
    server("web-2", "prod", "web"),
    server("db-1", "prod", "db"),
    server("cache-1", "staging", "cache", tags={"team": "shop"}),
]
ALL = ["web-1", "web-2", "db-1", "cache-1"]
OVERVIEW = f"uptime; free -m; {DF}"
TOP = "ps aux --sort=-%cpu | head -n 15"


def words(what: Say | str | dict[str, Any], language: str = "en") -> str:
    """Return a sentence in words, by the catalogue's file itself."""
    if isinstance(what, str):
        return what
    key, params = (what.key, what.params) if isinstance(what, Say) else (what["say"], what["params"])
    inner = {k: words(v, language) if isinstance(v, dict) else v for k, v in params.items()}
    return TEXTS[key][language].format_map(inner) if key in TEXTS else key


def said(reading: Any, language: str = "en") -> str:
    """Return all that a suggestion says."""
    assert isinstance(reading, Suggestion), reading
    return "\n".join(words(part, language) for part in reading.parts)


def keys(reading: Any) -> list[str]:
    """Return the keys of what a suggestion says."""
    assert isinstance(reading, Suggestion), reading
    return [part.key for part in reading.parts]


RUNS: list[tuple[str, str, Sequence[str]]] = [
    ("check disk on web-1", DF, ["web-1"]),
    ("Check the disk on web-1, please.", DF, ["web-1"]),
    ("disk usage of all servers", DF, ALL),
    ("df on db-1", DF, ["db-1"]),
    ("web-1 disk", DF, ["web-1"]),
    ("web-1's disk space", DF, ["web-1"]),
    ("how much disk is left on WEB-1?", DF, ["web-1"]),
    ("检查 web-1 的磁盘", DF, ["web-1"]),
    ("检查web-1的磁盘使用情况", DF, ["web-1"]),
    ("请帮我看一下web-1的硬盘空间还剩多少？", DF, ["web-1"]),
    ("所有服务器的磁盘", DF, ALL),
    ("查看生产环境的磁盘空间", DF, ["web-2", "db-1"]),
    ("disk on prod", DF, ["web-2", "db-1"]),
    ("disk on @prod", DF, ["web-2", "db-1"]),
    ("disk of all prod servers", DF, ["web-2", "db-1"]),
    ("disk on staging and prod", DF, ["web-2", "db-1", "cache-1"]),
    ("预发的内存", "free -m", ["cache-1"]),
    ("开发环境 内存", "free -m", ["web-1"]),
    ("memory on web-1", "free -m", ["web-1"]),
    ("memory on web-1 and web-2", "free -m", ["web-1", "web-2"]),
    ("memory on web-1, db-1, and web-2", "free -m", ["web-1", "db-1", "web-2"]),
    ("看一下 web-1 和 web-2 的内存", "free -m", ["web-1", "web-2"]),
    ("看一下web-1、db-1的内存占用率", "free -m", ["web-1", "db-1"]),
    ("ram of all web servers", "free -m", ["web-1", "web-2"]),
    ("所有 db 服务器的内存", "free -m", ["db-1"]),
    ("全部数据库服务器的负载", "uptime", ["db-1"]),
    ("memory of all prod web servers", "free -m", ["web-2"]),
    ("生产环境的 web-2 的内存", "free -m", ["web-2"]),
    ("cpu load web-1", "uptime", ["web-1"]),
    ("web-1 的负载高不高", "uptime", ["web-1"]),
    ("uptime of db-1", "uptime", ["db-1"]),
    ("uptime everywhere", "uptime", ALL),
    ("cpu usage on db-1", "top -b -n 1 | head -n 20", ["db-1"]),
    ("db-1 的 CPU 使用率", "top -b -n 1 | head -n 20", ["db-1"]),
    ("top processes on db-1", TOP, ["db-1"]),
    ("show me all processes on db-1", TOP, ["db-1"]),
    ("db-1 上的进程", TOP, ["db-1"]),
    ("open ports on web-1", "ss -tulpn", ["web-1"]),
    ("which ports are open on web-1?", "ss -tulpn", ["web-1"]),
    ("web-1 监听的端口有哪些", "ss -tulpn", ["web-1"]),
    ("failed services on web-1", "systemctl --failed --no-pager", ["web-1"]),
    ("are there any failed services on all servers?", "systemctl --failed --no-pager", ALL),
    ("web-2 上失败的服务", "systemctl --failed --no-pager", ["web-2"]),
    ("web-1 80 端口谁在用", "ss -tulpn 'sport = :80'", ["web-1"]),
    ("web-1 的 443 端口被谁占用", "ss -tulpn 'sport = :443'", ["web-1"]),
    ("who is using port 80 on web-1?", "ss -tulpn 'sport = :80'", ["web-1"]),
    ("web-1 磁盘满了没", DF, ["web-1"]),
    ("所有服务器磁盘满了没", DF, ALL),
    ("containers on web-1", "docker ps", ["web-1"]),
    ("web-1 有哪些容器在运行", "docker ps", ["web-1"]),
    ("web-1 的容器", "docker ps", ["web-1"]),
    ("who is logged in on web-1", "who", ["web-1"]),
    ("谁登录了 web-1", "who", ["web-1"]),
    ("disk and memory on web-1", f"{DF}; free -m", ["web-1"]),
    ("web-1 的内存和负载", "free -m; uptime", ["web-1"]),
    ("status of nginx on web-1", "systemctl status nginx --no-pager", ["web-1"]),
    ("nginx 状态 web-1", "systemctl status nginx --no-pager", ["web-1"]),
    ("is nginx running on web-1?", "systemctl status nginx --no-pager", ["web-1"]),
    ("web-1 上的 nginx 在运行吗", "systemctl status nginx --no-pager", ["web-1"]),
    ("status of web-1", OVERVIEW, ["web-1"]),
    ("check web-1", OVERVIEW, ["web-1"]),
    ("how is db-1 doing?", OVERVIEW, ["db-1"]),
    ("巡检 所有服务器", OVERVIEW, ALL),
    ("logs of nginx on web-1", "journalctl -u nginx -n 50 --no-pager", ["web-1"]),
    ("logs of nginx on web-1 last 100 lines", "journalctl -u nginx -n 100 --no-pager", ["web-1"]),
    ("show the last 20 lines of the nginx log on web-1", "journalctl -u nginx -n 20 --no-pager", ["web-1"]),
    ("看 web-1 的 nginx 日志", "journalctl -u nginx -n 50 --no-pager", ["web-1"]),
    ("web-1 nginx 最近 200 行日志", "journalctl -u nginx -n 200 --no-pager", ["web-1"]),
    ("tail nginx logs on web-1", "journalctl -u nginx -n 50 --no-pager", ["web-1"]),
    ("docker 状态 web-1", "systemctl status docker --no-pager", ["web-1"]),
    ("web-1 的磁盘满了吗", DF, ["web-1"]),
    ("logs on web-1", "journalctl -n 50 --no-pager", ["web-1"]),
    ("restart nginx on web-1", "systemctl restart nginx", ["web-1"]),
    ("please restart the nginx service on web-1", "systemctl restart nginx", ["web-1"]),
    ("can you restart nginx on web-1?", "systemctl restart nginx", ["web-1"]),
    ("重启 web-1 的 nginx", "systemctl restart nginx", ["web-1"]),
    ("请重启web-1上的nginx服务", "systemctl restart nginx", ["web-1"]),
    ("能不能重启 web-1 的 nginx？", "systemctl restart nginx", ["web-1"]),
    ("把 web-1 和 web-2 上的 nginx 重启一下", "systemctl restart nginx", ["web-1", "web-2"]),
    ("reload app@1.service on web-2", "systemctl reload app@1.service", ["web-2"]),
    ("重载 web-1 的 nginx", "systemctl reload nginx", ["web-1"]),
    ("start redis on cache-1", "systemctl start redis", ["cache-1"]),
    ("停止 cache-1 的 redis", "systemctl stop redis", ["cache-1"]),
    ("restart nginx on all web servers", "systemctl restart nginx", ["web-1", "web-2"]),
    ("run `systemctl list-timers` on web-1", "systemctl list-timers", ["web-1"]),
    ("在 web-1 上执行 `df -h`", "df -h", ["web-1"]),
    ("run “df  -h | sort” on web-1 and db-1", "df  -h | sort", ["web-1", "db-1"]),
    ('execute "uptime" on all servers', "uptime", ALL),
    ("run `echo “全角，标点”` on web-1", "echo “全角，标点”", ["web-1"]),
    ("ping db-1", "uptime", ["db-1"]),
    ("/run web-1,web-2 df -h", "df -h", ["web-1", "web-2"]),
    ("/run web-1, web-2 echo a, b", "echo a, b", ["web-1", "web-2"]),
    ("/run all uptime", "uptime", ALL),
    ("/run @prod uptime", "uptime", ["web-2", "db-1"]),
    ("/run #team=shop uptime", "uptime", ["web-1", "cache-1"]),
    ("/run web-1 `df -h`", "df -h", ["web-1"]),
    ("/run@it0bot web-1 df   -h", "df   -h", ["web-1"]),
    ("、run web-1，db-1 uptime", "uptime", ["web-1", "db-1"]),
]


@pytest.mark.parametrize(("text", "command", "names"), RUNS, ids=[text for text, _, _ in RUNS])
def test_a_sentence_runs_one_command(text: str, command: str, names: Sequence[str]) -> None:
    assert read(text, FLEET) == Intent("run_command", {"command": command, "servers": list(names)})


OTHER_TOOLS: list[tuple[str, str, dict[str, Any]]] = [
    ("list servers", "list_servers", {}),
    ("服务器列表", "list_servers", {}),
    ("有哪些服务器？", "list_servers", {}),
    ("show prod servers", "list_servers", {"environment": "prod"}),
    ("list all prod servers", "list_servers", {"environment": "prod"}),
    ("/servers", "list_servers", {}),
    ("/servers 生产", "list_servers", {"environment": "prod"}),
    ("check https://example.com", "check_http", {"url": "https://example.com"}),
    ("检查 http://example.com/health。", "check_http", {"url": "http://example.com/health"}),
    ("is https://example.com/a?b=c up?", "check_http", {"url": "https://example.com/a?b=c"}),
    ("/http https://example.com", "check_http", {"url": "https://example.com"}),
    ("is port 5432 open on db-1", "check_tcp", {"host": "db-1.example.net", "port": 5432}),
    ("db-1 的 5432 端口通吗", "check_tcp", {"host": "db-1.example.net", "port": 5432}),
    ("is port 443 open on example.com?", "check_tcp", {"host": "example.com", "port": 443}),
    ("/tcp db-1 5432", "check_tcp", {"host": "db-1.example.net", "port": 5432}),
    ("/tcp example.com 443", "check_tcp", {"host": "example.com", "port": 443}),
    (
        "tail /var/log/syslog on web-1",
        "tail_file",
        {"path": "/var/log/syslog", "servers": ["web-1"], "lines": 50},
    ),
    (
        "看 web-1 的 /var/log/nginx/error.log 最后 20 行",
        "tail_file",
        {"path": "/var/log/nginx/error.log", "servers": ["web-1"], "lines": 20},
    ),
    (
        "/tail web-1 /var/log/syslog 9",
        "tail_file",
        {"path": "/var/log/syslog", "servers": ["web-1"], "lines": 9},
    ),
    (
        '/tail @prod "/var/log/a b.log"',
        "tail_file",
        {"path": "/var/log/a b.log", "servers": ["web-2", "db-1"]},
    ),
    (
        "/server add web-9 10.0.0.9 user=ops credential=key port=2222 environment=生产 role=web jump=db-1",
        "add_server",
        {
            "name": "web-9",
            "host": "10.0.0.9",
            "user": "ops",
            "credential": "key",
            "port": 2222,
            "environment": "prod",
            "role": "web",
            "jump": "db-1",
        },
    ),
]


@pytest.mark.parametrize(("text", "tool", "arguments"), OTHER_TOOLS, ids=[text for text, _, _ in OTHER_TOOLS])
def test_a_sentence_calls_another_tool(text: str, tool: str, arguments: dict[str, Any]) -> None:
    assert read(text, FLEET) == Intent(tool, arguments)
    ARGUMENTS[tool].model_validate(arguments)


NOTHING: list[tuple[str, str]] = [
    ("don't restart nginx on web-1", "direct.not_understood_word"),
    ("do not restart nginx on web-1", "direct.not_understood_word"),
    ("不要重启 web-1 的 nginx", "direct.not_understood_word"),
    ("怎么重启 web-1 的 nginx", "direct.not_understood_word"),
    ("did nginx restart on web-1?", "direct.not_understood_word"),
    ("web-1 的 nginx 重启了吗", "direct.not_understood"),
    ("restart nginx on web-1?", "direct.not_understood"),
    ("why did web-1 run out of memory", "direct.not_understood_word"),
    ("restart nginx on web-1 tomorrow", "direct.not_understood_word"),
    ("restart nginx on web-1 if it is down", "direct.not_understood_word"),
    ("restart nginx or apache on web-1", "direct.not_understood_word"),
    ("restart nginx and redis on web-1", "direct.not_understood_word"),
    ("stop and start nginx on web-1", "direct.not_understood"),
    ("check and restart nginx on web-1", "direct.not_understood"),
    ("restart nginx on all servers except web-1", "direct.not_understood_word"),
    ("restart nginx on all but web-1", "direct.not_understood_word"),
    ("restart web-1", "direct.which_service"),
    ("重启 web-1", "direct.which_service"),
    ("reboot web-1", "direct.no_reboot"),
    ("关机", "direct.no_reboot"),
    ("restart nginx", "direct.which_server"),
    ("负载", "direct.which_server"),
    ("disk", "direct.which_server"),
    ("all processes", "direct.which_server"),
    ("disk on prod and all web servers", "direct.not_understood"),
    ("disk on dev web-2", "direct.not_understood"),
    ("disk on all gateway servers", "direct.no_match"),
    ("systemctl restart nginx on web-1", "direct.quote_command"),
    ("docker logs app on web-1", "direct.quote_command"),
    ("rm -rf / on web-1", "direct.as_command"),
    ("rm -rf /", "direct.as_command"),
    ("apt-get update", "direct.as_command"),
    ("whoami", "direct.as_command"),
    ("cat /etc/hosts", "direct.as_command"),
    ("check https://example.com on web-1", "direct.not_understood"),
    ("approve A7-493", "direct.yes"),
    ("check nginx on web-1", "direct.not_understood_word"),
    ("list web servers", "direct.not_understood"),
    ("delete everything on web-1", "direct.not_understood_word"),
    ("open port 5432 on db-1", "direct.not_understood"),
    ("打开 db-1 的 5432 端口", "direct.not_understood"),
    ("is port 99999 open on db-1", "direct.bad_port"),
    ("is port 22 open on web-1 and web-2", "direct.one_server"),
    ("logs of nginx on web-1 last 999999 lines", "direct.bad_lines"),
    ("logs of $(reboot) on web-1", "direct.not_understood_word"),
    ("restart nginx;reboot on web-1", "direct.not_understood"),
    ("run df -h on web-1", "direct.quote_command"),
    ("在 web-1 上执行 df -h", "direct.quote_command"),
    ("`df -h` on web-1", "direct.quote_command"),
    ("run `df -h` or `free` on web-1", "direct.quote_command"),
    ("don't run `df -h` on web-1", "direct.not_understood_word"),
    ("run `` on web-1", "direct.not_understood"),
    ("web-1", "direct.not_understood"),
    ("hello there my friend", "direct.not_understood_at_all"),
    ("今天天气怎么样", "direct.not_understood_at_all"),
    ("帮我写一首诗", "direct.not_understood_at_all"),
    ("👍", "direct.not_understood_at_all"),
    ("", "direct.not_understood_at_all"),
    ("...", "direct.not_understood_at_all"),
    ("80 端口谁在用", "direct.which_server"),
    ("/run --timeout web-1 uptime", "direct.bad_run_option"),
    ("/run --timeout 0 web-1 uptime", "direct.bad_run_option"),
    ("/run --timeout 10d web-1 uptime", "direct.bad_run_option"),
    ("/run --force 1 web-1 uptime", "direct.bad_run_option"),
    ("/run --timeout 10m web-1", "direct.usage"),
    ("yes", "direct.yes"),
    ("好的", "direct.yes"),
    ("stop it", "direct.stop"),
    ("thanks!", "direct.thanks"),
    ("ping", "direct.pong"),
    ("hi", "direct.hello"),
    ("你好！", "direct.hello"),
    ("help", "help.sentences"),
    ("你能做什么？", "help.sentences"),
    ("/run web-1", "direct.usage"),
    ("/run", "direct.usage"),
    ("/run #none=1 uptime", "direct.unknown_server"),
    ("/rnu web-1 df", "direct.unknown_command_near"),
    ("/xyzzy", "direct.unknown_command"),
    ("/", "direct.unknown_command"),
    ("/var/log/syslog", "direct.path_alone"),
    ("/tail web-1 var/log", "direct.usage"),
    ('/tail web-1 "/var', "direct.usage"),
    ("/tail web-1 /var/log/syslog 0", "direct.bad_lines"),
    ("/http example.com", "direct.usage"),
    ("/tcp db-1 x", "direct.bad_port"),
    ("/server add a b user=x", "direct.usage"),
    ("/server add a b user=x credential=k sudo=yes", "direct.bad_option"),
    ("/server add a b user=x credential=k role=boss", "server.bad_role"),
    ("/servers mars", "direct.bad_environment"),
    ("/stop", "direct.elsewhere"),
    ("/why", "direct.usage"),
]


@pytest.mark.parametrize(("text", "key"), NOTHING, ids=[text for text, _ in NOTHING])
def test_what_is_not_clear_runs_nothing_and_says_why(text: str, key: str) -> None:
    assert keys(read(text, FLEET))[0] == key


@pytest.mark.parametrize(
    ("text", "ready"),
    [
        ("check disk on wbe-1", "check disk on web-1"),
        ("检查 webb-1 的磁盘", "检查 web-1 的磁盘"),
        ("disk on web-1 and wbe-2", "disk on web-1 and web-2"),
        ("restart nginx on wbe-1", "restart nginx on web-1"),
        ("重启 wbe-1 的 nginx", "重启 web-1 的 nginx"),
        ("/run wbe-1 df -h", "/run web-1 df -h"),
        ("tail /var/log/syslog on wbe-1", "tail /var/log/syslog on web-1"),
        ("run df -h on web-1", "/run web-1 df -h"),
        ("docker logs app on web-1", "/run web-1 docker logs app"),
        ("check redis on web-1", "status of redis on web-1"),
        ("检查 dsk", "web-1 的 磁盘"),
        ("dsk", "disk on web-1"),
        ("重启 nginx", "重启 web-1 的 nginx"),
        ("reload haproxy", "reload haproxy on web-1"),
    ],
)
def test_a_slip_gets_a_sentence_that_works_when_it_is_typed(text: str, ready: str) -> None:
    assert ready in said(read(text, FLEET))
    assert isinstance(read(ready, FLEET), Intent)


def test_the_only_server_may_be_left_out() -> None:
    for text, command in [("disk", DF), ("负载", "uptime"), ("restart nginx", "systemctl restart nginx")]:
        assert read(text, ONE) == Intent("run_command", {"command": command, "servers": ["web-1"]})


def test_without_servers_it_says_so() -> None:
    assert keys(read("disk", [])) == ["servers.none"]
    assert keys(read("/run web-1 df", [])) == ["servers.none"]


def test_a_unit_called_like_a_server_is_the_unit_where_a_place_is_named() -> None:
    fleet = [*FLEET, server("redis")]
    want = Intent("run_command", {"command": "systemctl restart redis", "servers": ["web-1"]})
    assert read("restart redis on web-1", fleet) == want
    assert read("重启 web-1 的 redis", fleet) == want
    assert keys(read("restart redis", fleet)) == ["direct.which_service"]


def test_a_server_called_like_a_word_is_one_only_where_a_server_stands() -> None:
    fleet = [*FLEET, server("logs"), server("prod")]
    assert read("disk on logs", fleet) == Intent("run_command", {"command": DF, "servers": ["logs"]})
    assert keys(read("disk on prod", fleet)) == ["direct.two_meanings"]
    assert isinstance(read("disk on @prod", fleet), Intent)


def test_names_that_differ_only_by_case_are_told_apart() -> None:
    fleet = [server("WEB"), server("web")]
    assert read("disk on WEB", fleet) == Intent("run_command", {"command": DF, "servers": ["WEB"]})
    assert isinstance(read("disk on Web", fleet), Suggestion)


def test_an_untrusted_server_belongs_to_its_group_all_the_same() -> None:
    fleet = [*FLEET, server("new-1", trusted=False)]
    reading = read("disk of all servers", fleet)
    assert isinstance(reading, Intent)
    assert reading.arguments["servers"] == [*ALL, "new-1"]


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("10m", 600), ("1H", 3600), ("=5m", 300)]
)
def test_a_slash_run_may_set_its_limit(text: str, seconds: int) -> None:
    gap = "" if text.startswith("=") else " "
    arguments = {"command": "sleep 5 --timeout 3", "servers": ["web-1"], "timeout_s": seconds}
    reading = read(f"/run --timeout{gap}{text} web-1 sleep 5 --timeout 3", FLEET)
    assert reading == Intent("run_command", arguments)


@pytest.mark.parametrize(
    "name", [*TOPICS, "overview", "run", "tail", "list", "port", "http", "ping", "search", "touched"]
)
def test_whoever_types_chinese_is_shown_a_chinese_sentence_that_works(name: str) -> None:
    shown = in_chinese(name, "web-1", "nginx")
    assert isinstance(grammar.read(shown, FLEET), Intent), shown
    english, known = (TEXTS[f"example.{name}"][language] for language in ("en", "zh"))
    fields = {"server": "web-1", "unit": "nginx"}
    assert read(shown, FLEET) == read(known.format(**fields), FLEET) or "100" in english


def test_a_quoted_command_stays_as_it_was_typed() -> None:
    assert read("run `printf '％s　x'  ` on web-1", FLEET) == Intent(
        "run_command", {"command": "printf '％s　x'", "servers": ["web-1"]}
    )


@pytest.mark.parametrize("words", ["", "check disk on web-1", "restart nginx on web-1"])
def test_a_file_asks_for_nothing_and_its_words_are_not_done_without_it(words: str) -> None:
    assert keys(read(with_file(words, "a.txt", "restart nginx on web-1", "0f1e"), FLEET)) == ["direct.file"]


def test_a_file_is_written_that_has_the_marks_in_it() -> None:
    found = read("/write web-1 /srv/a.html\n<data-x>\n</data-x>\n", FLEET)
    assert isinstance(found, Intent)
    assert found.arguments["content"] == "<data-x>\n</data-x>\n"


# --- levels ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("topic", TOPICS.values(), ids=lambda topic: topic.name)
def test_the_fixed_lines_are_judged_as_reads_and_changes_as_low_risk(topic: Any) -> None:
    lines = [line.format(unit="nginx", lines=50) for line in (topic.command, topic.with_unit) if line]
    for line in lines:
        level = classify(line, "dev", 1).level
        assert level >= Risk.L1 if topic.changes else level == Risk.L0
        if topic.name in ("restart", "reload"):
            assert level == Risk.L1


def test_the_overview_only_reads() -> None:
    assert classify(OVERVIEW, "prod", 100).level == Risk.L0


# --- properties ------------------------------------------------------------------------------------------

_LINES = ["ss -tulpn 'sport = :{port}'"]
_LINES += [line for topic in TOPICS.values() for line in (topic.command, topic.with_unit) if line]
_FIXED = re.compile(
    "|".join(
        re.escape(line)
        .replace(r"\{unit\}", r"[\w@.-]+")
        .replace(r"\{lines\}", r"\d+")
        .replace(r"\{port\}", r"\d+")
        for line in _LINES
    ),
    re.ASCII,
)
_PIECES = [p for t in TOPICS.values() for p in t.phrases]
_PIECES += [
    "web-1",
    "wbe-1",
    "nginx",
    "on",
    "的",
    "all",
    "prod",
    "所有",
    "不要",
    "don't",
    "run",
    "`id`",
    "?",
    "吗",
]
_PIECES += [
    "/run",
    "/tail",
    "/read",
    "/search",
    "/ping",
    "/audit",
    "search",
    "ping",
    "from",
    "从",
    "example.com",
    "“x”",
    "lines 3-9",
    "第 3 到 9 行",
    "who touched",
    "昨天",
    "since=24h",
    "/var/log/x",
    "last 5 lines",
    "$(id)",
    ";id",
    "|",
    "&&",
    "--help",
    "-rf",
    "http://x.y",
]


def _is_fixed(command: str) -> bool:
    return all(_FIXED.fullmatch(line) for line in command.split("; "))


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.text(max_size=80), st.lists(st.sampled_from(_PIECES), max_size=8).map(" ".join)))
@example("run `id` on web-1")
def test_any_text_runs_a_fixed_line_or_what_was_quoted(text: str) -> None:
    for fleet in (FLEET, ONE, []):
        reading = read(text, fleet)
        if not isinstance(reading, Intent):
            assert reading.parts
            continue
        ARGUMENTS[reading.tool].model_validate(dict(reading.arguments))
        assert set(reading.arguments.get("servers", [])) <= {each.name for each in fleet}
        if reading.tool == "run_command":
            command = reading.arguments["command"]
            explicit = f"`{command}`" in text or commands.is_command(text) or any(q in text for q in '“"`')
            assert _is_fixed(command) or (explicit and command in text)


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet=string.printable, max_size=60).filter(lambda text: text.strip(" \t\n\r\x0b\x0c`")))
def test_a_slash_run_passes_its_command_on_untouched(command: str) -> None:
    reading = read(f"/run web-1 {command}", FLEET)
    if "," not in command and "`" not in command:
        assert reading == Intent("run_command", {"command": command.strip(), "servers": ["web-1"]})


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(_PIECES), max_size=8).map(" ".join))
def test_the_same_text_is_always_read_alike(text: str) -> None:
    assert read(text, FLEET) == read(text, list(FLEET))


@pytest.mark.parametrize(
    "text", ["a," * 1000, "web-1、" * 300, "重" * 1999, "`" * 1999, "x" * 10_000_0, "a " * 999]
)
def test_long_nonsense_is_answered_soon(text: str) -> None:
    fleet = [server(f"machine-{number}") for number in range(1000)]
    began = time.process_time()
    assert isinstance(read(text, fleet), Suggestion)
    assert time.process_time() - began < 2


# --- the engine ------------------------------------------------------------------------------------------


def ask(text: str, user: User = OPERATOR) -> Request:
    return Request("t1", "c1", user, text)


async def events(text: str, tools: ScriptedTools, user: User = OPERATOR) -> list[Any]:
    return [event async for event in Direct().turn(ask(text, user), tools)]


async def test_a_turn_makes_one_call_and_answers_with_its_parts() -> None:
    tools = ScriptedTools(FLEET, Answer("done", (say("run.ok", server="web-1"), Code("50 %", "web-1"))))
    use, result, done = await events("disk on web-1", tools)
    assert tools.calls == [(0, "run_command", {"command": DF, "servers": ["web-1"]})]
    assert isinstance(use, ToolUse)
    assert isinstance(result, ToolResult)
    assert isinstance(done, Completed)
    assert done.parts == (DF, say("run.ok", server="web-1"), Code("50 %", "web-1"))


async def test_what_needs_approval_suspends_the_turn_and_says_nothing_more() -> None:
    tools = ScriptedTools(FLEET, Answer("waiting", (say("gate.waiting", code="A7", level=1),), {}, "id-7"))
    *_, last = await events("restart nginx on web-1", tools)
    assert last == ApprovalRequired("id-7")
    assert len(tools.calls) == 1


async def test_a_refusal_is_shown_as_it_is() -> None:
    tools = ScriptedTools(FLEET, Answer("refused", (say("gate.forbidden", part="reboot"),)))
    *_, last = await events("/run web-1 reboot", tools)
    assert last == Completed((say("gate.forbidden", part="reboot"),))


@pytest.mark.parametrize(
    ("user", "text", "refusal"),
    [
        (VIEWER, "disk on web-1", "error.operators_only"),
        (VIEWER, "/http https://example.com", "error.operators_only"),
        (OPERATOR, "/server add a b user=x credential=k", "error.admins_only"),
    ],
)
async def test_who_may_not_is_told_so_before_anything_is_called(user: User, text: str, refusal: str) -> None:
    tools = ScriptedTools(FLEET)
    (last,) = await events(text, tools, user)
    assert last == Completed((say(refusal),))
    assert tools.calls == []


async def test_a_viewer_may_list_and_ask_for_help_and_why() -> None:
    assert len(await events("/servers", ScriptedTools(FLEET), VIEWER)) == 3
    assert len(await events("/why rm -rf /", ScriptedTools(FLEET), VIEWER)) == 3
    for text in ("/help", "hi"):
        (last,) = await events(text, ScriptedTools(FLEET), VIEWER)
        assert isinstance(last, Completed)


@pytest.mark.parametrize(
    ("text", "command", "servers"),
    [
        ("/why df -h", "df -h", None),
        ("/why `df -h`", "df -h", None),
        ("/why df -h on web-1", "df -h", ["web-1"]),
        ("/why df -h 在 web-1 上", "df -h", ["web-1"]),
        ("/why `echo on web-1` on db-1", "echo on web-1", ["db-1"]),
        ("/why mount -o remount,rw on the moon", "mount -o remount,rw on the moon", None),
        ("why `df -h` on web-1", "df -h", ["web-1"]),
        ("explain `df -h`", "df -h", None),
        ("为什么 `df -h`", "df -h", None),
        ("解释 `df -h` 在 web-1", "df -h", ["web-1"]),
    ],
)
def test_why_is_asked_of_a_command_and_perhaps_servers(
    text: str, command: str, servers: list[str] | None
) -> None:
    reading = read(text, FLEET)
    assert isinstance(reading, Intent)
    assert reading.tool == "explain_command"
    assert (reading.arguments["command"], reading.arguments.get("servers")) == (command, servers)


@pytest.mark.parametrize("text", ["why rm -rf / on web-1", "为什么 rm -rf / 在 web-1"])
def test_why_with_a_bare_command_behind_it_is_told_how_that_is_asked(text: str) -> None:
    reading = read(text, FLEET)
    assert isinstance(reading, Suggestion)
    assert "/why" in str(reading.parts[0])


def test_why_without_quotes_is_no_command_to_be_explained() -> None:
    for text in ("why is web-1 slow", "为什么 web-1 慢", "why `df -h` on moon-9"):
        assert isinstance(read(text, FLEET), Suggestion)


async def test_a_greeting_offers_three_sentences_that_work() -> None:
    for language in ("en", "zh"):
        (last,) = await events("hi", ScriptedTools(FLEET))
        lines = [words(part, language).removeprefix("• ") for part in last.parts[1:4]]
        assert all(isinstance(read(line, FLEET), Intent) for line in lines)


async def test_it_is_always_well_and_has_nothing_to_interrupt() -> None:
    engine = Direct()
    await engine.interrupt("t1")
    assert await engine.health() is None
    assert engine.name == "direct"


# --- going on after an approval --------------------------------------------------------------------------

AT = datetime(2026, 1, 1, tzinfo=UTC)


def approval(status: Any, kind: Any = "run", command: str = "systemctl restart nginx") -> Approval:
    return Approval(
        id="id-7",
        code="A7",
        conversation_id="c1",
        turn_id="t0",
        step=0,
        action=Action(kind, command, ("id-web-1",), ("SHA256:x",), ("ops",)),
        digest="",
        nonce="",
        level=Risk.L1,
        reasons=(),
        part="",
        rules="",
        requester_id="u1",
        needed=1,
        approvals=1,
        four_eyes=False,
        status=status,
        created_at=AT,
        expires_at=AT,
    )


async def resumed(outcome: Outcome) -> list[Any]:
    tools = ScriptedTools(FLEET)
    found = [event async for event in Direct().resume(ask(""), outcome, tools)]
    assert tools.calls == []
    return found


async def told(outcome: Outcome) -> tuple[list[str], str]:
    (last,) = await resumed(outcome)
    parts = [part for part in last.parts if isinstance(part, Say)]
    return [part.key for part in parts], "\n".join(words(part) for part in parts)


async def test_approved_and_run_shows_the_results() -> None:
    result = RunTarget("id-web-1", "web-1", "done", 0, 1200, stdout="fine\n")
    (last,) = await resumed(Outcome(approval("approved"), (result,)))
    assert Code("fine") in last.parts  # the line above it has the server's name
    assert [p.key for p in last.parts if isinstance(p, Say)] == ["direct.approved_ran", "run.ok"]


async def test_an_unknown_outcome_is_not_repeated_and_said_plainly() -> None:
    found, text = await told(Outcome(approval("approved"), (RunTarget("id-web-1", "web-1", "unknown"),)))
    assert found == ["direct.approved_unclear", "run.unknown", "direct.unclear"]
    assert "NOT repeated" in text


@pytest.mark.parametrize(("state", "code"), [("done", 1), ("stopped", None), ("timeout", 124)])
async def test_what_did_not_end_well_is_not_called_carried_out(state: Any, code: int | None) -> None:
    good = RunTarget("id-web-1", "web-1", "done", 0, 1200)
    found, text = await told(Outcome(approval("approved"), (good, RunTarget("b", "web-2", state, code, 5))))
    assert found[0] == "direct.approved_began"
    assert "carried out" not in text


NEVER = RunTarget("a", "web-1", "failed", error=say("gate.server_gone").as_json())


async def test_what_never_started_is_called_not_run() -> None:
    found, _ = await told(Outcome(approval("approved"), (NEVER,)))
    assert found[0] == "direct.approved_refused"


@pytest.mark.parametrize("status", ["rejected", "expired", "cancelled"])
async def test_what_was_not_approved_was_not_run(status: str) -> None:
    found, text = await told(Outcome(approval(status)))
    assert found == [f"direct.{status}"]
    assert "nothing was run" in text
    assert "A7" in text


async def test_an_expired_request_can_be_typed_again() -> None:
    _, text = await told(Outcome(approval("expired")))
    assert "type the request again" in text


async def test_an_approved_act_that_the_gate_refused_says_why() -> None:
    found, _ = await told(Outcome(approval("approved"), (), say("gate.changed", code="A7")))
    assert found == ["direct.approved_refused", "gate.changed"]


async def test_an_approved_act_without_a_record_is_not_called_done() -> None:
    found, _ = await told(Outcome(approval("approved")))
    assert found == ["direct.approved_no_record"]


async def test_a_pending_approval_is_waited_for_again() -> None:
    assert await resumed(Outcome(approval("pending"))) == [ApprovalRequired("id-7")]


async def test_a_trusted_server_is_offered_its_first_question() -> None:
    found, text = await told(Outcome(approval("approved", "trust", "trust web-1 SHA256:x")))
    assert found == ["direct.trusted"]
    assert "check disk on web-1" in text


@pytest.mark.parametrize("status", ["rejected", "expired", "cancelled"])
async def test_a_server_that_was_not_trusted_is_named(status: str) -> None:
    found, text = await told(Outcome(approval(status, "trust", "trust web-1 SHA256:x")))
    assert found == [f"direct.trust_{status}"]
    assert "web-1" in text


async def test_a_failed_trust_says_why() -> None:
    refusal = say("server.other_key", server="web-1", shown="a", expected="b")
    found, _ = await told(Outcome(approval("approved", "trust", "trust web-1 SHA256:x"), (), refusal))
    assert found == ["direct.trust_failed", "server.other_key"]


# --- help and texts --------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_command_is_in_the_help(language: str) -> None:
    text = said(read("/help", FLEET), language)
    for name in commands.COMMANDS:
        assert re.search(rf"/{name}\b", text), name
    assert text.count("\n") < 60  # a page of a chat


@pytest.mark.parametrize("name", commands.COMMANDS)
def test_every_command_has_help_of_its_own_with_an_example_that_works(name: str) -> None:
    command = commands.COMMANDS[name]
    parts = said(read(f"/help {name}", FLEET)).splitlines()
    assert f"/{name}" in parts[0]
    if command.read is not None:
        sample = "\n".join(parts[1:]).removeprefix("Example: ")
        assert isinstance(read(sample, FLEET), Intent | Suggestion)
        assert "direct.usage" not in str(read(sample, FLEET))


@pytest.mark.parametrize("name", TOPICS)
def test_help_on_a_topic_tells_what_runs(name: str) -> None:
    for word in (name, TOPICS[name].zh.split(";")[0]):
        if word not in commands.COMMANDS:
            assert keys(read(f"/help {word}", FLEET)) == ["help.topic"]
    assert keys(read("/help dsk", FLEET)) == ["help.unknown_topic_near"]
    assert keys(read("/help qqqqqq", FLEET)) == ["help.unknown_topic"]


def test_a_command_handled_elsewhere_is_listed_as_well() -> None:
    elsewhere = {name for name, command in commands.COMMANDS.items() if command.read is None}
    wanted = {"stop", "halt", "resume", "approvals", "language", "credential", "cluster", "doctor"}
    wanted |= {"new", "conversations", "open", "quiet", "usage", "engine", "console", "policy"}
    wanted |= {"approve", "reject", "totp", "grants", "revoke"}
    assert elsewhere == wanted


@pytest.mark.parametrize("key", [key for key in TEXTS if key.startswith("example.")])
def test_every_example_works_in_both_languages(key: str) -> None:
    for language in ("en", "zh"):
        reading = grammar.read(TEXTS[key][language].format(server="web-1", unit="nginx"), FLEET)
        assert isinstance(reading, Intent), (language, reading)
        topic = TOPICS.get(key.removeprefix("example."))
        if topic is not None:
            line = (topic.with_unit or topic.command).split("{")[0]
            assert reading.arguments["command"].startswith(line)


def test_every_topic_has_an_example() -> None:
    wanted = {*TOPICS, *commands.SAMPLES, "overview", "ping", "port", "run", "tail", "list"}
    assert {f"example.{name}" for name in wanted} <= set(TEXTS)


@pytest.mark.parametrize("key", TEXTS)
def test_every_text_is_in_both_languages_with_the_same_places(key: str) -> None:
    def places(text: str) -> set[str]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}

    assert set(TEXTS[key]) == {"en", "zh"}
    assert places(TEXTS[key]["en"]) == places(TEXTS[key]["zh"])
    assert re.search(r"[\u4e00-\u9fff]", TEXTS[key]["zh"]) or key in ("direct.bullet", "example.ping")


def _keys_in_code() -> set[str]:
    files = [*ROOT.glob("agent/*.py"), *ROOT.glob("agent/tools/*.py"), *ROOT.glob("agent/engines/*.py")]
    files += [ROOT / "core/errors.py", ROOT / "core/tenant.py", ROOT / "core/store/database.py"]
    errors = "[sS]ay|BadInput|Refused|NotFound|NotAllowed|Late|Halted|Unavailable|StoreUnavailable|VaultError"
    made = rf"(?:{errors})\(\s*\"([a-z_]+\.[a-z_]+)\""
    found = {key for file in files for key in re.findall(made, file.read_text("utf-8"))}
    found |= set(
        re.findall(r'^    key = "([a-z_.]+)"', (ROOT / "core/errors.py").read_text("utf-8"), re.MULTILINE)
    )
    return {key for key in found if not key.startswith(("shell.", "risk.", "setup."))}


def test_every_sentence_of_the_agent_has_its_text() -> None:
    known = set(TEXTS)
    for file in (ROOT / "bot/texts").glob("*.toml"):
        known |= set(tomllib.loads(file.read_text("utf-8")))
    assert _keys_in_code() - known == set()
    made = {f"command.{name}" for name in commands.COMMANDS} | {f"help.group_{g}" for g in commands.GROUPS}
    made |= {f"run.{state}" for state in ("running", "failed", "stopped", "timeout", "unknown")}
    made |= {f"approval.was_{status}" for status in ("approved", "rejected", "expired", "cancelled")}
    assert made <= set(TEXTS)


def test_no_text_stands_twice_in_the_catalogue() -> None:
    for file in (ROOT / "bot/texts").glob("*.toml"):
        if file.name != "agent.toml":
            assert not set(tomllib.loads(file.read_text("utf-8"))) & set(TEXTS), file.name


# --- changing files --------------------------------------------------------------------------------------


def test_a_file_is_written_with_the_lines_below_the_command_as_they_are() -> None:
    found = read("/write web-1 /srv/a.txt 0640\n  two\n\n\tfour  \nfive", FLEET)
    assert isinstance(found, Intent)
    content = "  two\n\n\tfour  \nfive\n"
    assert found.arguments == {"server": "web-1", "path": "/srv/a.txt", "content": content, "mode": "0640"}
    WriteArguments.model_validate(found.arguments)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("/write web-1 /srv/a.txt", "direct.usage"),
        ("/write web-1 srv/a.txt\nx", "direct.usage"),
        ("/write web-1 /srv/a.txt rw-\nx", "direct.usage"),
        ("/write web-1\nx", "direct.usage"),
        ("/write web-1,db-1 /srv/a.txt\nx", "edit.one_server"),
        ("/write wbe-1 /srv/a.txt\nx", "direct.unknown_server_near"),
        ("/undo", "direct.usage"),
        ("/undo it", "direct.usage"),
    ],
)
def test_a_change_that_is_not_clear_says_how_it_is_asked_for(text: str, key: str) -> None:
    assert keys(read(text, FLEET)) == [key]


@pytest.mark.parametrize(
    "text", ["/undo a7-493", "undo A7-493", "Undo a7-493.", "撤销 A7-493", "撤销A7-493", "还原 a7-493"]
)
def test_a_change_is_taken_back_by_its_code_in_both_languages(text: str) -> None:
    assert read(text, FLEET) == Intent("undo_write", {"code": "A7-493"})
