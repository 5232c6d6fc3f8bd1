"""The bus: topics within the process, carried to other processes over Redis where there is one."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

logger = structlog.get_logger()

CHANNEL = "it0:bus"
QUEUE_LENGTH = 1000
PUBLISH_TIMEOUT_S = 0.5


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

    me: the process's id, so that its own messages do not come back.
    """

    def __init__(self, redis: Redis, me: str) -> None:
        super().__init__()
        self._redis = redis
        self._me = me

    async def publish(self, topic: str, message: Mapping[str, Any]) -> None:
        """Tell whoever listens anywhere."""
        self.tell(topic, message)
        frame = json.dumps({"from": self._me, "topic": topic, "message": message})
        with contextlib.suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(PUBLISH_TIMEOUT_S):
                await self._redis.publish(CHANNEL, frame)

    async def run(self) -> None:
        """Carry other processes' messages until cancelled; a lost Redis is tried again."""
        while True:
            with contextlib.suppress(RedisError, OSError):
                await self._listen()
            await asyncio.sleep(1)

    async def _listen(self) -> None:
        async with self._redis.pubsub(ignore_subscribe_messages=True) as pubsub:
            await pubsub.subscribe(CHANNEL)
            async for raw in pubsub.listen():
                frame = json.loads(raw["data"])
                if frame["from"] != self._me:
                    self.tell(frame["topic"], frame["message"])
