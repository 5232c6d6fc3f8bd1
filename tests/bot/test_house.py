"""The whole of it0 as its users meet it: a process of its own, its console, a real SSH server."""

import asyncio
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from support.house import Client, House, audit_of, running_house, words_of
from support.sshd import SSHD, Sshd, relay_to, start_sshd
from support.staff import admin, connected, olga, victor

__all__ = ["admin", "olga", "victor"]

needs_sshd = pytest.mark.skipif(not SSHD, reason="there is no OpenSSH server here")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Yield a running it0."""
    with running_house(tmp_path_factory.mktemp("house") / "home", CONNECT_TIMEOUT_S="3") as running:
        yield running


async def test_read_runs_at_once_and_its_output_is_the_answer(admin: Client) -> None:
    reply = await admin.ask("check disk on local")
    assert "Filesystem" in words_of(reply)


async def test_change_waits_for_a_click_and_then_runs_once(admin: Client, tmp_path: Path) -> None:
    made = tmp_path / "made"
    card = await admin.ask(f"/run local touch {made}")
    assert card["body"]["approval"]["command"] == f"touch {made}"
    assert not made.exists()
    await admin.click(f"approve:{card['body']['approval']['id']}")
    await admin.until(lambda: admin.of_kind(card["conversation"], "reply"))
    assert made.exists()
    assert (await audit_of(admin, "command.intent"))[0]["approver"] == "admin"


async def test_rejection_runs_nothing(admin: Client, tmp_path: Path) -> None:
    card = await admin.ask(f"/run local touch {tmp_path / 'never'}")
    await admin.click(f"reject:{card['body']['approval']['id']}")
    await admin.until(lambda: admin.of_kind(card["conversation"], "reply"))
    assert not (tmp_path / "never").exists()


async def test_forbidden_command_is_refused_and_audited_without_a_card(admin: Client) -> None:
    reply = await admin.ask("/run local rm -rf /")
    assert reply["kind"] == "reply"
    assert not admin.of_kind(reply["conversation"], "card")
    assert (await audit_of(admin, "command.refused"))[0]["detail"]["command"] == "rm -rf /"


async def test_operator_may_not_decide_what_admins_decide(
    admin: Client, olga: Client, tmp_path: Path
) -> None:
    card = await olga.ask(f"/run local touch {tmp_path / 'x'}")
    approval = card["body"]["approval"]
    assert not approval["may_decide"]
    await olga.click(f"approve:{approval['id']}")
    await asyncio.sleep(0.5)
    waiting = (await admin.get("/api/v1/approvals?status=pending"))["approvals"]
    assert approval["id"] in [each["id"] for each in waiting]
    assert (await audit_of(admin, "approval.refused"))[0]["actor"] == "olga"
    await admin.click(f"approve:{approval['id']}")
    await olga.until(lambda: olga.of_kind(card["conversation"], "reply"))
    assert (tmp_path / "x").exists()


async def test_viewer_causes_no_command(victor: Client) -> None:
    reply = await victor.ask("check disk on local")
    assert "operator" in words_of(reply).lower()
    assert not victor.of_kind(reply["conversation"], "card")


async def test_late_click_learns_who_was_first(admin: Client, tmp_path: Path) -> None:
    card = await admin.ask(f"/run local touch {tmp_path / 'y'}")
    button = f"approve:{card['body']['approval']['id']}"
    await admin.click(button)
    await admin.until(lambda: admin.of_kind(card["conversation"], "reply"))
    before = len(admin.refused)
    await admin.click(button)
    await admin.until(lambda: len(admin.refused) > before)
    assert "admin" in admin.refused[-1]["message"]
    assert (await audit_of(admin, "approval.late"))[0]["actor"] == "admin"


async def test_four_eyes_keeps_the_requester_from_deciding(
    house: House, admin: Client, tmp_path: Path
) -> None:
    await asyncio.to_thread(house.command, "tenant", "set", "four_eyes", "on")
    second = await connected(house, "anna", "admin")
    try:
        card = await admin.ask(f"/run local touch {tmp_path / 'z'}")
        approval = card["body"]["approval"]
        assert not approval["may_decide"]
        await second.click(f"approve:{approval['id']}")
        await admin.until(lambda: admin.of_kind(card["conversation"], "reply"))
        assert (tmp_path / "z").exists()
    finally:
        await asyncio.to_thread(house.command, "tenant", "set", "four_eyes", "off")
        await second.close()


async def test_stop_ends_a_turns_command_on_the_server(admin: Client) -> None:
    event_id = await admin.say("/run local sleep 47.11")
    conversation = (await admin.until(lambda: admin.accepted.get(event_id)))["conversation"]
    await wait_for(lambda: is_running("sleep 47.11"))
    await admin.say("/stop", conversation)
    await admin.until(lambda: len(admin.of_kind(conversation, "reply")) >= 2)
    assert not is_running("sleep 47.11")


async def test_stop_ends_an_approved_act_on_the_server(admin: Client, tmp_path: Path) -> None:
    card = await admin.ask(f"/run local touch {tmp_path}/a && sleep 47.12")
    await admin.click(f"approve:{card['body']['approval']['id']}")
    await wait_for(lambda: is_running("sleep 47.12"))
    await admin.say("/stop", card["conversation"])
    await admin.until(lambda: len(admin.of_kind(card["conversation"], "reply")) >= 2)
    assert not is_running("sleep 47.12")


async def test_halt_stops_everything_until_an_admin_resumes(admin: Client, olga: Client) -> None:
    await admin.say("/run local sleep 48.13")
    await wait_for(lambda: is_running("sleep 48.13"))
    await olga.ask("/halt")
    await wait_for(lambda: not is_running("sleep 48.13"))
    refused = await admin.ask("check disk on local")
    assert "Filesystem" not in words_of(refused)
    assert "admin" in words_of(await olga.ask("/resume")).lower()
    await admin.ask("/resume")
    assert "Filesystem" in words_of(await admin.ask("check disk on local"))


async def test_message_typed_during_a_turn_waits_and_is_answered_after_it(admin: Client) -> None:
    event_id = await admin.say("/run local sleep 2")
    conversation = (await admin.until(lambda: admin.accepted.get(event_id)))["conversation"]
    await admin.say("check disk on local", conversation)
    await admin.until(lambda: len(admin.of_kind(conversation, "reply")) >= 2)
    assert any(frame["kind"] == "state" and "waits" in frame["data"] for frame in admin.live)
    assert "Filesystem" in words_of(admin.of_kind(conversation, "reply")[1])


async def test_every_answer_is_in_the_users_language(house: House) -> None:
    added = await asyncio.to_thread(
        house.command, "user", "add", "李雷", "--role", "operator", "--language", "zh"
    )
    assert added.returncode == 0, added.stderr
    client = await connected(house, "李雷")
    try:
        reply = await client.ask("检查 local 的磁盘")
        assert re.search("[一-鿿]", words_of(reply))
        assert "Filesystem" in words_of(reply)
    finally:
        await client.close()


@pytest.mark.parametrize(
    "frame",
    ["", "garbage", "[]", "1", '{"type":1}', '{"type":"say"}', '{"type":"say","id":"a","text":5}',
     '{"type":"open","conversation":"nobody","after":0}', '{"type":"click","id":"q1","button":5}',
     '{"type":"say","id":"","conversation":null,"thread":"abcdefgh","text":"x"}',
     '{"type":"say","id":"e","conversation":null,"thread":"short","text":"x"}',
     '{"type":"say","id":"f","conversation":null,"thread":"a:bcdefgh","text":"x"}', "[" * 5000],
)  # fmt: skip
async def test_garbage_on_the_socket_gets_a_sentence_and_the_page_goes_on(admin: Client, frame: str) -> None:
    before = len(admin.refused)
    await admin.raw(frame)
    await admin.until(lambda: len(admin.refused) > before)
    assert admin.refused[-1]["message"]
    assert words_of(await admin.ask("hi"))


async def test_message_of_a_megabyte_is_refused_with_a_sentence(house: House) -> None:
    client = await connected(house, "admin")
    try:
        event_id = await client.say("x" * 1_000_000)
        await asyncio.sleep(1)
        assert event_id not in client.accepted
    finally:
        await client.close()
    other = await connected(house, "admin")
    event_id = await other.say("x" * 65_000)
    await other.until(lambda: other.refused)
    assert str(65_000) in other.refused[-1]["message"] or "6" in other.refused[-1]["message"]
    await other.close()


@pytest.mark.parametrize("button", ["approve:nobody", "explode:1", "", "approve:", "x" * 5000])
async def test_unknown_button_gets_a_sentence(admin: Client, button: str) -> None:
    before = len(admin.refused)
    await admin.click(button)
    await admin.until(lambda: len(admin.refused) > before)
    assert admin.refused[-1]["message"]


ROUTES = [
    ("GET", "/api/v1/me"), ("GET", "/api/v1/conversations"), ("GET", "/api/v1/approvals"),
    ("GET", "/api/v1/servers"), ("GET", "/api/v1/credentials"), ("GET", "/api/v1/users"),
    ("GET", "/api/v1/audit"), ("GET", "/api/v1/runs/x"), ("GET", "/api/v1/texts/en"),
    ("POST", "/api/v1/servers"), ("PATCH", "/api/v1/servers/local"), ("DELETE", "/api/v1/servers/local"),
    ("POST", "/api/v1/servers/local/trust"), ("POST", "/api/v1/servers/local/check"),
    ("POST", "/api/v1/servers/local/distrust"),
    ("POST", "/api/v1/credentials"), ("DELETE", "/api/v1/credentials/x"),
    ("POST", "/api/v1/users"), ("PATCH", "/api/v1/users/admin"),
    ("POST", "/api/v1/users/admin/link"), ("PATCH", "/api/v1/me"),
    ("POST", "/api/v1/halt"), ("POST", "/api/v1/resume"), ("POST", "/logout"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_route_refuses_strangers(house: House, method: str, path: str) -> None:
    async with aiohttp.ClientSession() as session, session.request(method, house.url + path) as response:
        assert response.status == 401


@pytest.mark.parametrize(("method", "path"), [each for each in ROUTES if each[0] != "GET"])
async def test_route_refuses_a_request_without_the_pages_token(admin: Client, method: str, path: str) -> None:
    assert admin._session
    async with admin._session.request(method, admin.house.url + path, json={}) as response:
        assert response.status == 403


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"name": 1}', b"\xff\xfe", b'{"name": "' + b"x" * 300_000 + b'"}']
)
@pytest.mark.parametrize("path", ["/api/v1/servers", "/api/v1/credentials", "/api/v1/users"])
async def test_garbage_on_a_route_gets_a_sentence(admin: Client, path: str, body: bytes) -> None:
    assert admin._session
    headers = {"X-CSRF-Token": admin.csrf, "Content-Type": "application/json"}
    async with admin._session.post(admin.house.url + path, data=body, headers=headers) as response:
        assert 400 <= response.status < 500
        assert (await response.json(content_type=None))["detail"]


async def test_viewer_sees_neither_audit_nor_people(victor: Client) -> None:
    for path in ("/api/v1/audit", "/api/v1/users"):
        assert (await victor.get(path))["status"] == 403


async def test_one_persons_conversation_is_not_anothers(admin: Client, olga: Client) -> None:
    conversation = (await admin.ask("hi"))["conversation"]
    await olga.raw(json.dumps({"type": "open", "conversation": conversation, "after": 0}))
    await olga.until(lambda: olga.refused)
    assert (await olga.get(f"/api/v1/conversations/{conversation}/events"))["status"] == 404


async def test_foreign_origin_opens_no_socket(admin: Client) -> None:
    assert admin._session
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await admin._session.ws_connect(
            f"{admin.house.url}/ws/agent", headers={"Origin": "https://evil.example"}
        )
    assert refused.value.status == 403


async def test_sign_in_link_works_once_and_a_get_uses_nothing_up(house: House) -> None:
    link = (await asyncio.to_thread(house.command, "user", "link", "admin")).stdout.strip()
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        async with session.get(link) as shown:
            assert shown.status == 200
            assert "frame-ancestors 'none'" in shown.headers["Content-Security-Policy"]
        token = link.rpartition("=")[2]
        async with session.post(f"{house.url}/login", data={"token": token}) as first:
            assert first.status == 200
        async with session.post(f"{house.url}/login", data={"token": token}) as second:
            assert second.status == 401


async def test_health_readiness_and_metrics_answer(house: House) -> None:
    async with aiohttp.ClientSession() as session:
        for path in ("/healthz", "/readyz", "/metrics"):
            async with session.get(house.url + path) as response:
                assert response.status == 200
                text = await response.text()
        assert "it0_messages_total" in text
        assert "it0_requests_refused_total" in text
        assert "it0_loop_lag_seconds_bucket" in text


async def test_doctor_and_audit_find_nothing_wrong(house: House) -> None:
    for words in (("doctor",), ("doctor", "--json"), ("audit", "verify")):
        found = await asyncio.to_thread(house.command, *words)
        assert found.returncode == 0, found.stdout + found.stderr


# --- a real SSH server ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """Yield a real OpenSSH server."""
    server = start_sshd(tmp_path_factory.mktemp("sshd"))
    try:
        yield server
    finally:
        server.stop()


async def add_server(house: House, sshd: Sshd, name: str, port: int = 0) -> str:
    """Add a server by the command line and trust its key; return the fingerprint."""
    key = sshd.client_key.decode()
    await asyncio.to_thread(
        house.command, "credential", "add", f"key-{name}", "--type", "ssh_key", "--file", "-", given=key
    )
    words = [
        "server",
        "add",
        name,
        "--host",
        "127.0.0.1",
        "--port",
        str(port or sshd.port),
        "--user",
        sshd.user,
    ]
    added = await asyncio.to_thread(house.command, *words, "--credential", f"key-{name}", "--json")
    assert added.returncode == 0, added.stderr
    shown = str(json.loads(added.stdout)["fingerprint"])
    trusted = await asyncio.to_thread(house.command, "server", "trust", name, shown)
    assert trusted.returncode == 0, trusted.stderr
    return shown


@needs_sshd
async def test_server_is_added_trusted_and_looked_after(house: House, admin: Client, sshd: Sshd) -> None:
    await add_server(house, sshd, "web-1")
    reply = await admin.ask("/run web-1 uptime")
    assert "load average" in words_of(reply)
    assert (await asyncio.to_thread(house.command, "server", "check", "web-1")).returncode == 0


@needs_sshd
async def test_untrusted_server_runs_nothing(house: House, admin: Client, sshd: Sshd) -> None:
    await add_server(house, sshd, "web-2")
    await asyncio.to_thread(house.command, "server", "distrust", "web-2")
    assert "load average" not in words_of(await admin.ask("/run web-2 uptime"))


@needs_sshd
async def test_server_is_added_in_chat_and_its_key_confirmed_by_a_card(
    house: House, admin: Client, sshd: Sshd
) -> None:
    key = sshd.client_key.decode()
    await asyncio.to_thread(
        house.command, "credential", "add", "chatkey", "--type", "ssh_key", "--file", "-", given=key
    )
    card = await admin.ask(
        f"/server add chat-1 127.0.0.1 port={sshd.port} user={sshd.user} credential=chatkey"
    )
    assert card["body"]["approval"]["kind"] == "trust"
    await admin.click(f"approve:{card['body']['approval']['id']}")
    await admin.until(lambda: admin.of_kind(card["conversation"], "reply"))
    assert "load average" in words_of(await admin.ask("/run chat-1 uptime"))


@needs_sshd
async def test_changed_host_key_is_refused_by_name(house: House, admin: Client, tmp_path: Path) -> None:
    first = start_sshd(tmp_path / "first")
    shown = await add_server(house, first, "moved")
    first.stop()
    second = start_sshd(tmp_path / "second", port=first.port)
    try:
        words = words_of(await admin.ask("/run moved uptime"))
        assert "load average" not in words
        assert shown in words
    finally:
        second.stop()


@needs_sshd
async def test_hanging_server_gets_its_sentence_in_time(house: House, admin: Client, sshd: Sshd) -> None:
    async with relay_to(sshd.port) as relay:
        await add_server(house, sshd, "slow", relay.port)
        relay.hanging = True
        reply = await admin.ask("/run slow uptime", timeout_s=15)
        assert "slow" in words_of(reply)
        assert "load average" not in words_of(reply)


@needs_sshd
async def test_flood_of_output_is_capped_and_says_so(house: House, admin: Client, sshd: Sshd) -> None:
    await add_server(house, sshd, "loud")
    reply = await admin.ask("/run loud seq 1 3000000", timeout_s=60)
    assert reply["kind"] == "reply"
    assert len(words_of(reply)) < 100_000
    assert "3000000" in words_of(reply)


@needs_sshd
async def test_secret_never_shows_up_anywhere(
    house: House, admin: Client, sshd: Sshd, tmp_path: Path
) -> None:
    canary = "canary-9f1c7e55aa-secret"
    await asyncio.to_thread(
        house.command, "credential", "add", "canary", "--type", "ssh_password", "--file", "-", given=canary
    )
    reply = await admin.ask(f"/run local echo {canary}")
    if reply["kind"] == "card":
        await admin.click(f"approve:{reply['body']['approval']['id']}")
        await admin.until(lambda: admin.of_kind(reply["conversation"], "reply"))
        words = words_of(admin.of_kind(reply["conversation"], "reply")[-1])
    else:
        words = words_of(reply)
    output = [part["code"] for part in reply["body"].get("parts", []) if "code" in part]
    assert not any(canary in each for each in output), words
    assert canary not in house.log.read_text()
    dump = await asyncio.to_thread(dump_of, house)
    assert canary not in dump.replace(f"echo {canary}", "")


def dump_of(house: House) -> str:
    """Return credentials and outputs as the database holds them, with the process list beside it."""
    url = f"postgresql://it0_owner@/it0?host={house.home / 'postgres'}&port=5432"
    import asyncpg

    async def read() -> str:
        db = await asyncpg.connect(url)
        schema = "it0_t_" + await db.fetchval("SELECT id FROM it0_shared.tenant WHERE slug='default'")
        rows = [str(row) for row in await db.fetch(f"SELECT * FROM {schema}.credential")]
        rows += [str(row) for row in await db.fetch(f"SELECT stdout, stderr FROM {schema}.run_target")]
        await db.close()
        return "\n".join(rows)

    return (
        asyncio.run(read())
        + subprocess.run(["ps", "auxww"], capture_output=True, text=True, check=True).stdout
    )


def is_running(marker: str) -> bool:
    """Return whether a command runs on this machine."""
    return subprocess.run(["pgrep", "-f", f"^{marker}"], capture_output=True, check=False).returncode == 0


async def wait_for(condition: Any, timeout_s: float = 10) -> None:
    """Wait until ``condition`` is true."""
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.1)


# --- what else is promised --------------------------------------------------------------------------------


async def test_suspended_tenant_gets_one_polite_sentence(house: House) -> None:
    made = await asyncio.to_thread(house.command, "tenant", "create", "acme", "--plan", "free", "--json")
    assert made.returncode == 0, made.stderr
    await asyncio.to_thread(house.command, "user", "add", "ann", "--role", "admin", "--tenant", "acme")
    link = await asyncio.to_thread(house.command, "user", "link", "ann", "--tenant", "acme")
    client = Client(house)
    await client.sign_in(link.stdout.strip().rpartition("=")[2])
    await client.connect()
    assert "Filesystem" not in words_of(await client.ask("check disk on local"))  # another tenant's server
    suspended = await asyncio.to_thread(house.command, "tenant", "suspend", "acme")
    assert suspended.returncode == 0, suspended.stderr
    assert "suspended" in words_of(await client.ask("hi"))  # at once, though its handle is kept for seconds
    await client.close()


@pytest.mark.parametrize("check_s", ["600", "0.5"], ids=["over Redis", "by looking"])
async def test_person_who_is_let_out_at_the_command_line_is_signed_out(house: House, check_s: str) -> None:
    more = {"REDIS_URL": ""} if check_s == "0.5" else {}
    other, name = house.replica(SESSION_CHECK_S=check_s, **more), f"leaver-{check_s}"
    await asyncio.to_thread(other.start, "bot")
    client = Client(other)
    try:
        await asyncio.to_thread(house.command, "user", "add", name, "--role", "operator")
        link = await asyncio.to_thread(house.command, "user", "link", name)
        await client.sign_in(link.stdout.strip().rpartition("=")[2])
        await client.connect()
        changed = await asyncio.to_thread(house.command, "user", "change", name, "--inactive")
        assert changed.returncode == 0, changed.stderr
        await client.until(lambda: not client.connected)
    finally:
        await client.close()
        other.close()


async def test_secret_form_takes_one_secret_once(house: House, admin: Client) -> None:
    link = words_of(await admin.ask("/credential form-key ssh_password")).splitlines()[-1]
    async with aiohttp.ClientSession() as session:
        async with session.get(link) as shown:
            assert shown.status == 200
            assert 'type="password"' in await shown.text()
        async with session.post(link, data={"secret": "correct horse battery"}) as first:
            assert first.status == 200
        async with session.post(link, data={"secret": "again"}) as second:
            assert second.status == 404
    names = [row["name"] for row in (await admin.get("/api/v1/credentials"))["credentials"]]
    assert names.count("form-key") == 1


async def test_requester_hears_at_once_that_nobody_can_decide(
    house: House, admin: Client, tmp_path: Path
) -> None:
    await asyncio.to_thread(house.command, "tenant", "set", "approvals_needed", "20")
    try:
        event_id = await admin.say(f"/run local touch {tmp_path}/q")
        conversation = (await admin.until(lambda: admin.accepted.get(event_id)))["conversation"]
        await admin.until(lambda: admin.of_kind(conversation, "card"))
        told = await admin.until(lambda: admin.of_kind(conversation, "reply"))
        assert words_of(told[0])
    finally:
        await asyncio.to_thread(house.command, "tenant", "set", "approvals_needed", "1")


async def test_expired_approval_runs_nothing_and_says_so(house: House, admin: Client, tmp_path: Path) -> None:
    card = await admin.ask(f"/run local touch {tmp_path}/late")
    approval = card["body"]["approval"]
    schema = await house.schema()
    async with house.database() as db:  # its time passes
        await db.execute(f"UPDATE {schema}.approval SET expires_at = now() WHERE id=$1", approval["id"])
        await db.execute("UPDATE it0_shared.timer SET due_at = now() WHERE ref=$1", approval["id"])
    await admin.until(lambda: admin.of_kind(card["conversation"], "reply"))
    before = len(admin.refused)
    await admin.click(f"approve:{approval['id']}")
    await admin.until(lambda: len(admin.refused) > before)
    assert not (tmp_path / "late").exists()
    assert (await audit_of(admin, "approval.expired"))[0]["resource"].endswith(approval["id"])


async def test_audit_is_exported_row_by_row(house: House) -> None:
    exported = await asyncio.to_thread(house.command, "audit", "export")
    rows = [json.loads(line) for line in exported.stdout.splitlines()]
    assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))


async def test_commands_whole_record_is_kept(admin: Client) -> None:
    reply = await admin.ask("/run local seq 1 20")
    run = await admin.get(f"/api/v1/runs/{reply['turn']}-0")
    assert run["run"]["command"] == "seq 1 20"
    assert run["targets"][0]["stdout"].split() == [str(n) for n in range(1, 21)]
    assert run["targets"][0]["exit_code"] == 0


async def test_sockets_opened_too_fast_are_refused(house: House) -> None:
    client = await connected(house, "victor")
    assert client._session
    statuses = []
    for _ in range(40):
        try:
            socket = await client._session.ws_connect(f"{house.url}/ws/agent", headers={"Origin": house.url})
            await socket.close()
            statuses.append(101)
        except aiohttp.WSServerHandshakeError as refused:
            statuses.append(refused.status)
    assert statuses.count(101) <= 30
    assert statuses[-1] == 429
    await client.close()


async def test_deactivated_person_is_out_at_once(house: House, admin: Client, tmp_path: Path) -> None:
    gone = await connected(house, "gone", "admin")
    await asyncio.to_thread(house.command, "user", "change", "gone", "--inactive")
    assert (await gone.get("/api/v1/me"))["status"] == 401
    card = await admin.ask(f"/run local touch {tmp_path}/g")
    await gone.click(f"approve:{card['body']['approval']['id']}")
    await asyncio.sleep(1)
    assert not (tmp_path / "g").exists()
    await admin.click(f"reject:{card['body']['approval']['id']}")
    await gone.close()
