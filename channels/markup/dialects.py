"""How each platform writes bold, a link, a block of code."""

from collections.abc import Callable
from dataclasses import dataclass
from html import escape

Write = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a platform writes each kind of text; what goes in was written by the dialect before, but data.

    words, span: take data and escape it; bold, italic, strike, quote: take what is written;
    link: takes (what is written, the address); block: takes (data, its language).
    """

    words: Write
    span: Write
    bold: Write
    italic: Write
    strike: Write
    quote: Write
    link: Callable[[str, str], str]
    block: Callable[[str, str], str]


def _tag(name: str) -> Write:
    return lambda written: f"<{name}>{written}</{name}>" if written else ""


def _escaped(text: str) -> str:
    return escape(text, quote=False)


def _html_block(text: str, language: str) -> str:
    if not language:
        return f"<pre>{_escaped(text)}</pre>"
    return f'<pre><code class="language-{escape(language)}">{_escaped(text)}</code></pre>'


TELEGRAM = Dialect(
    words=_escaped,
    span=lambda text: _tag("code")(_escaped(text)),
    bold=_tag("b"),
    italic=_tag("i"),
    strike=_tag("s"),
    quote=_tag("blockquote"),
    link=lambda written, href: f'<a href="{escape(href)}">{written}</a>',
    block=_html_block,
)


def _same(text: str) -> str:
    return text


PLAIN = Dialect(
    words=_same,
    span=_same,
    bold=_same,
    italic=_same,
    strike=_same,
    quote=lambda written: "> " + written.replace("\n", "\n> "),
    link=lambda written, href: written if written == href else f"{written} ({href})",
    block=lambda text, _: text,
)
