"""Trees of any shape, to try properties on."""

from typing import Any

from hypothesis import strategies as st

from channels.markup.tree import (
    Block,
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
    Quote,
    Rule,
    Strike,
    Table,
    Words,
)

FAMILY = "👨‍👩‍👧‍👦"


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
