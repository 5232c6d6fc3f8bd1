"""An endpoint is a handler: what it takes and gives is read from its signature."""

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, get_type_hints

from aiohttp import web
from pydantic import BaseModel, ValidationError

from bot.api.models.base import Form, Query, View
from bot.api.problems import Unfit, Wrong, unfit
from bot.console.wellformed import body_of, storable
from core.errors import BadInput

ROOT = "/api/v1"
IDEMPOTENCY = "Idempotency-Key"

Handler = Callable[..., Awaitable[Any]]
"""Takes the Caller, the path's places by name and, if it names them, ``form``, ``query`` and ``once``."""


class NoQuery(Query):
    """Nothing."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A method on a path. once: whether it takes an Idempotency-Key; answer: None for no content."""

    method: str
    path: str
    handler: Handler
    status: int
    places: tuple[str, ...]
    form: type[Form] | None
    query: type[Query]
    answer: type[View] | None
    once: bool

    @property
    def name(self) -> str:
        """Return the handler's name."""
        return str(self.handler.__name__)

    @property
    def words(self) -> str:
        """Return what it does."""
        return " ".join((inspect.getdoc(self.handler) or "").split())


def endpoint(method: str, path: str, handler: Handler, status: int = 200) -> Endpoint:
    """Return the endpoint that calls ``handler``. status: of its success."""
    hints = get_type_hints(handler)
    answer = hints.pop("return")
    taken = {"form", "query", "once", "caller"}
    return Endpoint(
        method,
        path,
        handler,
        204 if answer is type(None) else status,
        tuple(name for name in inspect.signature(handler).parameters if name not in taken),
        hints.get("form"),
        hints.get("query", NoQuery),
        None if answer is type(None) else answer,
        "once" in hints,
    )


async def arguments_of(endpoint: Endpoint, request: web.Request) -> dict[str, Any]:
    """Return what a request gives to the handler.

    Raises BadInput, Unfit naming what is wrong, HTTPUnsupportedMediaType, and as ``body_of``.
    """
    given: dict[str, Any] = {name: request.match_info[name] for name in endpoint.places}
    query = _query(endpoint.query, request)
    if endpoint.query is not NoQuery:
        given["query"] = query
    if endpoint.once:
        given["once"] = request.headers.get(IDEMPOTENCY, "")
    if endpoint.form is not None:
        if request.content_type != "application/json":
            raise web.HTTPUnsupportedMediaType
        given["form"] = _form(endpoint.form, await body_of(request))
    return given


def _query(model: type[Query], request: web.Request) -> Query:
    values = request.query
    if len(values) != len(set(values)):
        twice = {name for name in values if len(values.getall(name)) > 1}
        raise Unfit([Wrong(pointer=f"/{name}", detail="given more than once") for name in sorted(twice)])
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise unfit(error) from None


def _form(model: type[Form], body: bytes) -> BaseModel:
    try:
        form = model.model_validate_json(body)
    except ValidationError as error:
        if any(each["type"] == "json_invalid" for each in error.errors(include_input=False)):
            raise BadInput("error.bad_json") from None
        raise unfit(error) from None
    if not storable(form.model_dump()):
        raise BadInput("error.bad_input")
    return form
