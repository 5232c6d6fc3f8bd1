"""A sentence cut into tokens: who stands where in it, which servers it means, and what to say of it."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from agent.engines.targets import (
    UNIT,
    Suggestion,
    Targets,
    example,
    finder,
    group,
    listed,
    nearest,
    only,
    shown,
)
from agent.engines.words import SPECIAL, TOPICS, in_chinese, phrase_at
from core.texts import Say, say
from core.work import Server

SERVERS = ("server", "env", "role", "all")
"""Kinds of tokens that name servers."""

_LOOSE = frozenset({"polite", "noun", "and", "on", "of", "the", "de", "request"})
_QUOTES = (("`", "`"), ("“", "”"), ('"', '"'))
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_HAN = re.compile("[\u4e00-\u9fff]")
_OTHER = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9@._:-]*[A-Za-z0-9_])?")
_NOTHING = re.compile(r"[\s.。;；:()]+")


@dataclass(frozen=True, slots=True)
class Token:
    """A word or phrase at [start, end) of the text.

    kind: of ``_PLAIN_WORDS``, topic, change, env, role, server, url, path, range, lines, other (a word that
    may be a name), stop (what the grammar does not know), or double (a server that is called like a group).
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

    def kind_at(self, index: int) -> str:
        """Return the kind of the token at ``index``, "" beyond the ends."""
        return self.tokens[index].kind if 0 <= index < len(self.tokens) else ""

    def is_place(self, token: Token) -> bool:
        """Return whether ``token`` stands where a server stands: on it, 在它上, or beside one that does."""
        index = self.tokens.index(token)
        while index > 1 and self.kind_at(index - 1) == "and" and not self._is_marked(index):
            index -= 2
        return self._is_marked(index)

    def _is_marked(self, index: int) -> bool:
        before, after = self.kind_at(index - 1), self.kind_at(index + 1)
        return before == "on" or after == "the" or (self.kind_at(index) == "server" and after == "de")


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
    find = finder(servers)
    position = 0
    while position < len(text):
        blank = _NOTHING.match(text, position)
        if blank:
            position = blank.end()
            continue
        token = _special(text, position) or _word(text, position, find, tokens)
        tokens.append(token)
        position = token.end
    return tokens


def _special(text: str, at: int) -> Token | None:
    for kind, pattern in SPECIAL:
        if match := pattern.match(text, at):
            value = next(filter(None, match.groups()), "") or match[0].rstrip(".,;:!?)")
            return Token(kind, value, at, match.end())
    return None


def _word(text: str, at: int, find: Callable[[str], str | None], before: Sequence[Token]) -> Token:
    """Return the token at ``at``: the longer of a phrase and a server's name, else an unknown word."""
    phrase, name = phrase_at(text, at), _NAME.match(text, at)
    server = find(name[0]) or find(name[0].rstrip(".")) if name else None
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
    """Return what is no word of the grammar: a sign with what hangs on it (``-rf``), or a run of Chinese."""
    end = at + 1
    if text[at].isascii():
        while end < len(text) and "!" <= text[end] <= "~":
            end += 1
    else:
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
        return Targets(tuple(names)) if names else _the_one(sentence, name)
    if names:
        members = {server.name for server in _members(sentence)}
        fits = not sentence.of("all") and members.issuperset(names)
        return Targets(tuple(names)) if fits else not_understood(sentence)
    if _mixed(sentence):
        return not_understood(sentence)
    found = group(_members(sentence))
    return only(found) if isinstance(found, Say) else found


def _the_one(sentence: Sentence, name: str) -> Targets | Suggestion:
    """Return the only server there is, or ask which."""
    names = [server.name for server in sentence.servers if not server.is_cluster]
    if len(names) == 1:
        return Targets((names[0],))
    return only(say("direct.which_server", servers=listed(names), example=sample(sentence, name)))


def sample(sentence: Sentence, name: str) -> Say | str:
    """Return an example with the server and the unit that the sentence names, in the sentence's language.

    Whoever types Chinese is shown Chinese, also where the console speaks English to them.
    """
    server = next((token.value for token in sentence.of("server")), "")
    units = [token.value for token in sentence.of("other") if UNIT.fullmatch(token.value)]
    unit = units[0] if len(units) == 1 else "nginx"
    if _HAN.search(sentence.text):
        return in_chinese(name, server or (sentence.servers[0].name if sentence.servers else "web-1"), unit)
    return example(name, sentence.servers, server, unit)


def _members(sentence: Sentence) -> list[Server]:
    """Return the servers of the groups that are named."""
    environments = {token.value for token in sentence.of("env")}
    roles = {token.value for token in sentence.of("role")}
    return [
        server
        for server in sentence.servers
        if not server.is_cluster
        and (not environments or server.environment in environments)
        and (not roles or server.role in roles)
    ]


def _mixed(sentence: Sentence) -> bool:
    """Return whether an "and" joins groups of two kinds, so that both or only their overlap may be meant."""
    kinds = [token.kind for token in sentence.of("and", "env", "role", "all")]
    joined = zip(kinds, kinds[1:], kinds[2:], strict=False)
    return any(middle == "and" and left != right for left, middle, right in joined)


def stray(sentence: Sentence, words: Sequence[Token], name: str = "") -> Suggestion:
    """Answer words that nobody knows: likely a server's name gone wrong, else not understood.

    name: of the example, "" for the closest.
    """
    names = [server.name for server in sentence.servers]
    for word in words[:4]:
        if nearest(word.value, names, 0.7):
            return unknown_server(sentence, word)
    for word in words[:4]:
        of = len(words) == 1 and sentence.kind_at(sentence.tokens.index(word) - 1) == "of"
        if of or sentence.is_place(word):
            return unknown_server(sentence, word)
    return not_understood(sentence, words[0] if words else None, name)


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


def not_understood(sentence: Sentence, word: Token | None = None, name: str = "") -> Suggestion:
    """Say plainly that nothing was understood and nothing run, with the closest sentence if one is close.

    word: what was not understood, if it is known; name: of the example, "" for the closest.
    """
    about_unit = sentence.of("topic", "change")
    word = word or next(
        iter(sentence.of("stop", "when") or ([] if about_unit else sentence.of("other"))), None
    )
    near = _nearest_topic(sentence) if not name or _is_slip(word) else name
    if not near:
        return only(say("direct.not_understood_at_all"))
    closest = sample(sentence, near)
    if word is None:
        return only(say("direct.not_understood", example=closest))
    return only(say("direct.not_understood_word", word=shown(word.value), example=closest))


_PHRASES = {phrase: topic.name for topic in TOPICS.values() for phrase in topic.phrases}


def _is_slip(word: Token | None) -> bool:
    return word is not None and nearest(word.value, _PHRASES, 0.75) != ""


def _nearest_topic(sentence: Sentence) -> str:
    """Return the topic that is named, else the one whose phrase is most like one of the unknown words.

    "" if none is: then the sentence may be about anything, and an example would be a guess.
    """
    named = [token.value for token in sentence.of("topic", "change")]
    named += ["http" for _ in sentence.of("url")]
    named += [token.kind for token in sentence.of("tail", "run", "ping", "list", "search", "touched")]
    unknown = [token.value for token in sentence.of("other", "stop")[:4] if len(token.value.encode()) > 2]
    named += [_PHRASES[near] for word in unknown if (near := nearest(word, _PHRASES))]
    return named[0] if named else "overview" if sentence.of(*SERVERS) else ""
