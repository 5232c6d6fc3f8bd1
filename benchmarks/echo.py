"""The baseline of ``message``: a bare aiohttp WebSocket echo on bare asyncpg.

For each text frame it runs the statements of a recipe (benchmarks.recorder) in the recipe's transactions,
with the recipe's values, and answers with one frame. ``python -m benchmarks.echo FILE``, JSON: url, port,
recipe, threads (by conversation).
"""

import asyncio
import json
import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
from aiohttp import web

Value = Callable[["Said"], Any]


class Said:
    """One message under way. results: what its statements returned, one row a statement."""

    __slots__ = ("conversation", "event", "now", "results", "seq", "thread", "turn")

    def __init__(self, conversation: str, event: str, thread: str) -> None:
        self.conversation = conversation
        self.event = event
        self.thread = thread
        self.turn = secrets.token_hex(16)
        self.now = datetime.now(UTC)
        self.results: list[Any] = []
        self.seq = 0


def value_of(recipe: Mapping[str, Any]) -> Value:
    """Return what makes a parameter."""
    match recipe:
        case {"constant": constant}:
            return lambda _: constant
        case {"ago_s": seconds}:
            return lambda said: said.now - timedelta(seconds=seconds)
        case {"said": difference}:
            return lambda said: said.seq + difference
        case {"from": [number, column]}:
            return lambda said: said.results[number][column]
        case {"text": text} if "{" in text and any(f"{{{place}}}" in text for place in Said.__slots__):
            places = [
                place for place in ("conversation", "event", "thread", "turn") if f"{{{place}}}" in text
            ]
            return lambda said: filled(text, places, said)
        case {"text": text}:
            return lambda _: text
    raise ValueError(recipe)


def filled(text: str, places: Sequence[str], said: Said) -> str:
    """Return ``text`` with this message's values in their places."""
    for place in places:
        text = text.replace(f"{{{place}}}", getattr(said, place))
    return text


Groups = Sequence[tuple[str, Sequence[tuple[str, str, Sequence[Value]]]]]
"""How each begins, "" without a transaction, and its statements."""


def prepared(recipe: Sequence[Mapping[str, Any]]) -> Groups:
    """Return a recipe ready to be run."""
    return [
        (
            _begin(group["flushed"]) if group["transaction"] else "",
            [(c["how"], c["sql"], [value_of(v) for v in c["values"]]) for c in group["calls"]],
        )
        for group in recipe
    ]


def _begin(flushed: bool) -> str:
    return "BEGIN" if flushed else "BEGIN; SET LOCAL synchronous_commit TO off"


async def asked(pool: "asyncpg.Pool[asyncpg.Record]", groups: Groups, said: Said) -> None:
    """Run the whole recipe."""
    for begin, calls in groups:
        async with pool.acquire() as connection:
            if begin:
                await connection.execute(begin)
            await ran(connection, calls, said)
            if begin:
                await connection.execute("COMMIT")


async def ran(connection: Any, calls: Sequence[tuple[str, str, Sequence[Value]]], said: Said) -> None:
    """Run the statements of one group."""
    for how, sql, values in calls:
        result = await getattr(connection, how)(sql, *[value(said) for value in values])
        if how == "fetch":
            result = result[-1] if result else None
        said.results.append(result)
        if not said.seq and how == "fetch" and result is not None and "INSERT" in sql:
            said.seq = result["seq"]


async def no_reset(_: Any) -> None:
    """Leave a connection as it is, as ours does."""


async def main(file: Path) -> None:
    """Serve until the process is ended."""
    given = json.loads(file.read_text())
    groups = prepared(given["recipe"])
    threads: Mapping[str, str] = given["threads"]
    tasks: set[asyncio.Task[None]] = set()
    pool = await asyncpg.create_pool(
        given["url"], min_size=1, max_size=10, reset=no_reset, statement_cache_size=1024
    )

    async def answer(socket: web.WebSocketResponse, text: str) -> None:
        message = json.loads(text)
        conversation = message["conversation"]
        await asked(pool, groups, Said(conversation, message["id"], threads[conversation]))
        frame = {"type": "events", "conversation": conversation, "events": [{"kind": "reply", "body": text}]}
        await socket.send_str(json.dumps(frame))

    async def serve(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            task = asyncio.ensure_future(answer(socket, message.data))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        return socket

    app = web.Application()
    app.router.add_get("/ws/agent", serve)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", given["port"]).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
