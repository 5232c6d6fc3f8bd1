"""Commands typed as if at a prompt: never run from there, but offered in a form that can be."""

import re

from agent.engines.sentence import Sentence, sample
from agent.engines.targets import Suggestion, named, only, shown
from core.texts import say

_PROGRAMS = (
    "systemctl|service|journalctl|docker|podman|kubectl|curl|cat|less|head|tail|grep|zgrep|awk|ls|find|du|df|ps|top"
    "|ss|netstat|ip|dig|free|vmstat|iostat|lsof|dmesg|lsblk|psql|mysql|redis-cli|nginx|openssl|git|traceroute"
)
_PROMPT = re.compile(rf"(?:{_PROGRAMS}) \S.*")
_LIKE = re.compile(
    r"(?:sudo|su|rm|mv|cp|ln|chmod|chown|mkdir|rmdir|touch|echo|env|export|kill|killall|pkill|apt|apt-get|yum|dnf"
    r"|apk|pip|npm|make|sed|sort|wc|tar|vi|vim|nano|ssh|scp|rsync|mount|umount|crontab|id|pwd|cd|whoami|hostname"
    rf"|iptables|ufw|useradd|passwd|{_PROGRAMS})(?: .*)?"
)
_OPTION = re.compile(r"[a-z][\w.-]* (?:.* )?--?[A-Za-z].*")
_VERB = r"(?:please )?(?:run|execute|执行|运行) ?"
_UNQUOTED = re.compile(
    rf"(?:{_VERB}|(?=(?:{_PROGRAMS}) ))(?P<command>\S.*?) ?(?: on | from |@|在) ?(?P<server>\S+?) ?上?"
    r"|在 ?(?P<server2>\S+?) ?上? ?(?:执行|运行) ?(?P<command2>\S.*)",
    re.IGNORECASE,
)


def is_unquoted(sentence: Sentence, reading: Suggestion) -> bool:
    """Return whether a sentence that came to nothing is a command line, with "run" before it or without."""
    if sentence.quoted is not None or not reading.parts[0].key.startswith("direct.not_understood"):
        return False
    return _PROMPT.fullmatch(sentence.text) is not None or _UNQUOTED.fullmatch(sentence.text) is not None


def with_quotes(sentence: Sentence) -> Suggestion:
    """Ask for the quotes: where a command ends, only the person who typed it knows."""
    found = _UNQUOTED.fullmatch(sentence.text)
    parts = found.groupdict() if found else {}
    server = named(parts.get("server") or parts.get("server2") or "", sentence.servers)
    command = parts.get("command") or parts.get("command2")
    if sentence.quoted:
        server = next((token.value for token in sentence.of("server")), None)
        command = sentence.quoted
    clear = server and command and "`" not in command
    if not clear and "`" not in sentence.text:
        return behind_run(sentence)
    ready = shown(f"/run {server} {command}") if clear else sample(sentence, "run")
    return only(say("direct.quote_command", ready=ready))


def is_command_line(sentence: Sentence, reading: Suggestion) -> bool:
    """Return whether a sentence that came to nothing looks like what is typed at a prompt."""
    if sentence.quoted is not None or not reading.parts[0].key.startswith("direct.not_understood"):
        return False
    return any(pattern.fullmatch(sentence.text) for pattern in (_LIKE, _OPTION))


def behind_run(sentence: Sentence) -> Suggestion:
    """Say where a command belongs; it is not repeated, because nobody knows on which server it is meant."""
    names = [token.value for token in sentence.of("server")] + [each.name for each in sentence.servers]
    return only(say("direct.as_command", example=f"/run {names[0] if names else 'web-1'} uptime"))
