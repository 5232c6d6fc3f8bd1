"""Bash and dash with a stub in the place of every program: which programs they call, and with which words."""

import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path

SHELLS = {
    name: [path, *flags]
    for name, flags in (("bash", ["--noprofile", "--norc"]), ("dash", []))
    if (path := shutil.which(name))
}


def _said(command: str) -> list[str]:
    return subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, check=True
    ).stdout.splitlines()


RESERVED = frozenset(_said("compgen -k"))
BUILTIN = frozenset(_said("compgen -b")) | {"chdir"}
"""Bash's, and the one that only dash has."""

STUB = """#!/bin/sh
printf '%s\\0' "$#" "${0##*/}" "$@" >> "$CALLS"
exit "$STATUS"
"""
# Bash asks the stubs for its builtins, too; dash cannot be told to.
_NO_BUILTINS = "enable -n " + " ".join(sorted(f"'{name}'" for name in BUILTIN - {"chdir"})) + "\n"
_BEFORE = {"bash": _NO_BUILTINS, "dash": "\n"}
"""Something, or a line that begins with "-" would be a flag."""

WATCHDOG_S = 300
"""No line waits for anything: this ends a hung run, and no machine is so busy that it ends another."""

Calls = Counter[tuple[str, ...]]


class Stubs:
    """An empty folder to run in, and one with the stubs.

    folder: an empty one; real: programs that are no stubs.
    """

    def __init__(self, folder: Path, real: tuple[str, ...] = ()) -> None:
        self._calls, self._stubs, self._empty = folder / "calls", folder / "stubs", folder / "empty"
        for each in (self._calls, self._stubs, self._empty):
            each.mkdir()
        self._stub = folder / "stub"
        self._stub.write_text(STUB)
        self._stub.chmod(0o755)
        self._runs = 0
        for name in real:
            (self._stubs / name).symlink_to(shutil.which(name) or name)

    def add(self, name: str) -> None:
        """Put a stub in the place of a program."""
        if not os.path.lexists(self._stubs / name):
            (self._stubs / name).symlink_to(self._stub)

    def called(self, shell: str, line: str, status: int = 0, builtins: bool = False) -> Calls:
        """Return how often each argv was called when every program ends with ``status``.

        builtins: the shell's own do what they do.
        """
        # A file for each run: what dash put behind may write to its own when the shell has long ended.
        self._runs += 1
        told = self._calls / str(self._runs)
        told.touch()
        environment = {
            "PATH": str(self._stubs),
            "STATUS": str(status),
            "CALLS": str(told),
            "HOME": "/nowhere",
            "LC_ALL": "C.UTF-8",
        }
        subprocess.run(
            [*SHELLS[shell], "-c", ("" if builtins else _BEFORE[shell]) + line],
            cwd=self._empty,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=WATCHDOG_S,
        )
        return _read(told.read_bytes().decode(errors="surrogateescape"))


def _read(told: str) -> Calls:
    """Return what the stubs noted: for each call the count of its arguments, its name and they."""
    calls, fields = Calls(), told.split("\0")[:-1]
    at = 0
    while at < len(fields):
        end = at + 2 + int(fields[at])
        calls[tuple(fields[at + 1 : end])] += 1
        at = end
    return calls
