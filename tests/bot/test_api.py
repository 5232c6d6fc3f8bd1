"""The JSON API on a real it0: keys, tokens, roles, limits, and whether it does as its document says."""

import asyncio
import json
import re
import secrets
import shlex
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import jwt
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import CHECKS, load_all_checks
from support.house import Client, House, signed_in

ROOT = Path(__file__).parents[2]
ORIGIN = "https://ops.example.com"
A_MINUTE = 100_000


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Yield a running it0."""
    running = House(
        tmp_path_factory.mktemp("api") / "home", CORS_ORIGINS=ORIGIN, API_REQUESTS_PER_MINUTE=str(A_MINUTE)
    )
    running.start()
    try:
        yield running
    finally:
        running.close()


def new_key(house: House, role: str = "admin", *more: str) -> tuple[str, str]:
    """Return (name, token) of a new key."""
    name = f"key-{secrets.token_hex(4)}"
    made = house.command("key", "new", name, "--role", role, "--json", *more)
    assert made.returncode == 0, made.stderr
    return name, str(json.loads(made.stdout)["token"])


@pytest.fixture(scope="module")
def admin(house: House) -> str:
    """Return an admin's key."""
    return new_key(house)[1]


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """Yield a client without cookies."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield session


class Api:
    """Calls with one token."""

    def __init__(self, house: House, http: aiohttp.ClientSession, token: str) -> None:
        self._root = f"{house.url}/api/v1"
        self._http = http
        self._token = token
        self.headers: Any = {}

    async def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Return (status, JSON or None)."""
        given = {"Authorization": f"Bearer {self._token}"} | {
            k.replace("_", "-"): v for k, v in headers.items()
        }
        async with self._http.request(method, self._root + path, json=body, headers=given) as response:
            self.headers = response.headers
            return response.status, (
                await response.json(content_type=None)
            ) if response.status != 204 else None


@pytest.fixture
def api(house: House, http: aiohttp.ClientSession, admin: str) -> Api:
    """Return an admin's calls."""
    return Api(house, http, admin)


async def said(api: Api, conversation: str) -> list[Any]:
    """Wait for the answer in a conversation; return its events."""
    for _ in range(200):
        _, page = await api("GET", f"/conversations/{conversation}/events")
        if any(event["kind"] in ("reply", "card") for event in page["events"]):
            return list(page["events"])
        await asyncio.sleep(0.05)
    raise AssertionError("no answer")


async def test_key_speaks_and_a_repeated_message_runs_once(api: Api) -> None:
    first = await api("POST", "/conversations", {"text": "check disk on local"}, Idempotency_Key="one")
    again = await api("POST", "/conversations", {"text": "check disk on local"}, Idempotency_Key="one")
    assert (first[0], again[0]) == (202, 202)
    assert again[1] == {**first[1], "repeat": True}
    events = await said(api, first[1]["conversation"])
    assert [event["kind"] for event in events].count("said") == 1
    assert "Filesystem" in json.dumps(events)
    assert (await api("POST", f"/conversations/{first[1]['conversation']}/reopen"))[1]["channel"] == "console"
    assert (await api("GET", "/conversations?everywhere=true&cursor=none"))[0] == 422
    _, found = await api("GET", "/conversations?q=disk&everywhere=true")
    assert first[1]["conversation"] in [one["id"] for one in found["conversations"]]


async def test_what_a_key_asks_for_is_approved_and_runs(api: Api, house: House) -> None:
    made = house.target / f"api-{secrets.token_hex(4)}"
    _, asked = await api("POST", "/conversations", {"text": f"/run local touch {made}"})
    events = await said(api, asked["conversation"])
    approval = next(event["body"]["approval"]["id"] for event in events if event["kind"] == "card")
    assert not made.exists()
    assert await api("POST", f"/approvals/{approval}/approve") == (
        200,
        {"status": "approved", "approvals": 1, "needed": 1},
    )
    for _ in range(200):
        if made.exists():
            break
        await asyncio.sleep(0.05)
    assert made.exists()
    status, late = await api("POST", f"/approvals/{approval}/reject")
    assert (status, late["type"]) == (409, f"urn:it0:problem:{late['code']}")


async def test_revoked_key_and_what_was_got_with_it_hold_no_more(
    house: House, http: aiohttp.ClientSession
) -> None:
    name, key = new_key(house, "viewer")
    status, made = await Api(house, http, key)("POST", "/token")
    assert status == 201
    by_token = Api(house, http, made["token"])
    assert (await by_token("GET", "/me"))[1]["user"]["name"] == name
    assert (await by_token("POST", "/token"))[0] == 403
    assert house.command("key", "revoke", name).returncode == 0
    for call in (by_token, Api(house, http, key)):
        status, problem = await call("GET", "/me")
        assert (status, problem["code"]) == (401, "api.no_access")


@pytest.mark.parametrize("change", ["none", "other", "iss", "aud", "exp", "missing"])
async def test_token_that_is_not_ours_is_refused(
    house: House, http: aiohttp.ClientSession, admin: str, change: str
) -> None:
    _, made = await Api(house, http, admin)("POST", "/token")
    secret = (house.home / "keys" / "jwt").read_text().strip()
    claims = jwt.decode(made["token"], secret, algorithms=["HS256"], audience="it0-api")
    assert (await Api(house, http, jwt.encode(claims, secret))("GET", "/me"))[0] == 200
    wrong = {"iss": "evil", "aud": "evil", "exp": datetime.now(UTC) - timedelta(seconds=1)}
    if change in wrong:
        claims[change] = wrong[change]
    if change == "missing":
        del claims["tid"]
    token = {
        "none": lambda: jwt.encode(claims, "", algorithm="none"),
        "other": lambda: jwt.encode(claims, "x" * 44),
    }.get(change, lambda: jwt.encode(claims, secret))()
    assert (await Api(house, http, token)("GET", "/me"))[0] == 401


async def test_header_of_another_tenant_is_refused(api: Api) -> None:
    assert (await api("GET", "/me", X_Tenant="default"))[0] == 200
    status, problem = await api("GET", "/me", X_Tenant="other")
    assert (status, problem["code"]) == (401, "api.other_tenant")


VIEWERS_MAY_NOT = [
    ("GET", "/users", None), ("GET", "/keys", None), ("GET", "/audit", None), ("GET", "/usage", None),
    ("GET", "/credentials", None), ("POST", "/servers/local/check", None), ("DELETE", "/servers/local", None),
    ("POST", "/keys", {"name": "k", "role": "admin"}), ("POST", "/users", {"name": "eve", "role": "admin"}),
    ("POST", "/users/admin/link", None), ("POST", "/users/admin/pairing-code", None), ("POST", "/halt", None),
    ("POST", "/credentials", {"name": "c", "kind": "token", "secret": "s"}), ("GET", "/doctor", None),
    ("PATCH", "/servers/local", {"description": "mine"}), ("GET", "/audit/verification", None),
    ("GET", "/tenant", None), ("PATCH", "/tenant", {"four_eyes": True}), ("GET", "/channels", None),
    ("POST", "/channels", {"channel": "telegram", "token": "1:x"}), ("DELETE", "/channels/x", None),
    ("POST", "/clusters", {"name": "c", "kind": "bare_metal"}), ("DELETE", "/clusters/c", None),
    ("POST", "/clusters/c/check", None), ("GET", "/servers/local/hardening", None),
    ("POST", "/credentials/c/rotate", {"secret": "s"}), ("DELETE", "/credentials/c", None),
    ("POST", "/servers/local/trust", {"fingerprint": "x"}), ("POST", "/servers/local/distrust", None),
    ("DELETE", "/keys/k", None), ("PATCH", "/users/admin", {"role": "viewer"}), ("POST", "/resume", None),
]  # fmt: skip


async def test_viewers_key_does_no_more_than_a_viewer(house: House, http: aiohttp.ClientSession) -> None:
    viewer = Api(house, http, new_key(house, "viewer")[1])
    assert (await viewer("GET", "/servers"))[0] == 200
    for method, path, body in VIEWERS_MAY_NOT:
        assert (await viewer(method, path, body))[0] == 403, path


async def test_session_changes_by_cookie_only_with_the_pages_token(house: House) -> None:
    client = Client(house)
    link = await asyncio.to_thread(house.command, "user", "link", "admin")
    await client.sign_in(link.stdout.strip().rpartition("token=")[2])
    assert (await client.get("/api/v1/me"))["csrf"] == client.csrf
    status, made = await client.post("/api/v1/token")
    assert (status, set(made)) == (201, {"token", "expires_at"})
    client.csrf = "wrong"
    assert (await client.post("/api/v1/token"))[0] == 403
    await client.close()


async def test_errors_are_problems_with_fields_and_never_values(api: Api) -> None:
    secret = "hunter2-very-secret"
    status, problem = await api("POST", "/credentials", {"name": 1, "kind": "x", "secret": secret, "more": 1})
    assert (status, api.headers["Content-Type"].split(";")[0]) == (422, "application/problem+json")
    assert {each["pointer"] for each in problem["errors"]} == {"/name", "/kind", "/more"}
    assert secret not in json.dumps(problem)
    assert (await api("GET", "/nothing"))[0] == 404
    assert (await api("PUT", "/servers"))[0] == 405
    assert (await api("POST", "/conversations", {"text": "x" * 300_000}))[0] == 413
    assert (await api("GET", "/usage?days=0"))[0] == 422


async def test_body_that_is_no_json_is_refused(house: House, http: aiohttp.ClientSession, admin: str) -> None:
    headers = {"Authorization": f"Bearer {admin}"}
    url = f"{house.url}/api/v1/conversations"
    async with http.post(url, data=b"text=x", headers=headers) as response:
        assert response.status == 415
    headers["Content-Type"] = "application/json"
    async with http.post(url, data=b"{", headers=headers) as response:
        assert response.status == 400


async def test_only_pages_of_known_origins_may_read(api: Api) -> None:
    await api("GET", "/me", Origin=ORIGIN)
    assert api.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "Access-Control-Allow-Credentials" not in api.headers
    await api("GET", "/me", Origin="https://evil.example.com")
    assert "Access-Control-Allow-Origin" not in api.headers
    await api("OPTIONS", "/me", Origin=ORIGIN)
    assert "PATCH" in api.headers["Access-Control-Allow-Methods"]


async def test_people_keys_and_audit_by_the_api(api: Api) -> None:
    status, added = await api("POST", "/users", {"name": "Zoe", "role": "viewer"})
    assert (status, added["user"]["role"]) == (201, "viewer")
    assert (await api("PATCH", "/users/Zoe", {"role": "operator"}))[0] == 204
    assert (await api("POST", "/users/Zoe/pairing-code"))[1]["minutes"] == 60
    status, made = await api("POST", "/keys", {"name": "nightly", "role": "viewer"})
    assert made["token"].startswith(made["key"]["prefix"])
    assert (await api("DELETE", "/keys/nightly"))[0] == 204
    _, page = await api("GET", "/audit?action=key.&limit=1")
    assert [row["action"] for row in page["rows"]] == ["key.revoke"]
    _, older = await api("GET", f"/audit?action=key.&limit=1&cursor={page['next']}")
    assert [row["action"] for row in older["rows"]] == ["key.add"]
    assert (await api("GET", "/audit/verification"))[1]["faults"] == []
    _, listed = await api("GET", "/users")
    assert [user["name"] for user in listed["users"]] == ["Zoe", "admin"]


async def test_every_list_is_read_in_pages(api: Api) -> None:
    for number in range(5):
        name = f"page-{number}"
        assert (await api("POST", "/servers", {"name": name, "connection": "local"}))[0] == 201
        assert (await api("POST", "/clusters", {"name": f"metal-{number}", "kind": "bare_metal"}))[0] == 201
        assert (await api("POST", "/users", {"name": name, "role": "viewer"}))[0] == 201
        secret = {"name": name, "kind": "ssh_password", "secret": "hunter2-hunter2"}
        assert (await api("POST", "/credentials", secret))[0] == 201
        assert (await api("POST", "/keys", {"name": f"nightly-{number}", "role": "viewer"}))[0] == 201
    for path, rows in [(path, path) for path in ("servers", "clusters", "users", "credentials", "keys")]:
        _, whole = await api("GET", f"/{path}")
        assert whole["next"] is None
        found, cursor = [], ""
        while cursor is not None:
            status, page = await api("GET", f"/{path}?limit=2&cursor={quote(cursor)}")
            assert (status, len(page[rows]) <= 2) == (200, True)
            found += page[rows]
            cursor = page["next"]
        assert found == whole[rows], path
    await api("DELETE", "/servers/page-1")  # what a cursor stands on may go between two pages
    _, page = await api("GET", "/servers?limit=2&cursor=page-1")
    assert [each["name"] for each in page["servers"]] == ["page-2", "page-3"]


async def test_cluster_is_added_checked_and_removed_by_the_api(api: Api) -> None:
    entry = {"name": "shop", "kind": "k8s", "environment": "prod", "entry": "local", "description": "Shop"}
    assert await api("POST", "/clusters", entry) == (201, {**entry, "kubeconfig": None, "servers": []})
    status, told = await api("POST", "/clusters", {**entry, "name": "other", "entry": "nobody"})
    assert (status, told["code"]) == (422, "error.no_such_server")
    status, told = await api(
        "POST", "/clusters", {"name": "farm", "kind": "bare_metal", "environment": "prod"}
    )
    joined = {"name": "member", "connection": "local", "environment": "prod", "cluster": "farm"}
    _, added = await api("POST", "/servers", joined)
    assert added["server"]["cluster"] == "farm"
    _, checked = await api("POST", "/clusters/farm/check")
    assert [(each["server"], each["ok"]) for each in checked["checks"]] == [("member", True)]
    assert checked["checks"][0]["can"]
    assert (await api("GET", "/servers/member"))[1]["can"] == checked["checks"][0]["can"]
    assert await api("DELETE", "/clusters/farm") == (200, {"servers": ["member"]})
    assert (await api("GET", "/servers/member"))[1]["cluster"] is None
    assert (await api("GET", "/clusters/farm"))[0] == 404


async def test_tenant_shows_its_quotas_and_is_told_what_to_do(api: Api) -> None:
    _, before = await api("GET", "/tenant")
    assert before["plan"] == "self-hosted"
    assert {each["name"]: each["limit"] for each in before["quotas"]}["servers"] is None
    status, told = await api("PATCH", "/tenant", {"four_eyes": True, "approvals_needed": 2})
    assert (status, told["preferences"]["four_eyes"], told["preferences"]["approvals_needed"]) == (
        200,
        True,
        2,
    )
    assert (await api("PATCH", "/tenant", {"engine": "genius"}))[1]["code"] == "engine.unknown"
    assert (await api("PATCH", "/tenant", {"approvals_needed": 0}))[0] == 422
    _, page = await api("GET", "/audit?action=tenant.set&limit=2")
    assert {row["detail"]["key"]: row["detail"]["value"] for row in page["rows"]} == {
        "four_eyes": True,
        "approvals_needed": 2,
    }
    await api("PATCH", "/tenant", {"four_eyes": False, "approvals_needed": 1})


async def test_bots_token_goes_in_and_never_comes_out(api: Api) -> None:
    token = f"4242:{secrets.token_hex(16)}"
    assert (await api("POST", "/channels", {"channel": "telegram", "token": "no token"}))[0] == 422
    status, made = await api("POST", "/channels", {"channel": "telegram", "token": token})
    assert (status, made["id"]) == (201, "telegram-4242")
    _, listed = await api("GET", "/channels")
    assert [each["id"] for each in listed["channels"]] == ["telegram-4242"]
    assert token not in json.dumps(listed)
    assert (await api("DELETE", "/channels/telegram-4242"))[0] == 204
    assert (await api("DELETE", "/channels/telegram-4242"))[0] == 404
    _, page = await api("GET", "/audit?action=channel.&limit=2")
    assert [row["actor"] for row in page["rows"]] == [(await api("GET", "/me"))[1]["user"]["name"]] * 2


async def test_hardening_is_shown_and_never_for_the_bots_own_machine(api: Api) -> None:
    assert (await api("GET", "/servers/local/hardening"))[1]["code"] == "harden.local"
    assert (await api("GET", "/servers/nobody/hardening"))[0] == 404
    assert (await api("PATCH", "/servers/local", {"host": "10.0.0.1"}))[1]["code"] == "server.not_changeable"


async def test_page_of_another_origin_changes_nothing_though_it_has_the_cookie(house: House) -> None:
    client = await signed_in(house, "admin")
    assert client._session
    told = []
    for origin in (ORIGIN, "null", house.url):
        headers = {"X-CSRF-Token": client.csrf, "Origin": origin}
        url = f"{house.url}/api/v1/me"
        async with client._session.patch(url, json={"language": "en"}, headers=headers) as response:
            told.append(response.status)
    assert told == [403, 403, 204]
    await client.close()


async def test_what_is_another_tenants_is_not_there(
    house: House, http: aiohttp.ClientSession, api: Api
) -> None:
    made = await asyncio.to_thread(house.command, "tenant", "create", "apart", "--plan", "pro")
    assert made.returncode == 0, made.stderr
    _, token = new_key(house, "admin", "--tenant", "apart")
    apart = Api(house, http, token)
    assert (await api("POST", "/servers", {"name": "ours", "connection": "local"}))[0] == 201
    _, asked = await api("POST", "/conversations", {"text": "hello"})
    for method, path in [
        ("GET", "/servers/ours"), ("PATCH", "/servers/ours"), ("DELETE", "/servers/ours"),
        ("POST", "/servers/ours/check"), ("GET", "/servers/ours/hardening"), ("GET", "/clusters/ours"),
        ("DELETE", "/keys/ours"), ("DELETE", "/credentials/ours"), ("DELETE", "/channels/ours"),
        ("GET", f"/conversations/{asked['conversation']}"), ("PATCH", "/users/ours"),
        ("GET", f"/conversations/{asked['conversation']}/events"),
    ]:  # fmt: skip
        assert (await apart(method, path, {} if method == "PATCH" else None))[0] == 404, path


async def test_each_tenant_has_its_share_and_figures_are_not_told_by_the_public_name(
    house: House, http: aiohttp.ClientSession, admin: str
) -> None:
    other = house.replica(API_REQUESTS_PER_MINUTE="3", PUBLIC_URL="https://it0.example.com")
    try:
        await asyncio.to_thread(other.start, "bot")
        api = Api(other, http, admin)
        for left in (2, 1, 0):
            assert (await api("GET", "/me"))[0] == 200
            assert api.headers["RateLimit"].startswith(f'"tenant";r={left};t=')
        status, problem = await api("GET", "/me")
        assert (status, problem["code"]) == (429, "http.429")
        assert 0 < int(api.headers["Retry-After"]) <= 60
        assert api.headers["RateLimit-Policy"] == '"tenant";q=3;w=60'
        guesses = [await Api(other, http, "it0_guess")("GET", "/me") for _ in range(31)]
        assert [status for status, _ in guesses] == [401] * 30 + [429]
        told = {}
        for host in ("it0.example.com", "IT0.example.com.:443", "[", "10.0.0.7:8080"):
            async with http.get(f"{other.url}/metrics", headers={"Host": host}) as response:
                told[host] = response.status
        assert told == {"it0.example.com": 404, "IT0.example.com.:443": 404, "[": 200, "10.0.0.7:8080": 200}
    finally:
        other.close()


async def test_examples_of_the_docs_run_as_they_stand(house: House, admin: str) -> None:
    text = (ROOT / "docs" / "api.md").read_text().replace("\\\n", "")
    asked, answers = re.findall(r"^curl .+$", text, re.MULTILINE), []
    for command in asked:
        last = answers[-1].get("conversation", "") if answers else ""
        line = command.replace("http://127.0.0.1:8080", house.url).replace("$KEY", admin)
        line = line.replace("/ID/", f"/{last}/")
        done = await asyncio.create_subprocess_exec(*shlex.split(line), "-sf", stdout=asyncio.subprocess.PIPE)
        answers.append(json.loads((await done.communicate())[0]))
    assert [sorted(answer)[0] for answer in answers] == ["csrf", "conversation", "events"]


def conform(house: House, token: str, examples: int) -> None:
    """Have schemathesis call every endpoint and look whether it does as the document says."""
    load_all_checks()
    schema = schemathesis.openapi.from_url(f"{house.url}/api/v1/openapi.json")
    headers = {"Authorization": f"Bearer {token}"}
    wanted = ("not_a_server_error", "status_code_conformance", "content_type_conformance")
    checks = CHECKS.get_by_names([*wanted, "response_schema_conformance"])
    for found in schema.get_all_operations():
        operation = found.ok()

        @settings(
            max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck)
        )
        def call(case: Any) -> None:
            case.call_and_validate(headers=headers, checks=checks, timeout=20)

        given(case=operation.as_strategy())(call)()


def test_every_endpoint_does_as_its_document_says(house: House) -> None:
    conform(house, new_key(house)[1], 12)


@pytest.mark.long
def test_every_endpoint_does_as_its_document_says_at_length(house: House) -> None:
    conform(house, new_key(house)[1], 300)
