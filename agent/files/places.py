"""Which paths may be written: those that no tool may write, and the level of the rest."""

import re
import shlex

from agent.risk import level_of_reading
from core.errors import Refused
from core.ports import Classifier
from core.texts import Say, say
from core.work import Environment, Risk, Server, Verdict

_NEVER = re.compile(
    r"/(boot|dev|proc|sys|run|var/run)(/.*)?"
    r"|/etc/(passwd|g?shadow|group|sub[ug]id|sudoers|ld\.so\.preload|crypttab)[-~]?"
    r"|/etc/(sudoers\.d|pam\.d|security|polkit-1|doas\.conf)(/.*)?"
    r"|(.*/)?(authorized_keys2?|\.it0)(/.*)?",
    re.DOTALL,
)
"""Who may log in and become root, what the machine starts from, the kernel's own files, and it0's records."""


def judge_write(path: str, environment: Environment, classify: Classifier) -> Verdict:
    """Return how writing ``path`` on a server of ``environment`` is judged: L2, or more as for ``tee PATH``.

    path: absolute. Raises Refused for one that nobody may write by a tool, or whose content may be a secret.
    """
    quoted = shlex.quote(path)
    verdict = classify(f"tee {quoted}", environment, 1)
    if _NEVER.fullmatch(path) or ".." in path.split("/") or verdict.level >= Risk.L3:
        raise Refused("edit.forbidden_path", path=path)
    check_read(path)
    writes = say("edit.writes_file", path=path)
    return Verdict(max(Risk.L2, verdict.level), (writes,), path, verdict.rules)


def check_read(path: str) -> None:
    """Raise Refused for a file that may hold a secret."""
    if level_of_reading(path) >= Risk.L2:
        raise Refused("edit.secret_path", path=path)


def same_path(path: str) -> str:
    """Return ``path`` without what means nothing in it, such as ``//`` and ``/./``."""
    names = [name for name in path.split("/") if name not in ("", ".")]
    return "/" + "/".join(names)


def odd(path: str) -> Say | None:
    """Return why no file can be written at ``path``, None if one can."""
    if not path.startswith("/") or path.endswith("/") or set(path) & set("\0\n\r\ufffd"):
        return say("edit.bad_path", path=path)
    return None


def unfit_for_files(server: Server) -> Say | None:
    """Return why no file of ``server`` is read or written as a whole, None if it can be."""
    if server.is_cluster:
        return say("edit.cluster", cluster=server.name)
    return say("edit.restricted", server=server.name) if server.restricted else None
