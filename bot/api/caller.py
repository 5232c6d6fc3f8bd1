"""Who calls: by an API key, by a token got with one or with a session, or by the console's cookie."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import jwt
from aiohttp import web

from bot.console.auth import FAILED_SIGN_INS_A_MINUTE, VISITOR, Sessions, Unauthenticated, Visitor, check_csrf
from bot.console.limits import Rate
from bot.console.origin import same_origin
from bot.web import metrics
from core.clock import Clock
from core.errors import NotAllowed, NotFound, SetupError
from core.store import keys, people
from core.store.database import Database
from core.store.people import token_hash
from core.tenant import Tenant, Tenants
from core.work import Role, User

ALGORITHM = "HS256"
ISSUER = "it0"
AUDIENCE = "it0-api"
CLAIMS = ("iss", "aud", "sub", "iat", "exp", "tid", "via", "ref")
"""All must be there. sub: the user; tid: the tenant; via and ref: the key or session that it was got with."""
KEY_MARK = "it0_"
USED_EVERY = timedelta(minutes=1)
"""When a key was last used is written at most this often."""
SAFE = ("GET", "HEAD", "OPTIONS")


class NoAccess(Unauthenticated):
    """The key or token does not hold, or the header names another tenant."""

    key = "api.no_access"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, with their rights as they are now.

    how: by what this request is vouched for; via, ref: the session or key behind it.
    """

    visitor: Visitor
    how: Literal["cookie", "key", "token"]
    via: Literal["session", "key"]
    ref: str

    @property
    def tenant(self) -> Tenant:
        """Return the tenant."""
        return self.visitor.tenant

    @property
    def user(self) -> User:
        """Return the user."""
        return self.visitor.user

    @property
    def channel(self) -> str:
        """Return what the log calls the way by which they came."""
        return self.visitor.channel

    def needs(self, role: Role) -> None:
        """Raise NotAllowed unless the caller has ``role``."""
        if not self.user.role.covers(role):
            raise NotAllowed("error.admins_only" if role is Role.ADMIN else "error.operators_only")


class Callers:
    """Finds out who calls, and makes tokens. secret: JWT_SECRET, None where nothing is served."""

    def __init__(
        self,
        database: Database,
        tenants: Tenants,
        sessions: Sessions,
        clock: Clock,
        secret: str | None,
        expires_in_s: int,
    ) -> None:
        self._database = database
        self._tenants = tenants
        self._sessions = sessions
        self._clock = clock
        self._secret = secret
        self._life = timedelta(seconds=expires_in_s)
        self._failures = Rate(FAILED_SIGN_INS_A_MINUTE)

    async def caller(self, request: web.Request) -> Caller:
        """Return who calls.

        Raises Unauthenticated, NotAllowed for a change by cookie without the page's token, and
        HTTPTooManyRequests when too many keys or tokens did not hold that came from one address.
        """
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme:
            found = await self._by_bearer(scheme, given.strip(), request.remote)
        else:
            visitor = await self._sessions.visitor(request)
            if request.method not in SAFE:
                check_csrf(request, visitor)
                self._check_origin(request)
            found = Caller(visitor, "cookie", "session", visitor.session_id)
        request[VISITOR] = found.visitor
        wanted = request.headers.get("X-Tenant")
        if wanted is not None and wanted != found.tenant.row.slug:
            raise NoAccess("api.other_tenant")
        return found

    def _check_origin(self, request: web.Request) -> None:
        """Raise NotAllowed for what a browser sends from a page that is not the console's."""
        if "Origin" in request.headers and not same_origin(request, self._sessions.secure):
            raise NotAllowed("api.other_origin")

    async def _by_bearer(self, scheme: str, given: str, ip: str | None) -> Caller:
        place = (ip or "",)
        if not self._failures.allows(place):
            metrics.REFUSED.labels("key_rate").inc()
            raise web.HTTPTooManyRequests(text="too many keys", headers={"Retry-After": "60"})
        if scheme.lower() != "bearer" or not given:
            raise NoAccess
        found = await (self._by_key if given.startswith(KEY_MARK) else self._by_token)(given, ip)
        self._failures.take_back(place)
        return found

    async def _by_key(self, token: str, ip: str | None) -> Caller:
        now = self._clock()
        async with self._database.reading() as db:
            row = await db.one(keys.FOUND, token_hash=token_hash(token))
            if row is None or (row["expires_at"] is not None and row["expires_at"] <= now):
                raise NoAccess
            if row["used_at"] is None or now - row["used_at"] > USED_EVERY:
                await db.run(keys.USED, id=row["id"], now=now)
        visitor = await self._visitor("", row["tenant_id"], row["user_id"], ip)
        return Caller(visitor, "key", "key", row["id"])

    async def _by_token(self, token: str, ip: str | None) -> Caller:
        claims = self._claims(token)
        via, ref = claims["via"], claims["ref"]
        is_session = via == "session"
        visitor = await self._visitor(ref if is_session else "", claims["tid"], claims["sub"], ip)
        if is_session:
            stands = await self._sessions.stands(visitor)
        else:
            async with self._database.reading() as db:
                row = await db.one(keys.STANDS, tenant=visitor.tenant.id, id=ref, now=self._clock())
            stands = row is not None
        if not stands:
            raise NoAccess
        return Caller(visitor, "token", "session" if is_session else "key", ref)

    async def _visitor(self, session_id: str, tenant_id: str, user_id: str, ip: str | None) -> Visitor:
        try:
            tenant = await self._tenants.by_id(tenant_id)
        except NotFound as error:
            raise NoAccess from error
        async with tenant.reading() as db:
            user = await people.user(db, user_id)
        if user is None or not user.active or tenant.row.status == "deleted":
            raise NoAccess
        return Visitor(session_id, "", tenant, user, ip, "api")

    def _claims(self, token: str) -> dict[str, Any]:
        """Return what a token says, if it is ours and has not ended by our own clock."""
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._signing(),
                algorithms=[ALGORITHM],
                issuer=ISSUER,
                audience=AUDIENCE,
                options={"require": list(CLAIMS), "verify_exp": False, "verify_iat": False},
            )
            ends = datetime.fromtimestamp(claims["exp"], UTC)
        except (jwt.InvalidTokenError, ValueError, TypeError, OverflowError) as error:
            raise NoAccess from error
        if ends <= self._clock() or not all(isinstance(claims[name], str) for name in ("tid", "via", "ref")):
            raise NoAccess
        return claims

    def issue(self, caller: Caller) -> tuple[str, datetime]:
        """Return a token for ``caller`` and when it ends; raises NotAllowed for one who has only a token."""
        if caller.how == "token":
            raise NotAllowed("api.token_from_token")
        now = self._clock().replace(microsecond=0)
        ends = now + self._life
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": caller.user.id,
            "tid": caller.tenant.id,
            "via": caller.via,
            "ref": caller.ref,
            "iat": now,
            "exp": ends,
        }
        return jwt.encode(claims, self._signing(), algorithm=ALGORITHM), ends

    def _signing(self) -> str:
        if self._secret is None:
            raise SetupError("setup.key_not_set", setting="JWT_SECRET")
        return self._secret
