"""People, keys, tokens, and who is asking."""

from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime, Field

from bot.api.models.base import Form, View
from core.texts import Language

RoleName = Literal["viewer", "operator", "admin"]


class Me(View):
    """Who is asking."""

    id: str
    name: str
    role: RoleName
    language: Language


class MyTenant(View):
    """In which tenant."""

    slug: str
    name: str


class Self(View):
    """Who is asking, and how things stand. csrf: the session's, empty without one."""

    user: Me
    tenant: MyTenant
    csrf: str
    halted_by: str | None
    engine: str
    languages: list[Language]


class LanguageChoice(Form):
    """A language."""

    language: str


class Token(View):
    """A short-lived token."""

    token: str
    expires_at: datetime


class NewPerson(Form):
    """Somebody to be let in."""

    name: str
    role: str
    language: str | None = None


class PersonChange(Form):
    """What somebody may do from now on; what is left out stays."""

    role: str | None = None
    active: bool | None = None


class Person(View):
    """A person."""

    id: str
    name: str
    role: RoleName
    language: Language
    active: bool


class People(View):
    """A page of the people."""

    users: list[Person]
    next: str | None


class Link(View):
    """A one-time sign-in link, and how long it holds."""

    link: str
    minutes: int


class PersonAdded(Link):
    """Who was let in, with the link by which they sign in."""

    user: Person


class PairingCode(View):
    """A one-time code by which somebody pairs a chat account, and how long it holds."""

    code: str
    minutes: int


class NewKey(Form):
    """An API key to be made."""

    name: str
    role: str
    expires_at: AwareDatetime | None = Field(None, description="None: it holds until it is revoked.")


class Key(View):
    """An API key. prefix: how its token begins; made_by: a person, null for the command line."""

    id: str
    name: str
    role: RoleName
    prefix: str
    made_by: str | None
    created_at: datetime
    expires_at: datetime | None
    used_at: datetime | None
    revoked_at: datetime | None


class Keys(View):
    """A page of the API keys, the newest first."""

    keys: list[Key]
    next: str | None


class KeyMade(View):
    """A new key. token: it is shown only now."""

    key: Key
    token: str
