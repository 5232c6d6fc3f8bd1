"""Which user PostgreSQL runs as: it refuses root."""

import os
import pwd
from pathlib import Path

from core.errors import SetupError

FIRST_UID = 65520
LAST_UID = 65533
"""Numbers that systemd, Debian and Red Hat leave unused, below the 65536 of a container's user mapping.

Not ``nobody``, which is shared: whoever runs as it could open the database's socket and read its files.
"""


def server_uid(data: Path) -> int | None:
    """Return None (our uid), or as root the data folder's owner or an unused number."""
    if os.geteuid() != 0:
        return None
    if data.exists() and (owner := data.stat().st_uid) != 0:
        return owner
    taken = {entry.pw_uid for entry in pwd.getpwall()}
    return next((uid for uid in range(FIRST_UID, LAST_UID + 1) if uid not in taken), LAST_UID)


def maker_uid(uid: int | None) -> int | None:
    """Return the uid that may run initdb: it asks for its own name, and a bare number has none.

    As root that is ``nobody`` for these 0.4 seconds; the folder is handed to ``uid`` afterwards.

    Raises SetupError ``setup.nameless_user``.
    """
    named = {entry.pw_uid: entry.pw_name for entry in pwd.getpwall()}
    if uid is None:
        try:
            pwd.getpwuid(os.geteuid())
        except KeyError:
            raise SetupError("setup.nameless_user", uid=os.geteuid()) from None
        return None
    if uid in named:
        return uid
    others = sorted((name != "nobody", number) for number, name in named.items() if number != 0)
    if not others:
        raise SetupError("setup.nameless_user", uid=uid)
    return others[0][1]


def hand_over(folder: Path, uid: int) -> None:
    """Give ``folder`` and all in it to ``uid``, following no link."""
    for place in (folder, *folder.rglob("*")):
        os.lchown(place, uid, uid)
