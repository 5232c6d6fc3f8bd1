"""The tools: what the bot's own machine may touch, who may use them, and what a wrong call comes to."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from support.bench import KEY, Bench, key_of, make_bench
from support.store import Store, actions

from agent.fleet.forms import NewServer
from agent.shell.hostkeys import fingerprint
from agent.tools.checks import may_reach
from bot.texts.catalogue import load_catalogue
from core.texts import Say
from core.work import Risk, Role

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


@pytest.fixture
async def bench(store: Store) -> Bench:
    """Return a bench on a database of its own."""
    return await make_bench(store)


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
        await leaving.wait()
        return web.Response()

    leaving = asyncio.Event()
    runner = web.AppRunner(web.Application(), shutdown_timeout=0)
    runner.app.router.add_get("/{path}", answer)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield int(runner.addresses[0][1]), asked
    leaving.set()
    await runner.cleanup()


@pytest.mark.parametrize("host", PRIVATE)
async def test_private_address_in_any_spelling_is_not_touched(
    bench: Bench, site: tuple[int, list[str]], host: str
) -> None:
    port, asked = site
    at = f"[{host}]" if ":" in host else host
    tcp = await bench("check_tcp", host=host, port=port)
    http = await bench("check_http", url=f"http://{at}:{port}/ok")
    refusals = ("check.private_address", "check.private_host", "check.no_such_host")
    assert (tcp.status, http.status) == ("refused", "refused")
    assert key_of(tcp) in refusals
    assert key_of(http) in refusals
    assert asked == []


@pytest.mark.parametrize("address", [p for p in PRIVATE if not p.startswith(("127.1", "0", "2", "l"))])
def test_private_address_is_judged_as_such(address: str) -> None:
    assert not may_reach(address, set())
    assert may_reach(address, {address}) or "ffff" in address or address.startswith(("169.254", "fe80"))


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]
)
def test_public_address_may_be_reached(address: str) -> None:
    assert may_reach(address, set())


@pytest.mark.parametrize("address", ["64:ff9b::7f00:1", "64:ff9b::a00:5", "2002:7f00:1::", "2002:a00:5::1"])
def test_private_address_behind_a_translator_is_private(address: str) -> None:
    assert not may_reach(address, set())


@pytest.mark.parametrize(
    "address",
    [
        *("169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1"),
        *("fe80::1", "fe80::1%eth0", "100.100.100.200", "192.0.0.192", "fd00:ec2::254"),
    ],
)
async def test_where_a_cloud_tells_its_secrets_is_never_reached(bench: Bench, address: str) -> None:
    assert not may_reach(address, {address})
    await bench.knows(address.partition("%")[0])
    answer = await bench("check_http", url=f"http://[{address}]/" if ":" in address else f"http://{address}/")
    assert answer.status == "refused"


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
        assert key_of(answer) in ("check.private_host", "check.bad_url")
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


@pytest.mark.parametrize("limit", ["only reads", "waits"])
async def test_no_server_is_added_by_what_may_only_read_or_while_the_turn_waits(
    bench: Bench, limit: str
) -> None:
    await bench.fleet.credentials.add(
        bench.work.tenant, bench.work.user, "main", "ssh_password", b"pa55word!"
    )
    given = {"name": "db", "host": "192.0.2.7", "user": "ops", "credential": "main"}
    bench.box.waits_for = "A7-493" if limit == "waits" else ""
    answer = await bench.box.call(1, "add_server", given, Risk.L0 if limit == "only reads" else Risk.L3)
    assert answer.status == "refused"
    assert key_of(answer) == ("gate.not_run_waiting" if limit == "waits" else "gate.only_reads")
    assert not await bench.fleet.servers(bench.work.tenant)


async def test_tail_asks_for_the_file_as_one_argument(bench: Bench) -> None:
    await bench.knows("127.0.0.1")
    answer = await bench("tail_file", path="/var/log/a b;reboot", servers=["web"], lines=5)
    assert (await bench.asked(answer)).action.command == "tail -n 5 '/var/log/a b;reboot'"


# --- a secret in a command ---------------------------------------------------------------------------------

SECRET = "hunter2-Secret"


async def everything_stored(bench: Bench) -> str:
    """Return all that the tenant's tables hold of what was asked for."""
    schema = bench.work.tenant.schema
    tables = ("event", "audit", "approval", "run", "run_target", "conversation")
    rows = [await bench.store.as_owner(f"SELECT t::text AS t FROM {schema}.{table} t") for table in tables]
    return "\n".join(row["t"] for each in rows for row in each)


async def seal(bench: Bench) -> None:
    """Put the secret into the vault."""
    await bench.fleet.credentials.add(
        bench.work.tenant, bench.work.user, "pw", "ssh_password", SECRET.encode()
    )


@pytest.mark.parametrize("command", [f"echo {SECRET}", f"mysql -p{SECRET}", f"rm -rf / {SECRET}"])
async def test_command_with_a_secret_of_the_vault_is_refused_and_nowhere_kept(
    bench: Bench, command: str
) -> None:
    await bench.knows("127.0.0.1")
    await seal(bench)
    answer = await bench("run_command", command=command, servers=["web"])
    assert (answer.status, key_of(answer)) == ("refused", "gate.secret_in_command")
    assert bench.shell.started == []
    assert (await actions(bench.work.tenant))[-1] == "command.refused"
    stored = await everything_stored(bench)
    assert SECRET not in stored
    assert "‹redacted›" in stored


async def test_secret_in_the_arguments_of_any_tool_is_not_kept(bench: Bench) -> None:
    await seal(bench)
    await bench("check_tcp", host=f"{SECRET}.invalid", port=80)
    await bench("check_http", url=f"https://{SECRET}.invalid/")
    await bench("tail_file", path=f"/var/log/{SECRET}", servers=["web"])
    assert SECRET not in await everything_stored(bench)


async def test_approved_command_whose_words_became_a_secret_meanwhile_is_not_run(bench: Bench) -> None:
    await bench.knows("127.0.0.1")
    answer = await bench("run_command", command=f"touch {SECRET}", servers=["web"])
    approval = await bench.asked(answer)
    await seal(bench)
    refusal = await bench.gate.perform(bench.work, approval)
    assert refusal is not None
    assert refusal.key == "gate.secret_in_command"
    assert bench.shell.started == []


# --- servers that cannot be used --------------------------------------------------------------------------


async def three_servers(bench: Bench) -> None:
    """Add one that works, one that nobody trusts, and one whose credential was revoked."""
    tenant, user = bench.work.tenant, bench.work.user
    await bench.knows("127.0.0.1")
    for name in ("new", "dead"):
        await bench.fleet.credentials.add(tenant, user, name, "ssh_password", b"a password")
        expected = fingerprint(KEY) if name == "dead" else ""
        await bench.fleet.add_server(
            tenant, user, NewServer(name, "192.0.2.1", user="ops", credential=name), expected
        )
    await bench.fleet.credentials.revoke(tenant, user, "dead")


async def test_read_runs_where_it_can_and_says_for_each_other_server_why_not(bench: Bench) -> None:
    await three_servers(bench)
    answer = await bench("run_command", command="uptime", servers=["web", "new", "dead"])
    assert [(r["server"], r["state"]) for r in answer.data["results"]] == [
        ("web", "done"),
        ("new", "failed"),
        ("dead", "failed"),
    ]
    said = [part for part in answer.parts if isinstance(part, Say)]
    assert [part.params["reason"]["say"] for part in said if part.key == "run.failed"] == [
        "error.host_key_unknown",
        "credential.expired",
    ]
    assert [name for name, _ in bench.shell.started] == ["web"]
    stored = await bench.store.as_owner(
        f"SELECT server, state FROM {bench.work.tenant.schema}.run_target ORDER BY server"
    )
    assert [tuple(row) for row in stored] == [("dead", "failed"), ("new", "failed"), ("web", "done")]


async def test_change_is_refused_before_anybody_is_asked_naming_each_server(bench: Bench) -> None:
    await three_servers(bench)
    answer = await bench("run_command", command="systemctl restart nginx", servers=["web", "new", "dead"])
    assert (answer.status, key_of(answer)) == ("refused", "gate.unfit")
    named = [part.params["text"]["params"]["server"] for part in answer.parts[1:]]  # type: ignore[union-attr]
    assert named == ["new", "dead"]
    assert await bench.store.as_owner(f"SELECT * FROM {bench.work.tenant.schema}.approval") == []


async def test_one_server_that_cannot_be_used_is_refused_with_its_own_reason(bench: Bench) -> None:
    await three_servers(bench)
    for name, key in (("new", "error.host_key_unknown"), ("dead", "credential.expired")):
        answer = await bench("run_command", command="uptime", servers=[name])
        assert (answer.status, key_of(answer)) == ("refused", key)


# --- limits ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("asked_s", "limit_s", "words"), [(None, 600, "10 min"), (90, 90, "90 s")])
async def test_approved_command_has_more_time_and_the_card_says_how_much(
    bench: Bench, asked_s: int | None, limit_s: int, words: str
) -> None:
    await bench.knows("127.0.0.1")
    more = {"timeout_s": asked_s} if asked_s else {}
    answer = await bench("run_command", command="systemctl restart nginx", servers=["web"], **more)
    assert (await bench.asked(answer)).action.timeout_s == limit_s
    waiting = answer.parts[0]
    assert isinstance(waiting, Say)
    assert f"ended after {words}" in load_catalogue()(waiting, "en")


async def test_read_has_the_usual_limit_and_nothing_gets_more_than_the_longest(bench: Bench) -> None:
    await bench.knows("127.0.0.1")
    await bench("run_command", command="uptime", servers=["web"])
    assert [order.timeout_s for _, order in bench.shell.started] == [60]
    answer = await bench("run_command", command="uptime", servers=["web"], timeout_s=3601)
    assert (answer.status, key_of(answer)) == ("refused", "gate.timeout_too_long")
