"""The commands that read and write one file on a server, as pure text, for dash, bash and busybox sh.

A file's content goes to and fro as base64, on stdin and stdout: no argument, so no process list has it. How
it went is said by a word or an exit code, and in English on stderr for whoever reads the record.
"""

import base64
import binascii
import re
import shlex
from dataclasses import dataclass

from core.edits import Edit, digest_of

BACKUPS = ".it0/backups"
"""Below the account's home."""

KEPT_BACKUPS = 20
_FOUND = re.compile(r"it0-file (\w+) (\S*)\n([^\n]*)\n")

CHANGED, NOT_WRITABLE, NO_FOLDER, NO_OWNER, NO_BACKUP, NOT_WRITTEN, NO_TOOLS = range(31, 38)
"""Exit codes of a write that changed nothing, each with its sentence ``edit.went_<code>``."""

_READ = r"""
none() { printf 'it0-file %s -\n%s\n' "$1" "$r"; exit 0; }
r=$p d=${p%/*}; d=${d:-/}
command -v base64 >/dev/null && command -v readlink >/dev/null || none no_tools
if [ -e "$p" ]; then r=$(readlink -f "$p") || none not_readable
elif [ -L "$p" ]; then none dangling
elif [ -d "$d" ]; then r=$(readlink -f "$d") || none no_folder; r=${r%/}/${p##*/}
else none no_folder
fi
case $r in *'
'*) r=; none odd_name;; esac
[ -e "$r" ] || none new
[ -f "$r" ] || none no_file
[ -r "$r" ] || none not_readable
size=$(wc -c <"$r") || none not_readable
[ "$size" -le "$most" ] || none too_large
printf 'it0-file file %s\n%s\n' "$((size))" "$r"
base64 <"$r"
"""

# The content lies ready and is checked before it takes the place of the old one by a rename, which is whole
# or not at all. "set -C" opens no link that somebody else has put there.
_WRITE = r"""
umask 077
no() { code=$1; shift; printf '%s\n' "$*" >&2; exit "$code"; }
sum() { sha256sum <"$1" | cut -c 1-64; }
owner() { stat -c '%u:%g %a' "$1"; }
for tool in base64 sha256sum stat readlink mv cp; do
  command -v "$tool" >/dev/null || no 37 "$tool is not there: nothing was changed"
done
d=${p%/*}; d=${d:-/}
[ -d "$d" ] && [ "$(readlink -f "$d")" = "$d" ] || no 31 "the folder is not what it was: nothing was changed"
still() {
  [ -L "$p" ] && no 31 "it is a link now: nothing was changed"
  if [ -z "$old" ]; then [ -e "$p" ] && no 31 "it is there by now: nothing was changed"; return 0; fi
  [ -f "$p" ] && [ "$(sum "$p")" = "$old" ] || no 31 "it has changed since it was read: nothing was changed"
}
still
[ -z "$old" ] || [ -w "$p" ] || no 32 "this account may not write the file: nothing was changed"
[ -w "$d" ] || no 33 "this account may not write to the folder: nothing was changed"
b=$HOME/.it0/backups
if [ -n "$old" ]; then
  mkdir -p "$b" && chmod 700 "$b" && cat "$p" >"$b/$id" && [ "$(sum "$b/$id")" = "$old" ] ||
    no 35 "no backup could be kept: nothing was changed"
  ls -1t "$b" | sed "1,${kept}d" | while IFS= read -r each; do rm -f "$b/$each"; done
fi
if [ -z "$new" ]; then still; rm -f "$p" && [ ! -e "$p" ] || no 36 "it could not be removed"
else
  t=${d%/}/.it0-$id
  trap 'rm -f "$t"' EXIT; trap 'exit 143' HUP INT TERM
  ( set -C; : >"$t" ) 2>/dev/null || no 36 "no file could be made in the folder: nothing was changed"
  if [ -n "$old" ]; then cp -p "$p" "$t" 2>/dev/null; fi
  base64 -d >"$t" || no 36 "it could not be written whole: nothing was changed"
  if [ -n "$old" ]; then chmod "$(stat -c %a "$p")" "$t"
  elif [ -n "$mode" ]; then chmod "$mode" "$t"
  else chmod "$(printf '%o' "$((0644 & ~0$usual))")" "$t"
  fi
  [ -z "$old" ] || [ "$(owner "$t")" = "$(owner "$p")" ] ||
    no 34 "its owner or mode could not be kept: nothing was changed"
  [ "$(sum "$t")" = "$new" ] || no 36 "it could not be written whole: nothing was changed"
  sync "$t" 2>/dev/null || sync
  still
  mv -f "$t" "$p" || no 36 "it could not take its place: nothing was changed"
fi
sync "$d" 2>/dev/null || sync
if [ -z "$new" ]; then echo "removed"; else echo "written"; fi
if [ -n "$old" ]; then printf 'backup: %s\n' "$b/$id"; fi
"""


@dataclass(frozen=True, slots=True)
class Found:
    """What is at a path.

    word: file, new (nothing is there, but its folder is), or why it cannot be used. path: without links.
    """

    word: str
    path: str
    content: bytes = b""


def read_command(path: str, most: int) -> str:
    """Return the command that shows what is at ``path``, a file with its content up to ``most`` bytes."""
    return f"p={shlex.quote(path)} most={most}{_READ}"


def found_in(output: str) -> Found | None:
    """Return what ``read_command``'s output says, None if it is not whole."""
    match = _FOUND.match(output)
    if match is None:
        return None
    word, size, path = match.groups()
    if word != "file":
        return Found(word, path)
    try:
        content = base64.b64decode(output[match.end() :], validate=False)
    except binascii.Error:
        return None
    # What grows while it is read is not seen whole.
    return Found(word, path, content) if str(len(content)) == size else None


def write_command(edit: Edit, backup: str) -> str:
    """Return the command that makes a change, once. backup: the name under which the old text is kept."""
    names = {
        "p": edit.path,
        "old": digest_of(edit.old),
        "new": digest_of(edit.new),
        "mode": edit.mode,
        "id": backup,
        "kept": str(KEPT_BACKUPS),
    }
    given = " ".join(f"{name}={shlex.quote(value)}" for name, value in names.items())
    return f"usual=$(umask) {given}{_WRITE}"


def write_input(edit: Edit) -> str:
    """Return what ``write_command`` reads."""
    return base64.encodebytes((edit.new or "").encode()).decode("ascii")
