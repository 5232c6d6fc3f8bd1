"""Telegram's HTML, held against its written rules by a parser of our own."""

import re
from html.parser import HTMLParser

from channels.markup import Blocks, Rest, split, telegram_html, telegram_size
from channels.markup.characters import is_blank, utf16_length
from channels.markup.measuring import visible
from channels.markup.parsing import parse

TAGS = {"b", "i", "u", "s", "code", "pre", "a", "blockquote"}


_ANY_TAG = re.compile(r"</?[a-z][^<>]*>")
MANY = 100_000


class Judge(HTMLParser):
    """Holds HTML against Telegram's rules of nesting."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Check a tag where it opens."""
        assert tag in TAGS, tag
        assert "code" not in self.open, self.open
        assert "pre" not in self.open or (tag == "code" and self.open[-1] == "pre")
        assert tag not in ("code", "pre") or set(self.open) <= {"pre", "blockquote"}, self.open
        assert tag not in ("a", "blockquote") or tag not in self.open
        names = {"a": ["href"]}.get(tag, ["class"] if tag == "code" and attrs else [])
        assert [name for name, _ in attrs] == names
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Check that what was opened last is closed first."""
        assert self.open, tag
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Keep what is seen."""
        self.text += data


def judged(html: str) -> str:
    """Return what is seen of Telegram's HTML, after it was found well-formed."""
    assert "<" not in _ANY_TAG.sub("", html), "a sign that opens no tag"
    judge = Judge()
    judge.feed(html)
    judge.close()
    assert judge.open == []
    assert judge.text == visible(html)
    return judge.text


def html(markdown: str) -> str:
    """Return Markdown as Telegram gets it."""
    written = telegram_html(parse(markdown))
    judged(written)
    return written


def sent(blocks: Blocks, limit: int, most: int = MANY) -> list[str]:
    """Return the messages as HTML, each held against the rules."""
    found = []
    for message in split(blocks, limit, telegram_size, most):
        assert not isinstance(message, Rest)
        written = telegram_html(message)
        assert utf16_length(judged(written)) <= limit
        assert telegram_size(message) <= limit
        assert not is_blank(judged(written))
        found.append(written)
    return found
