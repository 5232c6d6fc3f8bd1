"""A message is measured as Telegram counts it, or more."""

from hypothesis import given, settings
from support.documents import DOCUMENTS
from support.html_judge import judged, sent

from channels.markup import Blocks, telegram_html, telegram_size
from channels.markup.characters import utf16_length
from channels.markup.parsing import parse


def test_form_beyond_what_telegram_keeps_is_measured_too() -> None:
    many = sent(parse("**a** b " * 250), 4096)
    assert all(each.count("<b>") < 100 for each in many)
    assert sum(each.count("<b>") for each in many) == 250
    links = sent(parse(" ".join(f"[x](https://a.example/{'y' * 1500}{n})" for n in range(60))), 4096)
    assert all(len(each.encode()) <= 32768 for each in links)
    assert sum(each.count("<a ") for each in links) == 60


@settings(deadline=None, max_examples=40)
@given(DOCUMENTS)
def test_measure_is_what_is_seen_or_more(blocks: Blocks) -> None:
    seen = judged(telegram_html(blocks))
    assert telegram_size(blocks) >= utf16_length(seen) == len(seen.encode("utf-16-le")) // 2
