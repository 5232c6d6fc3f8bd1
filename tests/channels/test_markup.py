"""What it0 says: read from Markdown, written for Telegram and as plain text, split and never cut badly."""

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from channels.markup import (
    Block,
    Blocks,
    Bold,
    CodeBlock,
    CodeSpan,
    Heading,
    Inlines,
    Italic,
    Item,
    Link,
    Listing,
    Paragraph,
    Plain,
    Quote,
    Rest,
    Rule,
    Strike,
    Table,
    Words,
    clean,
    columns,
    document,
    is_blank,
    parse,
    plain_text,
    split,
    telegram_html,
    telegram_size,
    text_of,
    utf16_length,
    visible,
)
from core.messages import Code

TAGS = {"b", "i", "u", "s", "code", "pre", "a", "blockquote"}
FAMILY = "👨‍👩‍👧‍👦"
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
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Keep what is seen."""
        self.text += data


def judged(html: str) -> str:
    """Return what is seen of Telegram's HTML, after it was found well-formed."""
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


@pytest.mark.parametrize(
    "raw", ["<b>bold</b>", "<script>alert(1)</script>", "<!-- gone? -->", "<div>\n\n</div>", "a <br> b"]
)
def test_html_in_markdown_stays_text(raw: str) -> None:
    assert html(raw).count("<") == 0
    assert judged(html(raw)) == raw
    assert plain_text(parse(raw)) == raw


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


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        ("[you](tg://user?id=7)", "you"),
        ("[sh](javascript:alert(1))", "[sh](javascript:alert(1))"),
        ("[mail](mailto:a@b.example)", "mail (mailto:a@b.example)"),
        ("[log](/var/log/syslog)", "log (/var/log/syslog)"),
        ("[odd](https://)", "odd (https://)"),
        ("[bad](http://[)", "bad (http://%5B)"),
    ],
)
def test_only_web_addresses_become_links(markdown: str, expected: str) -> None:
    assert "<a" not in html(markdown)
    assert judged(html(markdown)) == expected


@pytest.mark.parametrize(
    "label",
    [
        "bank.example",
        "https://bank.example/login",
        "www.bank.example",
        "10.0.0.1",
        "a@bank.example",
        "банк.рф",
    ],
)
def test_link_whose_text_names_another_place_shows_where_it_leads(label: str) -> None:
    found = html(f"[{label}](https://evil.example/x)")
    assert found.endswith('(<a href="https://evil.example/x">https://evil.example/x</a>)')
    assert judged(found) == f"{label} (https://evil.example/x)"
    assert ">" + label not in found.replace("(<a", "")


@pytest.mark.parametrize("label", ["the docs", "a.example", "www.a.example", "https://a.example/b/c.html"])
def test_link_that_is_honest_is_left_alone(label: str) -> None:
    assert html(f"[{label}](https://a.example/b)") == f'<a href="https://a.example/b">{label}</a>'


@pytest.mark.parametrize(
    ("around", "address"),
    [
        ("{}", "https://it0.example/secret/acme._Ab-_c_"),
        ("see {}.", "http://127.0.0.1:8080/a_b_c?d=*e".replace("*", "")),
        ("**{}**", "https://a.example/x_y_z"),
        ("（{}）", "https://a.example/路径"),
        ("({})", "https://a.example/a_(b)"),
        ("{}, and", "https://a.example/r?u=https://b.example"),
        ("- {}", "https://a.example/__init__.py"),
    ],
)
def test_bare_address_is_a_link_and_loses_no_character(around: str, address: str) -> None:
    found = html(around.format(address))
    assert found.count("<a ") == 1
    assert f">{address}</a>" in found
    assert "<i>" not in found


def test_bare_address_in_a_links_text_is_only_text() -> None:
    found = html("[go https://a.example/_x_](https://a.example)")
    assert found == '<a href="https://a.example">go https://a.example/_x_</a>'
    assert html("xhttps://a.example ftp://b.example https://").count("<a") == 0


def test_code_part_is_data_with_its_name_above() -> None:
    found = telegram_html(document([Code("a < b\n**c**\n\n", "web-1 <x>\n")]))
    assert found == "<b>web-1 &lt;x&gt;</b>\n<pre>a &lt; b\n**c**</pre>"
    assert telegram_html(document([Code("", "web-1")])) == "<b>web-1</b>"
    assert plain_text(document([Code("  x", "web-1")])) == "web-1\n  x"


def test_plain_parts_are_no_markdown_and_stand_line_by_line() -> None:
    found = document([Plain("rm *a* <b>"), Plain("_x_"), "*y*", Plain("z")])
    assert telegram_html(found) == "rm *a* &lt;b&gt;\n_x_\n\n<i>y</i>\n\nz"


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


# --- splitting --------------------------------------------------------------------------------------------


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


def test_short_text_is_one_message_and_nothing_is_none() -> None:
    assert sent(parse("hello"), 4096) == ["hello"]
    for nothing in ("", "  \n\n ", "\u200b\u2060", "\u2800", "-", "> >", "1."):
        assert sent(parse(nothing), 4096) == []
    assert sent(document([Plain(" "), Code("\u200b", " \n"), ""]), 4096) == []


def test_text_is_cut_between_paragraphs_rather_than_within_one() -> None:
    paragraphs = [f"paragraph {n} " + "word " * 8 for n in range(9)]
    found = sent(parse("\n\n".join(paragraphs)), 120)
    assert len(found) == 5
    assert "\n\n".join(found).replace(" ", "") == "\n\n".join(paragraphs).replace(" ", "")


def test_long_paragraph_is_cut_after_a_line_else_after_a_word() -> None:
    lines = sent(document([Plain("\n".join(f"line {n} of a log" for n in range(20)))]), 100)
    assert all(re.fullmatch(r"line \d+ .*log", each, re.DOTALL) for each in lines)
    words = sent(document([Plain("word " * 100)]), 100)
    assert {each.replace("word", "").strip() for each in words} == {""}
    chinese = sent(document([Plain("磁盘已经用了百分之九十，请清理日志。" * 20)]), 100)
    assert all(each[-1] in "，。" for each in chinese)


def test_code_is_closed_and_opened_again_with_its_language_and_name() -> None:
    lines = [f"    line {n} <&>" for n in range(300)]
    found = sent((CodeBlock("\n".join(lines), "python", "web-1"),), 1024)
    assert len(found) > 3
    for each in found:
        assert each.startswith('<b>web-1</b>\n<pre><code class="language-python">    line')
        assert each.endswith("</code></pre>")
    bodies = [judged(each).removeprefix("web-1\n") for each in found]
    assert "\n".join(bodies).split("\n") == lines


def test_long_code_begins_in_the_message_that_leads_to_it() -> None:
    found = sent(parse("It says:\n```\n" + "line\n" * 200 + "```"), 500)
    assert found[0].startswith("It says:\n\n<pre>line\nline")
    assert len(found) == 3


def test_list_goes_on_with_the_next_number_and_without_a_second_mark() -> None:
    markdown = "\n".join(f"{n}. item {n} {'long ' * (60 if n == 3 else 1)}" for n in range(1, 20))
    found = sent(parse(markdown), 128)
    numbers = re.findall(r"^(\d+)\. item (\d+)", "\n".join(map(judged, found)), re.MULTILINE)
    assert numbers == [(str(n), str(n)) for n in range(1, 20)]
    assert "\n".join(found).count("long") == 78


def test_table_is_cut_between_rows_and_repeats_its_header() -> None:
    rows = "\n".join(f"| web-{n} | {n}% |" for n in range(60))
    found = sent(parse("| host | disk |\n|--|--|\n" + rows), 200)
    assert all(judged(each).startswith("host    disk\n") for each in found)
    assert re.findall(r"web-(\d+)", "".join(found)) == [str(n) for n in range(60)]
    wide = Table(((Words("x" * 300),),), (((Words("y" * 300),),),))
    assert "".join(sent((wide,), 200)).count("y") == 300


def test_heading_goes_with_what_it_heads() -> None:
    found = sent(parse("a " * 45 + "\n\n## Disk\n" + "b " * 40), 128)
    assert [each.startswith("<b>Disk</b>") for each in found] == [False, True]
    assert len(sent((Heading((Words("h" * 300),)),), 128)) == 3


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


def test_what_goes_beyond_the_cap_is_a_file() -> None:
    blocks = parse("intro\n\n```\n" + "\n".join(f"line {n}" for n in range(3000)) + "\n```\n\n**end**")
    *messages, rest = split(blocks, 4096, telegram_size)
    assert len(messages) == 5
    assert isinstance(rest, Rest)
    assert rest.filename == "rest.txt"
    shown = "".join(judged(telegram_html(each)) for each in messages if not isinstance(each, Rest))
    assert re.findall(r"line (\d+)", shown + rest.text) == [str(n) for n in range(3000)]
    assert rest.text.endswith("\n\nend")


def test_no_file_where_the_rest_is_blank() -> None:
    blocks = (*parse("x " * 50), Paragraph((Words(" \n\u200b"),)))
    assert len(split(blocks, 100, telegram_size, most=1)) == 1
    with pytest.raises(ValueError, match="below 64"):
        split(blocks, 10, telegram_size)


def test_form_beyond_what_telegram_keeps_is_measured_too() -> None:
    many = sent(parse("**a** b " * 250), 4096)
    assert all(each.count("<b>") < 100 for each in many)
    assert sum(each.count("<b>") for each in many) == 250
    links = sent(parse(" ".join(f"[x](https://a.example/{'y' * 1500}{n})" for n in range(60))), 4096)
    assert all(len(each.encode()) <= 32768 for each in links)
    assert sum(each.count("<a ") for each in links) == 60


# --- properties -------------------------------------------------------------------------------------------

PIECES = (
    "word ",
    "a<b>&c ",
    "磁盘。",
    "😀",
    "\n",
    "e\u0301",
    "*_`",
    "a whole line\n",
    "  ",
    "x" * 40,
    FAMILY,
)
TEXT = st.lists(st.sampled_from(PIECES), max_size=9).map("".join)
HREFS = st.sampled_from(["https://a.example", "http://b.example/?q=1&r=2"])


def inlines(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Inlines]:
    """Return a strategy for a line's content."""
    words = leaves.map(Words)
    inner = st.tuples(words)
    styles = st.one_of(
        st.builds(Bold, inner),
        st.builds(Italic, inner),
        st.builds(Strike, st.tuples(st.builds(Bold, inner))),
        st.builds(Link, inner, HREFS),
    )
    span = leaves.map(lambda text: CodeSpan(text.replace("\n", " ") or "x"))
    return st.lists(st.one_of(words, words, styles, span), max_size=6).map(tuple)


LINES = inlines(TEXT)
CELLS = st.tuples(st.tuples(st.builds(Words, st.sampled_from(["disk", "91%", "磁盘"]))))
LEAVES: st.SearchStrategy[Block] = st.one_of(
    st.builds(Paragraph, LINES),
    st.builds(Heading, LINES, st.integers(1, 6)),
    st.builds(CodeBlock, TEXT, st.sampled_from(["", "sh", "c++"]), st.sampled_from(["", "web-1"])),
    st.builds(Table, CELLS, st.lists(CELLS, max_size=9).map(tuple)),
    st.builds(Rule),
)


def nested(inner: st.SearchStrategy[Block]) -> st.SearchStrategy[Block]:
    """Return a strategy for what holds blocks."""
    blocks = st.lists(inner, max_size=4).map(tuple)
    items = st.lists(st.builds(Item, blocks), min_size=1, max_size=5).map(tuple)
    return st.one_of(st.builds(Quote, blocks), st.builds(Listing, items, st.sampled_from([None, 1, 9])))


DOCUMENTS = st.lists(st.recursive(LEAVES, nested, max_leaves=6), max_size=5).map(tuple)
LIMITS = st.sampled_from([256, 300, 1024, 4096])


def data_of(blocks: Blocks) -> str:
    """Return all that was to be said, in order, without form, space and what is repeated."""
    return "".join("".join(map(data_of_one, blocks)).split())


def data_of_one(block: Block) -> str:
    """Return what a block says."""
    match block:
        case Paragraph(inside) | Heading(inside):
            return text_of(inside)
        case CodeBlock(text):
            return text
        case Quote(inside):
            return data_of(inside)
        case Listing(items):
            return "".join(data_of(item.inside) for item in items)
        case Table(_, rows):
            return "".join(text_of(cell) for row in rows for cell in row)
        case Rule():
            return ""


@settings(deadline=None)
@given(DOCUMENTS, LIMITS)
@example((Quote((Quote((Paragraph(()),)),)),), 256)
def test_no_message_is_beyond_the_limit_malformed_or_blank_and_nothing_is_lost(
    blocks: Blocks, limit: int
) -> None:
    messages = split(blocks, limit, telegram_size, MANY)
    sent(blocks, limit)
    kept = "".join(data_of(each) for each in messages if not isinstance(each, Rest))
    assert kept == data_of(blocks)


@settings(deadline=None, max_examples=40)
@given(DOCUMENTS, st.integers(0, 4))
def test_with_a_cap_there_is_one_file_at_most_and_it_comes_last(blocks: Blocks, most: int) -> None:
    messages = split(blocks, 256, telegram_size, most)
    files = [each for each in messages if isinstance(each, Rest)]
    assert len(messages) - len(files) <= most
    assert files in ([], messages[-1:])
    assert all(not is_blank(file.text) for file in files)
    if len(split(blocks, 256, telegram_size, MANY)) <= most:
        assert files == []


@settings(deadline=None)
@given(st.text(max_size=400), LIMITS)
@example("\ud83d\x00`\u202e", 256)
@example("```\n\n\n```\n> \n- \n1. ", 256)
def test_any_text_at_all_can_be_said(text: str, limit: int) -> None:
    sent(document([text, Plain(text), Code(text, text)]), limit)
    plain = "".join(judged(each) for each in sent(document([Plain(text)]), limit))
    assume(not is_blank(clean(text)))
    assert plain.split() == clean(text).split() or "".join(plain.split()) == "".join(clean(text).split())


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


@settings(deadline=None, max_examples=40)
@given(DOCUMENTS)
def test_measure_is_what_is_seen_or_more(blocks: Blocks) -> None:
    seen = judged(telegram_html(blocks))
    assert telegram_size(blocks) >= utf16_length(seen) == len(seen.encode("utf-16-le")) // 2
