"""How much of a message's limit the tree takes, measured after it was written."""

import re
from collections.abc import Callable
from html import unescape

from channels.markup.characters import utf16_length
from channels.markup.tree import Blocks
from channels.markup.writing import telegram_html

Measure = Callable[[Blocks], int]
_ANY_TAG = re.compile(r"<[^>]*>")
_UNITS_PER_ENTITY = 41
_BYTES_PER_UNIT = 8


def visible(html: str) -> str:
    """Return what is left of Telegram's HTML after its entities are parsed."""
    return unescape(_ANY_TAG.sub("", html))


def telegram_size(blocks: Blocks) -> int:
    """Return how much of a message's 4096 (a caption's 1024) units ``blocks`` take.

    Besides the visible text, Telegram bounds the HTML to 32 KiB and drops all form after 100 entities: eight
    bytes, or a 41st of an entity, therefore count as a unit at least.
    """
    html = telegram_html(blocks)
    entities = html.count("</") - html.count("</code></pre>")
    size = -(-len(html.encode()) // _BYTES_PER_UNIT)
    return max(utf16_length(visible(html)), size, entities * _UNITS_PER_ENTITY)
