"""A text is cut where a reader would, and never within what is one to the eye."""

import re

import pytest
from support.documents import FAMILY
from support.html_judge import html, judged, sent

from channels.markup import document
from channels.markup.characters import utf16_length
from channels.markup.parsing import parse
from core.messages import Code, Plain


def test_long_paragraph_is_cut_after_a_line_else_after_a_word() -> None:
    lines = sent(document([Plain("\n".join(f"line {n} of a log" for n in range(20)))]), 100)
    assert all(re.fullmatch(r"line \d+ .*log", each, re.DOTALL) for each in lines)
    words = sent(document([Plain("word " * 100)]), 100)
    assert {each.replace("word", "").strip() for each in words} == {""}
    chinese = sent(document([Plain("磁盘已经用了百分之九十，请清理日志。" * 20)]), 100)
    assert all(each[-1] in "，。" for each in chinese)


def test_links_code_and_short_styles_are_never_cut() -> None:
    for whole in ("[a link of words](https://a.example)", "`some code here`", "**a bold few words**"):
        found = sent(parse(f"{whole} " * 40), 256)
        shown = judged(html(whole))
        assert all(judged(each).count(shown) * len(shown) > len(judged(each)) * 0.8 for each in found)
        assert sum(judged(each).count(shown) for each in found) == 40


@pytest.mark.parametrize("letter", [FAMILY, "👍🏽", "🇨🇳", "e\u0301", "한", "क्ष", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "❤️"])
def test_what_is_one_character_to_the_eye_is_not_cut(letter: str) -> None:
    found = sent(document([Code(letter * 200)]), 95)
    assert all(judged(each) == letter * (len(judged(each)) // len(letter)) for each in found)
    assert "".join(map(judged, found)) == letter * 200


def test_character_longer_than_a_message_is_cut_all_the_same() -> None:
    found = sent(document([Plain("a" + "\u0301" * 300)]), 100)
    assert "".join(found) == "a" + "\u0301" * 300
    assert [utf16_length(each) for each in sent(document([Plain("😀" * 100)]), 99)] == [98, 98, 4]
