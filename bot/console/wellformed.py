"""What comes in as bytes and has to be words: bodies that are read in time, and texts that can be stored."""

import asyncio
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from core.errors import BadInput

BODY_S = 30.0
"""How long a request's body may take to come in."""


def storable(value: Any) -> bool:
    """Return whether no text in ``value`` holds what none can store: a NUL or half of a surrogate pair."""
    match value:
        case str():
            return "\0" not in value and not any("\ud800" <= char <= "\udfff" for char in value)
        case dict():
            return all(storable(key) and storable(inner) for key, inner in value.items())
        case list():
            return all(map(storable, value))
    return True


async def json_of(request: web.Request) -> dict[str, Any]:
    """Return a request's body, which is a JSON object; raises BadInput, or HTTPRequestTimeout."""
    try:
        async with asyncio.timeout(BODY_S):
            body = await request.json()
        is_storable = storable(body)
    except TimeoutError as error:
        raise web.HTTPRequestTimeout from error
    except (ValueError, LookupError, RecursionError) as error:  # LookupError: a charset that is none
        raise BadInput("error.bad_json") from error
    if not is_storable:
        raise BadInput("error.bad_input")
    if not isinstance(body, dict):
        raise BadInput("error.bad_json")
    return body


async def body_of(request: web.Request) -> bytes:
    """Return a request's body; raises HTTPRequestTimeout or HTTPRequestEntityTooLarge."""
    try:
        async with asyncio.timeout(BODY_S):
            return await request.read()
    except TimeoutError as error:
        raise web.HTTPRequestTimeout from error


async def form_of(request: web.Request) -> Mapping[str, Any]:
    """Return a form's fields; raises BadInput, or HTTPRequestTimeout."""
    try:
        async with asyncio.timeout(BODY_S):
            return await request.post()
    except TimeoutError as error:
        raise web.HTTPRequestTimeout from error
    except web.HTTPException:
        raise
    except (ValueError, LookupError, AssertionError, RuntimeError) as error:
        raise BadInput("http.400") from error
