"""What all models share. They are built when they are first used: a start does not pay for them."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

MOST = 200
"""Rows of a page."""

Name = Annotated[str, Field(min_length=1, max_length=200)]


class Form(BaseModel):
    """A request's body: exact types, no field that is not known."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)


class Query(BaseModel):
    """A request's query."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class View(BaseModel):
    """An answer."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class Page(Query):
    """Which part of a list."""

    cursor: str = Field("", max_length=300, description="`next` of the page before; empty: the first page.")
    limit: int = Field(MOST, ge=1, le=MOST, description="The most rows.")


class NumberedPage(Query):
    """Which part of a numbered list, the newest first."""

    cursor: int | None = Field(None, ge=1, lt=2**62, description="`next` of the page before.")
    limit: int = Field(MOST, ge=1, le=MOST, description="The most rows.")
