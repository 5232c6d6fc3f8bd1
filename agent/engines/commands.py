"""The slash commands: one table, from which they are read and from which ``/help`` is made."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from agent.engines import changing, looking
from agent.engines.slash import line_of, number, on_servers, split, unknown, usage
from agent.engines.targets import (
    Intent,
    Reading,
    Suggestion,
    Targets,
    example,
    named,
    nearest,
    only,
    select,
    shown,
)
from agent.engines.words import TOPICS, Topic, environment_of
from agent.fleet.harden import KINDS
from core.texts import Say, say
from core.work import ENVIRONMENTS, SERVER_ROLES, Role, Server

Read = Callable[[str, Sequence[Server]], Reading]
Group = Literal["work", "manage", "control"]
GROUPS: tuple[Group, ...] = ("work", "manage", "control")
SAMPLES = ("disk", "status", "logs", "restart", "run", "tail", "search", "port", "http", "list", "touched")
"""Sentences that ``/help`` shows; the words for the rest stand in one line below them."""

_OPTION = re.compile(r"--(\w+)(?:=| +|$)(\S*)\s*")
_SPAN = re.compile(r"(\d{1,6})(s|m|h)?", re.IGNORECASE)
_SECONDS = {"s": 1, "m": 60, "h": 3600}
_ON = re.compile(r"(.*\S)\s+(?:on|在)\s+(\S.*?)\s*上?", re.DOTALL)
_SLASH = re.compile(r"[/／]|、(?=[A-Za-z])")  # a Chinese keyboard gives 、 or ／ for the key with the slash


@dataclass(frozen=True, slots=True)
class Command:
    """A slash command.

    read: makes out what follows the name, None where another part of it0 answers the command.
    role: the least that may use it; sample: an example of what follows, with a place for a server.
    """

    name: str
    group: Group
    role: Role
    read: Read | None = None
    sample: str = ""

    @property
    def line(self) -> Say:
        """Return how it is written and what it does."""
        return line_of(self.name)


def is_command(text: str) -> bool:
    """Return whether ``text`` is meant as a slash command."""
    return _SLASH.match(text.strip()) is not None


def read(text: str, servers: Sequence[Server]) -> Reading:
    """Return what a slash command asks for."""
    body = text.strip()[1:]
    word = body.split(maxsplit=1)[0] if body.strip() and not body[0].isspace() else ""
    command = COMMANDS.get(word.split("@")[0].lower())  # Telegram's groups write /run@the_bot
    if command is None:
        return _unknown(word, servers)
    if command.read is None:
        return only(say("direct.elsewhere", slash=f"/{command.name}"))
    return command.read(body[len(word) :].strip(), servers)


def _unknown(word: str, servers: Sequence[Server]) -> Suggestion:
    if "/" in word:
        return only(say("direct.path_alone", path=shown(f"/{word}"), example=example("tail", servers)))
    near = nearest(word, COMMANDS)
    if not near:
        return only(say("direct.unknown_command", slash=shown(f"/{word}")))
    return only(say("direct.unknown_command_near", slash=shown(f"/{word}"), near=f"/{near}"))


def _bare(command: str) -> str:
    """Return a command without the backticks around the whole of it."""
    whole = len(command) > 2 and command[0] == command[-1] == "`" and command.count("`") == 2
    return command[1:-1].strip() if whole else command


def _run(rest: str, servers: Sequence[Server]) -> Reading:
    limit: dict[str, Any] = {}
    if option := _OPTION.match(rest):  # before the servers, because what follows them is the command's own
        seconds = _seconds(option[2])
        if option[1] != "timeout" or seconds is None:
            return only(say("direct.bad_run_option", option=shown(option[0].strip())))
        limit, rest = {"timeout_s": seconds}, rest[option.end() :]
    found = on_servers("run", rest, servers)
    if isinstance(found, Suggestion):
        return found
    targets, command = found
    arguments = {"command": _bare(command), "servers": list(targets.names), **limit}
    return Intent("run_command", arguments, targets.notes)


def _seconds(text: str) -> int | None:
    """Return a span such as 90, 90s, 10m or 1h in seconds, None if ``text`` is none."""
    found = _SPAN.fullmatch(text)
    seconds = int(found[1]) * _SECONDS[(found[2] or "s").lower()] if found else 0
    return seconds or None


def _servers(rest: str, servers: Sequence[Server]) -> Reading:
    if environment_of(rest) is None and (name := named(rest, servers)) is not None:
        return Intent("list_servers", {"name": name})
    return _listing("list_servers", rest)


def _clusters(rest: str, servers: Sequence[Server]) -> Reading:
    return _listing("list_clusters", rest)


def _listing(tool: str, rest: str) -> Reading:
    """Return the call that lists what there is, perhaps of one environment."""
    if not rest:
        return Intent(tool, {})
    environment = environment_of(rest)
    if environment is None:
        return only(say("direct.bad_environment", word=shown(rest), environments=", ".join(ENVIRONMENTS)))
    return Intent(tool, {"environment": environment})


def _http(rest: str, servers: Sequence[Server]) -> Reading:
    good = len(rest.split()) == 1 and rest.lower().startswith(("http://", "https://"))
    return Intent("check_http", {"url": rest}) if good else usage("http")


def _tcp(rest: str, servers: Sequence[Server]) -> Reading:
    words = rest.split()
    if len(words) != 2:
        return usage("tcp")
    port = number(words[1], 65535)
    if port is None:
        return only(say("direct.bad_port", port=shown(words[1])))
    name = named(words[0], servers)
    host = next((server.host for server in servers if server.name == name), words[0])
    return Intent("check_tcp", {"host": host, "port": port})


def _server(rest: str, servers: Sequence[Server]) -> Reading:
    words = split(rest)
    verb = words[0] if words else ""
    if verb in ("check", "harden"):
        return _one_server(verb, words[1:], servers)
    if verb == "import":
        return only(say("server.import_by_file"))
    if len(words) < 3 or verb != "add" or "=" in words[1] or "=" in words[2]:
        return usage("server")
    arguments: dict[str, Any] = {"name": words[1], "host": words[2]}
    for word in words[3:]:
        key, _, value = word.partition("=")
        if key not in _OPTIONS or not value:
            return only(say("direct.bad_option", option=shown(word), allowed=", ".join(_OPTIONS)))
        arguments[key] = value
    if "user" not in arguments or "credential" not in arguments:
        return usage("server")
    return _checked(arguments)


_OPTIONS = ("user", "credential", "port", "environment", "role", "jump", "read_user", "read_credential")


def _one_server(verb: str, words: Sequence[str], servers: Sequence[Server]) -> Reading:
    """Read ``check NAME`` and ``harden NAME [KIND…]``."""
    if not words or (verb == "check" and len(words) > 1):
        return usage("server")
    name = named(words[0], servers)
    if name is None:
        return unknown(words[0], servers, f"/server {verb} {{}}")
    kinds = list(words[1:])
    if not set(kinds) <= set(KINDS):
        return only(say("harden.bad_kind", allowed=", ".join(KINDS)))
    return Intent(f"{verb}_server", {"name": name, **({"kinds": kinds} if kinds else {})})


def _checked(arguments: dict[str, Any]) -> Reading:
    """Return the call that adds a server, its few-valued fields checked here for a sentence of our own."""
    if "port" in arguments:
        port = number(arguments["port"], 65535)
        if port is None:
            return only(say("direct.bad_port", port=shown(arguments["port"])))
        arguments["port"] = port
    if "environment" in arguments:
        environment = environment_of(arguments["environment"])
        if environment is None:
            return only(say("server.bad_environment"))
        arguments["environment"] = environment
    if arguments.get("role", "web") not in SERVER_ROLES:
        return only(say("server.bad_role"))
    return Intent("add_server", arguments)


def _why(rest: str, servers: Sequence[Server]) -> Reading:
    """Read ``COMMAND [on SERVERS]``; what follows "on" and names no servers belongs to the command."""
    if not rest:
        return usage("why")
    found = _ON.fullmatch(rest)
    targets = select(found[2], servers) if found else None
    if found is None or not isinstance(targets, Targets):
        return Intent("explain_command", {"command": _bare(rest)})
    arguments = {"command": _bare(found[1].strip()), "servers": list(targets.names)}
    return Intent("explain_command", arguments, targets.notes)


def _help(rest: str, servers: Sequence[Server]) -> Reading:
    """Return the whole help, or that of one command or topic."""
    word = rest.lower().lstrip("/").strip()
    if not word:
        return Suggestion(tuple(_overview(servers)))
    if word in COMMANDS:
        return Suggestion(tuple(_about(COMMANDS[word], servers)))
    topic = _topic(word)
    if topic is not None:
        return Suggestion(_about_topic(topic, servers))
    near = nearest(word, [*COMMANDS, *TOPICS])
    if near:
        return only(say("help.unknown_topic_near", word=shown(rest), near=f"/help {near}"))
    return only(say("help.unknown_topic", word=shown(rest)))


def _topic(word: str) -> Topic | None:
    return next((t for t in TOPICS.values() if word == t.name or word in t.phrases), None)


def _about_topic(topic: Topic, servers: Sequence[Server]) -> tuple[Say, ...]:
    line = (topic.with_unit or topic.command).format(unit="nginx", lines=50)
    return (say("help.topic", example=example(topic.name, servers), command=line),)


def _about(command: Command, servers: Sequence[Server]) -> list[Say]:
    parts = [_line(command)]
    if command.sample:
        first = servers[0].name if servers else "web-1"
        sample = f"/{command.name} {command.sample.format(server=first)}"
        parts.append(say("help.example", example=sample))
    return parts


def _line(command: Command) -> Say:
    key = "help.line_admin" if command.role is Role.ADMIN else "direct.bullet"
    return say(key, text=command.line)


def _overview(servers: Sequence[Server]) -> list[Say]:
    """Return the help in a page: sentences, words, commands by group."""
    sentences = [say("direct.bullet", text=example(name, servers)) for name in SAMPLES]
    more = [t for name, t in TOPICS.items() if name not in SAMPLES]
    words = ", ".join(f"{t.en.split(';')[0]}/{t.zh.split(';')[0]}" for t in more)
    parts = [say("help.sentences"), *sentences, say("help.words", words=words), say("help.targets")]
    for group in GROUPS:
        parts.append(say(f"help.group_{group}"))
        parts.extend(_line(command) for command in COMMANDS.values() if command.group == group)
    return parts


_TABLE = (
    Command("servers", "work", Role.VIEWER, _servers, "prod"),
    Command("clusters", "work", Role.VIEWER, _clusters, "prod"),
    Command("run", "work", Role.OPERATOR, _run, "{server} df -h"),
    Command("tail", "work", Role.OPERATOR, looking.tail, "{server} /var/log/syslog 100"),
    Command("read", "work", Role.OPERATOR, looking.read, "{server} /var/log/syslog 100-150"),
    Command("search", "work", Role.OPERATOR, looking.search, "{server} /var/log/nginx timeout"),
    Command("write", "work", Role.OPERATOR, changing.write, "{server} /srv/motd.txt\nHello"),
    Command("send", "work", Role.OPERATOR, changing.send, "{server} /var/log/syslog"),
    Command("undo", "work", Role.OPERATOR, changing.undo, "A7-493"),
    Command("ping", "work", Role.OPERATOR, looking.ping, "{server} example.com"),
    Command("http", "work", Role.OPERATOR, _http, "https://example.com"),
    Command("tcp", "work", Role.OPERATOR, _tcp, "{server} 5432"),
    Command("why", "work", Role.VIEWER, _why, "systemctl restart nginx"),
    Command("tasks", "work", Role.VIEWER, changing.tasks),
    Command("server", "manage", Role.ADMIN, _server, "add web-9 10.0.0.9 user=ops credential=ops-key"),
    Command("cluster", "manage", Role.ADMIN, sample="add shop k8s entry={server} environment=prod"),
    Command("credential", "manage", Role.ADMIN),
    Command("approvals", "manage", Role.VIEWER),
    Command("policy", "manage", Role.ADMIN, sample="remove prod-restarts"),
    Command("approve", "manage", Role.OPERATOR, sample="K3-512"),
    Command("reject", "manage", Role.OPERATOR, sample="K3-512"),
    Command("totp", "manage", Role.OPERATOR, sample="123456"),
    Command("audit", "manage", Role.ADMIN, looking.audit, "server={server} since=24h"),
    Command("usage", "manage", Role.ADMIN, sample="30"),
    Command("doctor", "manage", Role.ADMIN),
    Command("engine", "manage", Role.VIEWER, sample="direct"),
    Command("console", "control", Role.VIEWER),
    Command("new", "control", Role.VIEWER, sample="nginx on {server}"),
    Command("conversations", "control", Role.VIEWER, sample="nginx"),
    Command("open", "control", Role.VIEWER, sample="3fa91c"),
    Command("quiet", "control", Role.OPERATOR, sample="on"),
    Command("stop", "control", Role.VIEWER),
    Command("halt", "control", Role.OPERATOR),
    Command("resume", "control", Role.ADMIN),
    Command("language", "control", Role.VIEWER),
    Command("help", "control", Role.VIEWER, _help, "restart"),
)
COMMANDS: Mapping[str, Command] = {command.name: command for command in _TABLE}
