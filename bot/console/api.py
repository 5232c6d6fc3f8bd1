"""The console's lists and forms: JSON in, JSON out, each by the visitor's rights."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from aiohttp import web

from agent.fleet.credentials import expiry_of
from agent.fleet.forms import NewServer
from agent.fleet.servers import Fleet
from agent.gate.probing import Probing
from agent.people import Staff, set_language
from agent.shell.hostkeys import fingerprint
from bot.chat.controls import Controls
from bot.console.audited import audit_json, known_to
from bot.console.auth import Sessions, Visitor, check_csrf
from bot.console.wellformed import json_of
from bot.texts.catalogue import Catalogue
from bot.texts.render import Renderer
from core.clock import Clock, system_clock
from core.errors import BadInput, NotAllowed, NotFound, Refused
from core.store import approvals, fleet, log, people, preferences, runs
from core.store.approvals import page_of
from core.store.database import Row, Transaction
from core.texts import LANGUAGES, Language, Say, as_language
from core.work import Approval, Role, Server

MAX_PAGE = 200
MAX_IDS = 50
SHOWN_TEXTS = ("console.", "level.", "role.", "status.", "environment.")

Answer = Mapping[str, Any]
View = Callable[[web.Request, Visitor], Awaitable[Answer]]


def stamp(moment: datetime | None) -> str | None:
    """Return a moment as the page takes it."""
    return moment.isoformat() if moment else None


async def body_of(request: web.Request, **wanted: type) -> dict[str, Any]:
    """Return the JSON body's fields; raises BadInput naming the one that is missing or of another type."""
    body = await json_of(request)
    for name, kind in wanted.items():
        if not isinstance(body.get(name), kind):
            raise BadInput("error.bad_field", field=name, kind=kind.__name__)
    return body


def number_of(request: web.Request, name: str) -> int | None:
    """Return a whole number from the query, or None."""
    text = request.query.get(name, "")
    if not text:
        return None
    if not text.isdecimal() or len(text) > 18:
        raise BadInput("error.bad_field", field=name, kind="int")
    return int(text)


def needs(visitor: Visitor, role: Role) -> None:
    """Raise NotAllowed unless the visitor has ``role``."""
    if not visitor.user.role.covers(role):
        raise NotAllowed("error.admins_only" if role is Role.ADMIN else "error.operators_only")


class Api:
    """The routes below ``/api/console``."""

    def __init__(
        self,
        sessions: Sessions,
        fleet: Fleet,
        staff: Staff,
        controls: Controls,
        texts: Catalogue,
        url: str,
        engine: str,
        changed: Callable[[str, str], None],
        probing: Probing,
        file_bytes: int,
        clock: Clock = system_clock,
    ) -> None:
        self._sessions = sessions
        self._fleet = fleet
        self._staff = staff
        self._controls = controls
        self._texts = texts
        self._url = url
        self._engine = engine
        self._changed = changed
        self._probing = probing
        self._file_bytes = file_bytes
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        """Return every route."""
        root = "/api/console"
        get = {
            "/me": self.me,
            "/conversations": self.conversations,
            "/conversations/{id}/events": self.older,
            "/approvals": self.approvals,
            "/servers": self.servers,
            "/credentials": self.credentials,
            "/people": self.people,
            "/audit": self.audit,
            "/runs/{id}": self.run,
        }
        post = {
            "/servers": self.add_server,
            "/servers/{name}/trust": self.trust,
            "/servers/{name}/check": self.check,
            "/servers/{name}/distrust": self.distrust,
            "/servers/{name}/remove": self.remove,
            "/credentials": self.add_credential,
            "/credentials/{name}/revoke": self.revoke,
            "/people": self.add_person,
            "/people/{name}": self.change_person,
            "/people/{name}/link": self.person_link,
            "/language": self.language,
            "/halt": self.halt,
            "/resume": self.resume,
        }
        return [
            web.get(f"{root}/texts/{{language}}", self.texts),
            *(web.get(root + path, self._reading(view)) for path, view in get.items()),
            *(web.post(root + path, self._writing(view)) for path, view in post.items()),
        ]

    def _reading(self, view: View) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            visitor = await self._sessions.visitor(request)
            return web.json_response(await view(request, visitor))

        return answer

    def _writing(self, view: View) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            visitor = await self._sessions.visitor(request)
            check_csrf(request, visitor)
            return web.json_response(await view(request, visitor))

        return answer

    async def texts(self, request: web.Request) -> web.Response:
        """The page's words."""
        if request.match_info["language"] not in LANGUAGES:
            raise NotFound
        language: Language = as_language(request.match_info["language"])
        return web.json_response(self._texts.starting_with(SHOWN_TEXTS, language))

    async def me(self, _: web.Request, visitor: Visitor) -> Answer:
        """Who I am."""
        user, tenant = visitor.user, visitor.tenant
        async with tenant.reading() as db:
            wishes = await preferences.load(db)
        return {
            "user": {"id": user.id, "name": user.name, "role": user.role, "language": user.language},
            "tenant": {"slug": tenant.row.slug, "name": tenant.row.name},
            "csrf": visitor.csrf,
            "halted_by": wishes.halted_by,
            "engine": wishes.engine or self._engine,
            "languages": list(LANGUAGES),
            "file_bytes": self._file_bytes,
        }

    async def conversations(self, _: web.Request, visitor: Visitor) -> Answer:
        """My conversations."""
        async with visitor.tenant.reading() as db:
            rows = await db.all(log.OF_USER, user_id=visitor.user.id, channel="console", count=MAX_PAGE)
        mine = [row for row in rows if not row["thread"].startswith("feed:")]
        return {
            "conversations": [
                {
                    "id": row["id"],
                    "title": row["title"],
                    "status": row["status"],
                    "updated_at": stamp(row["updated_at"]),
                    "last_seq": row["last_seq"],
                    "running": row["running"],
                }
                for row in mine
            ]
        }

    async def older(self, request: web.Request, visitor: Visitor) -> Answer:
        """Events before a number."""
        conversation_id = request.match_info["id"]
        before = number_of(request, "before") or 2**62
        async with visitor.tenant.reading() as db:
            row = await log.conversation(db, conversation_id)
            if row is None or row["user_id"] != visitor.user.id:
                raise NotFound("error.no_such_conversation")
            rows = await log.events_before(db, conversation_id, before, MAX_PAGE)
            events = await Renderer(self._texts, visitor.user).events(db, rows)
        return {"events": events, "more": bool(rows) and rows[0]["seq"] > 1}

    async def approvals(self, request: web.Request, visitor: Visitor) -> Answer:
        """Approvals, the newest first."""
        status = request.query.get("status", "")
        if status not in ("", "pending", "approved", "rejected", "expired", "cancelled"):
            raise BadInput("error.bad_field", field="status", kind="status")
        async with visitor.tenant.reading() as db:
            found, more = await self._asked_for(db, request.query, status)
            names = {user.id: user.name for user in await people.users(db)}
            cards = await Renderer(self._texts, visitor.user).approvals(db, found, names)
        return {"approvals": [cards[a.id] for a in found], "more": more}

    async def _asked_for(
        self, db: Transaction, query: Mapping[str, str], status: str
    ) -> tuple[Sequence[Approval], bool]:
        """Return certain approvals, or a page of a status, and whether there are older ones."""
        ids = query.get("ids", "")
        if not ids:
            return await page_of(db, status, query.get("before", ""), MAX_PAGE)
        wanted = dict.fromkeys(ids.split(","))
        if len(wanted) > MAX_IDS:
            raise BadInput("error.bad_field", field="ids", kind="list")
        found = [await approvals.get(db, each) for each in wanted]
        return [each for each in found if each is not None], False

    async def servers(self, _: web.Request, visitor: Visitor) -> Answer:
        """The servers."""
        async with visitor.tenant.reading() as db:
            found = await fleet.servers(db)
            rows = await db.all(fleet.CREDENTIALS)
        names = {row["id"]: row["name"] for row in rows}
        by_id = {server.id: server.name for server in found}
        return {"servers": [server_json(server, names, by_id) for server in found]}

    async def add_server(self, request: web.Request, visitor: Visitor) -> Answer:
        """Add a server; it stays untrusted until its key is confirmed."""
        body = await body_of(request, name=str)
        known = {field: body[field] for field in NewServer.__slots__ if body.get(field) is not None}
        kinds = {"port": int, "tags": dict, "ssh_options": dict, "restricted": bool}
        for field, value in known.items():
            kind = kinds.get(field, str)
            if type(value) is not kind:
                raise BadInput("error.bad_field", field=field, kind=kind.__name__)
        if not all(isinstance(value, str) for value in known.get("tags", {}).values()):
            raise BadInput("error.bad_field", field="tags", kind="str")
        server, shown = await self._fleet.add_server(visitor.tenant, visitor.user, NewServer(**known))
        return {"server": server_json(server, {}, {}), "fingerprint": shown}

    async def _server(self, request: web.Request, visitor: Visitor) -> Server:
        return await self._fleet.server(visitor.tenant, request.match_info["name"])

    async def _ssh_server(self, request: web.Request, visitor: Visitor) -> Server:
        """Return a server that shows a key; raises Refused for the bot's own machine."""
        needs(visitor, Role.ADMIN)
        server = await self._server(request, visitor)
        if server.connection == "local":
            raise Refused("server.has_no_key", server=server.name)
        return server

    async def trust(self, request: web.Request, visitor: Visitor) -> Answer:
        """Pin the key that was compared."""
        body = await body_of(request, fingerprint=str)
        server = await self._ssh_server(request, visitor)
        await self._fleet.trust(visitor.tenant, visitor.user, server, body["fingerprint"])
        trusted = await self._server(request, visitor)
        can = await self._probing.learn(visitor.tenant, visitor.user, trusted, "console")
        return {"can": self._in_words(can, visitor)}

    def _in_words(self, sentences: Sequence[Say], visitor: Visitor) -> list[str]:
        return [self._texts(each, visitor.user.language) for each in sentences]

    async def distrust(self, request: web.Request, visitor: Visitor) -> Answer:
        """Drop the pinned key; answers with the one that the server shows now."""
        server = await self._ssh_server(request, visitor)
        await self._fleet.distrust(visitor.tenant, visitor.user, server)
        _, shown = await self._fleet.shown_key(visitor.tenant, server)
        return {"fingerprint": shown}

    async def remove(self, request: web.Request, visitor: Visitor) -> Answer:
        """Remove a server."""
        await self._fleet.remove_server(visitor.tenant, visitor.user, await self._server(request, visitor))
        return {}

    async def check(self, request: web.Request, visitor: Visitor) -> Answer:
        """Say whether a server can be reached, and which key it shows while it is not trusted."""
        needs(visitor, Role.OPERATOR)
        server = await self._server(request, visitor)
        ok, words, shown = await self._probing.check(visitor.tenant, visitor.user, server, "console")
        message, *can = self._in_words(words, visitor)
        return {"ok": ok, "message": message, "fingerprint": shown, "can": can}

    async def credentials(self, _: web.Request, visitor: Visitor) -> Answer:
        """The credentials, never their secrets."""
        needs(visitor, Role.OPERATOR)
        async with visitor.tenant.reading() as db:
            rows = await db.all(fleet.CREDENTIALS)
        return {"credentials": [credential_json(row) for row in rows]}

    async def add_credential(self, request: web.Request, visitor: Visitor) -> Answer:
        """Seal a secret."""
        body = await body_of(request, name=str, kind=str, secret=str)
        if body["kind"] not in ("ssh_key", "ssh_password"):
            raise BadInput("credential.bad_kind")
        expires = body.get("expires_at") or ""
        if not isinstance(expires, str):
            raise BadInput("error.bad_field", field="expires_at", kind="str")
        secret, until = body["secret"].encode(), expiry_of(expires)
        shown = await self._fleet.credentials.add(
            visitor.tenant, visitor.user, body["name"], body["kind"], secret, until
        )
        return {"fingerprint": shown}

    async def revoke(self, request: web.Request, visitor: Visitor) -> Answer:
        """Destroy a secret."""
        name = request.match_info["name"]
        using = await self._fleet.credentials.revoke(visitor.tenant, visitor.user, name)
        return {"servers": list(using)}

    async def people(self, _: web.Request, visitor: Visitor) -> Answer:
        """The users."""
        needs(visitor, Role.ADMIN)
        async with visitor.tenant.reading() as db:
            found = await people.users(db)
        return {
            "users": [
                {"id": u.id, "name": u.name, "role": u.role, "language": u.language, "active": u.active}
                for u in found
            ]
        }

    async def add_person(self, request: web.Request, visitor: Visitor) -> Answer:
        """Let somebody in."""
        body = await body_of(request, name=str, role=str)
        language = body.get("language") or visitor.user.language
        if language not in LANGUAGES:
            raise BadInput("language.unknown", languages=", ".join(LANGUAGES))
        user = await self._staff.add(visitor.tenant, visitor.user, body["name"], body["role"], language)
        link = await self._sessions.make_link(visitor.tenant, user, self._url, visitor)
        made = {"id": user.id, "name": user.name, "role": user.role}
        return {"user": made, "link": link, "minutes": self._sessions.link_minutes}

    async def change_person(self, request: web.Request, visitor: Visitor) -> Answer:
        """Change what somebody may do."""
        body = await body_of(request)
        role, active = body.get("role"), body.get("active")
        if not isinstance(role, str | None) or not isinstance(active, bool | None):
            raise BadInput("error.bad_field", field="role", kind="str")
        name = request.match_info["name"]
        await self._staff.change(visitor.tenant, visitor.user, name, role=role, active=active)
        self._changed(visitor.tenant.id, "people")
        return {}

    async def person_link(self, request: web.Request, visitor: Visitor) -> Answer:
        """Make a sign-in link for somebody."""
        needs(visitor, Role.ADMIN)
        user = await self._staff.named(visitor.tenant, request.match_info["name"])
        link = await self._sessions.make_link(visitor.tenant, user, self._url, visitor)
        return {"link": link, "minutes": self._sessions.link_minutes}

    async def audit(self, request: web.Request, visitor: Visitor) -> Answer:
        """The audit log, the newest first."""
        needs(visitor, Role.ADMIN)
        rows = await visitor.tenant.audit.page(number_of(request, "before"), MAX_PAGE)
        async with visitor.tenant.reading() as db:
            known = await known_to(db, rows)
        more = bool(rows) and rows[-1]["seq"] > 1
        language = visitor.user.language
        return {"rows": [audit_json(row, known, language) for row in rows], "more": more}

    async def run(self, request: web.Request, visitor: Visitor) -> Answer:
        """One command with its whole kept output."""
        needs(visitor, Role.OPERATOR)
        async with visitor.tenant.reading() as db:
            found = await runs.get(db, request.match_info["id"])
        if found is None:
            raise NotFound
        row, targets = found
        kept = ("server", "state", "exit_code", "duration_ms", "stdout", "stderr", "dropped", "os_user")
        return {
            "run": {
                "id": row["id"],
                "command": row["command"],
                "level": row["level"],
                "state": row["state"],
                "started_at": stamp(row["started_at"]),
                "ended_at": stamp(row["ended_at"]),
            },
            "targets": [{name: getattr(target, name) for name in kept} for target in targets],
        }

    async def language(self, request: web.Request, visitor: Visitor) -> Answer:
        """Set my language."""
        body = await body_of(request, language=str)
        await set_language(visitor.tenant, visitor.user, body["language"], "console", self._clock())
        self._changed(visitor.tenant.id, "people")
        return {}

    async def halt(self, _: web.Request, visitor: Visitor) -> Answer:
        """Stop everything."""
        await self._controls.set_halted(visitor.tenant, visitor.user, "console", halted=True)
        return {}

    async def resume(self, _: web.Request, visitor: Visitor) -> Answer:
        """Let work go on."""
        await self._controls.set_halted(visitor.tenant, visitor.user, "console", halted=False)
        return {}


def server_json(server: Server, credentials: Mapping[str, str], names: Mapping[str, str]) -> Answer:
    """Return a server as the page takes it."""
    return {
        "id": server.id,
        "name": server.name,
        "connection": server.connection,
        "host": server.host,
        "port": server.port,
        "user": server.ssh_user,
        "environment": server.environment,
        "role": server.role,
        "credential": credentials.get(server.credential_id or ""),
        "jump": names.get(server.jump_server_id or ""),
        "tags": dict(server.tags),
        "ssh_options": dict(server.ssh_options),
        "shell": server.shell,
        "status": server.status,
        "description": server.description,
        "fingerprint": fingerprint(server.host_key) if server.host_key else None,
        "restricted": server.restricted,
        "read_user": server.read_user,
        "read_credential": credentials.get(server.read_credential_id or ""),
        "accounts": dict(server.accounts),
    }


def credential_json(row: Row) -> Answer:
    """Return a credential as the page takes it."""
    return {
        "name": row["name"],
        "kind": row["kind"],
        "fingerprint": row["fingerprint"],
        "created_at": stamp(row["created_at"]),
        "used_at": stamp(row["used_at"]),
        "expires_at": stamp(row["expires_at"]),
        "revoked": row["revoked_at"] is not None,
    }
