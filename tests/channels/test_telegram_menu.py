"""The menu of commands, in both languages."""

import pytest

from agent.engines.commands import COMMANDS
from bot.texts.catalogue import load_catalogue
from channels.markup.characters import utf16_length
from channels.telegram.menu import commands_menu


def test_menu_has_our_commands_in_both_languages() -> None:
    texts = load_catalogue()
    said = {
        name: {language: texts(command.line, language) for language in ("en", "zh")}
        for name, command in COMMANDS.items()
    }
    english, chinese = commands_menu(said)  # type: ignore[arg-type]
    assert "language_code" not in english.data
    assert chinese.data["language_code"] == "zh"
    for call in (english, chinese):
        assert [each["command"] for each in call.data["commands"]] == list(COMMANDS)
        assert all(1 <= utf16_length(each["description"]) <= 256 for each in call.data["commands"])
    assert "列出服务器" in chinese.data["commands"][0]["description"]


def test_menu_takes_no_name_that_telegram_refuses_and_shortens_what_is_long() -> None:
    for name in ("Run", "run-all", "x" * 33, "", "运行"):
        with pytest.raises(ValueError, match="no commands"):
            commands_menu({name: {"en": "x", "zh": "x"}})
    (call, _) = commands_menu({"run": {"en": "a\nb " * 200, "zh": "x"}})
    assert utf16_length(call.data["commands"][0]["description"]) == 256
    assert call.data["commands"][0]["description"].startswith("a b a b")
