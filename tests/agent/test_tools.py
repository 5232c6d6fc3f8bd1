"""The tools: what the bot's own machine may touch, who may use them, and what a wrong call comes to."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from fakes.desk import make_desk, taken_work
from fakes.shell import ScriptedShell
from support.store import Store, add_user

from agent.approvals import Approvals
from agent.context import Desk, Work
from agent.engine import Answer
from agent.execution import Executor
from agent.fleet import Fleet, NewServer
from agent.gate import Gate
from agent.redact import Redactions
from agent.risk import classify
from agent.toolbox import Toolbox
from agent.tools import all_tools
from agent.tools.checks import may_reach
from core.texts import Say
from core.work import Role

PRIVATE = [
    "127.0.0.1",
    "127.1",
    "0x7f000001",
    "2130706433",
    "0177.0.0.1",
    "0.0.0.0",
    "localhost",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "169.254.169.254",
    "fe80::1",
    "fd00::1",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
]


class Bench:
    """A turn's toolbox for an admin, whose calls are numbered by themselves."""

    def __init__(self, work: Work, desk: Desk, fleet: Fleet, gate: Gate, shell: ScriptedShell) -> None:
        self.work, self.desk, self.fleet, self.gate, self.shell = work, desk, fleet, gate, shell
        self.steps = 0
        self.as_role(Role.ADMIN)

    def as_role(self, role: Role) -> None:
        """Make the user one of ``role``."""
        work = replace(self.work, user=replace(self.work.user, role=role))
        tools = all_tools(self.gate, self.fleet)
        self.box = Toolbox(work, self.desk, self.gate, self.fleet, tools, "direct", self.desk.clock())

    async def __call__(self, tool: str, **arguments: Any) -> Answer:
        """Call a tool."""
        self.steps += 1
        return await self.box.call(self.steps, tool, arguments)

    async def knows(self, host: str) -> None:
        """Put a host into the inventory."""
        tenant, user = self.work.tenant, self.work.user
        await self.fleet.add_server(tenant, user, NewServer("web", host, connection="local"))


def key_of(answer: Answer) -> str:
    """Return the key of an answer's first sentence."""
    first = answer.parts[0]
    assert isinstance(first, Say)
    return first.key


@pytest.fixture
async def bench(store: Store) -> Bench:
    """Return a bench on a database of its own."""
    tenant, desk, shell = await store.first(), make_desk(store.clock), ScriptedShell()
    ann = await add_user(tenant, store.clock, "ann")
    fleet, approvals = Fleet(shell, store.clock), Approvals(desk)
    executor = Executor(shell, desk, Redactions(fleet), 10)
    gate = Gate(desk, fleet, approvals, executor, classify, 60, 3600)
    return Bench(await taken_work(tenant, ann, desk), desk, fleet, gate, shell)


@pytest.fixture
async def site() -> AsyncIterator[tuple[int, list[str]]]:
    """Return (port, paths that were asked for) of a web server on loopback."""
    asked: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        match request.path:
            case "/ok":
                return web.Response(text="hello")
            case "/broken":
                return web.Response(status=503)
            case "/away":
                raise web.HTTPFound(request.query["to"])
            case "/loop":
                raise web.HTTPFound("/loop")
            case "/big":
                return web.Response(body=bytes(3_000_000))
        await asyncio.sleep(30)
        return web.Response()

    runner = web.AppRunner(web.Application(), shutdown_timeout=0)
    runner.app.router.add_get("/{path}", answer)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield int(runner.addresses[0][1]), asked
    await runner.cleanup()


@pytest.mark.parametrize("host", PRIVATE)
async def test_private_address_in_any_spelling_is_not_touched(
    bench: Bench, site: tuple[int, list[str]], host: str
) -> None:
    port, asked = site
    at = f"[{host}]" if ":" in host else host
    tcp = await bench("check_tcp", host=host, port=port)
    http = await bench("check_http", url=f"http://{at}:{port}/ok")
    refusals = ("check.private_address", "check.no_such_host")
    assert (tcp.status, http.status) == ("refused", "refused")
    assert key_of(tcp) in refusals
    assert key_of(http) in refusals
    assert asked == []


@pytest.mark.parametrize("address", [p for p in PRIVATE if not p.startswith(("127.1", "0", "2", "l"))])
def test_private_address_is_judged_as_such(address: str) -> None:
    assert not may_reach(address, set())
    assert may_reach(address, {address}) or "ffff" in address


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8"])
def test_public_address_may_be_reached(address: str) -> None:
    assert may_reach(address, set())


async def test_server_in_the_inventory_is_checked_though_it_is_private(
    bench: Bench, site: tuple[int, list[str]]
) -> None:
    port, asked = site
    await bench.knows("127.0.0.1")
    opened = await bench("check_tcp", host="127.0.0.1", port=port)
    assert (opened.status, key_of(opened), opened.data) == ("done", "check.tcp_open", {"open": True})
    answered = await bench("check_http", url=f"http://127.0.0.1:{port}/ok")
    assert (answered.data["status"], answered.data["size"], asked) == (200, 5, ["/ok"])
    broken = await bench("check_http", url=f"http://127.0.0.1:{port}/broken")
    assert broken.data["status"] == 503


async def test_redirect_to_where_it_may_not_go_is_refused(bench: Bench, site: tuple[int, list[str]]) -> None:
    port, asked = site
    await bench.knows("127.0.0.1")
    for to in (
        "http://169.254.169.254/latest/meta-data/",
        f"http://127.0.0.2:{port}/ok",
        "file:///etc/passwd",
    ):
        answer = await bench("check_http", url=f"http://127.0.0.1:{port}/away?to={to}")
        assert answer.status == "refused"
        assert key_of(answer) in ("check.private_address", "check.bad_url")
    assert asked == ["/away"] * 3


async def test_redirects_end_after_the_third(bench: Bench, site: tuple[int, list[str]]) -> None:
    port, asked = site
    await bench.knows("127.0.0.1")
    answer = await bench("check_http", url=f"http://127.0.0.1:{port}/loop")
    assert key_of(answer) == "check.too_many_redirects"
    assert len(asked) == 4


async def test_long_page_is_read_to_its_limit_only(bench: Bench, site: tuple[int, list[str]]) -> None:
    await bench.knows("127.0.0.1")
    answer = await bench("check_http", url=f"http://127.0.0.1:{site[0]}/big")
    assert answer.data["size"] <= 1_000_000


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "ftp://example.com",
        "file:///etc/passwd",
        "http://",
        "http://a:99999/",
        "http://[::1",
    ],
)
async def test_what_is_no_web_address_is_refused(bench: Bench, url: str) -> None:
    answer = await bench("check_http", url=url)
    assert (answer.status, key_of(answer)) == ("refused", "check.bad_url")


@pytest.mark.parametrize("host", ["a..b", "no such host", "x" * 64 + ".example", "nowhere.invalid"])
async def test_name_that_does_not_resolve_is_said(bench: Bench, host: str) -> None:
    answer = await bench("check_tcp", host=host, port=80)
    assert (answer.status, key_of(answer)) == ("refused", "check.no_such_host")


async def test_closed_port_says_closed(bench: Bench, unused_tcp_port: int) -> None:
    await bench.knows("127.0.0.1")
    tcp = await bench("check_tcp", host="127.0.0.1", port=unused_tcp_port)
    assert (tcp.status, key_of(tcp), tcp.data) == ("done", "check.tcp_closed", {"open": False})
    http = await bench("check_http", url=f"http://127.0.0.1:{unused_tcp_port}/")
    assert (http.status, key_of(http), http.data) == ("done", "check.http_down", {"status": None})


async def test_server_that_never_answers_ends_the_check_in_time(
    bench: Bench, site: tuple[int, list[str]]
) -> None:
    await bench.knows("127.0.0.1")
    began = time.monotonic()
    answer = await bench("check_http", url=f"http://127.0.0.1:{site[0]}/never")
    assert key_of(answer) == "check.http_down"
    assert time.monotonic() - began < 6


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("run_command", {}),
        ("run_command", {"command": "", "servers": ["web"]}),
        ("run_command", {"command": "ls", "servers": []}),
        ("run_command", {"command": "ls", "servers": "web"}),
        ("run_command", {"command": "ls", "servers": ["web"], "sudo": True}),
        ("run_command", {"command": "ls", "servers": ["web"], "timeout_s": 0}),
        ("tail_file", {"path": "relative", "servers": ["web"]}),
        ("tail_file", {"path": "/a\n; rm -rf /", "servers": ["web"]}),
        ("tail_file", {"path": "/a", "servers": ["web"], "lines": 5001}),
        ("check_tcp", {"host": "a", "port": 0}),
        ("check_tcp", {"host": "a", "port": 65536}),
        ("check_http", {"url": "http://a/", "headers": {}}),
        ("list_servers", {"environment": "moon"}),
        ("add_server", {"name": "a", "host": "b", "user": "c", "credential": "d", "secret": "e"}),
    ],
)
async def test_wrong_arguments_are_refused_with_a_sentence(
    bench: Bench, tool: str, arguments: dict[str, Any]
) -> None:
    answer = await bench(tool, **arguments)
    assert (answer.status, key_of(answer)) == ("refused", "tool.bad_arguments")
    assert bench.shell.started == []


async def test_tool_that_does_not_exist_is_refused_with_a_sentence(bench: Bench) -> None:
    answer = await bench("format_disk")
    assert (answer.status, key_of(answer)) == ("refused", "tool.unknown")


async def test_list_names_every_server_or_those_of_an_environment(bench: Bench) -> None:
    assert key_of(await bench("list_servers")) == "servers.none"
    for name, environment in (("a", "dev"), ("b", "prod")):
        new = NewServer(name, environment=environment, connection="local")
        await bench.fleet.add_server(bench.work.tenant, bench.work.user, new)
    assert (await bench("list_servers")).data == {"servers": ["a", "b"]}
    assert (await bench("list_servers", environment="prod")).data == {"servers": ["b"]}


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("run_command", {"command": "uptime", "servers": ["web"]}),
        ("tail_file", {"path": "/var/log/syslog", "servers": ["web"]}),
        ("check_tcp", {"host": "127.0.0.1", "port": 22}),
        ("check_http", {"url": "http://127.0.0.1/"}),
        ("add_server", {"name": "a", "host": "b", "user": "c", "credential": "d"}),
    ],
)
async def test_viewer_is_refused_whatever_touches_a_machine(
    bench: Bench, tool: str, arguments: dict[str, Any]
) -> None:
    await bench.knows("127.0.0.1")
    bench.as_role(Role.VIEWER)
    answer = await bench(tool, **arguments)
    assert answer.status == "refused"
    assert key_of(answer) in ("error.operators_only", "error.admins_only")
    assert bench.shell.started == []
    assert (await bench("list_servers")).status == "done"


async def test_tail_asks_for_the_file_as_one_argument(bench: Bench) -> None:
    await bench.knows("127.0.0.1")
    await bench("tail_file", path="/var/log/a b;reboot", servers=["web"], lines=5)
    assert [order.command for _, order in bench.shell.started] == ["tail -n 5 '/var/log/a b;reboot'"]
