"""kubectl's argv, read by a positive grammar: what it does not list is refused before anything runs."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.clusters.kube.grammar import FORMS, INSTEAD, NOUNS, OF_VERB, SHORT, VERBS
from core.texts import Say, say

_RESOURCE = re.compile(r"[a-z][a-z0-9.-]*")
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.:-]{0,251}[A-Za-z0-9])?")
_PAIR = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./-]*=[^\x00-\x1f]*")
_GONE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_./-]*[A-Za-z0-9])?-")
_IMAGE = re.compile(r"[a-z0-9*][a-z0-9-]*=[A-Za-z0-9][A-Za-z0-9_./:@-]*")


@dataclass(frozen=True, slots=True)
class Thing:
    """A resource type as it was typed, with the names that were asked for, none for all of them."""

    type: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ask:
    """A kubectl command, understood. words: what stands after the things, or instead of them."""

    verb: str
    things: tuple[Thing, ...]
    words: tuple[str, ...]
    flags: Mapping[str, str]

    def on(self, flag: str, default: bool = False) -> bool:
        """Return whether a flag is set."""
        return self.flags.get(flag, "true" if default else "false") == "true"


class _No(Exception):
    """Not understood. say: the sentence."""

    def __init__(self, key: str, **params: object) -> None:
        self.say = say(key, **params)


def understood(words: Sequence[str], cluster: str) -> Ask | Say:
    """Return what ``words``, without "kubectl" itself, ask of ``cluster``, or why that is refused."""
    try:
        verb, rest = _verb(list(words))
        flags, args = _flags(verb, rest)
        return _shaped(verb, args, flags)
    except _No as no:
        return say(no.say.key, **{**no.say.params, "cluster": cluster})


def _verb(words: list[str]) -> tuple[str, list[str]]:
    """Return the verb with its second word where it has one, and all other words."""
    at = 0
    while at < len(words) and words[at].startswith("-"):
        name, given, _ = _split("", words[at])
        if name != "--namespace":
            raise _No("cluster.api_flag", verb="…", flag=name, known="-n")
        at += 1 if given else 2
    verb, rest = (words[at] if at < len(words) else ""), words[:at] + words[at + 1 :]
    if verb in VERBS:
        return verb, rest
    if at < len(rest):
        noun = NOUNS.get(verb, {}).get(rest[at], rest[at])
        if f"{verb} {noun}" in VERBS:
            return f"{verb} {noun}", rest[:at] + rest[at + 1 :]
    if verb in INSTEAD:
        raise _No(INSTEAD[verb], verb=verb)
    raise _No("cluster.api_verb", verb=verb or "?", known=", ".join(VERBS))


def _flags(verb: str, words: list[str]) -> tuple[dict[str, str], list[str]]:
    known, flags, args = VERBS[verb].flags, {}, []
    left = iter(words)
    for word in left:
        if not word.startswith("-"):
            args.append(word)
            continue
        name, given, value = _split(verb, word)
        kind = known.get(name)
        if kind is None:
            if name in INSTEAD:
                raise _No(INSTEAD[name], verb=verb)
            raise _No("cluster.api_flag", verb=verb, flag=name, known=", ".join(known) or "—")
        if not given:
            value = "true" if kind == "bool" else next(left, "")
        if name in flags or not FORMS[kind].fullmatch(value):
            raise _No("cluster.api_value", verb=verb, flag=name)
        flags[name] = value
    for name in VERBS[verb].needs:
        if name not in flags:
            raise _No("cluster.api_needs", verb=verb, flag=name)
    return flags, args


def _split(verb: str, word: str) -> tuple[str, bool, str]:
    """Return a flag's long name, whether its value stands in the same word, and that value."""
    if word.startswith("--"):
        name, given, value = word.partition("=")
        return name, bool(given), value
    short, value = word[:2], word[2:]
    name = OF_VERB.get((verb, short)) or SHORT.get(short, short)
    return name, bool(value), value.removeprefix("=")


def _shaped(verb: str, args: list[str], flags: Mapping[str, str]) -> Ask:
    """Return the arguments in the shape that the verb takes."""
    wrong = _No("cluster.api_usage", verb=verb)
    match VERBS[verb].args:
        case "none" if args:
            raise wrong
        case "none":
            return Ask(verb, (), (), flags)
        case "names" | "nodes" as shape:
            if (shape == "nodes" and not args) or not all(map(_NAME.fullmatch, args)):
                raise wrong
            return Ask(verb, (), tuple(args), flags)
        case "pod":
            things = _things(args if "/" in "".join(args) else ["pods", *args], wrong)
            if len(args) != 1 or not _is_one_of(things[0].type, VERBS[verb].types):
                raise _No("cluster.api_pod", verb=verb)
            return Ask(verb, things, (), flags)
        case "can":
            if bool(args) == (flags.get("--list") == "true"):
                raise wrong
            return Ask(verb, _can(args, wrong), tuple(args), flags)
    return _with_things(verb, args, flags, wrong)


def _can(args: Sequence[str], wrong: _No) -> tuple[Thing, ...]:
    if not args:
        return ()
    if not 2 <= len(args) <= 3 or not re.fullmatch(r"[a-z]+|\*", args[0]):
        raise wrong
    if args[1] == "*":
        return (Thing("*", tuple(args[2:])),)
    return _things(args[1:], wrong)


def _with_things(verb: str, args: list[str], flags: Mapping[str, str], wrong: _No) -> Ask:
    shape = VERBS[verb].args
    words: tuple[str, ...] = ()
    if shape in ("pairs", "images"):
        first = next(
            (at for at, arg in enumerate(args) if at and ("=" in arg or arg.endswith("-"))), len(args)
        )
        args, words = args[:first], tuple(args[first:])
        fits = _IMAGE.fullmatch if shape == "images" else _pair
        if not words or not all(map(fits, words)):
            raise wrong
    things = _things(args, wrong)
    count = sum(len(thing.names) for thing in things)
    if shape != "things" and (any(not thing.names for thing in things) or not count):
        raise _No("cluster.api_named", verb=verb)
    if shape in ("one", "images") and count != 1:
        raise _No("cluster.api_one", verb=verb)
    if count and flags.keys() & {"--all-namespaces", "--selector", "--field-selector"}:
        raise _No("cluster.api_names_or_all", verb=verb)
    for thing in things:
        if VERBS[verb].types and not _is_one_of(thing.type, VERBS[verb].types):
            raise _No("cluster.api_type", verb=verb, type=thing.type, known=", ".join(VERBS[verb].types))
    return Ask(verb, things, words, flags)


def _is_one_of(text: str, types: Sequence[str]) -> bool:
    """Return whether ``text`` is one of Kubernetes' own workloads, and not another group's of that name."""
    name, _, group = text.partition(".")
    return name in types and group in ("", "apps", "v1.apps")


def _pair(word: str) -> bool:
    return bool(_PAIR.fullmatch(word) or _GONE.fullmatch(word))


def _things(args: Sequence[str], wrong: _No) -> tuple[Thing, ...]:
    """Return ``pods web-0 web-1``, ``deploy,po`` or ``deploy/web pod/web-0`` as resource types with names."""
    if not args:
        raise wrong
    if "/" in args[0]:
        pairs = [arg.partition("/") for arg in args]
        found = tuple(Thing(type_, (name,)) for type_, _, name in pairs)
    else:
        found = tuple(Thing(type_, tuple(args[1:])) for type_ in args[0].split(","))
    for thing in found:
        if not _RESOURCE.fullmatch(thing.type) or not all(map(_NAME.fullmatch, thing.names)):
            raise wrong
    return found
