"""The baseline of ``model``: the vendor's client with the same request, on the same transport.

``python -m benchmarks.bare_model FILE``, JSON: base_url, request. Each line on stdin asks for one request; a
line is printed when its answer is whole.
"""

import asyncio
import json
import sys
from pathlib import Path

import anthropic


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
    while await reader.readline():
        async with await client.messages.create(**given["request"]) as stream:
            async for _ in stream:
                pass
        print("done", flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
