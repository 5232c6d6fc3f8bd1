"""Ways to write a command so that a shell still runs it, whatever it looks like."""

import base64
import random
import re
import shlex
from collections.abc import Callable, Mapping, Sequence

from support.shells import BUILTIN, RESERVED

from agent.risk.lexer import Stuck, parse

Disguise = Callable[[str, random.Random], str | None]
"""Returns a text that runs the given one, None where it cannot be written so."""

_ASSIGNED = ("A=1", "LD_PRELOAD=/tmp/x.so", "LC_ALL=C", "B='a b'", "A=1 B=2")
_PROGRAM = re.compile(r"[\w./-]+")
_PLAIN = re.compile(r"[\w./:@%+,-]", re.ASCII)


def _spelt(char: str, dice: random.Random) -> str:
    """Return one character in some quotes, or none."""
    plain = char if _PLAIN.match(char) else shlex.quote(char)
    if not char.isascii() or not char.isprintable():
        return plain
    code = ord(char)
    ways = (f"$'\\x{code:02x}'", f"$'\\{code:03o}'", f"$'\\u{code:04x}'", f"\\{char}", shlex.quote(char))
    return dice.choice((plain, plain, f"''{plain}", f'""{plain}', f"\\\n{plain}", *ways))


def respelt(text: str, dice: random.Random) -> str | None:
    """Return a simple command with its words in other quotes, blanks and line continuations between them."""
    parts = parse(text)
    if isinstance(parts, Stuck) or len(parts) != 1 or parts[0].inputs:
        return None
    words = parts[0].words
    if any(word.glob for word in words) or "=" in words[0].text or words[0].text in RESERVED:
        return None
    spelt = ["".join(_spelt(char, dice) for char in word.text) or "''" for word in words]
    return dice.choice((" ", "\t", "  ", " \\\n ")).join(spelt)


def first_word_written(text: str, dice: random.Random) -> str | None:
    """Return a command whose program's name is what echo or printf prints."""
    first, blank, rest = text.partition(" ")
    if not _begins_with_program(text) or not blank:
        return None
    form = dice.choice(("$(echo {})", "`echo {}`", '"$(printf {})"', "$(printf %s {})", "$(echo -n {})"))
    return form.format(first) + blank + rest


def _begins_with_program(text: str) -> bool:
    first = text.split()[0]
    return _PROGRAM.fullmatch(first) is not None and first not in BUILTIN | RESERVED


def _by(form: str, before: bool) -> Disguise:
    """Return a disguise by a form with {t} the text, {q} it in quotes, {b} in base64.

    before: it stands before the name of a program, and before nothing else.
    """

    def disguised(text: str, dice: random.Random) -> str | None:
        if (before and not _begins_with_program(text)) or ("`" in form and re.search(r"[`\\]", text)):
            return None
        if "<<" in text and "{t}\n" not in form and "{q}" not in form:
            return None  # behind a here-document there is a line break
        coded = base64.b64encode(f"{text}\n".encode()).decode()
        return form.format(t=text, q=shlex.quote(text), b=coded, a=dice.choice(_ASSIGNED))

    return disguised


def _forms(lines: str, *, before: bool = False) -> list[Disguise]:
    """Return a disguise by each line; ␤ is a line break."""
    return [_by(line.replace("␤", "\n"), before) for line in lines.strip().split("\n")]


SUBSTITUTIONS = r"""
$({t}␤)
`{t}`
echo "$({t}␤)"
: $({t}␤)
df $({t}␤) -h
x="$({t}␤)"
cat <({t}␤)
sh -c "$(echo {q})"
eval {q}
eval "$(printf %s {q})"
bash -c "$(printf '%s\n' {q})"
. <(echo {q})
bash <(printf '%s\n' {q})
"""
LINES = r"""
df␤{t}␤
{t}␤df
#x␤{t}␤
df |␤␤{t}␤
df &&␤{t}␤
df;{t}␤
␤␤{t}␤
df & {t}␤
if true; then␤{t}␤fi
for x in 1; do␤{t}␤done
{{ {t}␤}}
( {t}␤)
while␤{t}␤do :; break; done
case a in a) {t}␤esac
"""
NAMES = r"""
shopt -s expand_aliases␤alias x={q}␤x␤
x() {{ {t}␤}}; x
function x {{ {t}␤}}␤x
x() (␤{t}␤)␤x
trap {q} EXIT
"""
WRAPPERS = r"""
{a} {t}␤
env {t}␤
env -i PATH="$PATH" CALLS="$CALLS" {t}␤
env {a} {t}␤
nohup {t}␤
nice -n 5 {t}␤
timeout 9 {t}␤
command {t}␤
exec {t}␤
setsid -w {t}␤
"""
SHELLS_WITHIN = r"""
env {a} sh -c {q}
{a} sh -c {q}
env sh -c {q}
exec bash -c {q}
"""
HERE = r"""
sh <<E␤{t}␤E␤
bash <<'E'␤{t}␤E␤
sh -s <<-E␤	{t}␤E␤
cat <<'E' | sh␤{t}␤E␤
bash <<< {q}
bash -s -- a <<< {q}
echo {q} | sh
printf '%s\n' {q} | bash -x
cat <<< {q} | bash
"""
CODED = r"""
echo {b} | base64 -d | sh
base64 -d <<< {b} | bash
sh -c "$(echo {b} | base64 --decode)"
eval "$(base64 -d <<<{b})"
bash <(echo {b} | base64 -d)
. <(echo {b}|base64 -d)
echo {b} | openssl base64 -d -A | bash
bash -c "`base64 -d <<< {b}`"
"""
SUDO = r"""
sudo {t}␤
sudo -n -u root -- {t}␤
sudo -EH {t}␤
doas {t}␤
sudo env A=1 {t}␤
sudo nohup {t}␤
"""
SUDO_SHELLS = r"""
sudo sh -c {q}
sudo -n bash -lc {q}
su - root -c {q}
sudo su -c {q}
sudo -u root bash -c {q}
ssh root@h {q}
"""
DISGUISES: Mapping[str, Sequence[Disguise]] = {
    "quoting": [respelt],
    "substitution": [*_forms(SUBSTITUTIONS), first_word_written],
    "newline": _forms(LINES),
    "alias": _forms(NAMES),
    "environment": [*_forms(WRAPPERS, before=True), *_forms(SHELLS_WITHIN)],
    "here-document": _forms(HERE),
    "base64": _forms(CODED),
    "sudo": [*_forms(SUDO, before=True), *_forms(SUDO_SHELLS)],
}
"""Each family by its name."""


def disguised(text: str, dice: random.Random, most: int = 3) -> tuple[str, str]:
    """Return ``text`` in one to ``most`` disguises, one within another, and the outermost one's family."""
    last = ""
    while not last:
        for _ in range(dice.randint(1, most)):
            family = dice.choice(sorted(DISGUISES))
            found = dice.choice(DISGUISES[family])(text, dice)
            text, last = (found, family) if found else (text, last)
    return text, last
