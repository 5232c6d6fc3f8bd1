"""From the tree to a text in a dialect: layout is the same for all of them."""

from dataclasses import dataclass, replace

from channels.markup.characters import columns
from channels.markup.dialects import PLAIN, TELEGRAM, Dialect
from channels.markup.tree import (
    Block,
    Blocks,
    Bold,
    CodeBlock,
    CodeSpan,
    Heading,
    Inline,
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
    styled,
)


@dataclass(frozen=True, slots=True)
class _At:
    """Where in the layout something is written. quoted: already within a quote; quotes do not nest."""

    dialect: Dialect
    indent: str = ""
    quoted: bool = False


def write(blocks: Blocks, dialect: Dialect) -> str:
    """Return ``blocks`` as a platform takes them."""
    return _stack(blocks, _At(dialect), "\n\n").lstrip("\n").rstrip()


def telegram_html(blocks: Blocks) -> str:
    """Return ``blocks`` in the few tags of HTML that Telegram takes."""
    return write(blocks, TELEGRAM)


def plain_text(blocks: Blocks) -> str:
    """Return ``blocks`` without any form, addresses of links in brackets."""
    return write(blocks, PLAIN)


def _stack(blocks: Blocks, at: _At, gap: str) -> str:
    written = ""
    for before, block in zip((None, *blocks), blocks, strict=False):
        piece = _block(block, at)
        if written and piece:
            written += "\n" if isinstance(before, Heading) else gap
        written += piece
    return written


def _block(block: Block, at: _At) -> str:
    match block:
        case Paragraph(inside):
            return at.indent + _run(inside, at).replace("\n", "\n" + at.indent)
        case Heading(inside):
            return at.indent + _run(styled(Bold, inside), at).replace("\n", "\n" + at.indent)
        case CodeBlock(text, language, title):
            name = at.indent + at.dialect.bold(at.dialect.words(title)) if title else ""
            body = at.dialect.block(text, language) if text else ""
            return "\n".join(filter(None, (name, body)))
        case Quote(inside) if at.quoted:
            return _stack(inside, replace(at, indent=at.indent + "  "), "\n")
        case Quote(inside):
            body = _stack(inside, replace(at, indent="", quoted=True), "\n\n")
            return at.dialect.quote(body) if body else ""
        case Listing(items, start):
            numbers = ["•"] * len(items) if start is None else [f"{start + n}." for n in range(len(items))]
            return "\n".join(_item(item, mark, at) for item, mark in zip(items, numbers, strict=True))
        case Table():
            return at.dialect.block(table_text(block), "")
        case Rule():
            return at.indent + "———"


def _item(item: Item, mark: str, at: _At) -> str:
    deeper = replace(at, indent=at.indent + " " * (len(mark) + 1))
    body = _stack(item.inside, deeper, "\n")
    if item.continued:
        return body
    beside = body.startswith(deeper.indent) and isinstance(item.inside[0], Paragraph | Heading)
    if beside:
        return f"{at.indent}{mark} {body[len(deeper.indent) :]}"
    return f"{at.indent}{mark}\n{body}" if body else f"{at.indent}{mark}"


def _run(inlines: Inlines, at: _At) -> str:
    return "".join(_inline(each, at) for each in inlines)


def _inline(inline: Inline, at: _At) -> str:
    dialect = at.dialect
    match inline:
        case Words(text):
            return dialect.words(text)
        case CodeSpan(text):
            return dialect.span(text)
        case Bold(inside):
            return dialect.bold(_run(inside, at))
        case Italic(inside):
            return dialect.italic(_run(inside, at))
        case Strike(inside):
            return dialect.strike(_run(inside, at))
        case Link(inside, href):
            return dialect.link(_run(inside, at), href)


def table_text(table: Table) -> str:
    """Return a table with its columns aligned, for a monospaced block."""
    lines = [[_run(cell, _At(PLAIN)) for cell in row] for row in (table.header, *table.rows)]
    widths = [max(map(columns, column)) for column in zip(*lines, strict=True)]
    head, *body = ["  ".join(map(_padded, line, widths)).rstrip() for line in lines]
    return "\n".join([head, "  ".join("-" * width for width in widths), *body])


def _padded(cell: str, width: int) -> str:
    return cell + " " * (width - columns(cell))
