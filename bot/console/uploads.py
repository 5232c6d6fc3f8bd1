"""Text files that people send from the console: each becomes part of its message, as data."""

import secrets
from collections.abc import Mapping
from typing import Any

from bot.texts.visible import visible
from core.errors import BadInput
from core.messages import command_word, with_file

LONGEST_NAME = 200


def text_with_file(text: str, file: Mapping[Any, Any], most: int) -> str:
    """Return the words that came with ``file``, and the file. most: bytes that it may have, 0 for none.

    Raises BadInput for what is no text file that is read.
    """
    match file:
        case {"name": str(name), "text": str(content)}:
            name = visible(name[:LONGEST_NAME])
        case _:
            raise BadInput("error.bad_input")
    if command_word(text):
        raise BadInput("console.file_no_command", name=name)
    if len(content.encode()) > most:
        raise BadInput("console.file_large", name=name, limit=most)
    return with_file(text.strip(), name, content, secrets.token_hex(6))
