"""The menu of commands that Telegram shows."""

import re
from collections.abc import Mapping
from itertools import islice

from channels.markup.characters import clean, shortened
from channels.telegram.calls import Call
from channels.telegram.places import Json
from core.texts import Language

MAX_COMMANDS = 100
MAX_DESCRIPTION = 256
_COMMAND = re.compile(r"[a-z0-9_]{1,32}")


def commands_menu(commands: Mapping[str, Mapping[Language, str]]) -> list[Call]:
    """Return the calls that set the menu of commands: English for all, Chinese for Chinese apps.

    commands: the descriptions by name. Raises ValueError for a name that Telegram does not take.
    """
    wrong = [name for name in commands if not _COMMAND.fullmatch(name)]
    if wrong:
        raise ValueError(f"no commands for Telegram: {', '.join(wrong)}")
    return [
        Call("setMyCommands", {"commands": _menu(commands, "en")}),
        Call("setMyCommands", {"commands": _menu(commands, "zh"), "language_code": "zh"}),
    ]


def _menu(commands: Mapping[str, Mapping[Language, str]], language: Language) -> list[Json]:
    return [
        {"command": name, "description": shortened(" ".join(clean(words[language]).split()), MAX_DESCRIPTION)}
        for name, words in islice(commands.items(), MAX_COMMANDS)
    ]
