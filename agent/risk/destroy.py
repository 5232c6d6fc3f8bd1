"""Judges one program with its arguments: would it stop the machine, or destroy a disk or a system folder?"""

import re
from collections.abc import Sequence
from posixpath import normpath

from agent.risk.rules import FORBIDDEN, listed
from agent.risk.unwrap import past_flags
from core.texts import Say, say

_POWER = listed("forbidden", "power")
_POWER_VERBS = listed("forbidden", "power_verbs")
_POWER_TARGETS = listed("forbidden", "power_targets")
_POWER_VALUES = listed("forbidden", "power_values")
_DISK = listed("forbidden", "disk")
_COPIERS = listed("forbidden", "copiers")
_OVERWRITERS = listed("forbidden", "overwriters")
_DISK_TOOLS = {
    name: (frozenset(needs.split()), frozenset(unless.split()))
    for name, (needs, unless) in FORBIDDEN["disk_tools"].items()
}
_SYSTEM = listed("forbidden", "system_folders")
NAMES = _POWER | _DISK | _COPIERS | _OVERWRITERS | _DISK_TOOLS.keys()
"""Programs that are looked at here, besides those of forbidden.toml's ``by_use``."""

_DEVICE = re.compile(
    r"/dev/(sd|hd|vd|xvd|nvme|mmcblk|md|dm-|mapper/|disk/|loop|nbd|ram|sr|zd|dasd|bcache|drbd|pmem|k?mem$|port$)"
)
_KERNEL = re.compile(r"/proc/(sysrq-trigger|kcore|\d+/mem)")
_HOME = re.compile(r"(~[a-z]*|\$HOME|\$\{HOME\})(/|/\*|/\.\*)?")
_TOP_GLOB = re.compile(r"/[^/]*[*?\[{][^/]*")
_FIND_TESTS = re.compile(
    r"-(i?name|i?path|i?regex|[acm]time|[acm]min|newer\w*|size|user|group|perm|empty|links|uid)"
)


def judge(name: str, args: Sequence[str]) -> Say | None:
    """Return why a program with its arguments is refused."""
    if name in _DISK or name.startswith("mkfs."):
        return say("risk.forbidden_disk", path=" ".join(args)[:80])
    if _stops_machine(name, args):
        return say("risk.forbidden_power", program=name)
    if path := _deletes_system(name, args):
        return say("risk.forbidden_system_folder", path=path)
    if path := _writes_device(name, args):
        return say("risk.forbidden_disk", path=path)
    if name == "dropdb" or (name in ("mysqladmin", "mariadb-admin") and "drop" in args):
        return say("risk.forbidden_database")
    return None


def _stops_machine(name: str, args: Sequence[str]) -> bool:
    """Return whether the machine would go down."""
    if name in _POWER:
        return not (name == "shutdown" and "-c" in args)
    if name in ("init", "telinit"):
        return any(arg in ("0", "6") for arg in args)
    if name == "kexec":
        return any(arg in ("-e", "--exec") for arg in args)
    if name not in ("systemctl", "loginctl"):
        return False
    verb = args[past_flags(args, 0, _POWER_VALUES) :]
    if not verb:
        return False
    return verb[0] in _POWER_VERBS or (
        verb[0] in ("start", "isolate", "restart") and not _POWER_TARGETS.isdisjoint(verb)
    )


def _deletes_system(name: str, args: Sequence[str]) -> str | None:
    """Return the system folder that would be deleted, moved or changed in whole."""
    match name:
        case "rm":
            applies = any(_recursive(arg) or arg == "--no-preserve-root" for arg in args)
        case "chmod" | "chown" | "chgrp" | "setfacl":
            applies = any(_recursive(arg) for arg in args)
        case "mv":
            args, applies = args[:-1], True
        case "find":
            applies = "-delete" in args and not any(_FIND_TESTS.fullmatch(arg) for arg in args)
        case _:
            return None
    return next(filter(_is_system, args), None) if applies else None


def _recursive(arg: str) -> bool:
    """Return whether ``arg`` is -r, also in a cluster or as a shortened long flag."""
    if arg.startswith("--"):
        return len(arg) > 2 and "--recursive".startswith(arg)
    return arg.startswith("-") and ("r" in arg or "R" in arg)


def _is_system(path: str) -> bool:
    """Return whether ``path`` is a folder that the system cannot do without, or all in it."""
    if not path.startswith("/"):
        return _HOME.fullmatch(path) is not None
    path = "/" + normpath(path).lstrip("/")
    for ending in ("/*", "/.*", "/.", "/**"):
        path = path.removesuffix(ending)
    return (path or "/") in _SYSTEM or _TOP_GLOB.fullmatch(path) is not None


def is_device(path: str) -> bool:
    """Return whether writing to ``path`` destroys a disk or commands the kernel."""
    if not path.startswith("/"):
        return False
    path = "/" + normpath(path).lstrip("/")
    return _DEVICE.match(path) is not None or _KERNEL.match(path) is not None


def _writes_device(name: str, args: Sequence[str]) -> str | None:
    """Return the device that would be overwritten."""
    if name == "dd":
        return next((arg[3:] for arg in args if arg.startswith("of=") and is_device(arg[3:])), None)
    if name in _COPIERS:
        args = args[-1:]
    elif name in _DISK_TOOLS:
        needs, unless = _DISK_TOOLS[name]
        if (needs and needs.isdisjoint(args)) or not unless.isdisjoint(args):
            return None
    elif name not in _OVERWRITERS:
        return None
    return next(filter(is_device, args), None)
