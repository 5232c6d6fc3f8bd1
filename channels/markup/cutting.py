"""Where a line of text may be cut, and the line cut there."""

from dataclasses import replace

from channels.markup.characters import NOWHERE, is_joined
from channels.markup.tree import CodeSpan, Inline, Inlines, Link, Words, text_of

_KEPT = NOWHERE  # stands in a guide for what is not cut
_SHORT = 80
_ENDS = frozenset("。！？；，、：")


def inlines_at(inlines: Inlines, at: int) -> tuple[Inlines, Inlines]:
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
    head, tail = inlines_at(inline.inside, at)
    return (replace(inline, inside=head),), (replace(inline, inside=tail),)


def guide(inlines: Inlines) -> str:
    """Return the words of inlines with marks where they are not to be cut: in links, code, short styles."""
    found = []
    for each in inlines:
        text = text_of((each,))
        whole = isinstance(each, Link | CodeSpan) or (not isinstance(each, Words) and len(text) <= _SHORT)
        found.append(text[:1] + _KEPT * (len(text) - 1) if whole else text)
    return "".join(found)


def cut_at(text: str, most: int) -> int:
    """Return where to cut ``text`` at ``most`` or before: after a line, else a word, else a character."""
    if most >= len(text):
        return len(text)
    early = most // 3
    line = text.rfind("\n", 0, most) + 1
    if line > early:
        return line
    words = (n for n in range(most, early, -1) if _ends_word(text[n - 1]) and _may_part(text, n))
    characters = (n for n in range(most, 0, -1) if _may_part(text, n))
    return next(words, 0) or next(characters, most)


def _may_part(text: str, at: int) -> bool:
    return text[at] != _KEPT and not is_joined(text, at)


def _ends_word(character: str) -> bool:
    return character.isspace() or character in _ENDS
