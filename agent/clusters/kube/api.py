"""The HTTP client of a Kubernetes API: one for each run, closed with it."""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

import aiohttp
from yarl import URL

from agent.clusters.kube.kubeconfig import Kubeconfig
from agent.clusters.kube.tls import context_of
from agent.unreached import why_unreached
from core.texts import Say, say

KEPT_S = 240.0
"""How long the token is held before the kubeconfig is opened anew; SPEC 4 allows five minutes."""

ANSWER_S = 30.0
"""How long the API may be silent."""

MOST_BYTES = 32 * 1024 * 1024
"""Of all answers of a run together: what is beyond is not taken."""

PAUSES_S = (0.2, 1.0)
"""Before each further try of what only reads."""

AGAIN = (429, 502, 503, 504)
UNSURE = (502, 504)
"""With these somebody on the way gave up: a change may be made all the same."""

JSON = "application/json"
TABLE = f"{JSON};as=Table;v=v1;g=meta.k8s.io,{JSON}"


class ApiError(Exception):
    """The API's own refusal. status: HTTP's; told: the Status object that came with it, if one did."""

    def __init__(self, status: int, told: Mapping[str, Any]) -> None:
        super().__init__(status)
        self.status = status
        self.told = told

    @property
    def message(self) -> str:
        """Return what the API said."""
        return str(self.told.get("message", ""))

    @property
    def words(self) -> str:
        """Return it as kubectl prints it."""
        reason = str(self.told.get("reason", ""))
        if reason == "Unauthorized" or self.status == 401:
            return "error: You must be logged in to the server (Unauthorized)"
        if reason == "Invalid":
            return _invalid(self.told)
        if not self.told:
            return f"Error from server: the answer was HTTP {self.status} without a reason"
        return (
            f"Error from server ({reason}): {self.message}"
            if reason
            else f"Error from server: {self.message}"
        )


class Unreached(Exception):
    """No connection, so nothing was asked. reason: why, in words."""

    def __init__(self, reason: Say) -> None:
        super().__init__()
        self.reason = reason


class Lost(Exception):
    """It was asked, and the answer did not come."""


class Api:
    """Calls one API.

    open_config: opens the kubeconfig, each time anew; connect_s: limit in seconds for a connection.
    """

    def __init__(self, open_config: Callable[[], Awaitable[Kubeconfig]], connect_s: float) -> None:
        self._open = open_config
        self._connect_s = connect_s
        self._session: aiohttp.ClientSession | None = None
        self._config: Kubeconfig | None = None
        self._until = 0.0
        self._room = MOST_BYTES
        self.namespace = "default"
        self.changing = False
        """Whether a call is under way that changes something."""

        self.answered = False
        """Whether any call was answered."""

    async def __aenter__(self) -> Self:
        """Open the kubeconfig."""
        config = await self._current()
        self.namespace = config.namespace
        connector = aiohttp.TCPConnector(ssl=context_of(config), limit=8)
        limit = aiohttp.ClientTimeout(total=None, sock_connect=self._connect_s, sock_read=ANSWER_S)
        self._session = aiohttp.ClientSession(connector=connector, timeout=limit, trust_env=False)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections and forget the secret."""
        self._config = None
        if self._session:
            await self._session.close()

    async def get(self, path: str, query: Mapping[str, str] | None = None, accept: str = JSON) -> Any:
        """Return what is at ``path``."""
        return await self._read("GET", path, query, accept, None)

    async def glance(self, path: str) -> Any:
        """Return what is at ``path`` now; it is looked at often and never kept, so it takes no room."""
        room = self._room
        try:
            return await self.get(path)
        finally:
            self._room = room

    async def ask(self, path: str, body: Mapping[str, Any]) -> Any:
        """Return the answer to a review: a POST that changes nothing."""
        return await self._read("POST", path, None, JSON, body)

    async def patch(self, path: str, kind: str, body: Any) -> Any:
        """Patch what is at ``path``. kind: ``strategic-merge-patch``, ``merge-patch`` or ``json-patch``."""
        return await self._change("PATCH", path, body, f"application/{kind}+json", {"fieldManager": "it0"})

    async def delete(self, path: str, body: Mapping[str, Any]) -> Any:
        """Delete what is at ``path``."""
        return await self._change("DELETE", path, body, JSON, {})

    @asynccontextmanager
    async def stream(self, path: str, query: Mapping[str, str]) -> AsyncIterator[AsyncIterator[bytes]]:
        """Yield what is at ``path`` piece by piece, of whatever size."""
        async with self._asked("GET", path, query, "*/*", None, JSON) as answer:
            await self._check(answer)
            yield answer.content.iter_chunked(65_536)

    async def _read(
        self, method: str, path: str, query: Mapping[str, str] | None, accept: str, body: Any
    ) -> Any:
        """Ask, and ask again a few times when the API cannot answer just now."""
        for pause_s in (*PAUSES_S, None):
            try:
                async with self._asked(method, path, query or {}, accept, body, JSON) as answer:
                    return await self._answer(answer)
            except ApiError as error:
                if error.status not in AGAIN or pause_s is None:
                    raise
            except Lost:
                if pause_s is None:
                    raise
            await asyncio.sleep(pause_s)
        raise AssertionError("unreachable")

    async def _change(self, method: str, path: str, body: Any, content: str, query: Mapping[str, str]) -> Any:
        """Ask once. Until the answer is there, nobody knows whether it was done."""
        await self._current()
        self.changing = True
        try:
            async with self._asked(method, path, query, JSON, body, content) as answer:
                told = await self._answer(answer)
        except ApiError as error:
            if error.status in UNSURE or error.status < 300:  # it was taken, and the answer is none
                raise Lost from None
            self.changing = False
            raise
        except Unreached:
            self.changing = False
            raise
        self.changing = False
        return told

    @asynccontextmanager
    async def _asked(
        self, method: str, path: str, query: Mapping[str, str], accept: str, body: Any, content: str
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        config = await self._current()
        assert self._session is not None
        headers = {"Accept": accept, "User-Agent": "it0"}
        if config.token:
            headers["Authorization"] = f"Bearer {config.token}"
        if body is not None:
            headers["Content-Type"] = content
        try:
            async with self._session.request(
                method,
                URL(f"{config.server}{path}", encoded=True).update_query(query),
                headers=headers,
                data=None if body is None else json.dumps(body).encode(),
                server_hostname=config.tls_name or None,
                allow_redirects=False,
            ) as answer:
                self.answered = True
                yield answer
        except aiohttp.ClientConnectorCertificateError:
            raise Unreached(say("cluster.api_other_certificate")) from None
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise Unreached(why_unreached(error, self._connect_s)) from None
        except (aiohttp.ClientError, TimeoutError, ssl.SSLError, OSError):
            raise Lost from None

    async def _check(self, answer: aiohttp.ClientResponse) -> None:
        if answer.status >= 300:
            try:
                told = _parsed(await self._body(answer))
            except ValueError:
                told = {}
            is_status = isinstance(told, dict) and told.get("kind") == "Status"
            raise ApiError(answer.status, told if is_status else {})

    async def _answer(self, answer: aiohttp.ClientResponse) -> Any:
        await self._check(answer)
        try:
            return _parsed(await self._body(answer))
        except ValueError:
            raise ApiError(answer.status, {"message": "the answer is no JSON"}) from None

    async def _body(self, answer: aiohttp.ClientResponse) -> bytes:
        data = bytearray()
        async for piece in answer.content.iter_chunked(65_536):
            data += piece
            self._room -= len(piece)
            if self._room < 0:
                message = f"the answers are larger than {MOST_BYTES} bytes: ask for less, by -n, -l or a name"
                raise ApiError(answer.status, {"message": message})
        return bytes(data)

    async def _current(self) -> Kubeconfig:
        """Return the kubeconfig, opened a short while ago: one that was revoked meanwhile raises Refused."""
        if self._config is None or time.monotonic() > self._until:
            self._config = None
            self._config = await self._open()
            self._until = time.monotonic() + KEPT_S
        return self._config


def _parsed(data: bytes) -> Any:
    """Return JSON; raises ValueError for what is none, or is nested beyond measure."""
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError from None


def _invalid(told: Mapping[str, Any]) -> str:
    details = told.get("details") or {}
    causes = [f"{each.get('field')}: {each.get('message')}" for each in details.get("causes", ())]
    head = "The request is invalid"
    if details.get("kind") or details.get("name"):
        head = f'The {details.get("kind", "")} "{details.get("name", "")}" is invalid'
    elif told.get("message") and not causes:
        head = str(told["message"])
    if not causes:
        return head
    return f"{head}: {causes[0]}" if len(causes) == 1 else "\n* ".join((f"{head}: ", *causes))
