"""A double of the console's server: the protocol with canned data, so that a browser can drive the page.

Run it by hand to look at the page: ``python tests/support/console_double.py [PORT]``.
"""

import asyncio
import contextlib
import html
import itertools
import json
import re
import sys
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web
from pydantic import BaseModel

from bot.api.models.clusters import NewClusterForm
from bot.api.models.fleet import Fingerprint, NewCredential, NewSecret, NewServerForm, ServerChange
from bot.api.models.people import LanguageChoice, NewKey, NewPerson, PersonChange
from bot.api.models.tenant import NewChannel

ROOT = Path(__file__).resolve().parents[2]
STATIC = ROOT / "bot" / "console" / "static"
TEXTS = [ROOT / "bot" / "texts" / name for name in ("console.toml", "pages.toml")]
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:;"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
SHOWN = ("console.", "level.", "role.", "status.", "environment.")
CSRF = "csrf-of-the-double"
PAGE = 200
Json = dict[str, Any]
DF = """Filesystem      Size  Used Avail Use% Mounted on
/dev/vda1        40G   31G  7.2G  82% /
tmpfs           2.0G  1.1M  2.0G   1% /run
/dev/vdb1       200G  188G  2.1G  99% /var/lib/postgresql"""
CAN = ["As it0 it0 may use sudo for: /usr/bin/systemctl restart * (seen 2030-05-01 10:12 UTC)."]
SERVERS: list[Json] = [
    {
        "id": f"s{n}",
        "name": name,
        "connection": "ssh",
        "host": host,
        "port": 22 if n != 2 else 2222,
        "user": "it0",
        "environment": environment,
        "role": role,
        "credential": "fleet-key",
        "jump": "bastion" if n == 2 else None,
        "tags": {"team": "shop"} if n < 2 else {},
        "ssh_options": {"keepalive_s": 20} if n == 1 else {},
        "shell": "bash",
        "status": "untrusted" if n == 3 else "active",
        "description": "Storefront" if n == 0 else "",
        "fingerprint": None if n == 3 else "SHA256:u7Yw2Q0mZpW3n1cBq6H8s9dJkLx4vTfGaR5eKoPiUyM",
        "restricted": n == 1,
        "cluster": "shop-metal" if n == 0 else None,
        "read_user": "it0-ro" if n == 2 else "",
        "read_credential": "fleet-key" if n == 2 else None,
        "accounts": {},
        "can": CAN if n != 3 else [],
    }
    for n, (name, host, environment, role) in enumerate(
        [
            ("web-1", "10.0.0.11", "prod", "web"),
            ("web-2", "10.0.0.12", "staging", "web"),
            ("db-1", "10.0.1.5", "prod", "db"),
            ("new-1", "10.0.2.9", "dev", None),
        ]
    )
]


def now(ago: float = 0) -> str:
    """Return the moment ``ago`` seconds ago."""
    return (datetime.now(UTC) - timedelta(seconds=ago)).isoformat()


class ConsoleDouble:
    """Serves the page and plays it0.

    hold: say and click are taken but not acknowledged, as by a server that dies at the wrong moment.
    signed_in: False makes every route and the socket answer 401.
    crowded: True turns every socket away as one too many.
    bad_server: the code and the words that adding a server is refused with.
    filled: False leaves the lists of clusters, credentials, keys, channels and usage empty.
    go_on: cleared, a turn stops in the middle of its step.
    expected: pieces of what the browser's console may say all the same.
    said, clicks, stops: what came in, by event id, with how often (a repeat is acknowledged, not redone).
    """

    def __init__(self, role: str = "admin") -> None:
        self.me: Json = {
            "user": {"id": "u1", "name": "alice", "role": role, "language": "en"},
            "tenant": {"slug": "acme", "name": "Acme Shop"},
            "csrf": CSRF,
            "halted_by": None,
            "engine": "direct",
            "languages": ["en", "zh"],
            "file_bytes": 49_152,
        }
        self.hold = False
        self.signed_in = True
        self.crowded = False
        self.filled = True
        self.bad_server: tuple[str, str] | None = None
        self.pause_s = 0.02
        self.said: dict[str, int] = {}
        self.clicks: dict[str, int] = {}
        self.stops: list[str] = []
        self.clicked: dict[str, str] = {}
        self.posts: list[tuple[str, Json]] = []
        self.bad_csrf: list[str] = []
        self.logs: dict[str, list[Json]] = {}
        self.titles: dict[str, str] = {}
        self.running: dict[str, str] = {}
        self.approvals: dict[str, Json] = {}
        self.grants: list[Json] = []
        self.servers = SERVERS
        self.settle_clicks = True
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.expected: list[str] = []
        self.url = ""
        self._threads: dict[str, str] = {}
        self._accepted: dict[str, tuple[str, int]] = {}
        self._sockets: set[web.WebSocketResponse] = set()
        self._numbers = itertools.count(1)
        self._tasks: set[asyncio.Task[None]] = set()
        self._runner: web.AppRunner | None = None

    async def start(self, port: int = 0) -> None:
        """Listen on a free port of this machine."""
        app = web.Application(middlewares=[self._guard])
        app.router.add_get("/", self._index)
        app.router.add_get("/ws/agent", self._socket)
        app.router.add_get("/login", self._login)
        app.router.add_get("/secret/{token}", self._secret)
        app.router.add_post("/logout", self._done)
        app.router.add_get("/api/v1/{path:.*}", self._get)
        for method in ("POST", "PATCH", "DELETE"):
            app.router.add_route(method, "/api/v1/{path:.*}", self._change)
        app.router.add_static("/static/", STATIC)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Stop listening."""
        for task in tuple(self._tasks):
            task.cancel()
        await self.drop()
        if self._runner:
            await self._runner.cleanup()

    async def drop(self) -> None:
        """Cut every WebSocket."""
        for socket in tuple(self._sockets):
            with contextlib.suppress(ConnectionError):
                await socket.close(code=1012)

    async def send(self, frame: Json) -> None:
        """Send a frame to every page."""
        for socket in tuple(self._sockets):
            with contextlib.suppress(ConnectionError):
                await socket.send_json(frame)

    async def grow(self, conversation: str, kind: str, body: Json, turn: str | None = None) -> int:
        """Append an event and tell every page."""
        event = self.append(conversation, kind, body, turn)
        await self._show(conversation, [event])
        return int(event["seq"])

    def append(
        self, conversation: str, kind: str, body: Json, turn: str | None = None, user: str | None = None
    ) -> Json:
        """Append an event and tell nobody."""
        log = self.logs.setdefault(conversation, [])
        event = {"seq": len(log) + 1, "kind": kind, "turn": turn, "user": user, "at": now(), "body": body}
        log.append(event)
        return event

    def make_approval(self, conversation: str, **changes: Any) -> Json:
        """Return a new pending approval."""
        number = next(self._numbers)
        approval = {
            "id": f"ap{number}",
            "code": f"A7-{490 + number}",
            "kind": "run",
            "command": "sudo systemctl restart nginx",
            "level": 2,
            "status": "pending",
            "servers": [
                {name: s[name] for name in ("name", "host", "port", "user", "environment", "jump")}
                for s in SERVERS[:2]
            ],
            "reasons": ["Restarts a service", "In production every change needs an admin"],
            "part": "systemctl restart nginx",
            "requester": "bob",
            "created_at": now(20),
            "expires_at": now(-1780),
            "needed": 1,
            "approvals": 0,
            "voters": [],
            "settled_by": None,
            "settled_at": None,
            "may_decide": True,
            "why_not": None,
            "conversation": conversation,
            "digest": "9f2c" * 16,
            "sha256": "51aa" * 16,
            "effects": [],
            "rationale": None,
            "deciders": "an admin",
            "then": "to be decided by an admin until 14:30:00 UTC, then it lapses and nothing runs",
            "goes_ahead": False,
            "read": "",
            "grant_minutes": 15,
            "went_ahead": False,
            "act": None,
            **changes,
        }
        self.approvals[str(approval["id"])] = approval
        return approval

    def make_grant(self, approval: Json) -> Json:
        """Return the grant that was given with an approval."""
        same = ("id", "code", "command", "level", "servers", "requester", "conversation")
        grant = {name: approval[name] for name in same}
        grant |= {"givers": [self.me["user"]["name"]], "given_at": now(), "ends_at": now(-900)}
        self.grants.append(grant)
        return grant

    async def settle(self, approval_id: str, status: str, by: str | None) -> None:
        """Give an approval its outcome and show it."""
        approval = self.approvals[approval_id]
        approval.update(status=status, settled_by=by, settled_at=now(), may_decide=False)
        if status == "approved":
            approval["approvals"] = approval["needed"]
            approval["act"] = {"state": "running", "exit_code": None, "why": None}
        await self.grow(approval["conversation"], "settled", {"approval": dict(approval)})
        await self.send({"type": "changed", "what": "approvals"})

    async def perform(
        self, approval_id: str, state: str, exit_code: int | None = None, why: str = ""
    ) -> None:
        """Give an approved act its end and show it where it was asked for."""
        approval = self.approvals[approval_id]
        approval["act"] = {"state": state, "exit_code": exit_code, "why": why or None}
        await self.grow(approval["conversation"], "performed", {"approval": dict(approval)})

    def conversation_of(self, text: str) -> str:
        """Return the conversation in which ``text`` was said."""
        return next(
            key for key, log in self.logs.items() if any(event["body"].get("text") == text for event in log)
        )

    # HTTP

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if request.path.startswith(("/api/v1/", "/ws/")) and not self.signed_in:
            return _problem(401, "error.sign_in", "Sign in.")
        if request.method != "GET" and request.headers.get("X-CSRF-Token") != CSRF:
            self.bad_csrf.append(request.path)
            return _problem(403, "error.csrf", "No.")
        response: web.StreamResponse = await handler(request)
        if not response.prepared:
            response.headers["Content-Security-Policy"] = POLICY
            response.headers["Cache-Control"] = "no-store"
        return response

    async def _index(self, _: web.Request) -> web.StreamResponse:
        return web.FileResponse(STATIC / "index.html")

    async def _login(self, request: web.Request) -> web.Response:
        values = {"token": request.query.get("token", ""), "title": "Sign in to it0"}
        return _filled("login.html", **values, message="This link works once.", button="Sign in")

    async def _secret(self, request: web.Request) -> web.Response:
        values = {"token": request.match_info["token"], "title": "Add the secret of fleet-key"}
        message = "Paste the whole private key. It is sealed at once and never shown again."
        return _filled("secret.html", **values, name="fleet-key", message=message, button="Seal it")

    async def _done(self, _: web.Request) -> web.Response:
        return web.json_response({})

    async def _get(self, request: web.Request) -> web.Response:
        path = request.match_info["path"]
        match path.split("/"):
            case ["me"]:
                return web.json_response(self.me)
            case ["texts", language]:
                texts = {k: v for file in TEXTS for k, v in tomllib.loads(file.read_text("utf-8")).items()}
                found = {k: v[language] for k, v in texts.items() if k.startswith(SHOWN)}
                return web.json_response({"texts": found})
            case ["conversations"]:
                return web.json_response({"conversations": self._conversations(), "next": None})
            case ["conversations", conversation, "events"]:
                before = int(request.query["cursor"])
                older = [e for e in self.logs[conversation] if e["seq"] < before][-PAGE:]
                first = older[0]["seq"] if older else 0
                return web.json_response({"events": older, "next": first if first > 1 else None})
            case ["approvals"] if wanted := request.query.get("ids"):
                found = [self.approvals[each] for each in wanted.split(",") if each in self.approvals]
                return web.json_response({"approvals": found, "next": None})
            case ["approvals"]:
                status = request.query.get("status", "")
                found = [a for a in self.approvals.values() if not status or a["status"] == status]
                return web.json_response({"approvals": found[::-1], "next": None})
            case ["servers"]:
                return web.json_response({"servers": self.servers, "next": None})
            case ["servers", _, "hardening"]:
                return web.json_response(
                    {"script": "#!/bin/sh\n# sh harden.sh read-only\nset -eu\n", "kinds": []}
                )
            case ["tenant"]:
                return web.json_response(TENANT)
            case ["policy"]:
                return web.json_response(
                    TENANT_POLICY if self.filled else {**TENANT_POLICY, "tighten": {}, "program": {}}
                )
            case ["usage"]:
                return web.json_response({"rows": USAGE if self.filled else [], "next": None})
            case ["clusters" | "credentials" | "keys" | "channels" as name]:
                return web.json_response({name: LISTS[name] if self.filled else [], "next": None})
            case ["grants"]:
                return web.json_response({"grants": self.grants, "next": None})
            case ["users"]:
                return web.json_response({"users": PEOPLE, "next": None})
            case ["audit"]:
                last = int(request.query.get("cursor", 121))
                rows = [_audit(seq) for seq in range(last - 1, max(0, last - 41), -1)]
                return web.json_response({"rows": rows, "next": last - 40 if last > 41 else None})
            case ["runs", run]:
                target = {"server": "web-1", "state": "done", "exit_code": 0, "duration_ms": 1240}
                kept = {"stdout": "nginx restarted\n", "stderr": "", "dropped": 0}
                return web.json_response({"run": {"id": run}, "targets": [{**target, **kept}]})
        return _problem(404, "error.not_found", "Not found.")

    async def _change(self, request: web.Request) -> web.Response:
        path, body = request.match_info["path"], await request.json() if request.can_read_body else {}
        forms = (form for place, form in FORMS.items() if re.fullmatch(place, f"{request.method} {path}"))
        if (form := next(forms, None)) is not None:
            form.model_validate_json(await request.read())  # what the API itself would take
        did = path if request.method == "POST" else f"{request.method} {path}"
        self.posts.append((did, body))
        shown = "SHA256:Qm4c0kV1wq3y8zB7n2mXlLpT6aJrD9hFsE5uGiKoYtA"
        match did.split("/"):
            case ["PATCH me"]:
                self.me["user"]["language"] = body["language"]
            case ["halt"]:
                self.me["halted_by"] = self.me["user"]["name"]
            case ["resume"]:
                self.me["halted_by"] = None
            case ["servers"] if self.bad_server:
                return _problem(422, *self.bad_server)
            case ["servers"]:
                server = {**SERVERS[3], **body, "id": "s9", "status": "untrusted", "fingerprint": None}
                return web.json_response({"server": server, "fingerprint": shown})
            case ["servers", _, "check"]:
                words = "Up 41 days, load 0.21, 0.18, 0.12"
                return web.json_response({"ok": True, "message": words, "fingerprint": shown, "can": CAN})
            case ["users"]:
                user = {"id": "u9", "name": body["name"], "role": body["role"]}
                link = f"{self.url}/login?token=abc123"
                return web.json_response({"user": user, "link": link, "minutes": 10})
            case ["users", _, "link"]:
                return web.json_response({"link": f"{self.url}/login?token=abc123", "minutes": 10})
            case ["credentials"] | ["credentials", _, "rotate"]:
                return web.json_response({"fingerprint": shown})
            case ["DELETE credentials", _]:
                return web.json_response({"servers": ["web-1", "db-1"]})
            case ["keys"]:
                made = {**LISTS["keys"][0], "name": body["name"], "role": body["role"]}
                return web.json_response({"key": made, "token": TOKEN}, status=201)
            case ["users", _, "pairing-code"]:
                return web.json_response({"code": "7F3K-92QD", "minutes": 60}, status=201)
            case ["channels"] if body["token"] == "no token":
                return _problem(422, "channel.no_token", "This is no bot's token.")
            case ["channels"]:
                return web.json_response(LISTS["channels"][0], status=201)
            case ["PATCH servers", name]:
                return web.json_response({**next(s for s in SERVERS if s["name"] == name), **body})
            case ["clusters"] if body["entry"] == "web-2":
                return _problem(422, "cluster.bad_entry", "web-2 cannot be its entry.")
            case ["clusters"]:
                return web.json_response(LISTS["clusters"][0], status=201)
            case ["clusters", _, "check"]:
                checked = {"server": "web-1", "ok": True, "message": "web-1 answers in 18 ms.", "can": CAN}
                return web.json_response({"checks": [checked]})
            case ["DELETE grants", grant]:
                self.grants = [each for each in self.grants if each["id"] != grant]
            case ["DELETE clusters", _]:
                return web.json_response({"servers": []})
        return web.Response(status=204)

    def _conversations(self) -> list[Json]:
        return [
            {
                "id": key,
                "title": self.titles.get(key, ""),
                "status": "open",
                "updated_at": log[-1]["at"] if log else now(),
                "running": key in self.running,
                "last_seq": len(log),
            }
            for key, log in reversed(self.logs.items())
        ]

    # WebSocket

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        if self.crowded:
            words = {"code": "socket.too_many", "message": "You have 20 pages open already."}
            await socket.send_json({"type": "refused", "id": None, **words})
            await socket.close(code=4429)
            return socket
        self._sockets.add(socket)
        await socket.send_json({"type": "hello", "process": "double"})
        try:
            async for raw in socket:
                if raw.type is WSMsgType.TEXT:
                    await self._take(socket, json.loads(raw.data))
        finally:
            self._sockets.discard(socket)
        return socket

    async def _take(self, socket: web.WebSocketResponse, message: Json) -> None:
        match message["type"]:
            case "ping":
                await socket.send_json({"type": "pong"})
            case "open" if message["conversation"] not in self.logs:
                refusal = {"code": "error.no_such_conversation", "message": "There is no such conversation."}
                place = {"id": None, "conversation": message["conversation"]}
                await socket.send_json({"type": "refused", **place, **refusal})
            case "open":
                log = self.logs.get(message["conversation"], [])
                events = [e for e in log if e["seq"] > message["after"]] if message["after"] else log[-PAGE:]
                await socket.send_json(self._events(message["conversation"], events))
            case "say":
                await self._say(socket, message)
            case "click":
                await self._click(socket, message)
            case "stop":
                self.stops.append(message["conversation"])
                await socket.send_json(
                    {
                        "type": "accepted",
                        "id": message["id"],
                        "conversation": message["conversation"],
                        "seq": 0,
                    }
                )
                turn = self.running.pop(message["conversation"], None)
                await self.grow(message["conversation"], "reply", _reply("Stopped."), turn)

    async def _say(self, socket: web.WebSocketResponse, message: Json) -> None:
        key, text = message["id"], message["text"]
        self.said[key] = self.said.get(key, 0) + 1
        if text == "refuse me":
            refusal = {"code": "message.too_long", "message": "That message is too long."}
            await socket.send_json({"type": "refused", "id": key, **refusal})
            return
        if key not in self._accepted:
            conversation = message["conversation"] or self._threads.setdefault(
                message["thread"], f"c{next(self._numbers)}"
            )
            event = self.append(conversation, "said", {"text": text}, user=self.me["user"]["name"])
            self.titles.setdefault(conversation, text[:60])
            self._accepted[key] = (conversation, event["seq"])
            if not self.hold:
                await self._show(conversation, [event])
            task = asyncio.create_task(self._answer(conversation, text))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if not self.hold:
            conversation, seq = self._accepted[key]
            await socket.send_json({"type": "accepted", "id": key, "conversation": conversation, "seq": seq})
            await self.send({"type": "changed", "what": "conversations"})

    async def _click(self, socket: web.WebSocketResponse, message: Json) -> None:
        key, button = message["id"], message["button"]
        first = key not in self.clicks
        self.clicks[key] = self.clicks.get(key, 0) + 1
        self.clicked[key] = button
        if self.hold:
            return
        await socket.send_json({"type": "accepted", "id": key, "conversation": "feed", "seq": 1})
        verdict, _, approval_id = button.partition(":")
        if first and self.settle_clicks and approval_id in self.approvals:
            await asyncio.sleep(self.pause_s)
            if verdict == "grant":
                self.make_grant(self.approvals[approval_id])
            status = "rejected" if verdict == "reject" else "approved"
            await self.settle(approval_id, status, self.me["user"]["name"])

    async def _answer(self, conversation: str, text: str) -> None:
        """Play a turn: streaming for "disk", an approval for "restart", else an echo."""
        turn = f"t{next(self._numbers)}"
        self.running[conversation] = turn
        if "disk" in text:
            await self._disk(conversation, turn)
        elif "restart" in text:
            tool = {"no": 1, "tool": "run_command", "title": "sudo systemctl restart nginx · web-1, web-2"}
            arguments = {"command": "sudo systemctl restart nginx", "servers": ["web-1", "web-2"]}
            await self.grow(conversation, "tool", {**tool, "arguments": arguments}, turn)
            await self.grow(conversation, "card", {"approval": self.make_approval(conversation)}, turn)
            waits = [{"text": "Waits for approval."}]
            self.running.pop(conversation, None)
            await self.grow(conversation, "result", {"no": 1, "status": "waiting", "parts": waits}, turn)
            await self.send({"type": "changed", "what": "approvals"})
        elif "hang" in text:
            tool = {"no": 1, "tool": "run_command", "arguments": {}, "title": "sleep 600 · web-1"}
            await self.grow(conversation, "tool", tool, turn)
        else:
            self.running.pop(conversation, None)
            await self.grow(conversation, "reply", _reply(f"You said: {text}"), turn)

    async def _disk(self, conversation: str, turn: str) -> None:
        live = {"type": "live", "conversation": conversation, "turn": turn}
        await self.send({**live, "kind": "thinking", "data": {"text": "Look at the file systems first. "}})
        arguments = {"command": "df -h", "servers": ["web-1", "db-1"]}
        tool = {"no": 1, "tool": "run_command", "arguments": arguments, "title": "df -h · web-1, db-1"}
        await self.grow(conversation, "tool", tool, turn)
        for line in DF.splitlines():
            await asyncio.sleep(self.pause_s)
            data = {"step": 1, "server": "db-1", "text": line + "\n"}
            await self.send({**live, "kind": "output", "data": data})
        await self.go_on.wait()
        parts = [{"code": DF, "title": "db-1"}]
        await self.grow(conversation, "result", {"no": 1, "status": "done", "parts": parts}, turn)
        answer = "**db-1** is nearly full: `/var/lib/postgresql` is at **99 %**.\n\nweb-1 is fine."
        for word in answer.split(" "):
            await asyncio.sleep(self.pause_s / 2)
            await self.send({**live, "kind": "text", "data": {"text": word + " "}})
        self.running.pop(conversation, None)
        body = _reply(answer)
        body["parts"].append({"code": DF, "title": "db-1"})
        body["buttons"] = [{"label": "Find large files", "value": "more:1", "style": "primary"}]
        await self.grow(conversation, "reply", body, turn)

    async def _show(self, conversation: str, events: list[Json]) -> None:
        await self.send(self._events(conversation, events))

    def _events(self, conversation: str, events: list[Json]) -> Json:
        running = self.running.get(conversation)
        return {"type": "events", "conversation": conversation, "events": events, "running": running}


def _problem(status: int, code: str, detail: str) -> web.Response:
    told = {"status": status, "code": code, "detail": detail}
    return web.json_response(told, status=status, content_type="application/problem+json")


def _reply(text: str) -> Json:
    return {"parts": [{"text": text}], "buttons": []}


def _filled(page: str, **values: str) -> web.Response:
    text = (STATIC / page).read_text("utf-8")
    for place, value in values.items():
        text = text.replace("{{" + place + "}}", html.escape(value))
    return web.Response(text=text, content_type="text/html")


def _audit(seq: int) -> Json:
    names: list[Callable[[], tuple[str, str]]] = [
        lambda: ("command.intent", "web-1"),
        lambda: ("approval.approve", "A7-491 · web-1"),
        lambda: ("user.sign_in", ""),
    ]
    action, about = names[seq % 3]()
    detail = {"command": "systemctl restart nginx", "level": 2, "digest": "9f2c" * 16}
    return {
        "seq": seq,
        "at": now((121 - seq) * 300),
        "action": action,
        "actor": "agent" if seq % 3 == 0 else "alice",
        "approver": "alice" if seq % 3 == 1 else "",
        "resource": "approval 01a1fd0ce708addb08972476eee48c48",
        "about": about,
        "command": detail["command"] if seq % 3 != 2 else None,
        "channel": "console",
        "ip": "10.9.8.7",
        "detail": detail if seq % 3 != 2 else {},
    }


CREDENTIALS: list[Json] = [
    {
        "name": "fleet-key",
        "kind": "ssh_key",
        "fingerprint": "SHA256:b0Jm5tQd2cYxN7vKzR4pLwE8sHgF1aUi9oTnXeVyMkC",
        "created_at": now(9_000_000),
        "used_at": now(300),
        "expires_at": None,
        "revoked": False,
    },
    *(
        {
            "name": f"db-password-{left}",
            "kind": "ssh_password",
            "fingerprint": "",
            "created_at": now(4_000_000),
            "used_at": None,
            "expires_at": now(-86_400 * left + 3600),
            "revoked": False,
        }
        for left in (2, 10, 40)
    ),
    {
        "name": "kube",
        "kind": "kubeconfig",
        "fingerprint": "SHA256:Qx2LmN8sZp7b0Jm5tQd2cYxN7vKzR4pLwE8sHgF1aUk",
        "created_at": now(8_000_000),
        "used_at": None,
        "expires_at": None,
        "revoked": False,
    },
]
FORMS: dict[str, type[BaseModel]] = {
    "PATCH me": LanguageChoice,
    "POST servers": NewServerForm,
    "PATCH servers/[^/]+": ServerChange,
    "POST servers/[^/]+/trust": Fingerprint,
    "POST clusters": NewClusterForm,
    "POST credentials": NewCredential,
    "POST credentials/[^/]+/rotate": NewSecret,
    "POST users": NewPerson,
    "PATCH users/[^/]+": PersonChange,
    "POST keys": NewKey,
    "POST channels": NewChannel,
}
TOKEN = "it0_dGhpcyBpcyBhIHRva2Vu"
LISTS: dict[str, list[Json]] = {
    "credentials": CREDENTIALS,
    "clusters": [
        {
            "name": name,
            "kind": kind,
            "environment": environment,
            "entry": entry,
            "kubeconfig": kubeconfig,
            "servers": ["web-1", "web-2"] if kind == "bare_metal" else [],
            "description": "Storefront" if entry else "",
        }
        for name, kind, environment, entry, kubeconfig in [
            ("shop", "k8s", "prod", "web-1", None),
            ("shop-api", "k8s", "prod", None, "kube"),
            ("shop-metal", "bare_metal", "staging", None, None),
        ]
    ],
    "keys": [
        {
            "id": f"k{n}",
            "name": name,
            "role": "operator",
            "prefix": "it0_dGhp",
            "made_by": "alice" if n else None,
            "created_at": now(600_000),
            "expires_at": now(-2_000_000) if n else None,
            "used_at": now(60) if n else None,
            "revoked_at": None if n else now(60),
        }
        for n, name in enumerate(("nightly-report", "ci"))
    ],
    "channels": [{"id": "telegram-4242", "channel": "telegram", "created_at": now(600_000)}],
}
TENANT: Json = {
    "slug": "acme",
    "name": "Acme Shop",
    "plan": "free",
    "status": "active",
    "engines": ["direct"],
    "preferences": {
        "four_eyes": False,
        "approvals_needed": 1,
        "step_up": False,
        "l1_goes_ahead": False,
        "grant_minutes": 15,
        "language": "en",
        "engine": None,
    },
    "quotas": [
        {"name": "servers", "used": 4, "limit": 5},
        {"name": "users", "used": 3, "limit": 3},
        {"name": "skills", "used": 0, "limit": None},
    ],
}
TENANT_POLICY: Json = {
    "version": 3,
    "changed_at": now(600_000),
    "changed_by": "alice",
    "tighten": {
        "prod-restarts": {
            "level": 2,
            "reason": "Ask the database team first.",
            "program": "systemctl",
            "subcommand": "restart",
            "environments": ["prod"],
            "servers": 2,
        },
        "this-report": {"level": 3, "reason": "It loads the database.", "command": "/opt/report.sh --full"},
    },
    "program": {
        "acmectl": {
            "level": 0,
            "reason": "Our own control tool.",
            "shared": "--json",
            "sub": {"deploy": {"level": 2, "args": "name"}, "status": {"level": 0, "args": "name?"}},
        }
    },
}
USAGE: list[Json] = [
    {
        "day": f"2030-05-0{day}",
        "engine": "claude_api",
        "model": model,
        "calls": 40 * day,
        "input_tokens": 310_000 * day,
        "output_tokens": 9_100 * day,
        "usd": 1.2345 * day,
    }
    for day in (3, 2, 1)
    for model in ("claude-sonnet", "claude-haiku")[: day - 1 or 1]
]
PEOPLE: list[Json] = [
    {"id": "u1", "name": "alice", "role": "admin", "language": "en", "active": True, "second_factor": False},
    {"id": "u2", "name": "bob", "role": "operator", "language": "zh", "active": True, "second_factor": True},
    {
        "id": "u3",
        "name": "carol",
        "role": "viewer",
        "language": "en",
        "active": False,
        "second_factor": False,
    },
]


async def _main(port: int) -> None:
    double = ConsoleDouble()
    double.pause_s = 0.3
    await double.start(port)
    print(double.url)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]) if len(sys.argv) > 1 else 8099))
