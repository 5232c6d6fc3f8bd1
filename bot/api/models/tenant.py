"""The tenant itself: what it decided, what its plan holds, its bots on platforms."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from bot.api.models.base import Form, View
from core.texts import Language


class Preferences(View):
    """What the tenant decided for itself. engine: null for the installation's."""

    four_eyes: bool = Field(description="Who asks for level 2 does not decide it.")
    approvals_needed: int = Field(description="How many people level 2 takes.")
    step_up: bool = Field(description="Who approves level 2 proves a second factor.")
    language: Language
    engine: str | None


class PreferencesChange(Form):
    """What is decided from now on; what is left out stays."""

    four_eyes: bool = False
    approvals_needed: int = Field(1, ge=1, le=20)
    step_up: bool = False
    language: Language = "en"
    engine: str | None = None


class Quota(View):
    """How much of a plan's quota is used; limit: null without one."""

    name: str = Field(description="servers, users, skills, sessions (today), tasks (now).")
    used: int
    limit: int | None


class Tenant(View):
    """The caller's tenant. engines: that its plan holds, null for all."""

    slug: str
    name: str
    plan: str
    status: Literal["active", "suspended", "deleted"]
    engines: list[str] | None
    preferences: Preferences
    quotas: list[Quota]


class NewChannel(Form):
    """A bot on a platform, by its token, which goes in and never comes out."""

    channel: Literal["telegram"]
    token: str = Field(repr=False, json_schema_extra={"writeOnly": True})


class Channel(View):
    """A bot of the tenant's on a platform."""

    id: str
    channel: str
    created_at: datetime


class Channels(View):
    """A page of them."""

    channels: list[Channel]
    next: str | None
