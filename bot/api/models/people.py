"""People, keys, tokens, and who is asking."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from bot.api.models.base import Form, Moment, View
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
    """Who is asking, and how things stand. csrf: the session's, empty without one.

    file_bytes: of a text file that may come with a message on the console, 0 for none.
    """

    user: Me
    tenant: MyTenant
    csrf: str
    halted_by: str | None
    engine: str
    languages: list[Language]
    file_bytes: int


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
    """A person. second_factor: they have one."""

    id: str
    name: str
    role: RoleName
    language: Language
    active: bool
    second_factor: bool


class StepUp(View):
    """How one's second factor stands. wanted: the tenant asks for it before level 2 is approved."""

    wanted: bool
    enrolled: bool
    proven_until: datetime | None


class Enrolment(View):
    """A new second factor: shown only now, and void until a first code of it was given."""

    secret: str = Field(description="In base32, for an app that takes no QR code.")
    uri: str
    qr: list[str] = Field(description="The rows of the URI's QR code; 1 is dark.")


class TotpCode(Form):
    """A code of one's authenticator app."""

    code: str = Field(repr=False, json_schema_extra={"writeOnly": True})


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
    expires_at: Moment | None = Field(None, description="None: it holds until it is revoked.")


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
