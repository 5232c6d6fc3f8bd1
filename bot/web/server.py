"""The HTTP server: console, health, metrics, and the middleware that every route stands behind."""

import contextlib
import errno
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import structlog
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from bot.api.endpoints import ROOT
from bot.api.problems import Unfit, problem
from bot.api.service import Api
from bot.console.auth import VISITOR, Sessions, Unauthenticated
from bot.console.pages import Pages, in_page, language_of
from bot.console.socket import Sockets
from bot.console.wellformed import json_of, storable
from bot.texts.catalogue import Catalogue
from bot.web import metrics
from bot.web.connections import serve_by
from bot.web.headers import add_headers
from channels.telegram.adapter import SECRET_HEADER, Telegram
from core.errors import BadInput, It0Error, NotAllowed, NotFound, Refused, StoreUnavailable, Unavailable
from core.texts import Language, Say, say

logger = structlog.get_logger()

BODY_BYTES = 256 * 1024
SAID = (400, 403, 404, 405, 408, 413, 414, 415, 426, 429)
"""The statuses of aiohttp's own that have a sentence."""
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


def status_of(error: It0Error) -> int:
    """Return the HTTP status that says what kind of error it is."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)


def host_of(url: str) -> str:
    """Return the host that a URL names, as one that looks for it compares it; "" for none."""
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return ""


class Web:
    """All routes, and what each request passes through.

    ready: returns what ``/readyz`` shows; its key ``ready`` decides between 200 and 503. public_url: as whom
    the world knows it0, "" where it has no such name.
    """

    def __init__(
        self,
        sessions: Sessions,
        pages: Pages,
        api: Api,
        sockets: Sockets,
        telegram: Telegram,
        texts: Catalogue,
        ready: Ready,
        public_url: str,
    ) -> None:
        self._sessions = sessions
        self._pages = pages
        self._api = api
        self._sockets = sockets
        self._telegram = telegram
        self._texts = texts
        self._ready = ready
        self._public_host = host_of(public_url)

    def app(self) -> web.Application:
        """Return the application."""
        app = web.Application(middlewares=[self._outermost, self._errors], client_max_size=BODY_BYTES)
        app.add_routes(
            [
                web.get("/healthz", self.healthz),
                web.get("/readyz", self.readyz),
                web.get("/metrics", self.metrics),
                web.get("/ws/agent", self._sockets.handle),
                web.post("/telegram/{installation}", self.telegram),
                *self._pages.routes(),
                *self._api.routes(),
            ]
        )
        app.on_response_prepare.append(self._api.add_headers)
        serve_by(app)
        return app

    def watched(self) -> web.Application:
        """Return what tells of a process that serves nothing else."""
        app = web.Application(middlewares=[self._outermost, self._errors])
        app.add_routes(
            [
                web.get("/healthz", self.healthz),
                web.get("/readyz", self.readyz),
                web.get("/metrics", self.metrics),
            ]
        )
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
            if "%00" in request.path_qs or not storable(request.path_qs):
                raise BadInput("error.bad_input")
            return await handler(request)
        except It0Error as error:
            return await self._error(request, status_of(error), error.say, error)
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

    async def _error(
        self, request: web.Request, status: int, words: Say, error: It0Error | None = None
    ) -> web.Response:
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
        if request.path.startswith(f"{ROOT}/"):
            if isinstance(error, BadInput) and words.key != "error.bad_json":
                status = 422  # understood, and not as it must be
            errors = error.errors if isinstance(error, Unfit) else ()
            response = problem(status, words.key, message, errors)
            if status == 401:
                response.headers["WWW-Authenticate"] = "Bearer"
            return response
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

    async def telegram(self, request: web.Request) -> web.Response:
        """Take an update that Telegram brings; it is accepted once this is answered."""
        secret = request.headers.get(SECRET_HEADER, "")
        bot = await self._telegram.admit(request.match_info["installation"], secret)  # before a byte is read
        await self._telegram.take(bot, await json_of(request))
        return web.json_response({})

    async def metrics(self, request: web.Request) -> web.Response:
        """Figures for Prometheus, which comes by an inner address: by the public name comes the world."""
        if self._public_host and host_of(f"//{request.host}") == self._public_host:
            raise web.HTTPNotFound
        return web.Response(
            body=generate_latest(metrics.REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )
