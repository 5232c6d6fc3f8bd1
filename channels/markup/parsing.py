"""From Markdown, and from data that is none, to the tree."""

import re
from collections.abc import Iterable, Iterator, Sequence

from markdown_it import MarkdownIt
from markdown_it.token import Token

from channels.markup.characters import clean
from channels.markup.links import bare_address, linked
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
    Listing,
    Paragraph,
    Quote,
    Rule,
    Strike,
    Table,
    Words,
    merged,
    styled,
)
from core.messages import Code, Plain

MAX_NESTING = 40
"""Levels (a list in a list is two) up to which Markdown is read; deeper, the parser would lose text."""
MAX_TITLE = 200
_LANGUAGE = re.compile(r"[\w+#.-]{1,32}")
_STYLES: dict[str, type[Bold] | type[Italic] | type[Strike]] = {"strong": Bold, "em": Italic, "s": Strike}


def document(parts: Iterable[str | Plain | Code]) -> Blocks:
    """Return what is said as a tree: a ``str`` is Markdown, ``Plain`` and ``Code`` are data."""
    blocks: list[Block] = []
    for part in _joined(parts):
        match part:
            case str():
                blocks += parse(part)
            case Code(code, title):
                name = " ".join(clean(title).split())
                blocks.append(CodeBlock(clean(code).strip("\n"), title=name[:MAX_TITLE]))
            case Plain(text):
                blocks.append(Paragraph((Words(clean(text)),)))
    return tuple(blocks)


def _joined(parts: Iterable[str | Plain | Code]) -> list[str | Plain | Code]:
    """Return parts with the plain texts of a row as lines of one."""
    found: list[str | Plain | Code] = []
    for part in parts:
        match found, part:
            case [*_, Plain(before)], Plain(text):
                found[-1] = Plain(f"{before}\n{text}")
            case _:
                found.append(part)
    return found


def parse(markdown: str) -> Blocks:
    """Return Markdown as a tree; HTML in it is text, and no text is dropped."""
    text = clean(markdown)
    tokens = _MARKDOWN.parse(text)
    if any(token.level >= MAX_NESTING - 1 for token in tokens):
        return (Paragraph((Words(text.strip("\n")),)),)
    return _blocks(iter(tokens), "")


class _Parser(MarkdownIt):
    def normalizeLinkText(self, link: str) -> str:
        """Return an address as it was written: decoded, ``xn--…`` could look like another place."""
        return link


def _markdown() -> MarkdownIt:
    """Return the parser. Left out is what makes text vanish (references) or a dashed line a heading."""
    parser = _Parser("commonmark", {"html": False, "breaks": True, "maxNesting": MAX_NESTING})
    parser.enable(["table", "strikethrough"]).disable(["lheading", "reference"])
    parser.inline.ruler.after("text", "bare_address", bare_address)
    return parser


_MARKDOWN = _markdown()


def _blocks(tokens: Iterator[Token], until: str) -> Blocks:
    """Return the blocks up to the token that closes them."""
    found: list[Block] = []
    for token in tokens:
        match token.type:
            case kind if kind == until:
                break
            case "paragraph_open":
                found.append(Paragraph(_line(tokens)))
            case "heading_open":
                found.append(Heading(_line(tokens), int(token.tag[1:])))
            case "fence" | "code_block":
                found.append(CodeBlock(token.content.removesuffix("\n"), *_info(token.info)))
            case "blockquote_open":
                found.append(Quote(_blocks(tokens, "blockquote_close")))
            case "bullet_list_open":
                found.append(Listing(_items(tokens, "bullet_list_close")))
            case "ordered_list_open":
                items = _items(tokens, "ordered_list_close")
                found.append(Listing(items, int(token.attrs.get("start", 1))))
            case "table_open":
                found.append(_table(tokens))
            case "hr":
                found.append(Rule())
    return tuple(found)


def _info(info: str) -> tuple[str, str]:
    """Return (language, title) of a fence's first line: what is no language's name is not dropped."""
    first, _, rest = clean(info).strip().partition(" ")
    return (first, rest.strip()) if _LANGUAGE.fullmatch(first) else ("", clean(info).strip())


def _line(tokens: Iterator[Token]) -> Inlines:
    """Return the inlines of the block that was just opened."""
    inline = next(tokens)
    next(tokens)
    return _inlines(inline.children or [])


def _items(tokens: Iterator[Token], until: str) -> tuple[Item, ...]:
    found = []
    for token in tokens:
        if token.type == until:
            break
        found.append(Item(_blocks(tokens, "list_item_close")))
    return tuple(found)


def _table(tokens: Iterator[Token]) -> Table:
    rows: list[list[Inlines]] = []
    for token in tokens:
        if token.type == "table_close":
            break
        if token.type == "tr_open":
            rows.append([])
        if token.type in ("th_open", "td_open"):
            rows[-1].append(_line(tokens))
    header, *others = [tuple(row) for row in rows]
    return Table(header, tuple(others))


def _inlines(tokens: Sequence[Token]) -> Inlines:
    """Return the tree of a line's flat tokens; a style within itself counts once."""
    stack: list[list[Inline]] = [[]]
    opened: list[str] = []
    links: list[Token] = []
    for token in tokens:
        name, _, side = token.type.rpartition("_")
        if side == "open":
            links += [token] if name == "link" else []
            opened.append(name)
            stack.append([])
        elif side == "close":
            inside = tuple(stack.pop())
            style = opened.pop()
            stack[-1] += _within(style, inside, links, opened)
        else:
            stack[-1] += _leaf(token)
    return merged(stack[0])


def _within(style: str, inside: Inlines, links: list[Token], opened: Sequence[str]) -> Inlines:
    if style == "link":
        link = links.pop()
        return linked(inside, str(link.attrs.get("href", "")), is_bare=link.info == "auto")
    return inside if style in opened else styled(_STYLES[style], inside)


def _leaf(token: Token) -> Inlines:
    match token.type:
        case "softbreak" | "hardbreak":
            return (Words("\n"),)
        case "code_inline":
            return (CodeSpan(token.content),)
        case "image":
            source = str(token.attrs.get("src", ""))
            return linked(_inlines(token.children or []) or (Words(source),), source)
        case _:
            return (Words(clean(token.content)),) if token.content else ()  # it may come of &#x202e;
