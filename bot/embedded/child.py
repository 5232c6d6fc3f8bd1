"""One child process: started so that it cannot outlive us, watched, and stopped in bounded time."""

import asyncio
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from signal import Signals

import structlog

log = structlog.get_logger()

PR_SET_PDEATHSIG = 1
LOG_KEPT = 1024 * 1024
"""Bytes that a log may have at a start before it is moved to ``.1``."""
LOG_CAP = 8 * LOG_KEPT
"""Bytes that a log may have while its server runs."""
LOG_LOOK_S = 60.0
POLL_S = 0.01
LINUX = sys.platform == "linux"

# Loaded here, since between fork and exec nothing may be imported.
_libc = ctypes.CDLL(None) if LINUX else None


@dataclass(frozen=True, slots=True)
class Command:
    """What to run, and how it ends.

    name: for the log and for its files; argv: program and arguments.
    on_death: what the kernel sends it when our process is gone (Linux only).
    stop_steps: signals with the seconds that each is given; SIGKILL comes after the last.
    uid: the user and group to run as, None for ours; only root may set it.
    """

    name: str
    argv: tuple[str, ...]
    cwd: Path
    log: Path
    pid_file: Path
    on_death: Signals
    stop_steps: tuple[tuple[Signals, float], ...]
    uid: int | None = None


class Child:
    """A running child. ``await child.exited`` gives its return code, as of ``subprocess``."""

    def __init__(self, command: Command, process: asyncio.subprocess.Process, log_start: int) -> None:
        self.command = command
        self.pid = process.pid
        self.exited: asyncio.Task[int] = asyncio.create_task(process.wait())
        self._log_start = log_start
        self._began = time.monotonic()

    @classmethod
    async def start(cls, command: Command) -> "Child":
        """Start ``command`` in a session of its own, with an empty environment.

        Raises OSError if it cannot be run, RuntimeError off the main thread: PR_SET_PDEATHSIG goes off
        when the thread that forked ends, and only the main thread lives as long as the process.
        """
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("children are started from the main thread only")
        with _open_log(command.log) as (fd, log_start), _as_os_errors():
            process = await asyncio.create_subprocess_exec(
                *command.argv,
                stdin=subprocess.DEVNULL,
                stdout=fd,
                stderr=fd,
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
                start_new_session=True,  # or Ctrl-C would stop the database before us
                preexec_fn=_before_exec(os.getpid(), command),
            )
        try:
            _write_pid_file(command.pid_file, process.pid)
        except BaseException:  # a full disk: what cannot be found again must not run
            process.kill()
            await process.wait()
            raise
        log.info("child_started", child=command.name, pid=process.pid)
        return cls(command, process, log_start)

    def tail(self, lines: int = 3) -> str:
        """Return the last lines that this child wrote, joined by `` | ``."""
        try:
            with self.command.log.open("rb") as file:
                file.seek(max(self._log_start, file.seek(0, os.SEEK_END) - 16384))
                text = file.read().decode("utf-8", "replace")
        except OSError:
            return ""
        return " | ".join([line.strip() for line in text.splitlines() if line.strip()][-lines:])

    async def watch(self) -> int:
        """Wait for the end, keeping the log below its cap; return the return code."""
        while not (await asyncio.wait({self.exited}, timeout=LOG_LOOK_S))[0]:
            cap_log(self.command.log)
        return self.exited.result()

    async def stop(self) -> None:
        """End the child by its steps, at the latest by SIGKILL."""
        began = time.monotonic()
        for step, seconds in (*self.command.stop_steps, (signal.SIGKILL, 60.0)):
            if self.exited.done():
                break
            with suppress(ProcessLookupError):
                os.kill(self.pid, step)
            await asyncio.wait({self.exited}, timeout=seconds)
        _forget(self.command.pid_file)
        code = self.exited.result() if self.exited.done() else None
        ran_s, stop_s = (round(time.monotonic() - since, 3) for since in (self._began, began))
        name = self.command.name
        log.info("child_stopped", child=name, pid=self.pid, code=code, ran_s=ran_s, stop_s=stop_s)


async def stop_leftover(command: Command) -> int | None:
    """Stop what an earlier it0, killed since, left running; return its pid, None if there was none.

    The process is known by its pid together with its start, so a reused pid is left alone.
    """
    try:
        words = command.pid_file.read_text().split()
        pid, born = int(words[0]), words[1]
    except (OSError, ValueError, IndexError):
        return None
    for step, seconds in (*command.stop_steps, (signal.SIGKILL, 5.0)):
        if birth(pid) != born:
            break
        log.warning("leftover_stopped", child=command.name, pid=pid, signal=step.name)
        with suppress(ProcessLookupError):
            os.kill(pid, step)
        until = time.monotonic() + seconds
        while birth(pid) == born and time.monotonic() < until:  # noqa: ASYNC110  it is no child of ours
            await asyncio.sleep(POLL_S)
    if birth(pid) == born:
        return None
    _forget(command.pid_file)
    return pid


def birth(pid: int) -> str | None:
    """Return what tells this process from a later one with the same pid, None if it is gone or a zombie."""
    if not LINUX:
        found = subprocess.run(["/bin/ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True)  # noqa: S603
        return "_".join(found.stdout.split()) or None
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
    return None if fields[0] in "ZX" else f"{boot}:{fields[19]}"


def cap_log(path: Path) -> None:
    """Move what a log holds to ``.1`` once it is over the cap; its writer appends, and goes on."""
    with suppress(OSError):
        if path.stat().st_size > LOG_CAP:
            shutil.copyfile(path, path.with_suffix(".log.1"))
            os.truncate(path, 0)


@contextmanager
def _open_log(path: Path) -> Iterator[tuple[int, int]]:
    """Yield a descriptor to append to ``path``, and where it starts."""
    with suppress(OSError):
        if path.stat().st_size > LOG_KEPT:
            path.replace(path.with_suffix(".log.1"))
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    try:
        yield fd, os.fstat(fd).st_size
    finally:
        os.close(fd)


@contextmanager
def _as_os_errors() -> Iterator[None]:
    """Raise OSError for what fails in the child before exec, where it asks only the system."""
    try:
        yield
    except subprocess.SubprocessError as error:
        raise OSError(str(error)) from error


def _before_exec(parent: int, command: Command) -> Callable[[], None]:
    """Return what the child runs before exec: it goes to its folder, becomes its user, and dies with us."""
    prctl = _libc.prctl if _libc else None
    uid, on_death = command.uid, int(command.on_death)

    def prepare() -> None:
        os.chdir(command.cwd)  # before setuid: it may lie where only root gets to
        os.umask(0o077)
        if uid is not None:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
        if prctl is not None:  # after setuid, which clears it
            prctl(PR_SET_PDEATHSIG, on_death, 0, 0, 0)
            if os.getppid() != parent:  # we died between the fork and the line above
                os._exit(1)

    return prepare


def _write_pid_file(path: Path, pid: int) -> None:
    fresh = path.with_suffix(".new")
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(fd, "w") as file:
        file.write(f"{pid} {birth(pid)}\n")
    fresh.replace(path)


def _forget(path: Path) -> None:
    with suppress(OSError):
        path.unlink(missing_ok=True)
