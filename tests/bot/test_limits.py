"""The console's limits of one person over all their pages, and its other promises, on a real it0."""

import asyncio
import json
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from support.house import Client, House

from bot.console import limits
from bot.console.auth import FAILED_SIGN_INS_A_MINUTE
from bot.console.limits import AtOnce, Rate

MESSAGES, PAGES = 60, 3


class Seconds:
    """A monotonic clock that a test moves."""

    now = 1000.0

    def monotonic(self) -> float:
        """Return the moment."""
        return self.now


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> Seconds:
    """Return the limits' clock."""
    clock = Seconds()
    monkeypatch.setattr(limits, "time", clock)
    return clock


def test_rate_is_that_of_any_minute_and_of_each_key(seconds: Seconds) -> None:
    rate = Rate(3)
    assert [rate.allows(("a",)) for _ in range(5)] == [True, True, True, False, False]
    assert rate.allows(("b",))
    seconds.now += 59
    assert not rate.allows(("a",))
    seconds.now += 1
    assert [rate.allows(("a",)) for _ in range(4)] == [True, True, True, False]


def test_what_was_turned_away_does_not_lengthen_the_wait(seconds: Seconds) -> None:
    rate = Rate(1)
    assert rate.allows(("a",))
    for _ in range(59):
        seconds.now += 1
        assert not rate.allows(("a",))
    seconds.now += 1
    assert rate.allows(("a",))


def test_what_is_taken_back_was_never_counted(seconds: Seconds) -> None:
    rate = Rate(1)
    for _ in range(5):
        assert rate.allows(("a",))
        rate.take_back(("a",))
    rate.take_back(("nobody",))


def test_quiet_keys_are_forgotten_and_busy_ones_are_not(seconds: Seconds) -> None:
    rate = Rate(1)
    for number in range(100):
        rate.allows((str(number),))
    seconds.now += 30
    rate.allows(("busy",))
    seconds.now += 30
    rate.allows(("now",))
    assert len(rate) == 2
    assert not rate.allows(("busy",))


def test_flood_of_keys_makes_room_at_the_cost_of_the_quietest_only(
    seconds: Seconds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MOST_KEYS", 100)
    rate = Rate(1)
    for number in range(1000):
        seconds.now += 0.001
        rate.allows((str(number),))
        rate.allows(("storming",))
        assert len(rate) <= 100
    assert not rate.allows(("storming",))
    assert not rate.allows(("999",))
    assert rate.allows(("0",))


def test_places_are_counted_per_key_and_given_back() -> None:
    places = AtOnce(2)
    with places.place(("a",)) as first, places.place(("a",)) as second, places.place(("a",)) as third:
        assert (first, second, third) == (True, True, False)
        with places.place(("b",)) as other:
            assert other
    with pytest.raises(KeyError), places.place(("a",)):
        raise KeyError
    with places.place(("a",)) as again:
        assert again
    assert len(places) == 0


# --- of a real process ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Yield a running it0 with low limits."""
    running = House(
        tmp_path_factory.mktemp("limits") / "home",
        WEBSOCKETS_PER_USER=str(PAGES),
        WEBSOCKET_OPENS_PER_MINUTE="12",
        CONSOLE_MESSAGES_PER_MINUTE=str(MESSAGES),
    )
    running.start()
    try:
        yield running
    finally:
        running.close()


async def someone(house: House, name: str, *, is_new: bool = True) -> Client:
    """Return a person's client in a session of its own, signed in and not yet connected."""
    if is_new:
        added = await asyncio.to_thread(house.command, "user", "add", name, "--role", "operator")
        assert added.returncode == 0, added.stderr
    link = (await asyncio.to_thread(house.command, "user", "link", name)).stdout
    client = Client(house)
    await client.sign_in(link.strip().rpartition("=")[2])
    return client


@asynccontextmanager
async def opened(client: Client) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """Yield one more page of a client."""
    assert client._session
    origin = {"Origin": client.house.url}
    async with client._session.ws_connect(f"{client.house.url}/ws/agent", headers=origin) as page:
        yield page


async def first_frame(page: aiohttp.ClientWebSocketResponse) -> dict[str, Any]:
    """Return what a page is told first."""
    frame: dict[str, Any] = await page.receive_json(timeout=10)
    return frame


async def test_one_page_too_many_is_told_so_and_comes_in_when_another_leaves(house: House) -> None:
    client, elsewhere = await someone(house, "pat"), await someone(house, "pat", is_new=False)
    other = await someone(house, "quinn")
    async with opened(client) as first, opened(client) as second:
        async with opened(elsewhere) as third:
            pages = (first, second, third)
            assert [(await first_frame(page))["type"] for page in pages] == ["hello"] * PAGES
            async with opened(client) as one_more:
                frame = await first_frame(one_more)
                assert (frame["type"], frame["code"]) == ("refused", "socket.too_many")
                assert str(PAGES) in frame["message"]
                assert (await one_more.receive(timeout=10)).type is aiohttp.WSMsgType.CLOSE
                assert one_more.close_code == 4429
            async with opened(other) as page:
                assert (await first_frame(page))["type"] == "hello"
        async with opened(client) as again:
            assert (await first_frame(again))["type"] == "hello"
    for each in (client, elsewhere, other):
        await each.close()


async def test_opens_a_minute_are_counted_over_a_persons_sessions(house: House) -> None:
    sessions = [await someone(house, "vera"), await someone(house, "vera", is_new=False)]
    statuses = []
    for number in range(20):
        try:
            async with opened(sessions[number % 2]):
                statuses.append(101)
        except aiohttp.WSServerHandshakeError as refused:
            statuses.append(refused.status)
    assert statuses == [101] * 12 + [429] * 8
    for session in sessions:
        await session.close()


async def pongs(page: aiohttp.ClientWebSocketResponse, count: int) -> list[str]:
    """Send pings; return the kind of each answer."""
    for _ in range(count):
        await page.send_str('{"type":"ping"}')
    answers = [await page.receive_json(timeout=10) for _ in range(count)]
    return [answer.get("code") or answer["type"] for answer in answers]


async def test_messages_a_minute_are_counted_over_a_persons_pages(house: House) -> None:
    client, other = await someone(house, "walt"), await someone(house, "xena")
    async with opened(client) as first, opened(client) as second, opened(other) as theirs:
        for page in (first, second, theirs):
            await first_frame(page)
        answers = await pongs(first, 40) + await pongs(second, 40)
        assert answers == ["pong"] * MESSAGES + ["message.too_many"] * 20
        assert await pongs(theirs, 10) == ["pong"] * 10
    await client.close()
    await other.close()


async def test_storm_of_wrong_links_is_stopped_for_its_address_only(house: House) -> None:
    storm = aiohttp.TCPConnector(local_addr=("127.0.0.2", 0))
    async with aiohttp.ClientSession(connector=storm) as session:
        statuses = []
        for number in range(FAILED_SIGN_INS_A_MINUTE + 5):
            async with session.post(f"{house.url}/login", data={"token": f"guess{number}"}) as response:
                statuses.append(response.status)
                words = await response.text()
    assert statuses == [401] * FAILED_SIGN_INS_A_MINUTE + [429] * 5
    assert "minute" in words
    await (await someone(house, "yara")).close()


async def test_link_of_one_who_was_let_out_makes_no_session(house: House) -> None:
    added = await asyncio.to_thread(house.command, "user", "add", "zoe", "--role", "admin")
    assert added.returncode == 0, added.stderr
    link = (await asyncio.to_thread(house.command, "user", "link", "zoe")).stdout.strip()
    await asyncio.to_thread(house.command, "user", "change", "zoe", "--inactive")
    again = await asyncio.to_thread(house.command, "user", "link", "zoe")
    assert again.returncode == 1
    admin = await someone(house, "admin", is_new=False)
    status, answer = await admin.post("/api/v1/users/zoe/link")
    assert (status, answer["code"]) == (422, "people.inactive")
    await asyncio.to_thread(house.command, "user", "change", "zoe", "--active")  # voided is voided
    token = {"token": link.rpartition("=")[2]}
    async with aiohttp.ClientSession() as session, session.post(f"{house.url}/login", data=token) as response:
        assert response.status == 401
    async with house.database() as db:
        zoe = f"SELECT id FROM {await house.schema()}.user WHERE name='zoe'"
        count = f"SELECT count(*) FROM it0_shared.web_session WHERE user_id=({zoe})"
        assert await db.fetchval(count) == 0
    await admin.close()


def test_nobody_else_reads_what_lies_in_the_home(house: House) -> None:
    assert stat.S_IMODE((house.home / "url").stat().st_mode) == 0o600
    assert (house.home / "url").read_text() == house.url


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("IT0_LANGUAGE", "fr", "zh"),
        ("LOG_LEVEL", "foo", "WARNING"),
        ("IT0_ENGINE", "unknown", "direct"),
        ("PUBLIC_URL", "it0.example", "https://"),
    ],
)
def test_setting_that_means_nothing_stops_the_start(
    tmp_path_factory: pytest.TempPathFactory, name: str, value: str, allowed: str
) -> None:
    wrong = House(tmp_path_factory.mktemp("wrong") / "home", **{name: value})
    try:
        ended = wrong.command("up")
        assert ended.returncode == 1
        assert name in ended.stderr
        assert allowed in ended.stderr
        assert "Traceback" not in ended.stderr
    finally:
        wrong.close()


async def test_new_conversation_is_told_to_its_persons_other_pages_only(house: House) -> None:
    client, other = await someone(house, "ulla"), await someone(house, "theo")
    await client.connect()
    async with opened(client) as mine, opened(other) as theirs:
        for page in (mine, theirs):
            await first_frame(page)
        await client.ask("hi there")
        assert await mine.receive_json(timeout=10) == {"type": "changed", "what": "conversations"}
        titles = [row["title"] for row in (await client.get("/api/v1/conversations"))["conversations"]]
        assert titles == ["hi there"]
        assert await pongs(theirs, 1) == ["pong"]  # and nothing came before it
    await client.close()
    await other.close()


async def test_card_names_who_has_approved_so_far(house: House) -> None:
    await asyncio.to_thread(house.command, "tenant", "set", "approvals_needed", "2")
    ina, kim = [await someone(house, name) for name in ("ina", "kim")]
    for name in ("ina", "kim"):
        await asyncio.to_thread(house.command, "user", "change", name, "--role", "admin")
    await ina.connect()
    await kim.connect()
    try:
        card = await ina.ask("/run local touch /tmp/never-made")
        approval = card["body"]["approval"]
        assert (approval["needed"], approval["voters"]) == (2, [])
        await kim.click(f"approve:{approval['id']}")
        settled = await ina.until(lambda: ina.of_kind(card["conversation"], "settled"))
        assert settled[-1]["body"]["approval"]["voters"] == ["kim"]
        listed = (await kim.get("/api/v1/approvals?status=pending"))["approvals"]
        assert [each["voters"] for each in listed] == [["kim"]]
        await ina.click(f"reject:{approval['id']}")
        await ina.until(lambda: len(ina.of_kind(card["conversation"], "settled")) == 2)
        listed = (await kim.get("/api/v1/approvals?status=rejected"))["approvals"]
        assert [(each["voters"], each["settled_by"]) for each in listed] == [(["kim"], "ina")]
    finally:
        await asyncio.to_thread(house.command, "tenant", "set", "approvals_needed", "1")
        await ina.close()
        await kim.close()


async def test_server_is_added_with_all_that_may_be_said_of_it(house: House) -> None:
    admin = await someone(house, "admin", is_new=False)
    told = {
        "environment": "staging",
        "role": "db",
        "tags": {"team": "shop", "数据": "库"},
        "ssh_options": {"keepalive_s": 20, "compression": True},
        "restricted": True,
        "shell": "sh",
        "description": "second of its kind",
    }
    status, answer = await admin.post("/api/v1/servers", {"name": "here", "connection": "local", **told})
    assert status == 201, answer
    listed = (await admin.get("/api/v1/servers"))["servers"]
    here = next(each for each in listed if each["name"] == "here")
    assert {name: here[name] for name in told} == told
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"ssh_options": {"proxy_command": "nc"}}, "server.bad_ssh_option"),
        ({"ssh_options": {"keepalive_s": "20"}}, "server.bad_ssh_option"),
        ({"tags": {"team": {"a": 1}}}, "api.unfit"),
        ({"tags": ["team"]}, "api.unfit"),
        ({"restricted": "yes"}, "api.unfit"),
        ({"shell": "zsh"}, "server.bad_shell"),
        ({"role": "king"}, "server.bad_role"),
        ({"environment": "test"}, "server.bad_environment"),
        ({"jump": "nobody"}, "error.no_such_server"),
        ({"description": "\0"}, "error.bad_input"),
    ]
    for more, code in wrong:
        status, answer = await admin.post("/api/v1/servers", {"name": "wrong", "connection": "local", **more})
        assert (status, answer["code"]) == (422, code), (more, json.dumps(answer))
    await admin.close()


@pytest.mark.long
async def test_click_in_a_suspended_tenant_runs_nothing_and_the_request_lapses(
    house: House, tmp_path_factory: pytest.TempPathFactory
) -> None:
    made = tmp_path_factory.mktemp("made") / "file"
    created = await asyncio.to_thread(house.command, "tenant", "create", "acme", "--plan", "pro", "--json")
    assert created.returncode == 0, created.stderr
    await asyncio.to_thread(house.command, "user", "add", "ann", "--role", "admin", "--tenant", "acme")
    link = await asyncio.to_thread(house.command, "user", "link", "ann", "--tenant", "acme")
    client = Client(house)
    await client.sign_in(link.stdout.strip().rpartition("=")[2])
    await client.connect()
    status, _ = await client.post("/api/v1/servers", {"name": "here", "connection": "local"})
    assert status == 201
    card = await client.ask(f"/run here touch {made}")
    approval = card["body"]["approval"]
    async with house.database() as db:
        await db.execute("UPDATE it0_shared.tenant SET status='suspended' WHERE slug='acme'")
    # At once, while this process still takes the tenant for an active one, and when it knows better.
    for count in (1, 2):
        await client.click(f"approve:{approval['id']}")
        await client.until(lambda count=count: len(client.refused) == count)  # type: ignore[misc]
        assert "suspended" in client.refused[-1]["message"]
        await asyncio.sleep(5.2 if count == 1 else 0)
    by_command = await asyncio.to_thread(
        house.command, "approval", "approve", approval["code"], "--as", "ann", "--tenant", "acme"
    )
    assert by_command.returncode == 1
    assert "suspended" in by_command.stderr
    listed = (await client.get("/api/v1/approvals"))["approvals"]
    assert [each["status"] for each in listed] == ["pending"]
    schema = await house.schema("acme")
    async with house.database() as db:  # its time passes
        await db.execute(f"UPDATE {schema}.approval SET expires_at = now()")
        await db.execute("UPDATE it0_shared.timer SET due_at = now() WHERE ref=$1", approval["id"])
    async with asyncio.timeout(20):
        while (await client.get("/api/v1/approvals"))["approvals"][0]["status"] != "expired":
            await asyncio.sleep(0.1)
    assert not made.exists()
    async with house.database() as db:
        assert await db.fetchval(f"SELECT count(*) FROM {schema}.run") == 0
        refused = f"SELECT count(*) FROM {schema}.audit WHERE action='approval.refused'"
        assert await db.fetchval(refused) >= 2
    await client.close()
