"""Clients' connections: how long they may wait, and how what is no HTTP is answered."""

import asyncio
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from bot.web.headers import add_headers

IDLE_S = 15.0
"""A connection on which no request came in whole within one to two of these is closed."""


class Connection(RequestHandler):
    """A client's connection: it may not wait for ever, and what is no HTTP hears so with our headers."""

    def __init__(self, server: web.Server, idle_s: float, **options: Any) -> None:
        super().__init__(server, **options)
        self._idle_s = idle_s

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to look after it."""
        super().connection_made(transport)
        self._looked_at = -1
        self._look_again()

    def _look_again(self) -> None:
        self._looking: asyncio.TimerHandle = asyncio.get_running_loop().call_later(self._idle_s, self._look)

    def _look(self) -> None:
        """End it if no request has come in whole since the last look, and none is being answered."""
        if self.transport is None:
            return
        if self._current_request is None and self._looked_at == self._request_count:
            self.force_close()
            return
        self._looked_at = self._request_count if self._current_request is None else -1
        self._look_again()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Look no more."""
        self._looking.cancel()
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what cannot be parsed, or failed outside of every route."""
        response = super().handle_error(request, status, exc, message)
        add_headers(response)
        return response


class Server(web.Server):
    """Makes our connections."""

    def __init__(self, handler: Any, idle_s: float, **options: Any) -> None:
        super().__init__(handler, **options)
        self._idle_s = idle_s

    def __call__(self) -> RequestHandler:
        """Return a connection's handler."""
        return Connection(self, self._idle_s, loop=self._loop, **self._kwargs)


def serve_by(app: web.Application, idle_s: float = IDLE_S) -> None:
    """Have the runner of ``app`` make our connections: aiohttp has no other way to say so."""

    def make(*, loop: asyncio.AbstractEventLoop | None = None, **options: Any) -> web.Server:
        app._set_loop(loop)
        app.freeze()
        # Nothing of ours compresses a body, and a small one may unfold to any size.
        options |= {"auto_decompress": False}
        return Server(app._handle, idle_s, request_factory=app._make_request, loop=loop, **options)

    app._make_handler = make  # type: ignore[method-assign]
