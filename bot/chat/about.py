"""Commands about what stands behind a conversation: its engine, what was used, the way to the console."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import date, datetime, timedelta

from agent.context import Desk, Work
from agent.fleet.changes import admins_only
from agent.quotas import engine_refused
from bot.console.auth import Sessions
from bot.texts.visible import listed
from core.audit import Entry
from core.errors import BadInput, NotAllowed, Refused
from core.messages import Address, Part
from core.store import log, people, preferences, quotas, usage
from core.store.database import Row, Transaction
from core.tenant import Tenant
from core.texts import Say, say
from core.work import PLANS, Role, User

Command = Callable[[Work, Sequence[str]], Awaitable[Sequence[Part]]]

CONSOLE = "console"
DEFAULT = "default"
"""Takes an engine's choice back."""
USAGE_DAYS = 7
MOST_DAYS = 366
SHOWN = 40


async def is_private(tenant: Tenant, user: User, address: Address) -> bool:
    """Return whether nobody but ``user`` reads what is said at ``address``."""
    if address.channel == CONSOLE:
        return True
    async with tenant.reading() as db:
        homes = await people.homes(db, tenant.id, [user.id])
    return any(home == address for _, home in homes)


class About:
    """The commands. engines: their names; default: of who has chosen none; url: the console's address."""

    def __init__(
        self, desk: Desk, engines: Collection[str], default: str, sessions: Sessions, url: str
    ) -> None:
        self._desk = desk
        self._engines = engines
        self._default = default
        self._sessions = sessions
        self._url = url

    def commands(self) -> Mapping[str, Command]:
        """Return the commands by name."""
        return {"/usage": self.usage, "/engine": self.engine, "/console": self.console}

    async def usage(self, work: Work, words: Sequence[str]) -> Sequence[Part]:
        """Tell what the models have cost, a line for each day, engine and model."""
        admins_only(work.user)
        word = words[0] if words else str(USAGE_DAYS)
        good = word.isascii() and word.isdigit() and len(word) < 4 and 1 <= int(word) <= MOST_DAYS
        if not good or len(words) > 1:
            raise BadInput("usage.bad_days", most=MOST_DAYS)
        now = self._desk.clock()
        rows = await used(work.tenant, work.user, int(word), now)
        plan = await self._plan(work, now)
        if not rows:
            return [say("usage.none", days=int(word)), *plan]
        lines = [
            say(
                "usage.line",
                day=row["day"].isoformat(),
                engine=row["engine"],
                model=row["model"],
                **sums([row]),
            )
            for row in rows[:SHOWN]
        ]
        more = [say("list.more", count=len(rows) - SHOWN)] if len(rows) > SHOWN else []
        first = _first(int(word), now).isoformat()
        return [say("usage.total", first=first, **sums(rows)), *lines, *more, *plan]

    async def _plan(self, work: Work, now: datetime) -> Sequence[Say]:
        """Return what is used of a plan's quotas, nothing for a plan without any."""
        plan = work.tenant.row.plan
        async with work.tenant.reading() as db:
            counted = await quotas.used(db, plan, now)
        limits = [
            say(f"usage.of_{each.name}", used=each.used, limit=each.limit)
            for each in counted
            if each.limit is not None
        ]
        return [say("usage.plan", plan=plan), *limits] if limits else []

    async def engine(self, work: Work, words: Sequence[str]) -> Sequence[Part]:
        """Say which engine answers here, or choose another for this conversation or the tenant."""
        if not words:
            return await self._engine_now(work)
        name, scope = words[0].lower(), words[1].lower() if len(words) > 1 else ""
        if len(words) > 2 or scope not in ("", "tenant"):
            raise BadInput("engine.usage")
        role = Role.ADMIN if scope else Role.OPERATOR
        if not work.user.role.covers(role):
            raise NotAllowed("error.admins_only" if scope else "engine.operators_only")
        if name != DEFAULT and name not in self._engines:
            raise Refused("engine.unknown", engine=words[0][:40], engines=listed(list(self._engines)))
        if name != DEFAULT and not PLANS[work.tenant.row.plan].allows(name):
            raise engine_refused(work.tenant, name)
        chosen = None if name == DEFAULT else name
        await (self._set_for_tenant if scope else self._set_here)(work, chosen)
        return await self._engine_now(work)

    async def _engine_now(self, work: Work) -> Sequence[Say]:
        async with work.tenant.reading() as db:
            row = await log.conversation(db, work.conversation_id)
            wishes = await preferences.load(db)
        own = row["engine"] if row else None
        why = "conversation" if own else "tenant" if wishes.engine else "default"
        plan = PLANS[work.tenant.row.plan]
        default = self._default if plan.allows(self._default) else "direct"
        here = say(f"engine.of_{why}", engine=own or wishes.engine or default)
        return [
            here,
            say("engine.there", engines=listed([each for each in self._engines if plan.allows(each)])),
        ]

    async def _set_here(self, work: Work, engine: str | None) -> None:
        async with work.tenant.transaction() as tx:
            await tx.run(log.SET_ENGINE, id=work.conversation_id, engine=engine)
            detail = {"engine": engine, "name": engine or DEFAULT}
            await self._record(tx, work, "conversation.engine", "conversation", detail)

    async def _set_for_tenant(self, work: Work, engine: str | None) -> None:
        async with work.tenant.transaction() as tx:
            await preferences.put(tx, "engine", engine, self._desk.clock(), work.user.id)
            await self._record(tx, work, "tenant.set", "", {"key": "engine", "value": engine})
        self._desk.changed(work.tenant.id, "people")

    async def _record(
        self, tx: Transaction, work: Work, action: str, kind: str, detail: Mapping[str, str | None]
    ) -> None:
        ref = work.conversation_id if kind else ""
        entry = Entry(action, "user", work.user.id, None, kind, ref, work.address.channel, detail=detail)
        await work.tenant.audit.append_in(tx, entry, self._desk.clock())

    async def console(self, work: Work, _: Sequence[str]) -> Sequence[Part]:
        """Make a one-time sign-in link, where nobody else reads it."""
        channel = work.address.channel
        if channel == CONSOLE:
            return [say("console_link.here", url=self._url)]
        if not await is_private(work.tenant, work.user, work.address):
            raise Refused("console_link.ask_in_private")
        link = await self._sessions.make_link(work.tenant, work.user, self._url, own_channel=channel)
        return [say("console_link.made", minutes=self._sessions.link_minutes), link]


async def used(tenant: Tenant, user: User, days: int, at: datetime) -> list[Row]:
    """Return what the models have cost in the last ``days`` (UTC), a row a day, engine and model.

    Raises NotAllowed for who is no admin.
    """
    admins_only(user)
    async with tenant.reading() as db:
        return await usage.since(db, _first(days, at))


def _first(days: int, at: datetime) -> date:
    return at.date() - timedelta(days=days - 1)


def sums(rows: Sequence[Row]) -> Mapping[str, str]:
    """Return calls, tokens and dollars of ``rows`` together, as they are written."""
    total = {
        name: sum(row[name] for row in rows)
        for name in ("calls", "input_tokens", "output_tokens", "micro_usd")
    }
    return {
        "calls": f"{total['calls']:,}",
        "input": f"{total['input_tokens']:,}",
        "output": f"{total['output_tokens']:,}",
        "usd": f"{total['micro_usd'] / 1_000_000:,.4f}",
    }
