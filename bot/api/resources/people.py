"""Who is asking, people, keys and tokens."""

from collections.abc import Callable, Mapping, Sequence

from agent.keys import ApiKey, ApiKeys
from agent.people import Staff, set_language
from bot.api.caller import Caller, Callers
from bot.api.endpoints import Endpoint, endpoint
from bot.api.models import people as models
from bot.api.models.base import Page
from bot.api.paging import cut
from bot.console.auth import Sessions
from core.clock import Clock
from core.errors import BadInput
from core.store import people, preferences, stepup
from core.texts import LANGUAGES, Language
from core.work import Role, User


class PeopleDesk:
    """The endpoints. url: the console's address; engine: whose has chosen none; changed: tells open pages."""

    def __init__(
        self,
        callers: Callers,
        sessions: Sessions,
        staff: Staff,
        keys: ApiKeys,
        clock: Clock,
        url: str,
        engine: str,
        file_bytes: int,
        changed: Callable[[str, str], None],
    ) -> None:
        self._callers = callers
        self._sessions = sessions
        self._staff = staff
        self._keys = keys
        self._clock = clock
        self._url = url
        self._engine = engine
        self._file_bytes = file_bytes
        self._changed = changed

    def endpoints(self) -> Sequence[Endpoint]:
        """Return them."""
        return [
            endpoint("GET", "/me", self.show_me),
            endpoint("PATCH", "/me", self.change_me),
            endpoint("POST", "/token", self.make_token, 201),
            endpoint("GET", "/users", self.list_users),
            endpoint("POST", "/users", self.add_user, 201),
            endpoint("PATCH", "/users/{name}", self.change_user),
            endpoint("POST", "/users/{name}/link", self.make_link, 201),
            endpoint("POST", "/users/{name}/pairing-code", self.make_pairing_code, 201),
            endpoint("GET", "/keys", self.list_keys),
            endpoint("POST", "/keys", self.make_key, 201),
            endpoint("DELETE", "/keys/{name}", self.revoke_key),
        ]

    async def show_me(self, caller: Caller) -> models.Self:
        """Show who is asking, and how things stand in their tenant."""
        user, row = caller.user, caller.tenant.row
        async with caller.tenant.reading() as db:
            wishes = await preferences.load(db)
        return models.Self(
            user=models.Me(id=user.id, name=user.name, role=user.role.value, language=user.language),
            tenant=models.MyTenant(slug=row.slug, name=row.name),
            csrf=caller.visitor.csrf,
            halted_by=wishes.halted_by,
            engine=wishes.engine or self._engine,
            languages=list(LANGUAGES),
            file_bytes=self._file_bytes,
        )

    async def change_me(self, caller: Caller, form: models.LanguageChoice) -> None:
        """Set the caller's language."""
        await set_language(caller.tenant, caller.user, form.language, caller.channel, self._clock())
        self._changed(caller.tenant.id, "people")

    async def make_token(self, caller: Caller) -> models.Token:
        """Make a short-lived token, for an API key or a console's session."""
        token, ends = self._callers.issue(caller)
        return models.Token(token=token, expires_at=ends)

    async def list_users(self, caller: Caller, query: Page) -> models.People:
        """List the people by name (admins)."""
        caller.needs(Role.ADMIN)
        async with caller.tenant.reading() as db:
            found, after = cut(await people.persons(db), query, lambda user: user.name)
            proving = {row["user_id"] for row in await db.all(stepup.CONFIRMED)}
        return models.People(users=[_person(user, user.id in proving) for user in found], next=after)

    async def add_user(self, caller: Caller, form: models.NewPerson) -> models.PersonAdded:
        """Let somebody in (admins); answers with a one-time sign-in link."""
        language = form.language or caller.user.language
        if language not in LANGUAGES:
            raise BadInput("language.unknown", languages=", ".join(LANGUAGES))
        user = await self._staff.add(caller.tenant, caller.user, form.name, form.role, _language(language))
        link = await self._sessions.make_link(caller.tenant, user, self._url, caller.visitor)
        return models.PersonAdded(user=_person(user), link=link, minutes=self._sessions.link_minutes)

    async def change_user(self, caller: Caller, name: str, form: models.PersonChange) -> None:
        """Change somebody's role, or let them out or in again (admins)."""
        await self._staff.change(caller.tenant, caller.user, name, role=form.role, active=form.active)
        self._changed(caller.tenant.id, "people")

    async def make_link(self, caller: Caller, name: str) -> models.Link:
        """Make a one-time sign-in link for somebody (admins)."""
        caller.needs(Role.ADMIN)
        user = await self._staff.named(caller.tenant, name)
        link = await self._sessions.make_link(caller.tenant, user, self._url, caller.visitor)
        return models.Link(link=link, minutes=self._sessions.link_minutes)

    async def make_pairing_code(self, caller: Caller, name: str) -> models.PairingCode:
        """Make a one-time code by which somebody pairs a chat account (admins)."""
        code = await self._staff.pairing_code(caller.tenant, caller.user, name)
        return models.PairingCode(code=code, minutes=self._staff.code_minutes)

    async def list_keys(self, caller: Caller, query: Page) -> models.Keys:
        """List the API keys, the newest first, never their tokens (admins)."""
        caller.needs(Role.ADMIN)
        async with caller.tenant.reading() as db:
            names = {user.id: user.name for user in await people.users(db)}
        listed = await self._keys.listed(caller.tenant)
        found, after = cut(
            listed, query, lambda key: f"{key.created_at.isoformat()}!{key.id}", newest_first=True
        )
        return models.Keys(keys=[_key(each, names) for each in found], next=after)

    async def make_key(self, caller: Caller, form: models.NewKey) -> models.KeyMade:
        """Make an API key (admins); its token is shown only now."""
        made, token = await self._keys.new(
            caller.tenant, caller.user, form.name, form.role, caller.user.language, form.expires_at
        )
        return models.KeyMade(key=_key(made, {caller.user.id: caller.user.name}), token=token)

    async def revoke_key(self, caller: Caller, name: str) -> None:
        """Let an API key in no more (admins)."""
        await self._keys.revoke(caller.tenant, caller.user, name)


def _language(text: str) -> Language:
    return "zh" if text == "zh" else "en"


def _person(user: User, second_factor: bool = False) -> models.Person:
    return models.Person(
        id=user.id,
        name=user.name,
        role=user.role.value,
        language=user.language,
        active=user.active,
        second_factor=second_factor,
    )


def _key(key: ApiKey, names: Mapping[str, str]) -> models.Key:
    same = ("id", "name", "prefix", "created_at", "expires_at", "used_at", "revoked_at")
    return models.Key(
        **{field: getattr(key, field) for field in same},
        role=key.role.value,
        made_by=names.get(key.made_by or ""),
    )
