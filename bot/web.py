"""The HTTP server: console, health, metrics, and the middleware that every route stands behind."""

import asyncio
import contextlib
import errno
import html
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import structlog
from aiohttp import web
from aiohttp.web_protocol import RequestHandler
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from agent.fleet import Fleet
from bot import metrics
from bot.catalogue import Catalogue
from bot.console.api import Api
from bot.console.auth import VISITOR, Sessions, Unauthenticated, check_csrf
from bot.console.socket import Sockets, same_origin
from bot.console.wellformed import form_of
from core.clock import Clock
from core.errors import BadInput, It0Error, NotAllowed, NotFound, Refused, StoreUnavailable, Unavailable
from core.store import fleet as fleet_store
from core.store import people
from core.store.database import Row
from core.store.people import token_hash
from core.tenant import Tenant, Tenants
from core.texts import Language, Say, as_language, say

logger = structlog.get_logger()

BODY_BYTES = 256 * 1024
IDLE_S = 15.0
"""A connection on which no request came in whole within one to two of these is closed."""
SAID = (400, 403, 404, 405, 408, 413, 414, 415, 426, 429)
"""The statuses of aiohttp's own that have a sentence."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(self)",
}
STATUS: Mapping[type[It0Error], int] = {
    Unauthenticated: 401,
    NotAllowed: 403,
    NotFound: 404,
    BadInput: 400,
    Refused: 409,
    StoreUnavailable: 503,
    Unavailable: 503,
}

DOORS = {
    "login.link_used": "link",
    "console.door_no_link_title": "no_link",
    "secret.gone": "form",
}
"""What is said at length to a person whose link leads nowhere, by the error's key."""

Next = Callable[[web.Request], Awaitable[web.StreamResponse]]
Ready = Callable[[], Awaitable[Mapping[str, Any]]]


def language_of(request: web.Request) -> Language:
    """Return the language that a browser without a session prefers."""
    preferred = request.headers.get("Accept-Language", "en")[:2].lower()
    return as_language(preferred)


def clean(text: str) -> bool:
    """Return whether ``text`` holds nothing that no stored text can: a NUL or half of a surrogate pair."""
    return "\0" not in text and "%00" not in text and not any("\ud800" <= char <= "\udfff" for char in text)


def status_of(error: It0Error) -> int:
    """Return the HTTP status that says what kind of error it is."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)


def add_headers(response: web.StreamResponse, cache: str = "no-store") -> None:
    """Give a response the headers that it does not have of its own."""
    for name, value in {**HEADERS, "Cache-Control": cache}.items():
        response.headers.setdefault(name, value)


class Connection(RequestHandler):
    """A client's connection: it may not wait for ever, and what is no HTTP hears so with our headers."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to look after it."""
        super().connection_made(transport)
        self._looked_at = -1
        self._look_again()

    def _look_again(self) -> None:
        self._looking: asyncio.TimerHandle = asyncio.get_running_loop().call_later(IDLE_S, self._look)

    def _look(self) -> None:
        """End it if no request has come in whole since the last look, and none is being answered."""
        if self.transport is None:
            return
        if self._current_request is None and self._looked_at == self._request_count:
            self.force_close()
            return
        self._looked_at = self._request_count if self._current_request is None else -1
        self._look_again()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Look no more."""
        self._looking.cancel()
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what cannot be parsed, or failed outside of every route."""
        response = super().handle_error(request, status, exc, message)
        add_headers(response)
        return response


class Server(web.Server):
    """Makes our connections."""

    def __call__(self) -> RequestHandler:
        """Return a connection's handler."""
        return Connection(self, loop=self._loop, **self._kwargs)


def _serve_by(app: web.Application) -> None:
    """Have the runner of ``app`` make our connections: aiohttp has no other way to say so."""

    def make(*, loop: asyncio.AbstractEventLoop | None = None, **options: Any) -> web.Server:
        app._set_loop(loop)
        app.freeze()
        # Nothing of ours compresses a body, and a small one may unfold to any size.
        options |= {"auto_decompress": False}
        return Server(app._handle, request_factory=app._make_request, loop=loop, **options)  # type: ignore[arg-type]

    app._make_handler = make  # type: ignore[method-assign]


@cache
def page(name: str) -> str:
    """Return one of the console's files."""
    return (files("bot.console") / "static" / name).read_text("utf-8")


def filled(file: str, /, **values: str) -> web.Response:
    """Return a page with its ``{{places}}`` filled in, escaped."""
    # With no-referrer a browser posts a form with "Origin: null", as it does for pages that are not ours.
    headers = {"Referrer-Policy": "same-origin"}
    return web.Response(text=in_page(file, **values), content_type="text/html", headers=headers)


def in_page(file: str, /, **values: str) -> str:
    """Return a page's text with its ``{{places}}`` filled in, escaped."""
    text = page(file)
    for place, value in values.items():
        text = text.replace("{{" + place + "}}", html.escape(value))
    return text


class Web:
    """The routes that are not the console's API.

    ready: returns what ``/readyz`` shows; its key ``ready`` decides between 200 and 503.
    """

    def __init__(
        self,
        sessions: Sessions,
        api: Api,
        sockets: Sockets,
        texts: Catalogue,
        tenants: Tenants,
        fleet: Fleet,
        clock: Clock,
        ready: Ready,
    ) -> None:
        self._sessions = sessions
        self._api = api
        self._sockets = sockets
        self._texts = texts
        self._tenants = tenants
        self._fleet = fleet
        self._clock = clock
        self._ready = ready

    def app(self) -> web.Application:
        """Return the application."""
        app = web.Application(middlewares=[self._outermost, self._errors], client_max_size=BODY_BYTES)
        app.add_routes(
            [
                web.get("/healthz", self.healthz),
                web.get("/readyz", self.readyz),
                web.get("/metrics", self.metrics),
                web.get("/", self.index),
                web.get("/login", self.login_page),
                web.post("/login", self.login),
                web.post("/logout", self.logout),
                web.get("/secret/{token}", self.secret_page),
                web.post("/secret/{token}", self.secret),
                web.get("/ws/agent", self._sockets.handle),
                *self._api.routes(),
            ]
        )
        app.router.add_static("/static/", str(files("bot.console") / "static"))
        _serve_by(app)
        return app

    @web.middleware
    async def _outermost(self, request: web.Request, handler: Next) -> web.StreamResponse:
        began = time.monotonic()
        try:
            response = await handler(request)
        except web.HTTPException as raised:
            add_headers(raised)
            raise
        route = request.match_info.route.resource
        name = route.canonical if route is not None else "none"
        if name != "/ws/agent":
            took = time.monotonic() - began
            metrics.REQUESTS.labels(name, request.method, str(response.status)).observe(took)
        if not response.prepared:
            add_headers(response, "no-cache" if name == "/static" and response.status < 400 else "no-store")
        return response

    @web.middleware
    async def _errors(self, request: web.Request, handler: Next) -> web.StreamResponse:
        try:
            if not clean(request.path_qs):
                raise BadInput("error.bad_input")
            return await handler(request)
        except It0Error as error:
            return await self._error(request, status_of(error), error.say)
        except web.HTTPException as error:
            if error.status < 400:
                raise
            words = say(f"http.{error.status if error.status in SAID else 400}")
            response = await self._error(request, error.status, words)
            kept = {name: error.headers[name] for name in ("Allow", "Retry-After") if name in error.headers}
            response.headers.update(kept)
            return response
        except (ConnectionError, TimeoutError):
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:  # of a static file
                return await self._error(request, 404, say("http.404"))
            route = request.match_info.route.resource
            await logger.aexception("request_failed", route=route.canonical if route else "none")
            return await self._error(request, 500, say("error.internal"))

    async def _error(self, request: web.Request, status: int, words: Say) -> web.Response:
        if status < 500:
            metrics.REFUSED.labels(str(status)).inc()
        language = language_of(request)
        with contextlib.suppress(It0Error):
            visitor = request.get(VISITOR) or await self._sessions.visitor(request)
            language = visitor.user.language
            if status == 403:
                route = request.match_info.route.resource
                where = route.canonical if route is not None else ""
                what = {"what": "request", "route": f"{request.method} {where}", "code": words.key}
                await self._sessions.note_refused(visitor, what)
        message = self._texts(words, language)
        if request.path.startswith("/api/"):
            error = {"error": {"code": words.key, "message": message}}
            return web.json_response(error, status=status)
        if "text/html" not in request.headers.get("Accept", ""):
            return web.Response(text=message + "\n", status=status)
        text = in_page("door.html", lang=language, **self._door(words, message, language))
        return web.Response(text=text, status=status, content_type="text/html")

    def _door(self, words: Say, message: str, language: Language) -> Mapping[str, str]:
        """Return what a person who followed a link is told: what is the matter, and what to do next."""
        link = self._texts(say("console.door_open"), language)
        door = DOORS.get(words.key)
        if door is None:
            title = self._texts(say("console.door_title"), language)
            return {"title": title, "how": message, "command": "", "link": link}
        parts = ("title", "how", "command")
        shown = {part: self._texts(say(f"console.door_{door}_{part}"), language) for part in parts}
        return {**shown, "link": link}

    async def healthz(self, _: web.Request) -> web.Response:
        """The loop turns."""
        return web.json_response({"alive": True})

    async def readyz(self, _: web.Request) -> web.Response:
        """Work can be taken."""
        report = await self._ready()
        return web.json_response(report, status=200 if report["ready"] else 503)

    async def metrics(self, _: web.Request) -> web.Response:
        """Figures for Prometheus."""
        return web.Response(
            body=generate_latest(metrics.REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    async def index(self, _: web.Request) -> web.Response:
        """The console's page; without a session it says how to get in."""
        return web.Response(text=page("index.html"), content_type="text/html")

    async def login_page(self, request: web.Request) -> web.Response:
        """A page with a button: following a link uses nothing up, so a preview of it cannot."""
        language = language_of(request)
        if not request.query.get("token"):
            raise BadInput("console.door_no_link_title")
        return filled(
            "login.html",
            lang=language,
            token=request.query.get("token", "")[:200],
            title=self._texts(say("login.title"), language),
            message=self._texts(say("login.message"), language),
            button=self._texts(say("login.button"), language),
        )

    async def login(self, request: web.Request) -> web.StreamResponse:
        """Use a link up."""
        site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
        if site not in (None, "same-origin", "none"):
            raise NotAllowed("error.csrf")
        is_vouched_for = origin == "null" and site == "same-origin"
        if origin is not None and not is_vouched_for and not same_origin(request, self._sessions.secure):
            raise NotAllowed("error.csrf")
        token = (await form_of(request)).get("token", "")
        secret = await self._sessions.sign_in(token, request.remote) if isinstance(token, str) else None
        if secret is None:
            raise Unauthenticated("login.link_used")
        response = web.Response(status=303, headers={"Location": "/"})
        self._sessions.set_cookie(response, secret)
        return response

    async def logout(self, request: web.Request) -> web.Response:
        """End the session."""
        visitor = await self._sessions.visitor(request)
        check_csrf(request, visitor)
        await self._sessions.sign_out(visitor)
        await self._sockets.end_session(visitor)
        response = web.json_response({})
        self._sessions.drop_cookie(response)
        return response

    async def secret_page(self, request: web.Request) -> web.Response:
        """The one-time form for a secret."""
        form, _, _ = await self._form(request)
        language = language_of(request)
        return filled(
            "password.html" if form["kind"] == "ssh_password" else "secret.html",
            lang=language,
            token=request.match_info["token"],
            name=form["name"],
            title=self._texts(say("secret.title", credential=form["name"]), language),
            message=self._texts(say(f"secret.{form['kind']}"), language),
            button=self._texts(say("secret.button"), language),
        )

    async def secret(self, request: web.Request) -> web.Response:
        """Take the secret, seal it, and use the form up."""
        form, tenant, digest = await self._form(request)
        given = (await form_of(request)).get("secret", "")
        async with tenant.reading() as db:
            user = await people.user(db, form["user_id"])
        if user is None or not user.active or not isinstance(given, str):
            raise NotAllowed("error.admins_only")
        text = given.replace("\r\n", "\n")
        shown = await self._fleet.add_credential(tenant, user, form["name"], form["kind"], text.encode())
        async with tenant.transaction() as tx:
            await tx.one(fleet_store.USE_FORM, hash=digest, now=self._clock())
        return filled(
            "login.html",
            lang=user.language,
            token="",
            title=self._texts(say("secret.title", credential=form["name"]), user.language),
            message=self._texts(
                say("secret.done", credential=form["name"], fingerprint=shown or "-"), user.language
            ),
            button="",
        )

    async def _form(self, request: web.Request) -> tuple[Row, Tenant, bytes]:
        slug, _, token = request.match_info["token"].partition(".")
        digest = token_hash(token)
        try:
            tenant = await self._tenants.by_slug(slug)
        except StoreUnavailable:
            raise
        except It0Error as error:
            raise NotFound("secret.gone") from error
        if tenant.row.status != "active":
            raise NotFound("secret.gone")
        async with tenant.reading() as db:
            form = await db.one(fleet_store.FORM, token_hash=digest, now=self._clock())
        if form is None:
            raise NotFound("secret.gone")
        return form, tenant, digest
