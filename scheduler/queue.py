"""Wake-ups over arq: a job says only "look at your timers"; the rows in the database are the truth."""

import asyncio
import contextlib
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import structlog
from arq import create_pool
from arq.connections import ArqRedis, RedisSettings
from arq.worker import Worker, func
from redis.exceptions import RedisError

logger = structlog.get_logger()

JOB = "timer_due"
QUEUE_NAME = "it0:timers"
POLL_S = 0.1
RETRY_S = 2.0
CONNECTION_ERRORS = (RedisError, OSError, TimeoutError)


class NoQueue:
    """Stands in where there is no Redis: the worker's sweep finds every timer, a little later."""

    async def wake(self, timer_id: int, delay_s: float = 0) -> None:
        """Do nothing."""


class ArqQueue:
    """Enqueues wake-ups; a Redis that is away costs nothing but the sweep's delay."""

    def __init__(self, settings: RedisSettings) -> None:
        self._settings = settings
        self._redis: ArqRedis | None = None

    async def wake(self, timer_id: int, delay_s: float = 0) -> None:
        """Ask for the timer to be looked at after ``delay_s`` seconds."""
        with contextlib.suppress(*CONNECTION_ERRORS):
            async with asyncio.timeout(1):
                if self._redis is None:
                    self._redis = await connect(self._settings)
                await self._redis.enqueue_job(
                    JOB,
                    timer_id,
                    _job_id=f"timer:{timer_id}",
                    _defer_by=timedelta(seconds=delay_s),
                    _expires=timedelta(seconds=delay_s + 86_400),
                )

    async def close(self) -> None:
        """Close the connection."""
        if self._redis is not None:
            await self._redis.aclose()


async def connect(settings: RedisSettings) -> ArqRedis:
    """Return a connection whose jobs are JSON: whoever can write to Redis must not run code here."""
    return await create_pool(
        settings,
        job_serializer=_dump,
        job_deserializer=_load,
        default_queue_name=QUEUE_NAME,
        retry=0,
    )


async def run_worker(settings: RedisSettings, wake: Callable[[], None]) -> None:
    """Take wake-ups until cancelled; a Redis that goes away is tried again (arq's worker would end)."""

    async def timer_due(ctx: dict[Any, Any], *args: Any, **kwargs: Any) -> None:
        wake()

    while True:
        worker: Worker | None = None
        try:
            redis = await connect(settings)
            worker = Worker(
                functions=[func(timer_due, name=JOB, keep_result=0, max_tries=100)],
                redis_pool=redis,
                queue_name=QUEUE_NAME,
                poll_delay=POLL_S,
                handle_signals=False,
                health_check_interval=10,
                job_serializer=_dump,
                job_deserializer=_load,
                allow_abort_jobs=False,
            )
            await worker.async_run()
        except CONNECTION_ERRORS as error:
            await logger.awarning("queue_lost", reason=type(error).__name__)
        finally:
            if worker is not None:
                with contextlib.suppress(*CONNECTION_ERRORS):
                    await worker.close()
        await asyncio.sleep(RETRY_S)


def _dump(value: dict[str, Any]) -> bytes:
    return json.dumps(value, default=str).encode()


def _load(raw: bytes) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(raw)
    return loaded
