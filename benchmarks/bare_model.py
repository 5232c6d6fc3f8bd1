"""The baseline of ``model`` and ``waiting``: the vendor's client with the same request and transport.

``python -m benchmarks.bare_model FILE``, JSON: base_url, request. Each line on stdin asks for one more,
answered or not; a line is printed when an answer is whole.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import anthropic

from benchmarks.lag import probed


async def main(file: Path) -> None:
    """Serve requests until stdin is closed."""
    given = json.loads(file.read_text())
    client = anthropic.AsyncAnthropic(
        api_key="sk-bench",
        base_url=given["base_url"],
        max_retries=0,
        http_client=anthropic.DefaultAioHttpClient(),
    )
    print("ready", flush=True)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    tasks: set[asyncio.Task[None]] = set()
    async with probed():
        while await reader.readline():
            task = asyncio.ensure_future(one(client, given["request"]))
            tasks.add(task)
            task.add_done_callback(tasks.discard)


async def one(client: anthropic.AsyncAnthropic, request: Any) -> None:
    """Make one request and read its answer."""
    async with await client.messages.create(**request) as stream:
        async for _ in stream:
            pass
    print("done", flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
