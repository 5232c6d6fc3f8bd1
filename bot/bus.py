"""The bus: topics within the process, carried to other processes over Redis where there is one."""

import asyncio
import contextlib
import json
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

logger = structlog.get_logger()

CHANNEL = "it0:bus"
QUEUE_LENGTH = 1000
PUBLISH_TIMEOUT_S = 0.5
ALONE_S = 5.0


class LocalSubscription:
    """Messages of a topic within this process; the oldest are dropped when nobody reads."""

    def __init__(self, bus: "LocalBus", topic: str) -> None:
        self._bus = bus
        self._topic = topic
        self._queue: asyncio.Queue[Mapping[str, Any]] = asyncio.Queue(QUEUE_LENGTH)

    def put(self, message: Mapping[str, Any]) -> None:
        """Take a message in."""
        if self._queue.full():
            self._queue.get_nowait()
        self._queue.put_nowait(message)

    async def __aiter__(self) -> AsyncIterator[Mapping[str, Any]]:
        """Yield messages as they come."""
        while True:
            yield await self._queue.get()

    def close(self) -> None:
        """Stop listening."""
        self._bus.drop(self._topic, self)


class LocalBus:
    """Topics within one process."""

    def __init__(self) -> None:
        self._topics: dict[str, set[LocalSubscription]] = {}

    def __len__(self) -> int:
        """Return how many listen."""
        return sum(map(len, self._topics.values()))

    async def publish(self, topic: str, message: Mapping[str, Any]) -> None:
        """Tell whoever listens here."""
        self.tell(topic, message)

    def tell(self, topic: str, message: Mapping[str, Any]) -> None:
        """Tell whoever listens in this process."""
        for subscription in tuple(self._topics.get(topic, ())):
            subscription.put(message)

    def subscribe(self, topic: str) -> LocalSubscription:
        """Return the messages of ``topic`` from now on."""
        subscription = LocalSubscription(self, topic)
        self._topics.setdefault(topic, set()).add(subscription)
        return subscription

    def drop(self, topic: str, subscription: LocalSubscription) -> None:
        """Forget a subscription."""
        listening = self._topics.get(topic, set())
        listening.discard(subscription)
        if not listening:
            self._topics.pop(topic, None)


class RedisBus(LocalBus):
    """Topics across processes. While Redis is away messages reach this process only.

    Nobody waits for Redis: what is published while a frame is on its way goes with the next one. While no
    other process listens, Redis is left alone: each one says when it begins to, and we look now and then.
    me: the process's id, so that its own messages do not come back.
    """

    def __init__(self, redis: Redis, me: str) -> None:
        super().__init__()
        self._redis = redis
        self._me = me
        self._waiting: deque[tuple[str, Mapping[str, Any]]] = deque(maxlen=QUEUE_LENGTH)
        self._sending: asyncio.Task[None] | None = None
        self._listens = False
        self._alone_until = 0.0

    async def publish(self, topic: str, message: Mapping[str, Any]) -> None:
        """Tell whoever listens anywhere."""
        self.tell(topic, message)
        if time.monotonic() < self._alone_until:
            return
        self._waiting.append((topic, message))
        if self._sending is None or self._sending.done():
            self._sending = asyncio.ensure_future(self._send())

    async def _send(self) -> None:
        while self._waiting:
            messages = tuple(self._waiting)
            self._waiting.clear()
            await self._carry(messages)

    async def _carry(self, messages: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        frame = json.dumps({"from": self._me, "messages": messages})
        with contextlib.suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(PUBLISH_TIMEOUT_S):
                heard_by = await self._redis.publish(CHANNEL, frame)
            if self._listens and heard_by <= 1:
                self._alone_until = time.monotonic() + ALONE_S

    async def close(self) -> None:
        """Let what was published leave."""
        if self._sending is not None:
            await self._sending

    async def run(self) -> None:
        """Carry other processes' messages until cancelled; a lost Redis is tried again."""
        while True:
            with contextlib.suppress(RedisError, OSError):
                await self._listen()
            await asyncio.sleep(1)

    async def _listen(self) -> None:
        async with self._redis.pubsub() as pubsub:
            await pubsub.subscribe(CHANNEL)
            try:
                async for raw in pubsub.listen():
                    await self._take(raw)
            finally:
                self._listens, self._alone_until = False, 0.0

    async def _take(self, raw: Mapping[str, Any]) -> None:
        if raw["type"] == "subscribe":
            self._listens = True
            await self._carry(())
        elif raw["type"] == "message":
            frame = json.loads(raw["data"])
            if frame["from"] != self._me:
                self._alone_until = 0.0
                for topic, message in frame["messages"]:
                    self.tell(topic, message)
