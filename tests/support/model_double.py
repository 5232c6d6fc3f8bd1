"""A loopback Messages API with real server-sent events: it says what a test wrote and notes what it hears.

A script is a list of answers, taken one a request; the last one is kept. An answer is a list of blocks (a
text, a ``Thought``, ``use(tool, **arguments)``), or one of the faults below.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

PIECE = 12


@dataclass(frozen=True)
class Use:
    """A call. raw: JSON as it is sent, where it is to be wrong."""

    tool: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    raw: str | None = None


@dataclass(frozen=True)
class Thought:
    """A piece of thinking, with its signature."""

    text: str


@dataclass(frozen=True)
class Status:
    """An answer without a stream."""

    status: int
    kind: str = "api_error"
    retry_after: str | None = None


@dataclass(frozen=True)
class Fault:
    """A stream that goes wrong after ``after`` events: cut off, silent, or with an error of its own."""

    blocks: Sequence[Any]
    how: str
    after: int


def use(tool: str, **arguments: Any) -> Use:
    """Return a call."""
    return Use(tool, arguments)


def run_on(server: str, command: str) -> Use:
    """Return the call that runs a command."""
    return use("run_command", command=command, servers=[server])


def pieces(text: str) -> list[str]:
    """Return ``text`` as a stream brings it."""
    return [text[at : at + PIECE] for at in range(0, len(text), PIECE)] or [""]


class ModelDouble:
    """The API. requests: bodies, in order; headers: of the last request; refuses: how it answers a look."""

    def __init__(self, script: Sequence[Any] = ("ok",)) -> None:
        self.script: list[Any] = list(script)
        self.requests: list[dict[str, Any]] = []
        self.headers: Mapping[str, str] = {}
        self.pause_s = 0.0
        self.refuses: Status | None = None
        self.reached = asyncio.Event()
        self.url = ""
        self._calls = 0

    @property
    def last(self) -> dict[str, Any]:
        """Return what was asked last."""
        return self.requests[-1]

    def app(self) -> web.Application:
        """Return the server."""
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_post("/v1/messages", self._messages)
        app.router.add_get("/v1/models/{name}", self._model)
        return app

    async def _model(self, request: web.Request) -> web.Response:
        if self.refuses:
            return _refusal(self.refuses)
        return web.json_response(
            {
                "type": "model",
                "id": request.match_info["name"],
                "display_name": "m",
                "created_at": "2026-01-01T00:00:00Z",
            }
        )

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.requests.append(body)
        self.headers = dict(request.headers)
        answer = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(answer, Callable):  # type: ignore[arg-type]
            answer = answer(body)
        if isinstance(answer, Status):
            return _refusal(answer)
        return await self._stream(request, body, answer)

    async def _stream(self, request: web.Request, body: Mapping[str, Any], answer: Any) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        fault = answer if isinstance(answer, Fault) else None
        blocks = fault.blocks if fault else [answer] if isinstance(answer, str | Use | Thought) else answer
        for number, event in enumerate(self.events(body, blocks)):
            if fault and number == fault.after:
                return await self._go_wrong(request, response, fault.how)
            with contextlib.suppress(ConnectionError):  # whoever asked has gone
                await response.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
            if self.pause_s:
                if event["type"] == "content_block_delta":
                    self.reached.set()
                await asyncio.sleep(self.pause_s)
        with contextlib.suppress(ConnectionError):
            await response.write_eof()
        return response

    async def _go_wrong(
        self, request: web.Request, response: web.StreamResponse, how: str
    ) -> web.StreamResponse:
        match how:
            case "cut":
                assert request.transport
                request.transport.abort()
            case "end":
                await response.write_eof()
            case "silent":
                self.reached.set()
                await asyncio.sleep(3600)
            case "overloaded":
                error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
                await response.write(f"event: error\ndata: {json.dumps(error)}\n\n".encode())
        return response

    def events(self, body: Mapping[str, Any], blocks: Sequence[Any]) -> list[dict[str, Any]]:
        """Return a message as the API's events."""
        usage = {"input_tokens": 100, "cache_creation_input_tokens": 20, "cache_read_input_tokens": 30}
        message = {"id": f"msg_{len(self.requests)}", "type": "message", "role": "assistant", "content": []}
        message |= {"model": body["model"], "stop_reason": None, "stop_sequence": None}
        found: list[dict[str, Any]] = [
            {"type": "message_start", "message": {**message, "usage": {**usage, "output_tokens": 1}}}
        ]
        found.append({"type": "ping"})
        for index, block in enumerate(blocks):
            found += self._block(index, block)
        stop = "tool_use" if any(isinstance(block, Use) for block in blocks) else "end_turn"
        delta = {"stop_reason": stop, "stop_sequence": None}
        found.append({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 50}})
        return [*found, {"type": "message_stop"}]

    def _block(self, index: int, block: Any) -> list[dict[str, Any]]:
        deltas: list[dict[str, Any]]
        match block:
            case str():
                start: dict[str, Any] = {"type": "text", "text": ""}
                deltas = [{"type": "text_delta", "text": piece} for piece in pieces(block)]
            case Thought(text):
                start = {"type": "thinking", "thinking": "", "signature": ""}
                deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces(text)]
                deltas.append({"type": "signature_delta", "signature": f"signed:{text}"})
            case Use(tool, arguments, raw):
                self._calls += 1
                start = {"type": "tool_use", "id": f"toolu_{self._calls}", "name": tool, "input": {}}
                text = json.dumps(arguments) if raw is None else raw
                deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces(text)]
        return [
            {"type": "content_block_start", "index": index, "content_block": start},
            *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
            {"type": "content_block_stop", "index": index},
        ]


def _refusal(answer: Status) -> web.Response:
    headers = {"retry-after": answer.retry_after} if answer.retry_after else {}
    error = {"type": "error", "error": {"type": answer.kind, "message": "no"}}
    return web.json_response(error, status=answer.status, headers=headers)


@asynccontextmanager
async def serving(double: ModelDouble, port: int = 0) -> AsyncIterator[ModelDouble]:
    """Serve the API on a port of its own."""
    runner = web.AppRunner(double.app(), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    double.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield double
    finally:
        await runner.cleanup()
