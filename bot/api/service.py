"""Serving the API: who calls, how often, with what; then the handler; then the answer."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from aiohttp import web

from bot.api.caller import Callers
from bot.api.endpoints import IDEMPOTENCY, ROOT, Endpoint, arguments_of
from bot.api.openapi import Document
from bot.console.limits import Key, Rate
from bot.web import metrics

LIMITS = "it0_limits"
"""Where a request keeps what is told of its tenant's rate."""
MINUTE = 60
ORIGIN_HEADERS = {
    "Access-Control-Allow-Methods": "GET, POST, PATCH, DELETE",
    "Access-Control-Allow-Headers": f"Authorization, Content-Type, X-Tenant, {IDEMPOTENCY}",
    "Access-Control-Max-Age": "600",
}
TOLD = "RateLimit, RateLimit-Policy, Retry-After"

Serve = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Resource(Protocol):
    """A group of endpoints."""

    def endpoints(self) -> Sequence[Endpoint]:
        """Return them."""
        ...


class Api:
    """The routes below ``/api/v1``.

    a_minute: requests of a tenant by keys and tokens; origins: of whose pages a browser may call it, exactly.
    """

    def __init__(
        self, callers: Callers, resources: Sequence[Resource], a_minute: int, origins: Sequence[str]
    ) -> None:
        self._callers = callers
        self._endpoints = [each for resource in resources for each in resource.endpoints()]
        self._document = Document(self._endpoints)
        self._rate = Rate(a_minute)
        self._origins = frozenset(origins)

    def routes(self) -> list[web.AbstractRouteDef]:
        """Return every route."""
        paths = dict.fromkeys(each.path for each in self._endpoints)
        return [
            web.get(f"{ROOT}/openapi.json", self.document),
            *(web.options(ROOT + path, self.preflight) for path in paths),
            *(web.route(each.method, ROOT + each.path, self._serving(each)) for each in self._endpoints),
        ]

    def _serving(self, endpoint: Endpoint) -> Serve:
        async def serve(request: web.Request) -> web.StreamResponse:
            caller = await self._callers.caller(request)
            if caller.how != "cookie":
                self._count(request, (caller.tenant.id,))
            given = await arguments_of(endpoint, request)
            answer = await endpoint.handler(caller, **given)
            if answer is None:
                return web.Response(status=endpoint.status)
            return web.Response(
                text=answer.model_dump_json(), status=endpoint.status, content_type="application/json"
            )

        return serve

    def _count(self, request: web.Request, key: Key) -> None:
        """Count a tenant's request; raises HTTPTooManyRequests when it had its share of this minute."""
        is_allowed = self._rate.allows(key)
        left, wait_s = self._rate.left(key)
        # draft-ietf-httpapi-ratelimit-headers-10
        request[LIMITS] = {
            "RateLimit-Policy": f'"tenant";q={self._rate.a_minute};w={MINUTE}',
            "RateLimit": f'"tenant";r={left};t={wait_s}',
        }
        if not is_allowed:
            metrics.REFUSED.labels("api_rate").inc()
            raise web.HTTPTooManyRequests(text="too many requests", headers={"Retry-After": str(wait_s)})

    async def document(self, _: web.Request) -> web.Response:
        """The OpenAPI document."""
        return web.Response(text=self._document.text(), content_type="application/json")

    async def preflight(self, request: web.Request) -> web.Response:
        """Tell a browser whether a page of that origin may call."""
        is_known = request.headers.get("Origin", "") in self._origins
        headers = ORIGIN_HEADERS if is_known else {}
        return web.Response(status=204, headers=headers)

    async def add_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        """Tell of the rate, and let pages of the known origins read the answer; never with cookies."""
        if not request.path.startswith(f"{ROOT}/"):
            return
        limits: Mapping[str, str] = request.get(LIMITS, {})
        response.headers.update(limits)
        if not self._origins:
            return
        response.headers.add("Vary", "Origin")
        origin = request.headers.get("Origin", "")
        if origin in self._origins:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = TOLD
