"""The baseline of ``telegram``: a bare python-telegram-bot echo, on bare asyncpg where it has a recipe.

For each message it runs the recipe's statements (benchmarks.recorder) and answers with ``reply_text``.
``python -m benchmarks.telegram_echo FILE``, JSON: token, api, webhook (its own address, "" to poll), port,
concurrent, url and recipe (or none), chats (conversation and thread by chat).
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import asyncpg
from aiohttp import web
from telegram import Update
from telegram.ext import Application, ApplicationBuilder, ContextTypes, MessageHandler, filters

from benchmarks.echo import Said, asked, no_reset, prepared


async def main(file: Path) -> None:
    """Answer until the process is ended."""
    given = json.loads(file.read_text())
    groups = prepared(given["recipe"])
    pool: Any = None
    if groups:
        pool = await asyncpg.create_pool(
            given["url"], min_size=1, max_size=10, reset=no_reset, statement_cache_size=1024
        )

    async def echo(update: Update, _: ContextTypes.DEFAULT_TYPE) -> None:
        assert update.message
        assert update.message.text
        if groups:
            conversation, thread = given["chats"][str(update.message.chat_id)]
            await asked(pool, groups, Said(conversation, str(update.update_id), thread))
        await update.message.reply_text(update.message.text)

    builder = ApplicationBuilder().token(given["token"]).base_url(f"{given['api']}/bot").job_queue(None)
    if given["concurrent"]:
        builder = builder.concurrent_updates(given["concurrent"]).connection_pool_size(64)
    app = (builder if not given["webhook"] else builder.updater(None)).build()
    app.add_handler(MessageHandler(filters.TEXT, echo))
    await app.initialize()
    await app.start()
    if given["webhook"]:
        await hooked(app, given["webhook"], given["port"])
    else:
        await app.updater.start_polling(poll_interval=0)
    await asyncio.Event().wait()


async def hooked(app: "Application[Any, Any, Any, Any, Any, Any]", url: str, port: int) -> None:
    """Take the updates by a web server, as the library's own example of a custom webhook does."""

    async def take(request: web.Request) -> web.Response:
        await app.update_queue.put(Update.de_json(await request.json(), app.bot))
        return web.Response()

    site = web.Application()
    site.router.add_post("/telegram", take)
    runner = web.AppRunner(site, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await app.bot.set_webhook(url)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
