"""From one tree to the messages that a platform's limit allows."""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, replace

from channels.markup.cutting import cut_at, guide, inlines_at
from channels.markup.measuring import Measure
from channels.markup.tree import (
    Block,
    Blocks,
    CodeBlock,
    Heading,
    Inlines,
    Item,
    Listing,
    Paragraph,
    Quote,
    Rule,
    Table,
    Words,
    has_content,
)
from channels.markup.writing import plain_text, table_text

MIN_LIMIT = 64


@dataclass(frozen=True, slots=True)
class Rest:
    """What is too long to be sent as messages and goes as a text file."""

    text: str
    filename: str


REST_KEY = "channel.rest_in_file"
"""The catalogue's key of the sentence that goes with a ``Rest``; its place is ``filename``."""


def split(
    blocks: Blocks, limit: int, measure: Measure, most: int = 5, filename: str = "rest.txt"
) -> list[Blocks | Rest]:
    """Return messages that each measure ``limit`` at most, in order, none of them blank.

    They end after a paragraph, else a line, else a word; what is cut is closed and opened again. Beyond
    ``most`` messages the remainder comes as one ``Rest``.
    """
    if limit < MIN_LIMIT:
        raise ValueError(f"a limit of {limit} is below {MIN_LIMIT}")

    def fits(found: Blocks) -> bool:
        return measure(found) <= limit

    room = _Room(takes=fits, alone=fits, sliver=limit // 8)
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
    one, other = inlines_at(first.inside, 1)
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
        if head:
            return (*done, *head), (*tail, *rest[1:])
    while count > 1 and isinstance(blocks[count - 1], Heading):  # a heading goes with what it heads
        count -= 1
    return blocks[:count], blocks[count:]


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
    marked = guide(inside)
    fitting = _most(len(marked), lambda n: room.takes((replace(block, inside=inlines_at(inside, n)[0]),)))
    if not fitting or (room.started and fitting < room.sliver):
        return (), (block,)
    head, tail = inlines_at(inside, cut_at(marked, fitting))
    return (replace(block, inside=head),), (replace(block, inside=tail),) if tail else ()


def _divide_code(block: CodeBlock, room: _Room) -> tuple[Blocks, Blocks]:
    text = block.text
    fitting = _most(len(text), lambda n: room.takes((replace(block, text=text[:n]),)))
    if not fitting or (room.started and fitting < room.sliver):
        return (), (block,)
    cut = cut_at(text, fitting)
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
