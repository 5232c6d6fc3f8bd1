"""Signing in: one-time links, sessions that can be ended, and who is asking."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import structlog
from aiohttp import web

from bot.console.limits import Key, Rate, Tally
from bot.web import metrics
from core.audit import Entry
from core.clock import Clock
from core.errors import BadInput, It0Error, NotAllowed
from core.ids import new_id, new_token
from core.store import people
from core.store.database import Database, Transaction
from core.store.people import token_hash
from core.tenant import Tenant, Tenants
from core.work import User

logger = structlog.get_logger()

COOKIE = "it0_session"
VISITOR = "it0_visitor"
"""Where a request keeps who was found to be asking."""
SEEN_EVERY = timedelta(minutes=5)
"""The session's sliding end is written at most this often."""
FAILED_SIGN_INS_A_MINUTE = 30
"""From one address; a token cannot be guessed, but each try costs the database a question."""


class Unauthenticated(NotAllowed):
    """There is no session, or it has ended."""

    key = "error.sign_in"


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who is asking, with their rights as they are now.

    session_id, csrf: "" without a session; channel: ``console``, or ``api`` by key or token.
    """

    session_id: str
    csrf: str
    tenant: Tenant
    user: User
    ip: str | None
    channel: str = "console"

    @property
    def key(self) -> Key:
        """Return by what limits know the person."""
        return self.tenant.id, self.user.id


class Sessions:
    """Links, sessions and visitors.

    link_minutes, session_hours: how long they hold; secure: whether cookies are for https only.
    """

    def __init__(
        self,
        database: Database,
        tenants: Tenants,
        clock: Clock,
        *,
        link_minutes: int,
        session_hours: int,
        secure: bool,
    ) -> None:
        self._database = database
        self._tenants = tenants
        self._clock = clock
        self._link_life = timedelta(minutes=link_minutes)
        self._session_life = timedelta(hours=session_hours)
        self._secure = secure
        self._failures = Rate(FAILED_SIGN_INS_A_MINUTE)
        self._noted = Tally()

    @property
    def secure(self) -> bool:
        """Return whether the console is reached by https only."""
        return self._secure

    @property
    def link_minutes(self) -> int:
        """Return how long a sign-in link holds."""
        return int(self._link_life.total_seconds() // 60)

    async def make_link(
        self, tenant: Tenant, user: User, url: str, by: "Visitor | None" = None, own_channel: str = ""
    ) -> str:
        """Return a one-time sign-in link for ``user``, and record who made it.

        by: the visitor who asked for it, None for the owner at the command line; own_channel: where ``user``
        asked for it themselves, "" elsewhere. Raises BadInput for one who was let out.
        """
        if not user.active:
            raise BadInput("people.inactive", name=user.name)
        token, now = new_token(), self._clock()
        asker = by.user.id if by else user.id if own_channel else None
        actor: Literal["user", "system"] = "user" if asker else "system"
        entry = Entry(
            "user.link",
            actor,
            asker,
            None,
            "user",
            user.id,
            by.channel if by else own_channel or None,
            by.ip if by else None,
            {"name": user.name},
        )
        async with tenant.transaction() as tx:
            await tx.run(
                people.ADD_LINK,
                token_hash=token_hash(token),
                tenant=tenant.id,
                user_id=user.id,
                expires_at=now + self._link_life,
            )
            await tenant.audit.append_in(tx, entry, now)
        return f"{url}/login?token={token}"

    async def sign_in(self, token: str, ip: str | None) -> str | None:
        """Use a link up; return the new session's token, or None when the link does not hold.

        Raises HTTPTooManyRequests when too many did not that came from ``ip``.
        """
        if not self._failures.allows((ip or "",)):
            metrics.REFUSED.labels("sign_in_rate").inc()
            raise web.HTTPTooManyRequests(text="too many sign-ins", headers={"Retry-After": "60"})
        secret = await self._sign_in(token, ip)
        if secret is not None:
            self._failures.take_back((ip or "",))
        return secret

    async def _sign_in(self, token: str, ip: str | None) -> str | None:
        digest, now = token_hash(token), self._clock()
        async with self._database.reading() as db:
            link = await db.one(people.LINK, token_hash=digest)
        if link is None:
            return None
        tenant = await self._tenants.by_id(link["tenant_id"])
        secret, session_id = new_token(), new_id()
        async with tenant.transaction() as tx:
            # Held first, so that whoever is being let out at this moment has no session afterwards.
            user = await tx.one(people.HOLD_USER, id=link["user_id"])
            if await tx.one(people.USE_LINK, token_hash=digest, now=now) is None:
                await self._note_failed(tx, tenant, link["user_id"], ip, now)
                return None
            is_let_in = user is not None and user["active"]
            if is_let_in:
                await tx.run(
                    people.ADD_SESSION,
                    token_hash=token_hash(secret),
                    id=session_id,
                    tenant=tenant.id,
                    user_id=link["user_id"],
                    csrf=new_token(),
                    now=now,
                )
            action = "user.sign_in" if is_let_in else "user.sign_in_refused"
            entry = Entry(action, "user", link["user_id"], None, "session", session_id, "console", ip)
            await tenant.audit.append_in(tx, entry, now)
        return secret if is_let_in else None

    async def _note_failed(
        self, tx: Transaction, tenant: Tenant, user_id: str, ip: str | None, at: datetime
    ) -> None:
        """Record that a link was tried which holds no more: a row a minute for each address, with a count."""
        count = self._noted.take((tenant.id, "sign_in", ip or ""))
        if count:
            entry = Entry(
                "user.sign_in_failed", "system", None, None, "user", user_id, "console", ip, {"count": count}
            )
            await tenant.audit.append_in(tx, entry, at)

    async def note_refused(self, visitor: "Visitor", what: Mapping[str, str]) -> None:
        """Record that a person was refused something: a row a minute for each thing, with a count.

        Never raises for a store that is away: the person is refused all the same.
        """
        count = self._noted.take((visitor.tenant.id, visitor.user.id, *what.values()))
        if not count:
            return
        user = visitor.user.id
        detail = {**what, "name": visitor.user.name, "count": count}
        entry = Entry("user.refused", "user", user, None, "user", user, visitor.channel, visitor.ip, detail)
        try:
            await visitor.tenant.audit.append(entry, self._clock())
        except It0Error as error:
            await logger.awarning("refusal_not_recorded", reason=str(error))

    async def stands(self, visitor: "Visitor") -> bool:
        """Return whether the visitor's session still holds and they are still let in; one indexed read."""
        async with visitor.tenant.reading() as db:
            oldest = self._clock() - self._session_life
            return await db.one(people.STANDS, session=visitor.session_id, oldest=oldest) is not None

    async def visitor(self, request: web.Request) -> Visitor:
        """Return who is asking; raises Unauthenticated."""
        visitor = await self.visitor_of(request.cookies.get(COOKIE, ""), request.remote)
        request[VISITOR] = visitor
        return visitor

    async def visitor_of(self, secret: str, ip: str | None) -> Visitor:
        """Return whose session ``secret`` is, with their rights as they are now."""
        now = self._clock()
        async with self._database.reading() as db:
            row = await db.one(people.SESSION, token_hash=token_hash(secret), oldest=now - self._session_life)
            if row is None:
                raise Unauthenticated
            if now - row["seen_at"] > SEEN_EVERY:
                await db.run(people.SEE_SESSION, session=row["id"], now=now)
        tenant = await self._tenants.by_id(row["tenant_id"])
        async with tenant.reading() as db:
            user = await people.user(db, row["user_id"])
        if user is None or not user.active:
            raise Unauthenticated
        return Visitor(row["id"], row["csrf"], tenant, user, ip)

    async def sign_out(self, visitor: Visitor) -> None:
        """End a session."""
        now, user = self._clock(), visitor.user.id
        entry = Entry(
            "user.sign_out", "user", user, None, "session", visitor.session_id, "console", visitor.ip
        )
        async with visitor.tenant.transaction() as tx:
            await tx.run(people.END_SESSION, session=visitor.session_id, now=now)
            await visitor.tenant.audit.append_in(tx, entry, now)

    def set_cookie(self, response: web.StreamResponse, secret: str) -> None:
        """Give the session's cookie to the browser."""
        response.set_cookie(
            COOKIE,
            secret,
            httponly=True,
            samesite="Strict",
            secure=self._secure,
            path="/",
            max_age=int(self._session_life.total_seconds()),
        )

    def drop_cookie(self, response: web.StreamResponse) -> None:
        """Take the session's cookie away."""
        response.del_cookie(COOKIE, path="/")


def check_csrf(request: web.Request, visitor: Visitor) -> None:
    """Raise NotAllowed unless the request carries the session's own token."""
    given = request.headers.get("X-CSRF-Token", "").encode("utf-8", "surrogatepass")
    if not hmac.compare_digest(given, visitor.csrf.encode()):
        raise NotAllowed("error.csrf")
