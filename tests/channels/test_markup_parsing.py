"""Markdown and data are read into one tree, and nothing is lost or hidden on the way."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.html_judge import html, judged

from channels.markup import document, plain_text, telegram_html
from channels.markup.parsing import parse
from channels.markup.tree import CodeBlock
from core.messages import Code, Plain


@pytest.mark.parametrize(
    "raw", ["<b>bold</b>", "<script>alert(1)</script>", "<!-- gone? -->", "<div>\n\n</div>", "a <br> b"]
)
def test_html_in_markdown_stays_text(raw: str) -> None:
    assert html(raw).count("<") == 0
    assert judged(html(raw)) == raw
    assert plain_text(parse(raw)) == raw


def test_code_part_is_data_with_its_name_above() -> None:
    found = telegram_html(document([Code("a < b\n**c**\n\n", "web-1 <x>\n")]))
    assert found == "<b>web-1 &lt;x&gt;</b>\n<pre>a &lt; b\n**c**</pre>"
    assert telegram_html(document([Code("", "web-1")])) == "<b>web-1</b>"
    assert plain_text(document([Code("  x", "web-1")])) == "web-1\n  x"


def test_plain_parts_are_no_markdown_and_stand_line_by_line() -> None:
    found = document([Plain("rm *a* <b>"), Plain("_x_"), "*y*", Plain("z")])
    assert telegram_html(found) == "rm *a* &lt;b&gt;\n_x_\n\n<i>y</i>\n\nz"
    assert plain_text(document(["y", Plain("z"), Plain("z"), "y"])) == "y\n\nz\nz\n\ny"


@pytest.mark.parametrize("hidden", ["\0", "\x1b", "\x07", "\x9b", "\u202e", "\u2066", "\ud83d"])
def test_what_could_hide_or_reorder_a_command_is_made_visible(hidden: str) -> None:
    for part in (
        f"{hidden}x",
        f"`{hidden}x`",
        f"```\n{hidden}x\n```",
        Plain(f"{hidden}x"),
        Code(f"{hidden}x"),
    ):
        assert plain_text(document([part])) == "\ufffdx"
    assert plain_text(document([Code("x", f"web{hidden}1")])) == "web\ufffd1\nx"
    assert plain_text(parse("&#x202e;x")) == "\ufffdx"
    assert plain_text(document([Code("a\r\nb\rc\td")])) == "a\nb\nc\td"


def test_what_markdown_would_swallow_is_kept() -> None:
    assert plain_text(parse("[a]: https://a.example\n\nb")).startswith("[a]: https://a.example")
    assert plain_text(parse("no heading\n---\nx")) == "no heading\n\n———\n\nx"
    assert plain_text(parse("``` what is this\nx")) == "is this\nx"
    assert parse("```sh title=a.sh\nx\n```") == (CodeBlock("x", "sh", "title=a.sh"),)
    assert plain_text(parse("```<b>&\nx\n```")) == "<b>&\nx"


@pytest.mark.parametrize("deep", [">" * 300 + " end", "".join(f"{'  ' * n}- a\n" for n in range(90)) + "end"])
def test_nesting_without_end_is_text_and_nothing_is_lost(deep: str) -> None:
    assert plain_text(parse(deep)) == deep
    assert "end" in html("*" * 3000 + "end" + "*" * 3000)


MARKS = st.text("abc *_`~#>-\n[]()", max_size=120)


@settings(deadline=None)
@given(MARKS)
@example("[a](b)\n```a b c\na")
@example("> - a\n> b\n\n    c")
def test_markdown_of_any_shape_loses_no_letter(markdown: str) -> None:
    def letters(text: str) -> str:
        return "".join(sorted(c for c in text if c in "abc"))

    blocks = parse(markdown)
    judged(telegram_html(blocks))
    written = telegram_html(blocks)
    languages = "".join(re.findall(r'class="language-(\w+)"', written))
    assert letters(plain_text(blocks) + languages) == letters(markdown)
