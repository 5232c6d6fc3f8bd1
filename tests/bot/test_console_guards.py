"""The console against whoever does not keep to its page: raw requests, ended sessions, forged buttons."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from support.house import Client, House, audit_of, running_house, signed_in
from support.staff import admin

from bot.console.origin import same_origin
from bot.web.connections import serve_by

__all__ = ["admin"]

GUARDED = ("content-security-policy", "x-content-type-options", "x-frame-options", "cache-control")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Yield a running it0."""
    with running_house(
        tmp_path_factory.mktemp("guards") / "home", WEBSOCKET_OPENS_PER_MINUTE="60"
    ) as running:
        yield running


def cookie_of(client: Client) -> str:
    """Return the header that carries a client's session."""
    assert client._session
    return "; ".join(f"{each.key}={each.value}" for each in client._session.cookie_jar)


async def raw(house: House, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send bytes; return (status, headers, body) of what came back before the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
    writer.write(request)
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return int(first.split()[1]), headers, body


def request(method: str, path: str, body: bytes = b"", **headers: str | bytes) -> bytes:
    """Return a request as bytes; header names have dashes for their underscores."""
    lines = [f"{method} {path} HTTP/1.1".encode("latin-1"), b"Host: it0", b"Connection: close"]
    for name, value in headers.items():
        given = value if isinstance(value, bytes) else value.encode()
        lines.append(name.replace("_", "-").encode() + b": " + given)
    if body:
        lines.append(f"Content-Length: {len(body)}".encode())
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


FORM = "application/x-www-form-urlencoded"
ODD = {
    "cookie": (request("GET", "/api/v1/me", Cookie=b"it0_session=\xff\xfe"), 401),
    "page": (request("GET", "/login", Cookie=b"it0_session=\xff", Accept="text/html"), 400),
    "form bytes": (request("POST", "/login", b"token=\xff\xfe", Content_Type=FORM), 401),
    "form charset": (request("POST", "/login", b"token=x", Content_Type=f"{FORM}; charset=no"), 400),
    "multipart": (request("POST", "/login", b"--x", Content_Type="multipart/form-data; boundary=x"), 400),
    "no boundary": (request("POST", "/login", b"--x", Content_Type="multipart/form-data"), 400),
    "multipart cut": (
        request(
            "POST",
            "/login",
            b'--x\r\nContent-Disposition: form-data; name="token"\r\n\r\nab',
            Content_Type="multipart/form-data; boundary=x",
        ),
        400,
    ),
    "gzip": (request("POST", "/login", b"no gzip", Content_Type=FORM, Content_Encoding="gzip"), 401),
    "long static": (request("GET", "/static/" + "a" * 5000), 404),
    "long file": (request("GET", "/static/" + "a" * 300), 404),
    "secret bytes": (request("GET", "/secret/a.\xff"), 400),
    "no http": (b"hello\r\n\r\n", 400),
    "bad header": (b"GET / HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n", 400),
    "null origin": (request("POST", "/login", b"token=x", Content_Type=FORM, Origin="null"), 403),
    "foreign": (request("POST", "/login", b"token=x", Content_Type=FORM, Origin="http://evil"), 403),
    "cross site": (
        request("POST", "/login", b"token=x", Content_Type=FORM, Sec_Fetch_Site="cross-site"),
        403,
    ),
    "own": (
        request("POST", "/login", b"token=x", Content_Type=FORM, Origin="null", Sec_Fetch_Site="same-origin"),
        401,
    ),
    "method": (request("PUT", "/login"), 405),
    "range": (request("GET", "/static/style.css", Range="bytes=99999999-"), 416),
}


@pytest.mark.parametrize("name", ODD)
async def test_odd_request_gets_a_sentence_and_the_headers(house: House, name: str) -> None:
    sent, expected = ODD[name]
    status, headers, body = await raw(house, sent)
    assert status in (expected, 400) if name == "form bytes" else status == expected, (status, body)
    assert body
    assert b"Traceback" not in body
    assert [each for each in GUARDED if each not in headers] == []
    if name != "range":  # its status is known only when the file is opened
        assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("kind", "body", "coding"),
    [
        ("application/json; charset=no-such", b"{}", ""),
        ("application/json; charset=utf-7", b"\xff", ""),
        ("application/json", b"\x1f\x8b garbage", "gzip"),
        ("application/json", b"garbage", "deflate"),
        ("application/json", b'{"name": "\\ud800", "role": "viewer"}', ""),
        ("application/json", b'{"name": "a\\u0000", "role": "viewer"}', ""),
        ("application/json", b"[" * 100_000, ""),
    ],
)
async def test_odd_body_on_a_route_gets_a_sentence(
    house: House, admin: Client, kind: str, body: bytes, coding: str
) -> None:
    more = {"Content_Encoding": coding} if coding else {}
    for path in ("users", "servers", "credentials"):
        sent = request(
            "POST",
            f"/api/v1/{path}",
            body,
            Cookie=cookie_of(admin),
            X_CSRF_Token=admin.csrf,
            Content_Type=kind,
            **more,
        )
        status, headers, answer = await raw(house, sent)
        assert status in (400, 415, 422), answer
        assert json.loads(answer)["detail"]
        assert "content-security-policy" in headers


async def test_nothing_of_all_that_was_an_error_of_ours(house: House, admin: Client) -> None:
    token = request("POST", "/logout", Cookie=cookie_of(admin), X_CSRF_Token=b"\xff\xfe")
    assert (await raw(house, token))[0] == 403
    assert "request_failed" not in house.log.read_text()
    assert "Traceback" not in house.log.read_text()


async def test_signing_in_leads_on_with_the_headers(house: House) -> None:
    link = (await asyncio.to_thread(house.command, "user", "link", "admin")).stdout.strip()
    body = b"token=" + link.rpartition("=")[2].encode()
    page = request("GET", "/login?token=x")
    assert (await raw(house, page))[1]["referrer-policy"] == "same-origin"
    status, headers, _ = await raw(house, request("POST", "/login", body, Content_Type=FORM))
    assert (status, headers["location"]) == (303, "/")
    assert "HttpOnly" in headers["set-cookie"]
    assert [each for each in GUARDED if each not in headers] == []


async def test_form_of_a_tenant_that_is_there_looks_like_any_other(house: House) -> None:
    answers = [
        await raw(house, request("GET", f"/secret/{slug}.x", Accept="text/html"))
        for slug in ("default", "nobody", "")
    ]
    assert {(status, body) for status, _, body in answers} == {(404, answers[0][2])}


async def test_local_server_has_no_key_to_trust_or_drop(admin: Client) -> None:
    for path, body in (("trust", {"fingerprint": "SHA256:x"}), ("distrust", {})):
        status, answer = await admin.post(f"/api/v1/servers/local/{path}", body)
        assert (status, answer["code"]) == (409, "server.has_no_key")
    local = next(s for s in (await admin.get("/api/v1/servers"))["servers"] if s["name"] == "local")
    assert local["status"] == "active"
    assert await audit_of(admin, "server.distrust") == []


async def test_signed_out_session_loses_its_socket_at_once_and_another_keeps_its_own(
    house: House, admin: Client
) -> None:
    client, other = await signed_in(house, "sia", "operator"), await signed_in(house, "sia")
    await client.connect()
    await other.connect()
    card = await client.ask("/run local touch /tmp/never-made")
    assert (await client.post("/logout"))[0] == 200
    async with asyncio.timeout(1):
        while client.connected:
            await asyncio.sleep(0.01)
    assert client._socket
    assert client._socket.close_code == 4401
    await asyncio.sleep(0.2)
    assert other.connected
    await other.click(f"reject:{card['body']['approval']['id']}")
    await other.until(lambda: other.accepted)
    assert (await audit_of(admin, "user.sign_out"))[0]["channel"] == "console"
    await client.close()
    await other.close()


async def test_ended_session_is_not_taken_from_though_its_socket_is_open(house: House) -> None:
    client = await signed_in(house, "lou", "operator")
    await client.connect()
    async with house.database() as db:  # as another process would, of which this one hears nothing
        user = await db.fetchval(f"SELECT id FROM {await house.schema()}.user WHERE name='lou'")
        await db.execute("UPDATE it0_shared.web_session SET ended_at = now() WHERE user_id = $1", user)
        event_id = await client.say("/run local uptime")
        async with asyncio.timeout(2):
            while client.connected:
                await asyncio.sleep(0.01)
        assert (
            await db.fetchval("SELECT count(*) FROM it0_shared.inbox WHERE event_id LIKE $1", f"%{event_id}")
            == 0
        )
    assert event_id not in client.accepted
    await client.close()


@pytest.mark.long
async def test_person_who_is_let_out_at_the_command_line_reads_no_more_within_seconds(house: House) -> None:
    client = await signed_in(house, "gus", "viewer")
    await client.connect()
    await asyncio.to_thread(house.command, "user", "change", "gus", "--inactive")
    async with asyncio.timeout(7):
        while client.connected:
            await asyncio.sleep(0.05)
    await client.close()


async def test_what_a_viewer_is_refused_is_on_record_once_a_minute(house: House, admin: Client) -> None:
    client = await signed_in(house, "vic", "viewer")
    for _ in range(3):
        assert (await client.post("/api/v1/users", {"name": "eve", "role": "admin"}))[0] == 403
    assert (await client.post("/api/v1/halt"))[0] == 403
    client.csrf = "forged"
    assert (await client.post("/api/v1/users", {"name": "eve", "role": "admin"}))[0] == 403
    await client.connect()
    await client.click("approve:nobody")
    await client.click("explode:1")
    await client.until(lambda: len(client.refused) == 2)
    await client.ask("/halt")
    rows = [row for row in await audit_of(admin, "user.refused") if row["actor"] == "vic"]
    told = {
        (d["what"], d.get("route") or d.get("button") or d["command"], d.get("code"))
        for d in (r["detail"] for r in rows)
    }
    assert told == {
        ("request", "POST /api/v1/users", "error.admins_only"),
        ("request", "POST /api/v1/halt", "halt.operators_only"),
        ("request", "POST /api/v1/users", "error.csrf"),
        ("button", "approve:nobody", None),
        ("button", "explode:1", None),
        ("command", "/halt", "halt.operators_only"),
    }
    assert len(rows) == 6
    await client.close()


async def test_escaped_pair_is_a_character_and_a_half_is_refused(house: House) -> None:
    client = await signed_in(house, "emo", "viewer")
    await client.connect()

    def message(text: str) -> str:
        begin = f'{{"type":"say","conversation":null,"id":"{text[-4:]}","thread":"emoji-{text[-4:]}",'
        return f'{begin}"text":"{text}"}}'

    await client.raw(message("\\ud83d\\ude00 hello 0001"))
    await client.until(lambda: client.accepted)
    title = (await client.get("/api/v1/conversations"))["conversations"][0]["title"]
    assert title == "😀 hello 0001"
    for odd in ("\\ud83d 0002", "\\ude00\\ud83d 0003", "\\u0000 0004"):
        before = len(client.refused)
        await client.raw(message(odd))
        await client.until(lambda before=before: len(client.refused) > before)  # type: ignore[misc]
        assert client.refused[-1]["code"] == "error.bad_input"
    await client.raw(message("é" * 40_000))
    await client.until(lambda: client.refused[-1]["code"] == "socket.too_long")
    assert "80" in client.refused[-1]["message"]
    await client.close()


async def test_all_that_waits_can_be_read_page_by_page(house: House, admin: Client) -> None:
    card = await admin.ask("/run local touch /tmp/never-made-either")
    schema = await house.schema()
    async with house.database() as db:
        row = dict(
            await db.fetchrow(f"SELECT * FROM {schema}.approval WHERE id=$1", card["body"]["approval"]["id"])
        )
        columns = ", ".join(row)
        others = ", ".join(c for c in row if c not in ("id", "step"))
        await db.execute(
            f"INSERT INTO {schema}.approval ({others}, id, step) SELECT {others}, 'copy-' || n, 1000 + n "
            f"FROM (SELECT {columns} FROM {schema}.approval WHERE id=$1) a, generate_series(1, 450) n",
            row["id"],
        )
        found: list[str] = []
        sizes = []
        cursor: str | None = ""
        while cursor is not None:
            answer = await admin.get(f"/api/v1/approvals?status=pending&cursor={cursor}")
            ids = [each["id"] for each in answer["approvals"]]
            found += ids
            sizes.append(len(ids))
            cursor = answer["next"]
        waiting = await db.fetchval(f"SELECT count(*) FROM {schema}.approval WHERE status='pending'")
        assert len(found) == len(set(found)) == waiting >= 451
        assert sizes[:2] == [200, 200]
        assert (await admin.get("/api/v1/approvals?status=pending&cursor=none"))["status"] == 422
        await db.execute(f"DELETE FROM {schema}.approval WHERE id LIKE 'copy-%'")


async def test_commands_in_a_list_are_data_of_their_own(house: House, admin: Client, tmp_path: Path) -> None:
    evil = f"touch {tmp_path}/a # `x` **AP-9** L0 http://127.0.0.1:{house.port}/"
    card = await admin.ask(f"/run local {evil}")
    reply = await admin.ask("/approvals")
    parts = reply["body"]["parts"]
    entry = next(part for part in parts if part.get("code") == evil)
    assert entry["title"] == card["body"]["approval"]["code"]
    assert all(part.get("plain") for part in parts if "text" in part)
    assert not any(evil in part.get("text", "") for part in parts)
    await admin.click(f"reject:{card['body']['approval']['id']}")
    form = await admin.ask("/credential fleet")
    assert [part.get("plain", False) for part in form["body"]["parts"]] == [True, False]


class Asked:
    """What same_origin looks at."""

    def __init__(self, host: str, origin: str | None) -> None:
        self.host = host
        self.headers = {} if origin is None else {"Origin": origin}


@pytest.mark.parametrize(
    ("host", "origin", "secure", "is_ours"),
    [
        ("it0.example", "https://it0.example", True, True),
        ("it0.example", "http://it0.example", True, False),
        ("it0.example", "http://it0.example", False, True),
        ("it0.example", "ftp://it0.example", False, False),
        ("it0.example", "null", False, False),
        ("it0.example", None, False, False),
        ("", "", False, False),
        ("", None, False, False),
        ("", "http://", False, False),
        ("it0.example:80", "http://it0.example", False, False),
        ("it0.example", "http://[", False, False),
    ],
)
def test_only_our_own_pages_are_of_our_origin(
    host: str, origin: str | None, secure: bool, is_ours: bool
) -> None:
    assert same_origin(Asked(host, origin), secure) is is_ours  # type: ignore[arg-type]


async def test_connection_that_sends_no_whole_request_is_closed() -> None:
    app = web.Application()

    async def slowly(_: web.Request) -> web.Response:
        await asyncio.sleep(1)
        return web.Response(text="done")

    app.router.add_get("/", slowly)
    serve_by(app, idle_s=0.2)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    try:
        for begun in (b"", b"GET / HTT", b"GET / HTTP/1.1\r\nHost: x\r\n"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(begun)
            async with asyncio.timeout(2):
                assert await reader.read() == b""
            writer.close()
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/") as response:
            assert await response.text() == "done"
    finally:
        await runner.cleanup()
