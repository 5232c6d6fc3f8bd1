"""Buttons under a message."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from channels.markup.characters import clean, columns, is_blank
from channels.telegram.places import Json

MAX_BUTTON_BYTES = 64
MAX_ROW = 8
MAX_BUTTONS = 100
_STYLES = {"primary": "success", "danger": "danger"}
_ROW_COLUMNS = 36


@dataclass(frozen=True, slots=True)
class Key:
    """A button in words. value: opaque, 1 to 64 bytes."""

    label: str
    value: str
    style: Literal["primary", "danger", "plain"] = "plain"


def keyboard(keys: Sequence[Key], styled: bool = True) -> Json:
    """Return an inline keyboard, as many buttons in a row as a phone can show.

    Raises ValueError for what Telegram would refuse with the whole message.
    """
    if len(keys) > MAX_BUTTONS:
        raise ValueError(f"{len(keys)} buttons, and {MAX_BUTTONS} are allowed")
    rows: list[list[Key]] = []
    for key in keys:
        if not 1 <= len(key.value.encode()) <= MAX_BUTTON_BYTES or is_blank(key.label):
            raise ValueError(f"the button {key.label!r} has no label, or its value is not 1 to 64 bytes long")
        if rows and _is_row([*rows[-1], key]):
            rows[-1].append(key)
        else:
            rows.append([key])
    return {"inline_keyboard": [[_button(key, styled) for key in row] for row in rows]}


def _is_row(keys: Sequence[Key]) -> bool:
    return len(keys) <= MAX_ROW and sum(columns(key.label) + 4 for key in keys) <= _ROW_COLUMNS


def _button(key: Key, styled: bool) -> Json:
    style = {"style": _STYLES[key.style]} if styled and key.style in _STYLES else {}
    return {"text": clean(key.label), "callback_data": key.value, **style}
