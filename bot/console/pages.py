"""The console's own pages: the app, the way in and out, and the one-time form for a secret."""

import html
from functools import cache
from importlib.resources import files

from aiohttp import web

from agent.fleet.credentials import Credentials
from bot.console.auth import Sessions, Unauthenticated, check_csrf
from bot.console.origin import same_origin
from bot.console.socket import Sockets
from bot.console.wellformed import form_of
from bot.texts.catalogue import Catalogue
from core.clock import Clock
from core.errors import BadInput, It0Error, NotAllowed, NotFound, StoreUnavailable
from core.store import fleet as fleet_store
from core.store import people
from core.store.database import Row
from core.store.people import token_hash
from core.tenant import Tenant, Tenants
from core.texts import Language, as_language, say


def language_of(request: web.Request) -> Language:
    """Return the language that a browser without a session prefers."""
    preferred = request.headers.get("Accept-Language", "en")[:2].lower()
    return as_language(preferred)


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
    text = page("frame.html").replace("<!-- content -->", page(file))
    for place, value in values.items():
        text = text.replace("{{" + place + "}}", html.escape(value))
    return text


class Pages:
    """The pages that a person opens by a link."""

    def __init__(
        self,
        sessions: Sessions,
        sockets: Sockets,
        texts: Catalogue,
        tenants: Tenants,
        credentials: Credentials,
        clock: Clock,
    ) -> None:
        self._sessions = sessions
        self._sockets = sockets
        self._texts = texts
        self._tenants = tenants
        self._credentials = credentials
        self._clock = clock

    def routes(self) -> list[web.AbstractRouteDef]:
        """Return the routes."""
        return [
            web.get("/", self.index),
            web.get("/login", self.login_page),
            web.post("/login", self.login),
            web.post("/logout", self.logout),
            web.get("/secret/{token}", self.secret_page),
            web.post("/secret/{token}", self.secret),
            web.static("/static/", str(files("bot.console") / "static")),
        ]

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
        until = form["secret_expires_at"]
        shown = await self._credentials.add(tenant, user, form["name"], form["kind"], text.encode(), until)
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
