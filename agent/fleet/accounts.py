"""What an account can do on its server, read from one command that changes nothing."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import reduce
from typing import Any, Literal

from core.texts import Say, say
from core.work import RunTarget, Server

Sudo = Literal["all", "some", "password", "none"]

MOST_ENTRIES = 20
ENTRY_LETTERS = 200
AS_GOOD_AS_ROOT = ("docker", "lxd", "disk")
"""Groups whose members are root as soon as they want to be."""

_RESTRICTED_SHELLS = ("rbash", "rksh", "rzsh", "nologin", "false", "git-shell", "scponly", "lshell")
_ID = re.compile(r"uid=(\d+)(?:\((\S+?)\))? gid=\S+(?: groups=(.*))?")
_GROUP = re.compile(r"\d+\(([^)]+)\)")
_ENTRY = re.compile(r"\s+\([^)]*\)\s+(.+)")
_TAG = re.compile(r"((?:NO)?[A-Z_]+):\s*")


@dataclass(frozen=True, slots=True)
class Account:
    """What was seen of an account.

    sudo: ``password`` means that sudo asks for one, which it0 never types; may: sudo's entries, where it is
    ``some``; groups: those as good as root; shell: the login shell where it is a restricted one, else "".
    at: when it was seen, in ISO 8601.
    """

    user: str
    is_root: bool
    sudo: Sudo
    may: tuple[str, ...]
    groups: tuple[str, ...]
    shell: str
    at: str

    def as_json(self) -> dict[str, Any]:
        """Return the form in which it is stored."""
        return {**asdict(self), "may": list(self.may), "groups": list(self.groups)}

    @staticmethod
    def from_json(raw: Mapping[str, Any]) -> "Account":
        """Return the account that ``as_json`` gave."""
        return Account(**{**raw, "may": tuple(raw["may"]), "groups": tuple(raw["groups"])})

    @property
    def words(self) -> Say:
        """Return it in words, the greatest right first."""
        found: list[Say] = []
        if self.is_root:
            found.append(say("account.root"))
        if self.sudo == "some":
            found.append(say("account.sudo_some", commands="; ".join(self.may)))
        elif not self.is_root:
            found.append(say(f"account.sudo_{self.sudo}"))
        found += [say("account.group", group=group) for group in self.groups]
        if self.shell:
            found.append(say("account.shell", shell=self.shell))
        if not self.is_root and self.sudo in ("none", "password") and not self.groups:
            found.append(say("account.limited"))
        return reduce(lambda first, second: say("account.and", first=first, second=second), found)


def question(server: Server) -> str:
    """Return the command that asks: fixed words, and nothing in it changes anything."""
    if server.restricted:
        return "id"
    named = server.ssh_user and not server.ssh_user.endswith("$")  # the gate reads no such name
    return f"id; sudo -nl; getent passwd {server.ssh_user}" if named else "id; sudo -nl"


def account_of(result: RunTarget, at: datetime) -> Account | None:
    """Return what the answer to ``question`` tells, None where it is none."""
    found = _ID.search(result.stdout)
    if found is None:
        return None
    groups = set(_GROUP.findall(found[3] or ""))
    sudo, may = _sudo(result.stdout, result.stderr)
    return Account(
        user=result.os_user or found[2] or found[1],
        is_root=found[1] == "0",
        sudo=sudo,
        may=may,
        groups=tuple(name for name in AS_GOOD_AS_ROOT if name in groups),
        shell=_restricted_shell(result.stdout),
        at=at.isoformat(),
    )


def _sudo(stdout: str, stderr: str) -> tuple[Sudo, tuple[str, ...]]:
    lines = stdout.splitlines()
    begin = next((at for at, line in enumerate(lines) if "may run the following commands" in line), None)
    if begin is None:
        return ("password" if "password is required" in stderr else "none"), ()
    free = any("!authenticate" in line for line in lines[:begin])
    allowed = [each for entry in _entries(lines[begin + 1 :]) for each in _without_password(entry, free)]
    if "ALL" in allowed:
        return "all", ()
    return ("some" if allowed else "password"), tuple(each[:ENTRY_LETTERS] for each in allowed[:MOST_ENTRIES])


def _entries(lines: Sequence[str]) -> Sequence[str]:
    """Return sudo's entries, which it breaks into lines of 80 characters."""
    found: list[str] = []
    for line in lines:
        if entry := _ENTRY.match(line):
            found.append(entry[1])
        elif found and line.startswith("        "):
            found[-1] += f" {line.strip()}"
        else:
            break
    return found


def _without_password(entry: str, free: bool) -> Sequence[str]:
    """Return the commands of one entry that need no password; a tag holds until the contrary stands."""
    found = []
    for command in re.split(r"(?<!\\),\s*", entry):
        text = command.strip()
        while tag := _TAG.match(text):
            if tag[1] in ("PASSWD", "NOPASSWD"):
                free = tag[1] == "NOPASSWD"
            text = text[tag.end() :]
        if free:
            found.append(text)
    return found


def _restricted_shell(stdout: str) -> str:
    """Return the login shell of the last line that looks like one of passwd's, if it is a restricted one."""
    fields = next((line.split(":") for line in reversed(stdout.splitlines()) if line.count(":") == 6), [])
    shell = fields[6] if fields else ""
    return shell if shell.rpartition("/")[2] in _RESTRICTED_SHELLS else ""


def told(server: Server) -> tuple[Say, ...]:
    """Return what is known of a server's accounts, in words; nothing where none was asked."""
    parts = []
    for kind in ("main", "read"):
        if raw := server.accounts.get(kind):
            account = Account.from_json(raw)
            when = datetime.fromisoformat(account.at).strftime("%Y-%m-%d %H:%M UTC")
            parts.append(say(f"account.{kind}", user=account.user, can=account.words, when=when))
    return tuple(parts)
