"""What a text may run: every program with its arguments, understood by the lexer or not."""

from collections.abc import Iterator, Sequence

from agent.risk.lexer import Part, Word
from agent.risk.loose import Budget, Loose, read
from agent.risk.options import judge_use
from agent.risk.rules import RULES
from agent.risk.unwrap import past_assignments, program, scripts, starts

_DEEPEST = 8

Use = tuple[str, tuple[str, ...]]
"""A program's name without its folder, and its arguments."""


def loosely(text: str) -> Iterator[Loose]:
    """Yield whatever may be a command in ``text``, and in the scripts that it hands to shells."""
    waiting, seen, budget = [(text, 0)], set[str](), Budget()
    while waiting:
        script, depth = waiting.pop()
        if script in seen or depth > _DEEPEST:
            continue
        seen.add(script)
        for loose in read(script, budget):
            heres = [target for kind, target in loose.targets if kind == "here"]
            for at in starts(loose.words):
                waiting.extend((inner, depth + 1) for inner in scripts(loose.words, at, heres))
            yield loose


def uses_in(loose: Loose) -> list[Use]:
    """Return every program that a command may run: itself, and those behind wrappers."""
    return [
        (program(loose.words[at]), tuple(loose.words[at + 1 :]))
        for at in starts(loose.words)
        if at < len(loose.words)
    ]


def wrapped_in(part: Part) -> Iterator[Use]:
    """Yield the programs behind the wrappers that the rules know."""
    words: Sequence[Word] | None = part.words
    for _ in range(_DEEPEST):
        words = words[past_assignments([word.text for word in words], 0) :] if words else ()
        if not words:
            return
        name = program(words[0].text)
        yield name, tuple(word.text for word in words[1:])
        rule = RULES.get(name)
        words = judge_use(rule, words[1:])[1] if rule else None
