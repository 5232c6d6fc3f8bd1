"""The tree is written for Telegram and as plain text."""

import pytest
from support.html_judge import html, judged

from channels.markup import plain_text
from channels.markup.characters import columns
from channels.markup.parsing import parse

FORMS = [
    ("**bold** and __bold__", "<b>bold</b> and <b>bold</b>"),
    ("*italic* and _italic_", "<i>italic</i> and <i>italic</i>"),
    ("~~gone~~", "<s>gone</s>"),
    ("a `code < span` b", "a <code>code &lt; span</code> b"),
    ("***both***", "<i><b>both</b></i>"),
    ("**a **b** c**", "<b>a b c</b>"),
    ("# Title\ntext", "<b>Title</b>\ntext"),
    ("### *Small* title", "<b><i>Small</i> title</b>"),
    ("line\nline", "line\nline"),
    ("one\n\ntwo", "one\n\ntwo"),
    ("a\n\n---\n\nb", "a\n\n———\n\nb"),
    ("```\nx < y\n```", "<pre>x &lt; y</pre>"),
    ("```python\nx\n\n  y\n```", '<pre><code class="language-python">x\n\n  y</code></pre>'),
    ("    indented", "<pre>indented</pre>"),
    ("> said *so*\n> twice", "<blockquote>said <i>so</i>\ntwice</blockquote>"),
    ("[it0](https://it0.example/a?b=1&c=2)", '<a href="https://it0.example/a?b=1&amp;c=2">it0</a>'),
    ("<https://a.example>", '<a href="https://a.example">https://a.example</a>'),
    ("web_1_a and 2 * 3 * 4 and *.log *.txt", "web_1_a and 2 * 3 * 4 and *.log *.txt"),
    ("a < b && c > d", "a &lt; b &amp;&amp; c &gt; d"),
    ("&lt;b&gt; &copy;", "&lt;b&gt; ©"),
    ("![graph](https://a.example/g.png)", '<a href="https://a.example/g.png">graph</a>'),
]


@pytest.mark.parametrize(("markdown", "expected"), FORMS)
def test_markdown_is_written_in_telegrams_html(markdown: str, expected: str) -> None:
    assert html(markdown) == expected


def test_code_stands_beside_a_style_and_a_link_has_none() -> None:
    assert html("**run `df` now**") == "<b>run </b><code>df</code><b> now</b>"
    assert html("[see `df`](https://a.example)") == '<a href="https://a.example">see df</a>'
    assert html("**_a `b`_**") == "<b><i>a </i></b><code>b</code>"


def test_nested_lists_are_indented_and_numbered_on() -> None:
    found = html("- one\n- two\n  - deep\n    more\n  - deeper\n\n3. three\n4. four\n   > quoted")
    assert found.split("\n") == [
        "• one",
        "• two",
        "  • deep",
        "    more",
        "  • deeper",
        "",
        "3. three",
        "4. four",
        "<blockquote>quoted</blockquote>",
    ]


def test_code_in_a_list_keeps_its_own_indentation() -> None:
    found = html("- run\n  ```sh\n  if x\n    y\n  ```\n-")
    assert found == '• run\n<pre><code class="language-sh">if x\n  y</code></pre>\n•'
    assert html("-     code") == "•\n<pre>code</pre>"


def test_quote_in_a_quote_is_indented_because_quotes_do_not_nest() -> None:
    assert html("> a\n> > b") == "<blockquote>a\n\n  b</blockquote>"
    assert plain_text(parse("> a\n> > b")) == "> a\n> \n>   b"


def test_table_is_aligned_with_chinese_two_columns_wide() -> None:
    found = html("| host | 磁盘 |\n|---|--:|\n| 数据库 | `3%` |\n| web-1 | [91%](https://a.example) |")
    head, line, chinese, english = judged(found).split("\n")
    assert found.startswith("<pre>")
    assert head == "host    磁盘"
    assert line == "------  -----------------------"
    assert columns(chinese.partition("3")[0]) == columns("web-1   ") == 8
    assert english == "web-1   91% (https://a.example)"
