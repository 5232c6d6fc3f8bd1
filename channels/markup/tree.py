"""What it0 says, as a tree of blocks and of the inlines in them."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from channels.markup.characters import is_blank


@dataclass(frozen=True, slots=True)
class Words:
    """Text as it is; a line break in it is one."""

    text: str


@dataclass(frozen=True, slots=True)
class CodeSpan:
    """Code within a line; it stands in no other inline, because Telegram allows it in none."""

    text: str


@dataclass(frozen=True, slots=True)
class Bold:
    """Bold text."""

    inside: "Inlines"


@dataclass(frozen=True, slots=True)
class Italic:
    """Italic text."""

    inside: "Inlines"


@dataclass(frozen=True, slots=True)
class Strike:
    """Text that is struck through."""

    inside: "Inlines"


@dataclass(frozen=True, slots=True)
class Link:
    """A link whose text does not pretend to lead elsewhere. href: http or https, with a host."""

    inside: "Inlines"
    href: str


Inline = Words | CodeSpan | Bold | Italic | Strike | Link
Inlines = tuple[Inline, ...]


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Lines of text."""

    inside: Inlines


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading. level: 1 to 6."""

    inside: Inlines
    level: int = 1


@dataclass(frozen=True, slots=True)
class CodeBlock:
    """Monospaced text as it is. title: what it is, such as a server's name."""

    text: str
    language: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class Quote:
    """What someone else said."""

    inside: "Blocks"


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of a list. continued: its beginning, with the mark, is in an earlier message."""

    inside: "Blocks"
    continued: bool = False


@dataclass(frozen=True, slots=True)
class Listing:
    """A list. start: the first entry's number, None for bullets."""

    items: tuple[Item, ...]
    start: int | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A table. header and rows: the cells; every row has as many as the header."""

    header: tuple[Inlines, ...]
    rows: tuple[tuple[Inlines, ...], ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """A line between two parts."""


Block = Paragraph | Heading | CodeBlock | Quote | Listing | Table | Rule
Blocks = tuple[Block, ...]


def text_of(inlines: Inlines) -> str:
    """Return the words of inlines without their form."""
    return "".join(
        each.text if isinstance(each, Words | CodeSpan) else text_of(each.inside) for each in inlines
    )


def merged(inlines: Iterable[Inline]) -> Inlines:
    """Return inlines with neighbouring words as one."""
    found: list[Inline] = []
    for each in inlines:
        match found, each:
            case [*_, Words(before)], Words(text):
                found[-1] = Words(before + text)
            case _:
                found.append(each)
    return tuple(found)


def styled(style: type[Bold] | type[Italic] | type[Strike], inside: Inlines) -> Inlines:
    """Return ``inside`` in a style, with code left beside it."""
    found: list[Inline] = []
    for is_code, group in groupby(inside, lambda each: isinstance(each, CodeSpan)):
        run = tuple(group)
        found += run if is_code else [style(merged(run))]
    return tuple(found)


def has_content(blocks: Blocks) -> bool:
    """Return whether ``blocks`` say anything: marks of lists and quotes alone say nothing."""
    return any(map(_has_content, blocks))


def _has_content(block: Block) -> bool:
    match block:
        case Paragraph(inside) | Heading(inside):
            return not is_blank(text_of(inside))
        case CodeBlock(text, _, title):
            return not is_blank(text + title)
        case Quote(inside):
            return has_content(inside)
        case Listing(items):
            return any(has_content(item.inside) for item in items)
        case Table(header, rows):
            return any(not is_blank(text_of(cell)) for row in (header, *rows) for cell in row)
        case Rule():
            return True
