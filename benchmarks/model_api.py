"""The Messages API as far as a turn needs it: it notes when a request came and answers with a few words.

It runs within the benchmark's own process, so that one clock tells when a message was sent and when the model
heard of it.
"""

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

Json = dict[str, Any]


def event(kind: str, **more: Any) -> bytes:
    """Return one event of a stream."""
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **more})}\n\n".encode()


def message(model: str) -> tuple[bytes, bytes, bytes]:
    """Return what begins a message, a piece of it, and what ends it."""
    empty = {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": model}
    usage = {"input_tokens": 10, "output_tokens": 1}
    start = {**empty, "stop_reason": None, "stop_sequence": None, "usage": usage}
    begin = event("message_start", message=start)
    begin += event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    piece = event("content_block_delta", index=0, delta={"type": "text_delta", "text": "ok "})
    ended = {"stop_reason": "end_turn", "stop_sequence": None}
    end = event("content_block_stop", index=0)
    end += event("message_delta", delta=ended, usage={"output_tokens": 3}) + event("message_stop")
    return begin, piece, end


def half_a_call() -> bytes:
    """Return a call whose arguments are no JSON, as a message's end."""
    block = {"type": "tool_use", "id": "toolu_1", "name": "list_servers", "input": {}}
    delta = {"type": "input_json_delta", "partial_json": '{"half": '}
    ended = {"stop_reason": "tool_use", "stop_sequence": None}
    told = event("content_block_stop", index=0)
    told += event("content_block_start", index=1, content_block=block)
    told += event("content_block_delta", index=1, delta=delta) + event("content_block_stop", index=1)
    return told + event("message_delta", delta=ended, usage={"output_tokens": 3}) + event("message_stop")


class ModelApi:
    """The API. wait_s: from the request to the first word; came: when each request arrived.

    body: of the last request; faulty: whether every other request goes wrong, each time otherwise.
    """

    def __init__(self) -> None:
        self.wait_s = 0.0
        self.faulty = False
        self._faults = itertools.cycle(("busy", "", "cut", "", "overloaded", "", "no json", ""))
        self.came: asyncio.Queue[float] = asyncio.Queue()
        self.body: Json = {}
        self.url = ""

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        at = time.perf_counter()
        self.body = await request.json()
        self.came.put_nowait(at)
        begin, piece, end = message(self.body["model"])
        fault = next(self._faults) if self.faulty else ""
        if fault == "busy":
            busy = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
            return web.json_response(busy, status=529, headers={"retry-after": "1"})
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(begin)
        await asyncio.sleep(self.wait_s)
        match fault:
            case "cut":
                assert request.transport
                request.transport.abort()
                return response
            case "overloaded":
                end = event("error", error={"type": "overloaded_error", "message": "Overloaded"})
            case "no json":
                end = half_a_call()
        await response.write(piece + end)
        await response.write_eof()
        return response

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["ModelApi"]:
        """Serve the API on a port of its own."""
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_post("/v1/messages", self._messages)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=2048).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()
