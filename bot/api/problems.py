"""What is refused, as RFC 9457 says it: a problem with a sentence in the caller's language."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus

from aiohttp import web
from pydantic import ValidationError

from bot.api.models.base import View
from core.errors import BadInput, NotFound

CONTENT_TYPE = "application/problem+json"


class Wrong(View):
    """A field that is not as it must be. pointer: where it stands in the body (RFC 6901) or query."""

    pointer: str
    detail: str


class Problem(View):
    """Why something was not done. code: of the sentence in ``detail``, the same in every language."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[Wrong] | None = None


class Unfit(BadInput):
    """A body or query that does not fit its model. errors: what is wrong, and where."""

    key = "api.unfit"

    def __init__(self, errors: Sequence[Wrong]) -> None:
        super().__init__("api.unfit", fields=", ".join(dict.fromkeys(each.pointer for each in errors)))
        self.errors = list(errors)


@contextmanager
def naming() -> Iterator[None]:
    """Refuse a name in a body or query that names nothing as a bad value: what the path names is there."""
    try:
        yield
    except NotFound as error:
        raise BadInput(error.say.key, **error.say.params) from None


def unfit(error: ValidationError) -> Unfit:
    """Return what pydantic found, without the values: they may be secrets."""
    return Unfit(
        [
            Wrong(pointer="/" + "/".join(_step(step) for step in each["loc"]), detail=each["msg"])
            for each in error.errors(include_url=False, include_context=False, include_input=False)
        ]
    )


def _step(step: int | str) -> str:
    return str(step).replace("~", "~0").replace("/", "~1")


def problem(status: int, code: str, detail: str, errors: Sequence[Wrong] = ()) -> web.Response:
    """Return the answer that says so."""
    told = Problem(
        type=f"urn:it0:problem:{code}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        code=code,
        errors=list(errors) or None,
    )
    body = json.dumps(told.model_dump(exclude_none=True), ensure_ascii=False)
    return web.Response(text=body, status=status, content_type=CONTENT_TYPE)
