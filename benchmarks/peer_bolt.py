"""slack-bolt as an echo, in its own environment: ``python peer_bolt.py API SECRET PORT``."""

import asyncio
import sys

from aiohttp import web
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient


async def main(api: str, secret: str, port: str) -> None:
    """Answer until the process is ended."""
    client = AsyncWebClient(token="xoxb-bench", base_url=f"{api}/")
    app = AsyncApp(client=client, signing_secret=secret)

    @app.message("")
    async def echo(message, say):
        await say(message["text"])

    runner = web.AppRunner(app.web_app(path="/slack/events"), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(port)).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
