"""Processes of it0 that are forked from one that has imported everything: each costs a second of CPU less.

What a start imports, and in which order, is shown by the processes that are started cold.
"""

import atexit
import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PRELOADED = (
    "bot.cli", "bot.process.first", "bot.process.roles", "bot.process.up", "bot.wiring",
    "bot.admin.importing", "bot.admin.people", "bot.admin.records", "bot.admin.secrets", "bot.admin.servers",
    "bot.admin.tenants", "anthropic", "channels.telegram.bot", "channels.telegram.live", "telegram.request",
)  # fmt: skip
REQUEST_BYTES = 100_000
_starting = threading.Lock()
_forkers: "list[_Forker]" = []


class Process:
    """A process that was forked, used as a ``subprocess.Popen``. stdout: what it prints, if that is read."""

    def __init__(self, status: int, stdout: Any) -> None:
        self.stdout = stdout
        self.returncode: int | None = None
        self._status = status
        # Open for as long as we are: who waits in another thread would wait for whatever had its number next.
        weakref.finalize(self, os.close, status)
        self._looking = threading.Lock()
        self.pid = int.from_bytes(os.read(status, 4), "big")
        assert self.pid, "it was not forked"

    def poll(self) -> int | None:
        """Return its return code, None while it runs."""
        with self._looking:
            if self.returncode is None and self._has_ended(0):
                self.returncode = int.from_bytes(os.read(self._status, 4), "big", signed=True)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; raises TimeoutExpired."""
        if self.returncode is None:
            self._has_ended(timeout)
        if (code := self.poll()) is None:
            raise subprocess.TimeoutExpired("a warm process", timeout or 0)
        return code

    def _has_ended(self, timeout_s: float | None) -> bool:
        end = select.poll()  # one for each thread that waits; select.select knows no file beyond the 1024th
        end.register(self._status, select.POLLIN)
        return bool(end.poll(None if timeout_s is None else timeout_s * 1000))

    def send_signal(self, number: int) -> None:
        """Send it a signal, while it runs."""
        if self.poll() is None:
            os.kill(self.pid, number)


def start(module: str, words: Sequence[str], cwd: Path, env: Mapping[str, str], stderr: Any) -> Process:
    """Start ``python -m module words…``; what it prints is to be read from its ``stdout``."""
    here, there = os.pipe()
    with os.fdopen(there, "wb"):
        return Process(_fork(module, words, cwd, env, (0, there, stderr.fileno())), os.fdopen(here))


def run(
    module: str, words: Sequence[str], cwd: Path, env: Mapping[str, str], given: str, timeout_s: float
) -> "subprocess.CompletedProcess[str]":
    """Run ``python -m module words…`` to its end, with ``given`` on its standard input."""
    file = partial(tempfile.TemporaryFile, "w+")
    with file() as typed, file() as out, file() as err:
        typed.write(given)
        typed.seek(0)
        process = Process(_fork(module, words, cwd, env, (typed.fileno(), out.fileno(), err.fileno())), None)
        try:
            code = process.wait(timeout_s)
        finally:
            process.send_signal(signal.SIGKILL)
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(words, code, out.read(), err.read())


def _fork(
    module: str, words: Sequence[str], cwd: Path, env: Mapping[str, str], files: tuple[int, int, int]
) -> int:
    """Return what a new process tells of itself: its id, and at its end its return code."""
    here, there = os.pipe()
    wanted = json.dumps({"module": module, "words": words, "cwd": str(cwd), "env": env}).encode()
    assert len(wanted) < REQUEST_BYTES
    with _starting:
        requests = _forkers[0].requests if _forkers else _Forker().requests
    socket.send_fds(requests, [wanted], [*files, there])
    os.close(there)
    return here


class _Forker:
    """The process that the others are forked from: it ends when we do."""

    def __init__(self) -> None:
        self.requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "support.warm", str(theirs.fileno())],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        _forkers.append(self)
        atexit.register(self.close)

    def close(self) -> None:
        """End it."""
        self.requests.close()
        self._process.wait(10)


def _serve(requests: socket.socket) -> Mapping[str, Any] | None:
    """Fork what is asked for, until nobody asks any more; return only in the fork, what it is to be."""
    forks = 0
    while True:
        text, files, _, _ = socket.recv_fds(requests, REQUEST_BYTES, 4)
        if not text:
            return None
        if os.fork() == 0:
            requests.close()
            return _forked(json.loads(text), files)
        forks += 1
        for file in files:
            os.close(file)
        while forks and os.waitpid(-1, os.WNOHANG)[0]:
            forks -= 1


def _forked(wanted: Mapping[str, Any], files: Sequence[int]) -> Mapping[str, Any]:
    """Fork once more, to tell how that ended; return only there."""
    *streams, status = files
    if pid := os.fork():
        for file in streams:
            os.close(file)
        os.write(status, pid.to_bytes(4, "big"))
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        os.write(status, code.to_bytes(4, "big", signed=True))
        os._exit(0)
    for place, file in enumerate(streams):
        os.dup2(file, place)
    for file in files:
        os.close(file)
    os.chdir(wanted["cwd"])
    os.environ.clear()
    os.environ.update(wanted["env"])
    return wanted


def main() -> None:
    """Import everything, and then be whatever is asked for."""
    requests = socket.socket(fileno=int(sys.argv[1]))
    for name in PRELOADED:
        import_module(name)
    gc.freeze()
    if wanted := _serve(requests):
        sys.argv = [wanted["module"], *wanted["words"]]
        runpy.run_module(wanted["module"], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
