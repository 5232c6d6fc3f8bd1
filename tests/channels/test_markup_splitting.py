"""What is long is split to a limit, and nothing is lost."""

import re

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from support.documents import DOCUMENTS
from support.html_judge import MANY, judged, sent

from channels.markup import Blocks, Rest, document, split, telegram_html, telegram_size
from channels.markup.characters import clean, is_blank
from channels.markup.parsing import parse
from channels.markup.tree import (
    Block,
    CodeBlock,
    Heading,
    Listing,
    Paragraph,
    Quote,
    Rule,
    Table,
    Words,
    text_of,
)
from core.messages import Code, Plain

LIMITS = st.sampled_from([256, 300, 1024, 4096])


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
    two = sent(parse("a " * 45 + "\n\n# Host\n## Disk\n" + "b " * 50), 128)
    assert [each.startswith("<b>Host</b>\n<b>Disk</b>\nb") for each in two] == [False, True]


def test_heading_that_is_cut_stays_where_it_begins() -> None:
    found = sent((*parse("a " * 20), Heading((Words("h" * 300),))), 128)
    assert all(each.count("<b>") == 1 for each in found)
    assert "h</b>" in found[0]
    assert "".join(found).count("h") == 300


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
