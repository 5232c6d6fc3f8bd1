"""Which kind of inventory a file is, and the files beside it."""

import re
from collections.abc import Sequence
from glob import glob
from pathlib import Path

from agent.fleet.inventory import ansible_ini, ansible_yaml, ssh_config
from agent.fleet.inventory.found import MOST_BYTES, Listing, Spot
from core.errors import BadInput
from core.texts import say

KINDS = ("ssh_config", "ansible-ini", "ansible-yaml")
_SSH = re.compile(r"^\s*(host|match|include)[\s=]+\S", re.I | re.M)
_SECTION = re.compile(r"^\s*\[[^\]]+\]\s*$", re.M)
_MAPPING = re.compile(r"^[A-Za-z_][\w.-]*:\s*(#.*)?$", re.M)
_HOST = re.compile(r"[\w.:%-]+")
_COMMENT = re.compile(r"^\s*[#;].*$", re.M)


def listing_of(text: str, name: str, kind: str = "", folder: Path | None = None) -> Listing:
    """Return what a file lists.

    kind: of ``KINDS``, "" to tell by the text; folder: where what it includes is looked for, None for
    nowhere. Raises BadInput for a file that is encrypted, too large, or of no such kind.
    """
    if len(text) > MOST_BYTES:
        raise BadInput("import.too_large")
    if text.lstrip().startswith("$ANSIBLE_VAULT"):
        raise BadInput("import.vault_file")
    if "\0" in text:
        raise BadInput("import.no_inventory", file=name)
    told = kind or kind_of(text, name)
    if told == "ssh_config":
        return ssh_config.parse(text, name, lambda pattern: _included(pattern, folder))
    listing = (ansible_yaml.parse if told == "ansible-yaml" else ansible_ini.parse)(text, name)
    if not kind and _is_none(listing):
        raise BadInput("import.no_inventory", file=name)
    return _beside(listing, name, folder)


def kind_of(text: str, name: str) -> str:
    """Return the kind that a text looks like."""
    plain = _COMMENT.sub("", text)
    if name.endswith((".yml", ".yaml")):
        return "ansible-yaml"
    if _SECTION.search(plain):
        return "ansible-ini"
    if _SSH.search(plain):
        return "ssh_config"
    return "ansible-yaml" if _MAPPING.search(plain) else "ansible-ini"


def _is_none(listing: Listing) -> bool:
    """Return whether most lines of what was taken for Ansible's mean nothing there."""
    odd = {each.spot for each in listing.notes.values() if each.why.key == "import.not_understood"}
    odd |= {host.spot for host in listing.hosts if not _HOST.fullmatch(host.name)}
    good = {host.spot for host in listing.hosts} - odd
    return len(odd) > len(good)


def _included(pattern: str, folder: Path | None) -> Sequence[tuple[str, str]]:
    """Return the files of ssh_config's Include; a relative one is looked for beside the file."""
    if folder is None:
        return ()
    found = []
    try:
        paths = sorted(glob(str(folder / Path(pattern).expanduser())))
    except (RuntimeError, ValueError):  # the home of nobody; a NUL
        return ()
    for path in map(Path, paths):
        try:
            if path.is_file() and path.stat().st_size <= MOST_BYTES:  # a device or a pipe has no end
                found.append((str(path), path.read_text("utf-8")))
        except (OSError, UnicodeDecodeError):
            continue
    return found


def _beside(listing: Listing, name: str, folder: Path | None) -> Listing:
    """Note the folders of variables beside an inventory, which are not read."""
    for each in ("group_vars", "host_vars"):
        if folder is not None and (folder / each).is_dir():
            listing.note(Spot(name, 1), f"{each}/", say("import.beside"))
    return listing
