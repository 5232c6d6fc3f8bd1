"""The scripts that a server's ``/bin/sh -s`` reads on its stdin, and the lines by which they answer.

The exec request is always ``REQUEST``: it means the same in every login shell (fish, csh, zsh). A script is
one ``{ …; }`` block, so sh runs nothing of it before it has read it whole. Three are made here, as pure text:
``run_script``, ``outcome_script`` and ``stop_script``. They run in dash, bash and busybox sh.

The marker of a run is the directory ``$HOME/.it0/run/<run id>.<server id>`` on the server: one order goes to
many servers under one run id, and some of them may share a home (NFS) or be one machine under two names::

    pid     "pid start boot" of the process that leads the command's group; written before the command starts
    exit    "code took" (hundredths of a second), or "never": it was not started and never will be
    end     "stopped" or "timeout": the run was asked to end

``mkdir`` of it is what starts a run, so a run id is started at most once. Asking for the outcome of a run
that has no marker makes one that says "never": an answer "it was not started" stays true.
"""

import re
from dataclasses import dataclass
from hashlib import sha256

from core.ports import Order
from core.texts import Say, say

REQUEST = "/bin/sh -s"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MARKER_DAYS = 7
RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
NOISE_BYTES = 16_384
"""Kept of what a login shell's start files print before the script speaks."""

TERM_TICKS = 50
"""Tenths of a second between TERM and KILL."""

_COMMON = rf"""
exec </dev/null
PATH={PATH}; export PATH
base=$HOME/.it0/run; m=$base/$run
here=-; [ -r /proc/sys/kernel/random/boot_id ] && read -r here </proc/sys/kernel/random/boot_id
say() {{
  trap '' PIPE
  printf 'it0-%s %s\n' "$n" "$1" && printf 'it0-%s %s\n' "$n" "$1" >&2
  told=$?; trap - PIPE; return $told
}}
now() {{
  t=; [ -r /proc/uptime ] && read -r t x </proc/uptime
  case $t in [1-9]*.[0-9][0-9]) t=${{t%.*}}${{t#*.}};; *) t=$(date +%s)00;; esac
}}
rundir() {{ [ -d "$base" ] || ( umask 077; mkdir -p "$base" 2>/dev/null ); }}
"""

# It becomes the command by exec, so the pid that it writes is the command's, and its group's.
_LEADER = r"""
m=$1 run=$2 shell=$3 kube=$4 cmd=$5 here=$6 start=- stat=
[ -r "/proc/$$/stat" ] && read -r stat <"/proc/$$/stat" && { set -- ${stat##*) }; start=${20}; }
printf '%s %s %s\n' "$$" "$start" "$here" >"$m/pid" || exit 125
[ -e "$m/end" ] && exit 143
user=${USER:-$LOGNAME}; [ -n "$user" ] || user=$(id -un)
set -- HOME="$HOME" USER="$user" LOGNAME="$user" LANG=C.UTF-8 LC_ALL=C.UTF-8 PATH="$PATH" IT0_RUN="$run"
set -- "$@" PAGER=cat GIT_PAGER=cat SYSTEMD_PAGER=cat MANPAGER=cat LESSSECURE=1
[ -n "$kube" ] && set -- "$@" KUBECONFIG="$kube"
if [ "$shell" = bash ] && command -v bash >/dev/null 2>&1
then exec env -i "$@" bash --noprofile --norc -c "$cmd"
else exec env -i "$@" /bin/sh -c "$cmd"
fi
"""

# The command keeps the account's umask; the marker's own mode keeps others out of it.
# The drains outlive a broken connection: the command never gets SIGPIPE from it. The handlers (not
# ignored signals, which the command would inherit) keep this shell alive to write the exit code. Its own
# output is closed, and the fifos are opened by the child only, because shells print "Killed" for a child.
# What the command reads stands in a variable of this shell, whose printf is built in: no process list has it.
# A reader takes the exit code only with its newline, so writing it needs no second file and no mv.
# The bot's own IT0_HOME may be this ~/.it0, so sweeping takes only what a marker is made of.
_RUN = r"""
no() { say "$1"; exit 125; }
command -v setsid >/dev/null 2>&1 || no no-setsid
[ -n "$HOME" ] || no no-marker
cd -- "$HOME" >/dev/null 2>&1 || no no-marker
[ -z "$dir" ] || cd -- "$dir" >/dev/null 2>&1 || no no-cwd
rundir
mkdir -m 700 "$m" 2>/dev/null || { [ -d "$m" ] && no again; no no-marker; }
mkfifo -m 600 "$m/out" "$m/err" 2>/dev/null || { echo never >"$m/exit"; no no-marker; }
say started || { echo never >"$m/exit"; exit 125; }
trap : HUP INT TERM
( trap '' PIPE HUP INT TERM; cat || cat >/dev/null ) <"$m/out" 2>/dev/null &
( trap '' PIPE HUP INT TERM; cat || cat >/dev/null ) <"$m/err" >&2 2>/dev/null &
exec >/dev/null 2>&1
lead() {
  exec >"$m/out" 2>"$m/err"
  exec setsid /bin/sh -c "$leader" it0 "$m" "$run" "$shell" "$kube" "$cmd" "$here"
}
feed() { trap '' HUP INT TERM; printf '%s\n' "$fed"; }
now; began=$t
if [ -z "$fed" ]; then ( lead ); else feed | ( lead ); fi
code=$?
now
printf '%s %s\n' "$code" "$((t - began))" >"$m/exit"
(
  rm -f "$m/out" "$m/err"
  [ -z "$sweep" ] || find "$base" -mindepth 1 -maxdepth 1 -type d -name '*.*' -mtime "+$sweep" |
  while IFS= read -r d; do
    rm -f "$d/pid" "$d/exit" "$d/end" "$d/out" "$d/err" && rmdir "$d"
  done
) &
exit "$code"
"""

_LOOK = r"""
p= t= b= i=0
nap() { if sleep 0.1 2>/dev/null; then i=$((i+1)); else sleep 1; i=$((i+10)); fi; }
same() {
  stat=; { read -r stat <"/proc/$p/stat"; } 2>/dev/null
  [ -n "$stat" ] || return 1
  set -- ${stat##*) }; life=$1
  [ "${20}" = "$t" ]
}
alive() {
  [ "$b" = "$here" ] || return 1
  if [ -r /proc/self/stat ]; then same && [ "$life" != Z ]; else kill -0 "$p" 2>/dev/null; fi
}
look() {
  s=gone code= took= why=
  [ -s "$m/end" ] && read -r why <"$m/end"
  [ -s "$m/exit" ] && read -r code took <"$m/exit" && { s=ended; return; }
  [ -z "$p" ] && [ -s "$m/pid" ] && read -r p t b <"$m/pid"
  case $p in ''|0|1|*[!0-9]*) p=;; *) alive && s=running;; esac
}
answer() { printf '%s %s %s %s\n' "$s" "${code:--}" "${why:--}" "${took:--}"; exit 0; }
say here || exit 125
rundir
mkdir -m 700 "$m" 2>/dev/null && echo never >"$m/exit"
[ -d "$m" ] || { s=ended code=never; answer; }
"""

_OUTCOME = r"""
quiet=0
while look; [ "$s" != ended ]; do
  if [ "$s" = running ]; then quiet=0; [ "$i" -ge "$wait" ] && answer
  else quiet=$((quiet+1)); [ "$quiet" -gt 10 ] && answer; fi
  nap
done
answer
"""

# Strays have left the group but carry the run's id. A zombie is no longer anybody: not every PID 1 reaps.
_STOP = r"""
group() {
  [ -n "$p" ] && [ "$b" = "$here" ] || return
  if [ ! -r /proc/self/stat ]; then kill -0 -- "-$p" 2>/dev/null && echo "$p"; return; fi
  [ -d "/proc/$p" ] && ! same && return
  sed -n "s/^\([0-9]*\) (.*) [^ZX] [0-9]* $p .*/\1/p" /proc/[0-9]*/stat 2>/dev/null
}
strays() {
  for f in $(grep -l "IT0_RUN=$run" /proc/[0-9]*/environ 2>/dev/null); do
    tr '\000' '\n' <"$f" 2>/dev/null | grep -qx "IT0_RUN=$run" && { f=${f#/proc/}; echo "${f%/environ}"; }
  done
}
left() { [ -n "$(group)$(strays)" ]; }
end() {
  [ -n "$(group)" ] && kill -s "$1" -- "-$p" 2>/dev/null
  for q in $(strays); do kill -s "$1" "$q" 2>/dev/null; done
  i=0; while left && [ "$i" -lt "$2" ]; do nap; done
}
look; [ "$s" = ended ] && answer
[ -e "$m/end" ] || printf '%s\n' "$reason" >"$m/end"
while look; [ "$s" != ended ] && [ -z "$p" ] && [ "$i" -lt 10 ]; do nap; done
end TERM "$patience"
left && end KILL 20
i=0; while look; [ "$s" != ended ] && [ "$i" -lt 5 ]; do nap; done
left && s=left
answer
"""


@dataclass(frozen=True, slots=True)
class Report:
    """What a marker says of a run.

    word: ended, running, gone (no process and no exit code) or left (processes that KILL did not end).
    code: the exit code; None, with ``ended``: it was never started. why: "", stopped or timeout.
    duration_ms: from the command's start to its end by the server's own clock, None where it is not known.
    """

    word: str
    code: int | None
    why: str
    duration_ms: int | None = None


class Opening:
    """Takes what comes before a script's first line out of a stream: a login shell's start files may print.

    word: what the script said on that line, None until it was seen; noise: what came before it.
    """

    def __init__(self, nonce: str) -> None:
        self._mark = f"it0-{nonce} ".encode()
        self._held = b""
        self.word: str | None = None

    @property
    def noise(self) -> str:
        """Return what was printed by something else, as text."""
        return self._held.decode("utf-8", "replace").strip()

    def feed(self, data: bytes) -> bytes:
        """Return what of ``data`` belongs to the script's work."""
        if self.word is not None:
            return data
        held = self._held + data
        noise, mark, rest = held.partition(self._mark)
        line, newline, after = rest.partition(b"\n")
        if not (mark and newline):
            self._held = held[-NOISE_BYTES:]
            return b""
        self._held, self.word = noise, line.decode("ascii", "replace").strip()
        return after


def marker(run_id: str, server_id: str) -> str:
    """Return the name of a run's marker, which is also what its processes carry as ``IT0_RUN``."""
    if not RUN_ID.fullmatch(server_id):
        server_id = sha256(server_id.encode()).hexdigest()[:32]
    return f"{run_id}.{server_id}"


def unfit(order: Order) -> Say | None:
    """Return why ``order`` cannot be handed to any shell, or None."""
    if not RUN_ID.fullmatch(order.run_id):
        return say("shell.bad_run_id")
    if not order.command.strip():
        return say("shell.empty_command")
    text = order.command + order.cwd
    if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        return say("shell.bad_command")
    return None


def run_script(
    order: Order, mark: str, nonce: str, shell: str = "bash", kubeconfig: str = "", sweep: bool = False
) -> bytes:
    """Return the script that runs ``order`` once.

    mark: its marker's name; nonce: unguessable hex that marks its first line. shell: ``bash`` or ``sh``.
    sweep: remove old markers afterwards.
    """
    # A command that begins with a dash would be read as an option of the shell.
    command = f" {order.command}" if order.command[0] in "-+" else order.command
    cwd = f"./{order.cwd}" if order.cwd and not order.cwd.startswith("/") else order.cwd
    days = str(MARKER_DAYS) if sweep else ""
    names = _names(
        n=nonce,
        run=mark,
        cmd=command,
        fed=order.stdin,
        dir=cwd,
        shell=shell,
        kube=kubeconfig,
        sweep=days,
        leader=_LEADER,
    )
    return _block(names, _COMMON, _RUN)


def outcome_script(mark: str, nonce: str, wait_s: float = 0) -> bytes:
    """Return the script that answers with a run's ``Report``, after at most ``wait_s`` while it goes on."""
    return _block(_names(n=nonce, run=mark, wait=str(int(wait_s * 10))), _COMMON, _LOOK, _OUTCOME)


def stop_script(mark: str, nonce: str, reason: str) -> bytes:
    """Return the script that ends a run and answers with its ``Report``; reason: stopped or timeout."""
    names = _names(n=nonce, run=mark, reason=reason, patience=str(TERM_TICKS))
    return _block(names, _COMMON, _LOOK, _STOP)


def parse_report(text: str) -> Report | None:
    """Return the ``Report`` that a script answered with, None if ``text`` is something else."""
    match = re.search(
        # A clock that was set back meanwhile gives a negative time, an older marker none.
        r"^(ended|running|gone|left) (-|never|\d{1,3}) (-|stopped|timeout) (\d{1,12}|-\d*)$",
        text,
        re.MULTILINE,
    )
    if not match:
        return None
    word, code, why, took = match.groups()
    duration_ms = int(took) * 10 if took.isdigit() else None
    return Report(word, int(code) if code.isdigit() else None, "" if why == "-" else why, duration_ms)


def _names(**values: str) -> str:
    """Return shell assignments of ``values``."""
    return "\n".join(f"{name}={_quoted(value)}" for name, value in values.items())


def _quoted(text: str) -> str:
    """Return ``text`` as one word of any POSIX shell."""
    return "'" + text.replace("'", "'\\''") + "'"


def _block(*parts: str) -> bytes:
    """Return ``parts`` as one block, which a shell reads to its end before it runs any of it."""
    return ("{\n" + "\n".join(parts) + "\nexit 125; }\n").encode()
