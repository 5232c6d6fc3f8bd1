"""What it0 says, as one small tree: read from Markdown once, written for each platform, split to its limits.

A platform is a ``Dialect``: how it writes bold, a link, a block of code. Layout, links and splitting are
shared, and a message is measured after it was written, never guessed before.
"""

from channels.markup.measuring import telegram_size
from channels.markup.parsing import document
from channels.markup.splitting import REST_KEY, Rest, split
from channels.markup.tree import Blocks
from channels.markup.writing import plain_text, telegram_html

__all__ = [
    "REST_KEY",
    "Blocks",
    "Rest",
    "document",
    "plain_text",
    "split",
    "telegram_html",
    "telegram_size",
]
