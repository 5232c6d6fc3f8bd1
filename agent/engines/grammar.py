"""The small grammar: a sentence in either language and the known servers → one tool call, or what to say.

A sentence counts only if every word of it is understood, so what the grammar does not know ("don't", "if",
"tomorrow") is never passed over: it runs nothing.
"""

import re
import shlex
from collections.abc import Callable, Mapping, Sequence

from agent.engines import commands, looks
from agent.engines.changing import undo_in
from agent.engines.cmdline import behind_run, is_command_line, is_unquoted, with_quotes
from agent.engines.looks import lines_of
from agent.engines.sentence import (
    SERVERS,
    Sentence,
    Token,
    not_understood,
    parse,
    sample,
    stray,
    targets_of,
    unknown_server,
)
from agent.engines.slash import usage
from agent.engines.targets import (
    UNIT,
    Intent,
    Reading,
    Suggestion,
    example,
    nearest,
    only,
    shown,
)
from agent.engines.words import OVERVIEW, TOPICS, WHOLE, narrow
from core.texts import say
from core.work import Server

LONGEST = 2000
"""Characters in a sentence; longer texts are no sentences, and their commands belong behind ``/run``."""

_DECISION = re.compile(r"(?:approve|reject|deny|批准|同意|拒绝) ?[a-z0-9-]+")
_ASKING = ("look", "ask", "mark", "opening")


def read(text: str, servers: Sequence[Server]) -> Reading:
    """Return what a typed sentence asks for."""
    text = text.strip()
    flat = narrow(text)
    if len(flat) > LONGEST:
        return only(say("direct.too_long", limit=LONGEST))
    bare = flat.lower().strip(" !.?~。")
    whole = WHOLE.get(bare)
    if whole is not None:
        return _whole(whole, servers)
    if _DECISION.fullmatch(bare):
        return only(say("direct.yes"))
    if (undo := undo_in(bare)) is not None:
        return undo
    sentence = parse(flat, text, servers)
    if double := sentence.of("double"):
        return only(say("direct.two_meanings", word=double[0].value))
    acts = frozenset(token.kind for token in sentence.of(*_ACTS))
    reader = _READERS.get(acts | ({"quoted"} if sentence.quoted is not None else frozenset()))
    reading = not_understood(sentence) if reader is None or sentence.of("stop") else reader(sentence)
    if isinstance(reading, Suggestion) and is_unquoted(sentence, reading):
        return with_quotes(sentence)
    if isinstance(reading, Suggestion) and _asks_why(sentence, reading):
        return usage("why")
    if isinstance(reading, Suggestion) and is_command_line(sentence, reading):
        return behind_run(sentence)
    return reading


def _whole(what: str, servers: Sequence[Server]) -> Reading:
    """Return what a text means that is nothing but a greeting, a yes, a cry for help."""
    if what in ("list", "clusters", "tasks", "help"):
        return commands.read({"list": "/servers"}.get(what, f"/{what}"), servers)
    if what != "hello":
        return only(say(f"direct.{what}"))
    samples = (say("direct.bullet", text=example(name, servers)) for name in ("disk", "logs", "restart"))
    return Suggestion((say("direct.hello"), *samples, say("direct.see_help")))


def _topics(sentence: Sentence) -> Reading:
    """Read what only looks: one or more plain topics, or a unit's status or logs."""
    names = list(dict.fromkeys(token.value for token in sentence.of("topic")))
    others = sentence.of("other")
    if names == ["ports"] and any(token.value.isdecimal() for token in others):
        return _port(sentence)
    also = {"ports": "opening", "logs": "tail"}.get(names[0], "") if len(names) == 1 else ""
    if also == "opening" and not sentence.of("ask", "mark"):
        also = ""
    if not sentence.has_only("topic", "other", "lines", "look", "ask", "mark", also, *SERVERS):
        return not_understood(sentence)
    plain = [name for name in names if not TOPICS[name].with_unit]
    if not plain:
        return _of_unit(sentence, names[0]) if len(names) == 1 else not_understood(sentence)
    if others or "logs" in names or sentence.of("lines"):
        return stray(sentence, others)
    return _on_servers(sentence, _joined(plain), plain[0])


def _joined(names: Sequence[str]) -> str:
    """Return one line that shows all these topics."""
    return "; ".join(dict.fromkeys(TOPICS[name].command for name in names))


def _of_unit(sentence: Sentence, name: str) -> Reading:
    """Read a unit's status or logs; without a unit, the server's."""
    lines = lines_of(sentence)
    if isinstance(lines, Suggestion):
        return lines
    if name == "status" and sentence.of("lines"):
        return not_understood(sentence)
    unit, skip = _unit(sentence)
    if isinstance(unit, Suggestion):
        return unit
    if unit:
        command = TOPICS[name].with_unit.format(unit=shlex.quote(unit), lines=lines)
    elif name == "status":
        command = _joined(OVERVIEW)
    else:
        command = TOPICS[name].command.format(lines=lines)
    return _on_servers(sentence, command, name, skip)


def _change(sentence: Sentence) -> Reading:
    """Read what changes something: here a question is no order, so fewer words are let pass."""
    marks = ("mark",) if sentence.of("request") else ()
    names = {token.value for token in sentence.of("change")}
    if len(names) > 1 or not sentence.has_only("change", "other", *SERVERS, *marks):
        return not_understood(sentence)
    name = names.pop()
    unit, skip = _unit(sentence)
    if isinstance(unit, Suggestion):
        return unit
    if not unit:
        return only(say("direct.which_service", example=sample(sentence, name)))
    return _on_servers(sentence, TOPICS[name].with_unit.format(unit=shlex.quote(unit)), name, skip)


def _unit(sentence: Sentence) -> tuple[str | Suggestion, Token | None]:
    """Return the unit that is named, "" if none, and the server's token if a unit is called like a server."""
    others, names = sentence.of("other"), sentence.of("server")
    if len(others) > 1:
        return stray(sentence, others), None
    if not others:
        loose = [token for token in names if not sentence.is_place(token)]
        alike = loose[0] if len(loose) == 1 and len(names) > 1 else None
        return (alike.value if alike else ""), alike
    word = others[0]
    near = nearest(word.value, [server.name for server in sentence.servers], 0.8)
    mistyped = near and not names and not near.lower().startswith(word.value.lower())
    if sentence.is_place(word) or mistyped:
        return unknown_server(sentence, word), None
    if not UNIT.fullmatch(word.value):
        return only(say("direct.bad_unit", unit=shown(word.value))), None
    return word.value, None


def _port(sentence: Sentence) -> Reading:
    """Read "is port 5432 open on db-1", a check from the bot's machine, or who uses a port there."""
    numbers = [token for token in sentence.of("other") if token.value.isdecimal()]
    hosts = [token for token in sentence.of("other") if not token.value.isdecimal()]
    kinds = ("topic", "other", "server", *_ASKING, *(("user", *SERVERS) if sentence.of("user") else ()))
    order = sentence.of("opening") and not sentence.of("look", "ask", "mark")
    if order or len(numbers) > 1 or not sentence.has_only(*kinds):
        return not_understood(sentence)
    port = int(numbers[0].value[:6])
    if not 1 <= port <= 65535:
        return only(say("direct.bad_port", port=shown(numbers[0].value)))
    if sentence.of("user"):
        command = f"ss -tulpn 'sport = :{port}'"
        return stray(sentence, hosts) if hosts else _on_servers(sentence, command, "ports")
    if hosts and ("." not in hosts[0].value or len(hosts) > 1 or sentence.of("server")):
        return stray(sentence, hosts)
    if hosts:
        return Intent("check_tcp", {"host": hosts[0].value, "port": port})
    targets = targets_of(sentence, "port")
    if isinstance(targets, Suggestion):
        return targets
    if len(targets.names) > 1:
        return only(say("direct.one_server", example=example("port", server=targets.names[0])))
    host = next(server.host for server in sentence.servers if server.name == targets.names[0])
    return Intent("check_tcp", {"host": host, "port": port})


def _run(sentence: Sentence) -> Reading:
    """Read "run `systemctl list-timers` on web-1": the quoted command, as it is."""
    if others := sentence.of("other"):
        return stray(sentence, others)
    marks = ("mark",) if sentence.of("request") else ()
    if not sentence.quoted or not sentence.has_only("run", *SERVERS, *marks):
        return not_understood(sentence)
    return _on_servers(sentence, sentence.quoted, "run")


def _why(sentence: Sentence) -> Reading:
    """Read "why `systemctl restart nginx` on web-1": how the quoted command is judged."""
    if others := sentence.of("other"):
        return stray(sentence, others)
    if not sentence.quoted or not sentence.has_only("why", "mark", "ask", *SERVERS):
        return not_understood(sentence)
    arguments: dict[str, object] = {"command": sentence.quoted}
    if not sentence.of(*SERVERS):
        return Intent("explain_command", arguments)
    targets = targets_of(sentence, "run")
    if isinstance(targets, Suggestion):
        return targets
    return Intent("explain_command", {**arguments, "servers": list(targets.names)}, targets.notes)


def _asks_why(sentence: Sentence, reading: Suggestion) -> bool:
    """Return whether a sentence asks why a command is judged so, without quotes around the command."""
    has_flag = any(token.value.startswith("-") for token in sentence.tokens)
    return bool(sentence.of("why")) and (has_flag or is_command_line(sentence, reading))


def _url(sentence: Sentence) -> Reading:
    """Read "check https://example.com"."""
    urls = sentence.of("url")
    wrong = {token.value for token in sentence.of("topic")} - {"status"}
    if wrong or len(urls) != 1 or not sentence.has_only("url", "ping", "topic", *_ASKING):
        return not_understood(sentence)
    return Intent("check_http", {"url": urls[0].value})


def _list(sentence: Sentence) -> Reading:
    """Read "list servers", perhaps of one environment."""
    environments = {token.value for token in sentence.of("env")}
    if not sentence.has_only("list", "env", "all", "look", "ask", "mark") or len(environments) > 1:
        return not_understood(sentence)
    return Intent("list_servers", {"environment": environments.pop()} if environments else {})


def _reboot(sentence: Sentence) -> Suggestion:
    return only(say("direct.no_reboot", example=example("restart", sentence.servers)))


def _overview(sentence: Sentence) -> Reading:
    """Read "check web-1": no topic, so the few figures that everyone looks at first."""
    if others := sentence.of("other"):
        about_unit = len(others) == 1 and sentence.has_only("look", "ask", "mark", "other", *SERVERS)
        return stray(sentence, others, "status" if about_unit else "")
    asks = sentence.of("look", "ask", "mark") and sentence.of(*SERVERS)
    if not asks or not sentence.has_only("look", "ask", "mark", *SERVERS):
        return not_understood(sentence)
    shows = {token.value for token in sentence.of("look")} & {"list", "show", "show me", "列出", "显示"}
    if shows and not sentence.of("server"):  # "show prod servers"
        return not_understood(sentence, name="list") if sentence.of("role") else _list(sentence)
    return _on_servers(sentence, _joined(OVERVIEW), "overview")


def _on_servers(sentence: Sentence, command: str, name: str, skip: Token | None = None) -> Reading:
    """Return the call that runs ``command`` on the servers that the sentence means."""
    targets = targets_of(sentence, name, skip)
    if isinstance(targets, Suggestion):
        return targets
    return Intent("run_command", {"command": command, "servers": list(targets.names)}, targets.notes)


_READERS: Mapping[frozenset[str], Callable[[Sentence], Reading]] = {
    frozenset(): _overview,
    frozenset({"topic"}): _topics,
    frozenset({"topic", "tail"}): _topics,
    frozenset({"change"}): _change,
    frozenset({"path"}): looks.file,
    frozenset({"path", "tail"}): looks.file,
    frozenset({"path", "topic"}): looks.file,
    frozenset({"path", "topic", "tail"}): looks.file,
    frozenset({"path", "range"}): looks.file,
    frozenset({"path", "range", "topic"}): looks.file,
    frozenset({"search"}): looks.search,
    frozenset({"search", "path"}): looks.search,
    frozenset({"search", "quoted"}): looks.search,
    frozenset({"search", "path", "quoted"}): looks.search,
    frozenset({"touched"}): looks.touched,
    frozenset({"url"}): _url,
    frozenset({"url", "topic"}): _url,
    frozenset({"url", "ping"}): _url,
    frozenset({"list"}): _list,
    frozenset({"ping"}): looks.ping,
    frozenset({"harden"}): looks.harden,
    frozenset({"reboot"}): _reboot,
    frozenset({"quoted"}): with_quotes,
    frozenset({"run"}): with_quotes,
    frozenset({"run", "quoted"}): _run,
    frozenset({"why", "quoted"}): _why,
}
_ACTS = (
    *("topic", "change", "run", "tail", "list", "ping", "reboot", "path", "url"),
    *("range", "search", "touched", "harden", "why"),
)
