"""The lists of what a platform's protocol asks for name tests that are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WHERE = {
    "m": "tests/channels/test_markup_*.py",
    "w": "tests/channels/test_telegram_*.py",
    "b": "tests/bot/test_telegram.py",
}
LISTED = re.findall(r"\b([mwb]):`(\w+)`", (ROOT / "channels/telegram/protocol.md").read_text())


@pytest.mark.parametrize(("where", "name"), LISTED)
def test_every_test_that_the_protocol_list_names_is_there(where: str, name: str) -> None:
    assert any(f"def test_{name}(" in file.read_text() for file in ROOT.glob(WHERE[where]))


def test_every_line_of_the_protocol_list_has_a_test_or_an_exemption() -> None:
    table = (ROOT / "channels/telegram/protocol.md").read_text().split("## The protocol")[1].split("##")[0]
    lines = [line for line in table.splitlines() if line.startswith("|")][2:]
    bare = [line for line in lines if not re.search(r"[mwb]:`\w+`|\| exempt: ", line)]
    assert len(lines) > 20
    assert bare == []
