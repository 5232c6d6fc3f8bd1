"""The Anthropic Messages API, as a stream that is whole or counts for nothing."""

import asyncio
import json
import random
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import structlog

from agent.engine import TextDelta, Thinking
from agent.redaction.stored import storable
from core.errors import Unavailable
from core.texts import Say, say

log = structlog.get_logger()

PAUSES_S = (1.0, 2.0, 5.0, 10.0, 20.0, 40.0)
"""Before each further try, unless the API names a longer time itself."""

TRANSIENT = (408, 409, 429)
"""And everything from 500 up, 529 (overloaded) among it."""


@dataclass(frozen=True, slots=True)
class Patience:
    """The API cannot answer now; it is asked again. seconds: until then."""

    why: Say
    seconds: float


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the model asks for; arguments is None where what it wrote is no JSON object."""

    id: str
    tool: str
    arguments: Mapping[str, Any] | None
    raw: str


@dataclass(frozen=True, slots=True)
class Message:
    """A whole message of the model.

    content: its blocks, to be sent back as they are. usage: tokens by the API's own names.
    """

    content: Sequence[dict[str, Any]]
    calls: Sequence[ToolCall]
    stop: str
    model: str
    usage: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the model is given: the system prompt's blocks, tools with JSON Schemas, and the conversation."""

    instructions: Sequence[dict[str, Any]]
    tools: Sequence[Mapping[str, Any]]
    messages: Sequence[dict[str, Any]]


Piece = Thinking | TextDelta | Patience | Message


class Cut(Exception):
    """The stream ended, or fell silent, before the message was whole."""


class MessagesApi:
    """One client for all turns of a process.

    key, base_url: any server that speaks this API will do; max_tokens: of one message; silence_s: after
    which a stream is dead, it has a ping every few seconds; patience_s: over all pauses of one request.
    """

    def __init__(
        self, key: str, base_url: str, model: str, max_tokens: int, silence_s: float, patience_s: float
    ) -> None:
        self.model = model
        self._key = key
        self._base_url = base_url
        self._max_tokens = max_tokens
        self._silence_s = silence_s
        self._patience_s = patience_s
        self._client: Any = None
        self._making = asyncio.Lock()

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()

    def body(self, prompt: Prompt) -> bytes:
        """Return the request for a prompt, as it is sent."""
        asked = {
            "model": self.model,
            "max_tokens": self._max_tokens,
            "system": list(prompt.instructions),
            "tools": _cached(prompt.tools),
            "messages": _cached_messages(prompt.messages),
            "thinking": {"type": "adaptive", "display": "summarized"},
            "stream": True,
        }
        return json.dumps(asked, ensure_ascii=False, separators=(",", ":")).encode()

    async def stream(self, body: bytes) -> AsyncIterator[Piece]:
        """Yield a message's pieces and at last the whole message; what was shown of a cut one is void.

        body: of ``body``. Raises Unavailable when the API refuses, or after so much patience.
        """
        waited = 0.0
        for pause_s in (*PAUSES_S, None):
            try:
                async with aclosing(self._once(body)) as pieces:
                    async for piece in pieces:
                        yield piece
                return
            except Exception as error:  # the client's own errors are its vendor's; it is imported late
                why, asked_s = _reason(error)
                wait_s = max(asked_s, (pause_s or 0) * random.uniform(0.8, 1.2))  # noqa: S311
                waited += wait_s
                if pause_s is None or waited > self._patience_s:
                    raise Unavailable("model.gave_up", reason=why) from error
            await log.awarning("model_waits", reason=why.key, seconds=round(wait_s, 1))
            yield Patience(why, wait_s)
            await asyncio.sleep(wait_s)

    async def health(self) -> Say | None:
        """Return why it cannot be used, or None; it costs no tokens."""
        try:
            client = await self._connected()
            await client.models.retrieve(self.model, timeout=5)
        except Exception as error:
            status = getattr(error, "status_code", None)
            return None if status == 404 else _refusal(error) or _reason(error)[0]
        return None

    async def _connected(self) -> Any:
        async with self._making:
            if self._client is None:
                # 2.4 s of imports, and only for who has a key.
                anthropic = await asyncio.to_thread(import_module, "anthropic")
                self._client = anthropic.AsyncAnthropic(
                    api_key=self._key,
                    base_url=self._base_url,
                    max_retries=0,
                    timeout=anthropic.Timeout(600, connect=10),
                    http_client=anthropic.DefaultAioHttpClient(),
                )
        return self._client

    async def _once(self, body: bytes) -> AsyncGenerator[Piece, None]:
        client = await self._connected()
        anthropic = import_module("anthropic")
        # As bytes: what is given as data the client copies, and keeps as long as the answer takes.
        stream = await client.post(
            "/v1/messages",
            content=body,
            cast_to=anthropic.types.RawMessageStreamEvent,
            stream=True,
            stream_cls=anthropic.AsyncStream[anthropic.types.RawMessageStreamEvent],
            options={"headers": {"Content-Type": "application/json"}},
        )
        building = Building()
        async with stream:
            events = aiter(stream)
            while not building.whole:
                try:
                    async with asyncio.timeout(self._silence_s):
                        event = await anext(events)
                except StopAsyncIteration:
                    raise Cut from None
                if (piece := building.take(event)) is not None:
                    yield piece
        yield building.message()


class Building:
    """A message that comes in event by event."""

    def __init__(self) -> None:
        self.whole = False
        self._blocks: dict[int, dict[str, Any]] = {}
        self._json: dict[int, str] = {}
        self._usage: dict[str, int] = {}
        self._stop = ""
        self._model = ""

    def take(self, event: Any) -> Thinking | TextDelta | None:
        """Take an event in; return what of it is shown at once."""
        match event.type:
            case "message_start":
                self._model = event.message.model
                self._count(event.message.usage)
            case "content_block_start":
                self._blocks[event.index] = event.content_block.model_dump(exclude_none=True)
            case "content_block_delta":
                return self._grow(event.index, event.delta)
            case "message_delta":
                self._stop = event.delta.stop_reason or ""
                self._count(event.usage)
            case "message_stop":
                self.whole = True
        return None

    def _grow(self, index: int, delta: Any) -> Thinking | TextDelta | None:
        block = self._blocks[index]
        match delta.type:
            case "text_delta":
                block["text"] += delta.text
                return TextDelta(delta.text)
            case "thinking_delta":
                block["thinking"] += delta.thinking
                return Thinking(delta.thinking)
            case "signature_delta":
                block["signature"] = delta.signature
            case "input_json_delta":
                self._json[index] = self._json.get(index, "") + delta.partial_json
        return None

    def _count(self, usage: Any) -> None:
        names = (
            "input_tokens",
            "output_tokens",
            "cache_creation_input_tokens",
            "cache_read_input_tokens",
        )
        for name in names:
            if (value := getattr(usage, name, None)) is not None:
                self._usage[name] = value

    def message(self) -> Message:
        """Return the whole message; a call that the limit of tokens cut off is not readable."""
        content, calls = [], []
        for index, block in sorted(self._blocks.items()):
            if block["type"] == "tool_use":
                raw = self._json.get(index, "")
                arguments = _arguments(raw) if raw else block["input"]
                calls.append(ToolCall(block["id"], block["name"], arguments, raw))
                block = {**block, "input": arguments or {}}
            if block["type"] != "text" or block["text"]:
                content.append(block)
        if self._stop == "max_tokens" and calls and content[-1]["type"] == "tool_use":
            calls[-1] = ToolCall(calls[-1].id, calls[-1].tool, None, calls[-1].raw)
        return Message(storable(content), calls, self._stop, self._model, self._usage)


def _arguments(raw: str) -> Mapping[str, Any] | None:
    try:
        parsed = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return storable(parsed) if isinstance(parsed, dict) else None


def _cached(tools: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the tools with a mark up to which the API caches."""
    marked = [dict(tool) for tool in tools]
    if marked:
        marked[-1]["cache_control"] = {"type": "ephemeral"}
    return marked


def _cached_messages(messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the messages with a mark at their end: the next step begins with all of this."""
    *before, last = messages
    block = {**last["content"][-1], "cache_control": {"type": "ephemeral"}}
    return [*before, {**last, "content": [*last["content"][:-1], block]}]


def _reason(error: Exception) -> tuple[Say, float]:
    """Return why to try again, and how many seconds the API asks for; raises what it refuses for good."""
    if isinstance(error, Cut | TimeoutError):
        return say("model.cut"), 0.0
    status = getattr(error, "status_code", None)
    if status is None:
        if type(error).__module__.partition(".")[0] in ("anthropic", "httpx2", "aiohttp", "builtins", "ssl"):
            return say("model.unreachable"), 0.0
        raise error
    kind = _kind(error)
    if status not in TRANSIENT and status < 500 and kind not in ("overloaded_error", "api_error"):
        raise Unavailable("model.refused", reason=_refusal(error) or "", status=status) from error
    busy = status in (429, 529) or kind in ("rate_limit_error", "overloaded_error")
    return say("model.busy" if busy else "model.failing", status=status), _retry_after_s(error)


def _refusal(error: Exception) -> Say | None:
    """Return a refusal in words that say what to do."""
    match getattr(error, "status_code", None):
        case 401 | 403:
            return say("model.bad_key")
        case 402:
            return say("model.no_credit")
        case 404:
            return say("model.no_such_model")
        case 413:
            return say("model.too_long")
        case 400:
            return say("model.bad_request")
    return None


def _kind(error: Exception) -> str:
    """Return the error's type: one that comes within a stream has the status of the stream, 200."""
    body = getattr(error, "body", None)
    inner = body.get("error", body) if isinstance(body, dict) else {}
    return str(inner.get("type", "")) if isinstance(inner, dict) else ""


def _retry_after_s(error: Exception) -> float:
    response = getattr(error, "response", None)
    try:
        return max(0.0, float(response.headers.get("retry-after", 0))) if response is not None else 0.0
    except ValueError:
        return 0.0
