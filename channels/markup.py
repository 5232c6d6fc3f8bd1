"""What it0 says, as one small tree: read from Markdown once, written for each platform, split to its limits.

A platform is a ``Dialect``: how it writes bold, a link, a block of code. Layout, links and splitting are
shared, and a message is measured after it was written, never guessed before.
"""

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape, unescape
from itertools import groupby
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

from core.messages import Code

# --- the tree ---------------------------------------------------------------------------------------------


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


@dataclass(frozen=True, slots=True)
class Plain:
    """A text that is no Markdown, such as a sentence of the catalogue, whose places may hold a ``*``."""

    text: str


@dataclass(frozen=True, slots=True)
class Rest:
    """What is too long to be sent as messages and goes as a text file."""

    text: str
    filename: str


REST_KEY = "channel.rest_in_file"
"""The catalogue's key of the sentence that goes with a ``Rest``; its place is ``filename``."""

# --- reading ----------------------------------------------------------------------------------------------

MAX_NESTING = 40
"""Levels (a list in a list is two) up to which Markdown is read; deeper, the parser would lose text."""
MAX_TITLE = 200

_ADDRESS = re.compile(r"://(?:(?!~~)[^\s<>\"'`*|\[\]{}，。；：！？（）【】「」『』《》“”‘’、])+")
_SCHEME = re.compile(r"(?:^|[^a-zA-Z0-9.+-])(https?)$", re.IGNORECASE)
_HOST = re.compile(r"(?<![\w.-])(?<!(?<!/)/)(?:(?:[\w-]+\.)+[^\W\d_]{2,}|\d+(?:\.\d+){3})")
_HOSTNAME = re.compile(r"[\w.:-]+")
_LANGUAGE = re.compile(r"[\w+#.-]{1,32}")
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufdd0]")
_EMPTY = frozenset("\u115f\u1160\u2800\u3164\uffa0")  # letters by their category, and yet nothing is seen


def clean(text: str) -> str:
    """Return ``text`` with control characters, and those that reorder it, made visible as �.

    A command that shows itself in another order than it runs must not reach an approver.
    """
    return _UNSEEN.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))


def is_blank(text: str) -> bool:
    """Return whether nothing of ``text`` would be seen."""
    return all(c in _EMPTY or unicodedata.category(c)[0] in "ZC" for c in text)


def document(parts: Iterable[str | Plain | Code]) -> Blocks:
    """Return what is said as a tree: a ``str`` is Markdown, ``Plain`` and ``Code`` are data."""
    blocks: list[Block] = []
    for part in parts:
        match part:
            case str():
                blocks += parse(part)
            case Code(code, title):
                name = " ".join(clean(title).split())
                blocks.append(CodeBlock(clean(code).strip("\n"), title=name[:MAX_TITLE]))
            case Plain(text):
                _add_line(blocks, clean(text))
    return tuple(blocks)


def _add_line(blocks: list[Block], text: str) -> None:
    """Append a plain text; several in a row are lines of one paragraph."""
    match blocks:
        case [*_, Paragraph((Words(before),))]:
            blocks[-1] = Paragraph((Words(f"{before}\n{text}"),))
        case _:
            blocks.append(Paragraph((Words(text),)))


def parse(markdown: str) -> Blocks:
    """Return Markdown as a tree; HTML in it is text, and no text is dropped."""
    text = clean(markdown)
    tokens = _MARKDOWN.parse(text)
    if any(token.level >= MAX_NESTING - 1 for token in tokens):
        return (Paragraph((Words(text.strip("\n")),)),)
    return _blocks(iter(tokens), "")


def _bare_address(state: StateInline, silent: bool) -> bool:
    """Read ``https://…`` as a link before emphasis is looked for: an address may hold ``_`` anywhere."""
    scheme = _SCHEME.search(state.src, max(0, state.pos - 6), state.pos)
    found = _ADDRESS.match(state.src, state.pos, state.posMax)
    if scheme is None or found is None:
        return False
    tail = _without_punctuation(found[0])
    href = state.md.normalizeLink(scheme[1] + tail)
    if silent or state.linkLevel or not state.pending.endswith(scheme[1]) or not _web_host(href):
        state.pending += "" if silent else tail
    else:
        state.pending = state.pending[: -len(scheme[1])]
        link = state.push("link_open", "a", 1)
        link.attrs, link.info = {"href": href}, "auto"
        state.push("text", "", 0).content = scheme[1] + tail
        state.push("link_close", "a", -1)
    state.pos += len(tail)
    return True


def _without_punctuation(address: str) -> str:
    """Return an address without what ends the sentence around it."""
    while address[-1:] in ".,;:!?)":
        if address[-1] == ")" and address.count("(") >= address.count(")"):
            return address
        address = address[:-1]
    return address


def _markdown() -> MarkdownIt:
    """Return the parser. Left out is what makes text vanish (references) or a dashed line a heading."""
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True, "maxNesting": MAX_NESTING})
    parser.enable(["table", "strikethrough"]).disable(["lheading", "reference"])
    parser.inline.ruler.after("text", "bare_address", _bare_address)
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


_STYLES: dict[str, type[Bold] | type[Italic] | type[Strike]] = {"strong": Bold, "em": Italic, "s": Strike}


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
    return _merged(stack[0])


def _within(style: str, inside: Inlines, links: list[Token], opened: Sequence[str]) -> Inlines:
    if style == "link":
        link = links.pop()
        return _link(inside, str(link.attrs.get("href", "")), is_bare=link.info == "auto")
    return inside if style in opened else styled(_STYLES[style], inside)


def _leaf(token: Token) -> Inlines:
    match token.type:
        case "softbreak" | "hardbreak":
            return (Words("\n"),)
        case "code_inline":
            return (CodeSpan(token.content),)
        case "image":
            source = str(token.attrs.get("src", ""))
            return _link(_inlines(token.children or []) or (Words(source),), source)
        case _:
            return (Words(clean(token.content)),) if token.content else ()  # it may come of &#x202e;


def _merged(inlines: Iterable[Inline]) -> Inlines:
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
        found += run if is_code else [style(_merged(run))]
    return tuple(found)


def _link(inside: Inlines, href: str, is_bare: bool = False) -> Inlines:
    """Return a link; one whose text names another place shows where it leads, one that may not lead is text.

    is_bare: the text is the address itself.
    """
    label = text_of(inside)
    host = _web_host(href)
    shown = inside if label.strip() else (Words(href),)
    if not host:  # tg://user?id=… would be a mention of somebody
        secret = not href or href in label or href.lower().startswith("tg:")
        return shown if secret else (*shown, Words(f" ({href})"))
    plain = tuple(Words(each.text) if isinstance(each, CodeSpan) else each for each in shown)
    named = {_bare(found) for found in _HOST.findall(label.casefold())}
    if is_bare or named <= {_bare(host)}:
        return (Link(_merged(plain), href),)
    return (*_merged(plain), Words(" ("), Link((Words(href),), href), Words(")"))


def _bare(host: str) -> str:
    return host.casefold().removeprefix("www.")


def _web_host(href: str) -> str:
    """Return the host of a web address, "" for any other."""
    try:
        parts = urlsplit(href)
        host = parts.hostname or ""
    except ValueError:
        return ""
    is_web = parts.scheme.lower() in ("http", "https") and _HOSTNAME.fullmatch(host)
    return host if is_web else ""


# --- writing ----------------------------------------------------------------------------------------------

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


@dataclass(frozen=True, slots=True)
class _At:
    """Where in the layout something is written. quoted: already within a quote; quotes do not nest."""

    dialect: Dialect
    indent: str = ""
    quoted: bool = False


def write(blocks: Blocks, dialect: Dialect) -> str:
    """Return ``blocks`` as a platform takes them."""
    return _stack(blocks, _At(dialect), "\n\n").lstrip("\n").rstrip()


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


def text_of(inlines: Inlines) -> str:
    """Return the words of inlines without their form."""
    return "".join(
        each.text if isinstance(each, Words | CodeSpan) else text_of(each.inside) for each in inlines
    )


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


def table_text(table: Table) -> str:
    """Return a table with its columns aligned, for a monospaced block."""
    lines = [[_run(cell, _At(PLAIN)) for cell in row] for row in (table.header, *table.rows)]
    widths = [max(map(columns, column)) for column in zip(*lines, strict=True)]
    head, *body = ["  ".join(map(_padded, line, widths)).rstrip() for line in lines]
    return "\n".join([head, "  ".join("-" * width for width in widths), *body])


def _padded(cell: str, width: int) -> str:
    return cell + " " * (width - columns(cell))


def columns(text: str) -> int:
    """Return how many columns of a terminal ``text`` takes: a Chinese character takes two."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )


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


def telegram_html(blocks: Blocks) -> str:
    """Return ``blocks`` in the few tags of HTML that Telegram takes."""
    return write(blocks, TELEGRAM)


def plain_text(blocks: Blocks) -> str:
    """Return ``blocks`` without any form, addresses of links in brackets."""
    return write(blocks, PLAIN)


# --- measuring --------------------------------------------------------------------------------------------

Measure = Callable[[Blocks], int]

_ANY_TAG = re.compile(r"<[^>]*>")
_UNITS_PER_ENTITY = 41
_BYTES_PER_UNIT = 8


def utf16_length(text: str) -> int:
    """Return the length that Telegram counts: most emoji are two."""
    return len(text) + sum(c > "\uffff" for c in text)


def visible(html: str) -> str:
    """Return what is left of Telegram's HTML after its entities are parsed."""
    return unescape(_ANY_TAG.sub("", html))


def telegram_size(blocks: Blocks) -> int:
    """Return how much of a message's 4096 (a caption's 1024) units ``blocks`` take.

    Besides the visible text, Telegram bounds the HTML to 32 KiB and drops all form after 100 entities: eight
    bytes, or a 41st of an entity, therefore count as a unit at least.
    """
    html = telegram_html(blocks)
    entities = html.count("</") - html.count("</code></pre>")
    size = -(-len(html.encode()) // _BYTES_PER_UNIT)
    return max(utf16_length(visible(html)), size, entities * _UNITS_PER_ENTITY)


# --- splitting --------------------------------------------------------------------------------------------

MIN_LIMIT = 64
_JOINED = "\ufdd0"  # stands in a guide for what is not cut; never in a text, see clean
_SHORT = 80
_VIRAMA = 9  # the class of the marks that bind an Indic consonant to the next
_ENDS = frozenset("。！？；，、：")


def split(
    blocks: Blocks, limit: int, measure: Measure, most: int = 5, filename: str = "rest.txt"
) -> list[Blocks | Rest]:
    """Return messages that each measure ``limit`` at most, in order, none of them blank.

    They end after a paragraph, else a line, else a word; what is cut is closed and opened again. Beyond
    ``most`` messages the remainder comes as one ``Rest``.
    """
    if limit < MIN_LIMIT:
        raise ValueError(f"a limit of {limit} is below {MIN_LIMIT}")
    room = _Room(lambda found: measure(found) <= limit, lambda found: measure(found) <= limit, limit // 8)
    messages: list[Blocks | Rest] = []
    rest = blocks
    while has_content(rest):
        if len(messages) == most:
            return [*messages, Rest(plain_text(rest), filename)]
        head, rest = _next_message(rest, room)
        if has_content(head):
            messages.append(head)
    return messages


@dataclass(frozen=True, slots=True)
class _Room:
    """What is left of a message. takes: whether blocks fit after what is in it; alone: in an empty one.

    sliver: so few characters are not worth filling a started message with.
    """

    takes: Callable[[Blocks], bool]
    alone: Callable[[Blocks], bool]
    sliver: int
    started: bool = False

    def within(self, wrap: Callable[[Blocks], Block]) -> "_Room":
        """Return the room inside a block."""
        takes, alone = self.takes, self.alone
        return replace(
            self, takes=lambda found: takes((wrap(found),)), alone=lambda found: alone((wrap(found),))
        )

    def after(self, done: Blocks) -> "_Room":
        """Return the room that ``done`` leaves."""
        takes = self.takes
        started = self.started or bool(done)
        return replace(self, takes=lambda found: takes((*done, *found)), started=started)


def _next_message(blocks: Blocks, room: _Room) -> tuple[Blocks, Blocks]:
    """Return the first message and what follows; it is never empty."""
    head, tail = _divide_all(blocks, room)
    if head:
        return head, tail
    first = Paragraph((Words(plain_text(blocks[:1])),))  # its form alone is too much
    head, tail = _divide_all((first,), room)
    if head:
        return head, (*tail, *blocks[1:])
    one, other = _inlines_at(first.inside, 1)
    return (Paragraph(one),), (Paragraph(other), *blocks[1:])


def _most(count: int, fits: Callable[[int], bool]) -> int:
    """Return the largest number up to ``count`` that fits, looking at small ones first; 0 is taken to."""
    high = 1
    while high < count and fits(high):
        high *= 2
    low, high = high // 2, min(high, count)
    return low + bisect_left(range(low + 1, high + 1), True, key=lambda n: not fits(n))


def _divide_all(blocks: Blocks, room: _Room) -> tuple[Blocks, Blocks]:
    """Return what goes into the room and what does not."""
    count = _most(len(blocks), lambda n: room.takes(blocks[:n]))
    done, rest = blocks[:count], blocks[count:]
    if not rest:
        return done, ()
    after = room.after(done)
    if not (after.started and room.alone(rest[:1])):
        head, tail = _divide(rest[0], after)
        done, rest = (*done, *head), (*tail, *rest[1:])
    if len(done) > 1 and isinstance(done[-1], Heading):  # a heading goes with what it heads
        done, rest = done[:-1], (done[-1], *rest)
    return done, rest


def _divide(block: Block, room: _Room) -> tuple[Blocks, Blocks]:
    """Return a block that is too large for the room as (what fits, what follows), either may be ()."""
    match block:
        case Paragraph(inside) | Heading(inside):
            return _divide_lines(block, inside, room)
        case CodeBlock():
            return _divide_code(block, room)
        case Quote(inside):
            head, tail = _divide_all(inside, room.within(Quote))
            return _wrapped(Quote, head), _wrapped(Quote, tail)
        case Listing():
            return _divide_listing(block, room)
        case Table():
            return _divide_table(block, room)
        case Rule():
            return (), (block,)


def _wrapped(wrap: Callable[[Blocks], Block], inside: Blocks) -> Blocks:
    return (wrap(inside),) if inside else ()


def _divide_lines(block: Paragraph | Heading, inside: Inlines, room: _Room) -> tuple[Blocks, Blocks]:
    guide = _guide(inside)
    fitting = _most(len(guide), lambda n: room.takes((replace(block, inside=_inlines_at(inside, n)[0]),)))
    if not fitting or (room.started and fitting < room.sliver):
        return (), (block,)
    head, tail = _inlines_at(inside, _cut_at(guide, fitting))
    return (replace(block, inside=head),), (replace(block, inside=tail),) if tail else ()


def _divide_code(block: CodeBlock, room: _Room) -> tuple[Blocks, Blocks]:
    text = block.text
    fitting = _most(len(text), lambda n: room.takes((replace(block, text=text[:n]),)))
    if not fitting or (room.started and fitting < room.sliver):
        return (), (block,)
    cut = _cut_at(text, fitting)
    head = replace(block, text=text[:cut].removesuffix("\n"))
    return (head,), (replace(block, text=text[cut:]),) if cut < len(text) else ()


def _divide_listing(block: Listing, room: _Room) -> tuple[Blocks, Blocks]:
    items, start = block.items, block.start
    count = _most(len(items), lambda n: room.takes((Listing(items[:n], start),)))
    if count:
        rest = Listing(items[count:], None if start is None else start + count)
        return (Listing(items[:count], start),), (rest,) if rest.items else ()
    first, *others = items
    if room.started and room.alone((Listing((first,), start),)):
        return (), (block,)
    head, tail = _divide_all(
        first.inside, room.within(lambda found: Listing((Item(found, first.continued),), start))
    )
    if not head:
        return (), (block,)
    rest = Listing((*([Item(tail, True)] if tail else []), *others), start)
    return (Listing((Item(head, first.continued),), start),), (rest,) if rest.items else ()


def _divide_table(block: Table, room: _Room) -> tuple[Blocks, Blocks]:
    rows = block.rows
    count = _most(len(rows), lambda n: room.takes((Table(block.header, rows[:n]),)))
    if count:
        rest = Table(block.header, rows[count:])
        return (Table(block.header, rows[:count]),), (rest,) if rest.rows else ()
    if room.started and room.alone((Table(block.header, rows[:1]),)):
        return (), (block,)
    return _divide_code(CodeBlock(table_text(block)), room)


def _inlines_at(inlines: Inlines, at: int) -> tuple[Inlines, Inlines]:
    """Return inlines cut after ``at`` characters, with every style on both sides."""
    for index, each in enumerate(inlines):
        length = len(text_of((each,)))
        if at < length:
            head, tail = _inline_at(each, at) if at > 0 else ((), (each,))
            return (*inlines[:index], *head), (*tail, *inlines[index + 1 :])
        at -= length
    return inlines, ()


def _inline_at(inline: Inline, at: int) -> tuple[Inlines, Inlines]:
    if isinstance(inline, Words | CodeSpan):
        return (replace(inline, text=inline.text[:at]),), (replace(inline, text=inline.text[at:]),)
    head, tail = _inlines_at(inline.inside, at)
    return (replace(inline, inside=head),), (replace(inline, inside=tail),)


def _guide(inlines: Inlines) -> str:
    """Return the words of inlines with marks where they are not to be cut: in links, code, short styles."""
    found = []
    for each in inlines:
        text = text_of((each,))
        whole = isinstance(each, Link | CodeSpan) or (not isinstance(each, Words) and len(text) <= _SHORT)
        found.append(text[:1] + _JOINED * (len(text) - 1) if whole else text)
    return "".join(found)


def _cut_at(text: str, most: int) -> int:
    """Return where to cut ``text`` at ``most`` or before: after a line, else a word, else a character."""
    if most >= len(text):
        return len(text)
    early = most // 3
    line = text.rfind("\n", 0, most) + 1
    if line > early:
        return line
    whole = [n for n in range(most, 0, -1) if not _is_joined(text, n)]
    word = next((n for n in whole if n > early and _ends_word(text[n - 1])), 0)
    return word or next(iter(whole), most)


def _ends_word(character: str) -> bool:
    return character.isspace() or character in _ENDS


def _is_joined(text: str, at: int) -> bool:
    """Return whether the characters on both sides of ``at`` are one to the eye."""
    before, after = text[at - 1], text[at]
    if after == _JOINED or before == "\u200d" or after in "\u200c\u200d":
        return True
    if unicodedata.combining(before) == _VIRAMA and after.isalpha():
        return True
    if unicodedata.category(after)[0] == "M" or "\U0001f3fb" <= after <= "\U0001f3ff" or _is_vowel(after):
        return True
    if "\U000e0020" <= after <= "\U000e007f":
        return True
    return _is_flag(before) and _is_flag(after) and _flags_before(text, at) % 2 == 1


def _is_vowel(character: str) -> bool:
    """Return whether it is a Korean vowel or final, which follows its consonant."""
    return "\u1160" <= character <= "\u11ff"


def _is_flag(character: str) -> bool:
    """Return whether it is one of the two letters that make a flag."""
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _flags_before(text: str, at: int) -> int:
    count = 0
    while count < at and _is_flag(text[at - 1 - count]):
        count += 1
    return count
