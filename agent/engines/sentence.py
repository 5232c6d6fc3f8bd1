"""A sentence cut into tokens: who stands where in it, which servers it means, and what to say of it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from agent.engines.targets import (
    Suggestion,
    Targets,
    example,
    group,
    listed,
    named,
    nearest,
    only,
    shown,
)
from agent.engines.words import TOPICS, phrase_at
from core.texts import Say, say
from core.work import Server

SERVERS = ("server", "env", "role", "all")
"""Kinds of tokens that name servers."""

_LOOSE = frozenset({"polite", "noun", "and", "on", "of", "the", "de", "request"})
_QUOTES = (("`", "`"), ("“", "”"), ('"', '"'))


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SPECIAL = (
    ("url", re.compile(r"https?://[^\s<>\"'`，。、）；]+", re.IGNORECASE)),
    ("path", re.compile(r"/[^\s，。、；？！`\"'<>|&;$(){}*?]+")),
    (
        "lines",
        re.compile(r"(?:the )?(?:last|latest) (\d{1,9})(?: lines?)?(?![\w.-])|(\d{1,9}) lines?(?!\w)", re.I),
    ),
    ("lines", re.compile(r"(?:最近|最后|最新|末尾|后)的? ?(\d{1,9}) ?[行条]|(\d{1,9}) ?[行条]")),
)
_OTHER = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9@._:-]*[A-Za-z0-9_])?")
_NOTHING = re.compile(r"[\s.。;；:()]+")


@dataclass(frozen=True, slots=True)
class Token:
    """A word or phrase at [start, end) of the text.

    kind: of ``_PLAIN_WORDS``, topic, change, env, role, server, url, path, lines, other (a word that may be a
    name), stop (what the grammar does not know), or double (a server that is called like a group).
    """

    kind: str
    value: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Sentence:
    """A text cut into tokens. quoted: the command that it quotes, which is no part of the tokens."""

    text: str
    tokens: tuple[Token, ...]
    servers: Sequence[Server]
    quoted: str | None

    def of(self, *kinds: str) -> list[Token]:
        """Return the tokens of these kinds."""
        return [token for token in self.tokens if token.kind in kinds]

    def has_only(self, *kinds: str) -> bool:
        """Return whether all tokens are of these kinds, or words that bear no meaning of their own."""
        return all(token.kind in kinds or token.kind in _LOOSE for token in self.tokens)

    def beside(self, token: Token, step: int) -> str:
        """Return the kind of the token before (-1) or after (1) ``token``, "" at an end."""
        index = self.tokens.index(token) + step
        return self.tokens[index].kind if 0 <= index < len(self.tokens) else ""

    def is_place(self, token: Token) -> bool:
        """Return whether ``token`` stands where a server stands: on it, 在它上, or beside one that does."""
        if self.beside(token, 1) == "the" or self.beside(token, -1) == "on":
            return True
        if token.kind == "server" and self.beside(token, 1) == "de":
            return True
        index = self.tokens.index(token)
        return index > 1 and self.tokens[index - 1].kind == "and" and self.is_place(self.tokens[index - 2])


def parse(flat: str, text: str, servers: Sequence[Server]) -> Sentence:
    """Return the sentence, its quoted command taken out exactly as it was typed.

    flat: the narrowed ``text``, of the same length.
    """
    for first, last in _QUOTES:
        pair = [i for i, char in enumerate(text) if char in (first, last)]
        if len(pair) == 2 and text[pair[0]] == first and text[pair[1]] == last:
            inner = text[pair[0] + 1 : pair[1]].strip()
            around = flat[: pair[0]] + " " * (pair[1] + 1 - pair[0]) + flat[pair[1] + 1 :]
            return Sentence(flat, _settled(cut(around, servers)), servers, inner)
    return Sentence(flat, _settled(cut(flat, servers)), servers, None)


def cut(text: str, servers: Sequence[Server]) -> list[Token]:
    """Return the tokens of a narrowed text; nothing in it is passed over but punctuation."""
    tokens: list[Token] = []
    position = 0
    while position < len(text):
        blank = _NOTHING.match(text, position)
        if blank:
            position = blank.end()
            continue
        token = _special(text, position) or _word(text, position, servers, tokens)
        tokens.append(token)
        position = token.end
    return tokens


def _special(text: str, at: int) -> Token | None:
    for kind, pattern in _SPECIAL:
        if match := pattern.match(text, at):
            value = next(filter(None, match.groups()), "") or match[0].rstrip(".,;:!?)")
            return Token(kind, value, at, match.end())
    return None


def _word(text: str, at: int, servers: Sequence[Server], before: Sequence[Token]) -> Token:
    """Return the token at ``at``: the longer of a phrase and a server's name, else an unknown word."""
    phrase, name = phrase_at(text, at), _NAME.match(text, at)
    server = named(name[0], servers) or named(name[0].rstrip("."), servers) if name else None
    if phrase is not None:
        kind, value, end = phrase
        token = Token(kind, value, at, end)
        if server is None or end > at + len(server):
            return token
        if kind in ("all", "env"):
            return replace(token, kind="double", value=server)
        if not _expects_server(text, token, before):
            return token
    if server is not None:
        return Token("server", server, at, at + len(server))
    other = _OTHER.match(text, at)
    if other:
        return Token("other", other[0], at, other.end())
    return _odd(text, at)


def _expects_server(text: str, token: Token, before: Sequence[Token]) -> bool:
    """Return whether a server must be meant at ``token``, although its name is a word of the grammar."""
    after = text[token.end :].lstrip()
    return after.startswith(("上", "的")) or bool(before and before[-1].kind in ("on", "of"))


def _odd(text: str, at: int) -> Token:
    """Return what is no word of the grammar, up to the next thing that is."""
    end = at + 1
    while end < len(text) and not text[end].isascii() and not phrase_at(text, end):
        end += 1
    return Token("stop", text[at:end], at, end)


def _settled(tokens: list[Token]) -> tuple[Token, ...]:
    """Return the tokens with each bare "all" as what it belongs to: "all processes" means no servers."""
    settled = []
    for index, token in enumerate(tokens):
        after = next((t.kind for t in tokens[index + 1 :] if t.kind not in ("de", "polite")), "")
        if token.kind == "all" and token.value in ("all", "所有", "全部") and after != "":
            kind = {"topic": "polite", "other": "stop", "server": "stop", "change": "stop"}.get(after, "all")
            token = Token(kind, token.value, token.start, token.end)
        settled.append(token)
    return tuple(settled)


def targets_of(sentence: Sentence, name: str, skip: Token | None = None) -> Targets | Suggestion:
    """Return the servers that are meant.

    name: of the example for the question if that is not clear; skip: a server's name that means a unit.
    """
    servers = sentence.servers
    if not servers:
        return only(say("servers.none"))
    names = list(dict.fromkeys(token.value for token in sentence.of("server") if token is not skip))
    if not sentence.of("env", "role", "all"):
        return Targets(tuple(names)) if names else _the_one(servers, name)
    if names:
        members = {server.name for server in _members(sentence)}
        fits = not sentence.of("all") and members.issuperset(names)
        return Targets(tuple(names)) if fits else not_understood(sentence)
    if _mixed(sentence):
        return not_understood(sentence)
    found = group(_members(sentence))
    return only(found) if isinstance(found, Say) else found


def _the_one(servers: Sequence[Server], name: str) -> Targets | Suggestion:
    """Return the only server there is, or ask which."""
    if len(servers) == 1:
        return Targets((servers[0].name,))
    known = listed([server.name for server in servers])
    return only(say("direct.which_server", servers=known, example=example(name, servers)))


def _members(sentence: Sentence) -> list[Server]:
    """Return the servers of the groups that are named."""
    environments = {token.value for token in sentence.of("env")}
    roles = {token.value for token in sentence.of("role")}
    return [
        server
        for server in sentence.servers
        if (not environments or server.environment in environments) and (not roles or server.role in roles)
    ]


def _mixed(sentence: Sentence) -> bool:
    """Return whether an "and" joins groups of two kinds, so that both or only their overlap may be meant."""
    kinds = [token.kind for token in sentence.of("and", "env", "role", "all")]
    joined = zip(kinds, kinds[1:], kinds[2:], strict=False)
    return any(middle == "and" and left != right for left, middle, right in joined)


def stray(sentence: Sentence, words: Sequence[Token]) -> Suggestion:
    """Answer words that nobody knows: likely a server's name gone wrong, else not understood."""
    names = [server.name for server in sentence.servers]
    for word in words:
        if nearest(word.value, names, 0.7):
            return unknown_server(sentence, word)
    for word in words:
        if sentence.is_place(word) or (len(words) == 1 and sentence.beside(word, -1) == "of"):
            return unknown_server(sentence, word)
    return not_understood(sentence, words[0] if words else None)


def unknown_server(sentence: Sentence, word: Token) -> Suggestion:
    """Say that no server has this name, with the corrected sentence ready to be typed."""
    names = [server.name for server in sentence.servers]
    near = nearest(word.value, names)
    if not names:
        return only(say("servers.none"))
    if not near:
        return only(say("direct.unknown_server", word=shown(word.value), servers=listed(names)))
    ready = sentence.text[: word.start] + near + sentence.text[word.end :]
    return only(say("direct.unknown_server_near", word=shown(word.value), near=near, ready=shown(ready)))


def not_understood(sentence: Sentence, word: Token | None = None) -> Suggestion:
    """Say plainly that nothing was understood and nothing run, with the closest sentence that would be."""
    word = word or next(iter(sentence.of("stop", "other")), None)
    said = [token.value for token in sentence.of("topic", "change")]
    said += [token.kind for token in sentence.of("tail", "run", "ping", "list")]
    server = next((token.value for token in sentence.of("server")), "")
    closest = example(said[0] if said else _nearest_topic(sentence), sentence.servers, server)
    if word is None:
        return only(say("direct.not_understood", example=closest))
    return only(say("direct.not_understood_word", word=shown(word.value), example=closest))


def _nearest_topic(sentence: Sentence) -> str:
    """Return the topic whose phrase is most like one of the unknown words."""
    phrases = {phrase: topic.name for topic in TOPICS.values() for phrase in topic.phrases}
    for token in sentence.of("other", "stop"):
        if near := nearest(token.value, phrases):
            return phrases[near]
    return "disk"
