"""IT0_HOME: one folder, one owner process, and the keys."""

import base64
import binascii
import errno
import fcntl
import hashlib
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from core.errors import SetupError

log = structlog.get_logger()

MB = 1024 * 1024
FREE_FIRST_MB = 128
"""A new data folder takes 39 MB, the first log segments 16 MB each."""
FREE_LATER_MB = 32
"""Enough to start and be told; below two log segments PostgreSQL stops at its first write."""
SOCKET_ROOM = 78
"""Bytes a home's path may have: 104 for a socket's address on macOS (108 on Linux) less the longest name."""
KEY_BYTES = 32
FULL = (errno.ENOSPC, errno.EDQUOT)
PLAIN_PATH = re.compile(r"[A-Za-z0-9/._-]+")
"""What needs no quoting in any URL; asyncpg splits a host at commas."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The installation's keys, each 32 bytes in base64; none shows in a repr."""

    vault: str = field(repr=False)
    jwt: str = field(repr=False)
    audit: str = field(repr=False)


class Home:
    """IT0_HOME, owned by this process from ``with`` on until it ends.

    path: an absolute folder; it is made, with mode 0700, when it is missing.

    Raises SetupError ``setup.home_in_use``, ``home_not_yours``, ``home_mode``, ``home_not_writable``
    or ``disk_full``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.logs = path / "log"
        self.run = path / "run"
        self._held: list[int] = []

    def __enter__(self) -> Self:
        try:
            with failures_said(self.path):
                self._take()
        except BaseException:
            self._release()
            raise
        log.info("home_taken", home=str(self.path))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._release()

    def _take(self) -> None:
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_folder(self.path)
        self._held.append(_lock(self.path))
        if free_mb(self.path) < _need_mb(self.path):
            raise disk_full(self.path)
        self.logs.mkdir(mode=0o700, exist_ok=True)
        self.run.mkdir(mode=0o700, exist_ok=True)
        self._hold_short_way()

    def _release(self) -> None:
        while self._held:
            os.close(self._held.pop())

    def _hold_short_way(self) -> None:
        """Keep systemd-tmpfiles off our folder in /tmp: it leaves locked folders alone."""
        way = short_way(self.path)
        if way != self.path:
            self._held.append(os.open(way.parent, os.O_RDONLY | os.O_DIRECTORY))
            fcntl.flock(self._held[-1], fcntl.LOCK_SH)


@contextmanager
def failures_said(where: Path) -> Iterator[None]:
    """Turn what the operating system refuses below ``where`` into a sentence.

    Raises SetupError.
    """
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise disk_full(where) from error
        reason = error.strerror or type(error).__name__
        path = str(error.filename or where)
        raise SetupError("setup.home_not_writable", path=path, reason=reason) from error


def free_mb(path: Path) -> int:
    """Return how much an ordinary user can still write on the disk of ``path``."""
    disk = os.statvfs(path if path.exists() else path.parent)
    return disk.f_bavail * disk.f_frsize // MB


def disk_full(path: Path) -> SetupError:
    """Return the refusal with how much is free and how much would do."""
    return SetupError("setup.disk_full", path=str(path), free_mb=free_mb(path), need_mb=_need_mb(path))


def short_way(home: Path) -> Path:
    """Return a path to ``home`` that fits in a socket's address and in a URL.

    That is ``home`` itself, or a link to it in a folder of ours in /tmp. Not XDG_RUNTIME_DIR, which goes
    away when the user logs out.

    Raises SetupError ``setup.socket_dir_taken``.
    """
    if len(os.fsencode(home)) <= SOCKET_ROOM and PLAIN_PATH.fullmatch(str(home)):
        return home
    digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:12]
    box = Path(f"/tmp/it0-{os.geteuid()}-{digest}")  # noqa: S108  checked just below
    with suppress(FileExistsError):
        box.mkdir(mode=0o700)
    status = box.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise SetupError("setup.socket_dir_taken", path=str(box))
    link = box / "home"
    if not link.is_symlink() or link.readlink() != home:
        fresh = box / f"home.{os.getpid()}"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(home)
        fresh.replace(link)
    return link


def make_keys(home: Home) -> Keys:
    """Return the installation's keys, made on the first start.

    Call it before the database is made: a vault or audit key that is missing beside existing data was
    lost, and a new one would make every stored secret unreadable without a word.

    Raises SetupError ``setup.key_missing``, ``key_mode``, ``key_broken`` or ``home_not_writable``.
    """
    folder = home.path / "keys"
    has_data = (home.path / "postgres" / "PG_VERSION").exists()
    with failures_said(folder):
        folder.mkdir(mode=0o700, exist_ok=True)
        for name in ("vault", "jwt", "audit"):
            if (folder / name).exists():
                continue
            if has_data and name != "jwt":
                raise SetupError("setup.key_missing", path=str(folder / name))
            write_private(folder / name, base64.b64encode(os.urandom(KEY_BYTES)))
            log.info("key_made", key=name)
        return _read_keys(folder)


def read_keys(home: Path) -> Keys:
    """Return the keys of a home that another process owns.

    Raises SetupError ``setup.not_running`` when there are none yet, ``key_mode`` or ``key_broken``.
    """
    try:
        return _read_keys(home / "keys")
    except FileNotFoundError:
        raise SetupError("setup.not_running", home=str(home)) from None


def _read_keys(folder: Path) -> Keys:
    return Keys(*(_read_key(folder / name) for name in ("vault", "jwt", "audit")))


def _check_folder(path: Path) -> None:
    """Refuse another user's folder; close one of ours to others if that can break nothing."""
    status = path.stat()
    if status.st_uid != os.geteuid():
        raise SetupError("setup.home_not_yours", home=str(path), owner=status.st_uid, uid=os.geteuid())
    if not status.st_mode & 0o077:
        return
    if not (path / "lock").exists() and any(path.iterdir()):
        raise SetupError("setup.home_mode", home=str(path), mode=f"{stat.S_IMODE(status.st_mode):04o}")
    path.chmod(0o700)
    log.warning("home_mode_tightened", home=str(path), before=f"{stat.S_IMODE(status.st_mode):04o}")


def _need_mb(path: Path) -> int:
    """Return what must be free for a start; ``path`` is the home or its data folder."""
    made = any((folder / "PG_VERSION").exists() for folder in (path, path / "postgres"))
    return FREE_LATER_MB if made else FREE_FIRST_MB


def _lock(home: Path) -> int:
    """Return the descriptor that holds the home's lock."""
    fd = os.open(home / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.read(fd, 32).decode("ascii", "replace").strip() or "?"
        os.close(fd)
        raise SetupError("setup.home_in_use", home=str(home), pid=pid) from None
    os.ftruncate(fd, 0)
    os.write(fd, str(os.getpid()).encode())
    return fd


def write_private(path: Path, content: bytes) -> None:
    """Write a file with mode 0600, whole or not at all; under the home's lock nobody else writes it."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(fd, content)
        os.fsync(fd)
    finally:
        os.close(fd)
    fresh.rename(path)
    sync_folder(path.parent)


def _read_key(path: Path) -> str:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        mode, text = os.fstat(fd).st_mode, os.read(fd, 200)
    finally:
        os.close(fd)
    if mode & 0o077:
        raise SetupError("setup.key_mode", path=str(path), mode=f"{stat.S_IMODE(mode):04o}")
    try:
        good = len(base64.b64decode(text.strip(), validate=True)) == KEY_BYTES
    except binascii.Error:
        good = False
    if not good:
        raise SetupError("setup.key_broken", path=str(path), size=KEY_BYTES)
    return text.strip().decode("ascii")


def sync_folder(folder: Path) -> None:
    """Make what was renamed in ``folder`` survive a power cut."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
