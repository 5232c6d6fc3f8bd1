"""The OpenAPI 3.1 document, made from the endpoints and their models."""

import json
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from bot.api.endpoints import IDEMPOTENCY, ROOT, Endpoint
from bot.api.problems import CONTENT_TYPE, Problem
from bot.inbound.front import MAX_EVENT_ID

Json = dict[str, Any]
Model = tuple[type[BaseModel], Literal["validation", "serialization"]]

TEMPLATE = "#/components/schemas/{model}"
REFUSALS: Mapping[int, str] = {
    400: "It cannot be understood.",
    401: "No key, token or session that holds, or another tenant than it is of.",
    403: "The caller's role does not allow it.",
    404: "There is no such thing.",
    408: "The body took too long to come in.",
    409: "It is refused as things stand.",
    413: "The body is too large.",
    422: "A field is not as it must be.",
    429: "Too many requests.",
    503: "An outside part does not answer; trying later may help.",
}
MEDIA = {415: "The body is no JSON."}
ABOUT = (
    "For scripts. Errors are RFC 9457 problems with a sentence in the caller's"
    " language. A tenant's keys and tokens have a share of requests a minute (RateLimit headers)."
)


class Document:
    """The document, made when it is first asked for."""

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self._endpoints = endpoints
        self._text = ""

    def text(self) -> str:
        """Return it as JSON."""
        self._text = self._text or json.dumps(self._made(), ensure_ascii=False)
        return self._text

    def _made(self) -> Json:
        models = dict.fromkeys(self._models())
        refs, definitions = models_json_schema(list(models), ref_template=TEMPLATE)
        paths: dict[str, Json] = {}
        for each in self._endpoints:
            paths.setdefault(ROOT + each.path, {})[each.method.lower()] = _operation(each, refs)
        return {
            "openapi": "3.1.0",
            "info": {"title": "it0", "version": "1", "description": ABOUT},
            "paths": paths,
            "components": {
                "schemas": definitions["$defs"],
                "securitySchemes": {
                    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key, or a token."},
                    "session": {"type": "apiKey", "in": "cookie", "name": "it0_session"},
                },
            },
            "security": [{"bearer": []}, {"session": []}],
        }

    def _models(self) -> Iterator[Model]:
        yield Problem, "serialization"
        for each in self._endpoints:
            yield each.query, "validation"
            if each.form is not None:
                yield each.form, "validation"
            if each.answer is not None:
                yield each.answer, "serialization"


def _operation(endpoint: Endpoint, refs: Mapping[Any, Json]) -> Json:
    operation: Json = {
        "operationId": endpoint.name,
        "summary": endpoint.words.partition(". ")[0].rstrip("."),
        "description": endpoint.words,
        "tags": [endpoint.path.split("/")[1]],
        "parameters": _parameters(endpoint),
        "responses": _responses(endpoint, refs),
    }
    if endpoint.form is not None:
        schema = refs[endpoint.form, "validation"]
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return operation


def _parameters(endpoint: Endpoint) -> list[Json]:
    text = {"type": "string", "minLength": 1}
    places = [{"name": name, "in": "path", "required": True, "schema": text} for name in endpoint.places]
    schema = endpoint.query.model_json_schema()
    asked = [
        {"name": name, "in": "query", "required": False, "schema": kind}
        for name, kind in schema.get("properties", {}).items()
    ]
    headers: list[Json] = [
        {
            "name": "X-Tenant",
            "in": "header",
            "description": "The slug of the caller's own tenant; 401 if it is another's.",
            "schema": {"type": "string"},
        }
    ]
    if endpoint.once:
        headers.append(
            {
                "name": IDEMPOTENCY,
                "in": "header",
                "description": "The same key again is answered as the first time, and does nothing more.",
                "schema": {"type": "string", "maxLength": MAX_EVENT_ID // 2},
            }
        )
    return [*places, *asked, *headers]


def _responses(endpoint: Endpoint, refs: Mapping[Any, Json]) -> Json:
    good: Json = {"description": HTTPStatus(endpoint.status).phrase}
    if endpoint.answer is not None:
        good["content"] = {"application/json": {"schema": refs[endpoint.answer, "serialization"]}}
    told = {CONTENT_TYPE: {"schema": refs[Problem, "serialization"]}}
    refused = {**REFUSALS, **(MEDIA if endpoint.form else {})}
    bad = {str(status): {"description": words, "content": told} for status, words in refused.items()}
    return {str(endpoint.status): good, **bad}
