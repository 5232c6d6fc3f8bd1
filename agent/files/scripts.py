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
NOT_USABLE = (
    *("no_tools", "not_readable", "dangling", "no_folder"),
    *("odd_name", "no_file", "too_large"),
)
"""What a read says of a path that cannot be used, each with its sentence ``edit.<word>``."""

WORDS = ("file", "new", *NOT_USABLE)
_FOUND = re.compile(r"it0-file (\w+) (\S*)\n([^\n]*)\n")

CHANGED, NOT_WRITABLE, NO_FOLDER, NO_OWNER, NO_BACKUP, NOT_WRITTEN, NO_TOOLS = range(31, 38)
"""Exit codes of a write that changed nothing, each with its sentence ``edit.went_<code>``."""

# Whoever may write to a file's folder may put a link there meanwhile: what is open has to be what was judged.
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
{
  [ ! -e /proc/self/fd/0 ] || [ "$(readlink /proc/self/fd/0)" = "$r" ] || none not_readable
  printf 'it0-file file %s\n%s\n' "$((size))" "$r"
  base64
} <"$r"
"""

# The content lies ready and is checked before it takes the place of the old one by a rename, which is whole
# or not at all. Whoever else may write to the folder gets no say in where: the shell stays in it, whatever
# its path leads to by then, makes the new file in a folder of its own, in which nobody can put a link, and
# never moves it into a folder that has taken the file's place (mv -T, where there is that).
_WRITE = r"""
umask 077
no() { code=$1; shift; printf '%s\n' "$*" >&2; exit "$code"; }
sum() { sha256sum <"$1" | cut -c 1-64; }
owner() { stat -c '%u:%g %a' "$1"; }
for tool in base64 sha256sum stat mv cp; do
  command -v "$tool" >/dev/null || no 37 "$tool is not there: nothing was changed"
done
d=${p%/*}; d=${d:-/} f=./${p##*/} t=.it0-$id
cd -- "$d" 2>/dev/null && [ "$(pwd -P)" = "$d" ] || no 31 "the folder is not what it was: nothing was changed"
still() {
  [ -L "$f" ] && no 31 "it is a link now: nothing was changed"
  if [ -z "$old" ]; then [ -e "$f" ] && no 31 "it is there by now: nothing was changed"; return 0; fi
  [ -f "$f" ] && [ "$(sum "$f")" = "$old" ] || no 31 "it has changed since it was read: nothing was changed"
}
still
[ -z "$old" ] || [ -w "$f" ] || no 32 "this account may not write the file: nothing was changed"
[ -w . ] || no 33 "this account may not write to the folder: nothing was changed"
b=$HOME/.it0/backups
if [ -n "$old" ]; then
  mkdir -p "$b" && chmod 700 "$b" && cat "$f" >"$b/$id" && [ "$(sum "$b/$id")" = "$old" ] ||
    no 35 "no backup could be kept: nothing was changed"
  ls -1t "$b" | sed "1,${kept}d" | while IFS= read -r each; do rm -f "$b/$each"; done
fi
if [ -z "$new" ]; then still; rm -f "$f" && [ ! -e "$f" ] || no 36 "it could not be removed"
else
  mkdir -m 700 "./$t" 2>/dev/null && cd "./$t" && [ -O . ] ||
    no 36 "no file could be made in the folder: nothing was changed"
  case $(stat -c %a .) in 700|2700) ;; *) no 36 "others can reach what is made: nothing was changed";; esac
  f=../${p##*/}
  trap 'rm -f "$t"; cd .. && rmdir "./$t"' EXIT; trap 'exit 143' HUP INT TERM
  if [ -n "$old" ]; then cp -p "$f" "$t" 2>/dev/null; fi
  base64 -d >"$t" || no 36 "it could not be written whole: nothing was changed"
  if [ -n "$old" ]; then chmod "$(stat -c %a "$f")" "$t"
  elif [ -n "$mode" ]; then chmod "$mode" "$t"
  else chmod "$(printf '%o' "$((0644 & ~0$usual))")" "$t"
  fi
  [ -z "$old" ] || [ "$(owner "$t")" = "$(owner "$f")" ] ||
    no 34 "its owner or mode could not be kept: nothing was changed"
  [ "$(sum "$t")" = "$new" ] || no 36 "it could not be written whole: nothing was changed"
  sync "$t" 2>/dev/null || sync
  as=; mv --help 2>&1 | grep -q -e '-T' && as=T
  still
  mv "-f$as" "$t" "$f" || no 36 "it could not take its place: nothing was changed"
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
    if word not in WORDS:
        return None
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
