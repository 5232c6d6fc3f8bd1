"""The kinds of values that the rule files name, each with what it accepts."""

import re
from collections.abc import Callable
from posixpath import normpath

from agent.risk.awk import awk_only_reads
from agent.risk.databases import DATABASE_KINDS
from agent.risk.host import HOST_FORMS
from agent.risk.kinds_remote import PASSERS_BY, REMOTE_FORMS, REMOTE_JUDGES
from agent.risk.lexer import Word
from agent.risk.paths import judge_path
from agent.risk.rules import ASSIGNED, Finding
from agent.risk.scripts import jq_only_reads, yq_only_reads
from agent.risk.sed import sed_only_prints
from core.texts import say
from core.work import Risk

_FORMS = {
    "text": r"[\s\S]*",
    "int": r"[+-]?\d{1,12}",
    "num": r"[+-]?\d{1,12}(\.\d{1,9})?[a-zA-Z%]{0,5}",
    "zero": r"0",
    "clock": r"\d{1,2}:\d\d(:\d\d)?",
    "names": r"[\^A-Za-z0-9_/][\w.,:^/-]*",
    "digit": r"[0-5]",
    "pings": r"\d{1,4}",
    "interval": r"0?\.[2-9]\d{0,3}|[1-9]\d{0,3}(\.\d{1,4})?",
    "name": r"[A-Za-z0-9_%][A-Za-z0-9_.@:+%,-]*",
    "key": r"[\w.,]+",
    "time": r"(-\d|[\w +@:])[\w :.,+@-]*",
    "dateform": r"\+[\s\S]*",
    "host": r"[A-Za-z0-9_][A-Za-z0-9._:-]*",
    "device": r"/dev/[A-Za-z0-9_/-]+",
    "digarg": r"[@+]?[\w.:=][\w.:=-]*",
    "selector": r"[\w.,!=()/ -]+",
    "resource": r"[a-z0-9A-Z.,_-]+(/[a-z0-9A-Z._-]+)?",
    "socketfilter": r"[\w.:/*=<>!()\[\] -]+",
    "bsd": r"[acfgGhHjlLmnNopsSTtuUvwxX]{1,12}|\d{1,9}",
    "image": r"[A-Za-z0-9][\w.:/@-]*",
    "unitglob": r"[\w@.:*?\[\]][\w@.:*?\[\]-]*",
    "bsdcolumns": r"(?!.*environ)\w+(,[\w%]+)+",
    "property": r"(?!.*([Ee]nviron|[Cc]redential))[A-Za-z]+(,[A-Za-z]+)*",
    # sysctl takes "." for "/" or the other way round, so either, twice, may climb out of /proc/sys.
    "sysctl": r"(?!.*(\.\.|//))\w[\w./-]*",
    "port": r"\d{1,5}",
    "mom": r"am|i|I|mom|likes",
    "cloudtext": r"(?!\s*\w+://)[\s\S]*",
    "header": r"(?i:accept(-[a-z]+)?|authorization|cache-control|pragma|content-type|host|origin|referer"
    r"|user-agent|x-forwarded-(for|host|proto|port)|x-real-ip|x-request-id):.*",
    "assign": ASSIGNED,
    "yesno": r"true|false|yes|no|always|never|auto",
    "reload": r"reload|reopen",
    "grepfolders": r"skip|read",
    "logfields": r"(?i:(?!.*environ)\w+(,\w+)*)",
    "nullfile": r"/dev/null|-",
    "verb": r"GET|HEAD|get|head",
}
_SIMPLE = {name: re.compile(form) for name, form in (_FORMS | REMOTE_FORMS | HOST_FORMS).items()}

_ENVIRONMENT = re.compile(r"environ|\benv\b|\.env|secret|\bdata\b|password|token", re.IGNORECASE)
_WIDE_SERVICE = re.compile(
    r"""(docker|containerd|podman|crio|kubelet|k3s.*|rke2.*|sshd?|dropbear|network(ing)?|NetworkManager|systemd-.*|dbus.*
    |firewalld|iptables|ip6tables|nftables|ufw|libvirtd|multipathd?|iscsid?|lvm2-.*|mdmonitor|udev|polkit|all|halt|reboot
    |poweroff|kexec|rescue|emergency|debug-shell|([a-z]+-)?getty@.*|user@.*|initrd-.*|apt-daily.*|dnf-automatic.*
    |unattended-upgrades|packagekit.*|cloud-.*|rc-local|display-manager|gdm.*|wpa_supplicant|wg-quick@.*
    |openvpn.*|ipsec|strongswan|tailscaled|cloudflared|zerotier-one|frr|bird6?|corosync|pacemaker|drbd|auditd)
    (\.service)?""",
    re.VERBOSE,
)
_SERVICE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9@_:.-]*")
_UNIT_SUFFIX = (
    ".target",
    ".mount",
    ".automount",
    ".socket",
    ".slice",
    ".scope",
    ".path",
    ".swap",
    ".device",
    ".js",
    ".json",
    ".sh",
)
_SHELL_SIGN = re.compile(r"[$`;|&<>()\\\"'!{}]")
_LOCAL = re.compile(r"/[\w./@+-]*|[\w.][\w.-]*")
_KEPT = re.compile(r"/(?!/|(tmp|dev|run|proc|sys|home|var/(tmp|run|lock|crash|mail|spool))(/|$))")
_LOG_FILE = re.compile(r"/var/log(/[A-Za-z0-9_@%+=:,-][\w@%+=:,.-]*)+")
_EVIDENCE = re.compile(
    r".*/(auth\.log|secure|audit|wtmp|btmp|lastlog|faillog|sudo\.log|utmp|journal|tallylog)([./-].*)?"
)
_ROTATED = re.compile(r".*(\.\d{1,3}|[.-]\d{8}|\.old)(\.(gz|xz|bz2|zst))?")


def _mismatch(word: Word) -> Finding:
    return Finding(Risk.L2, say("risk.unknown_argument", argument=word.text))


def _file(word: Word, recursive: bool) -> Finding | None:
    if word.text == "-":
        return None
    # Shell scripts such as zgrep take a name apart again, binutils read options from @file.
    # XML tools fetch what looks like an address.
    if not word.text or word.text[0] in "-+@" or _SHELL_SIGN.search(word.text) or "://" in word.text:
        return _mismatch(word)
    return judge_path(word.text, glob=word.glob, recursive=recursive)


def _archive(word: Word, recursive: bool) -> Finding | None:
    # tar takes "host:file" for a file of another host, 7z "@file" for a list of names.
    return _mismatch(word) if ":" in word.text or word.text[:1] == "@" else _place(word, recursive)


_COPY = re.compile(r".*\.(sql|dump|rdb|dmp|gpg|asc|gz|xz|bz2|zst|bak)", re.IGNORECASE)


def _hashed(word: Word, recursive: bool) -> Finding | None:
    """Judge a file of which only a sum is shown: of a long one, such as a backup, that tells nothing."""
    return _place(word, recursive) if _COPY.fullmatch(word.text) else _file(word, recursive)


def _sar_word(word: Word, recursive: bool) -> Finding | None:
    return None if _SIMPLE["sarflag"].fullmatch(word.text) else _file(word, recursive)


def _place(word: Word, recursive: bool) -> Finding | None:
    if not word.text or word.text[0] in "-+":
        return _mismatch(word)
    return judge_path(word.text, glob=word.glob, reads=False)


def _kept(word: Word, recursive: bool) -> Finding | None:
    """Judge a file or folder of settings, which may name code: free where it is kept, never a passer-by's."""
    if word.glob or _LOCAL.fullmatch(word.text) is None or PASSERS_BY.match(normpath(word.text)):
        return _mismatch(word)
    if _KEPT.match(normpath(word.text)) is None:
        return Finding(Risk.L1, say("risk.reads_configuration", path=word.text))
    return _place(word, recursive)


def _project_file(word: Word, recursive: bool) -> Finding | None:
    return _kept(word, recursive) if word.text.endswith((".yml", ".yaml")) else _mismatch(word)


_PUBLIC_CERTIFICATE = re.compile(
    r"/etc/(letsencrypt/(live|archive)/[A-Za-z0-9][\w.-]*/(cert|chain|fullchain)\d*\.pem"
    r"|kubernetes/pki/(etcd/)?[\w-]+\.crt)"
)
"""Certificates that lie beside their keys: they are shown to every visitor, the keys to nobody."""


def _certificate(word: Word, recursive: bool) -> Finding | None:
    if _PUBLIC_CERTIFICATE.fullmatch(word.text):
        return None
    return (
        _place(word, recursive)
        if re.fullmatch(r"[\w./@%+-]+\.(pem|crt|cer|csr|der)", word.text)
        else _mismatch(word)
    )


def _format(word: Word, recursive: bool) -> Finding | None:
    if _ENVIRONMENT.search(word.text):
        return Finding(Risk.L2, say("risk.reads_environment"))
    return None


def _process_columns(word: Word, recursive: bool) -> Finding | None:
    if re.fullmatch(r"[\w%,:+=-]+", word.text) is None:
        return _mismatch(word)
    return _format(word, recursive)


def _process_user(word: Word, recursive: bool) -> Finding | None:
    # "ps -auxe" names no user "xe": ps then takes it for "ps auxe", which shows the environment.
    if "e" in word.text and re.fullmatch(r"[acefgGhHjlLmnNopsSTtuUvwxX]+", word.text):
        return _mismatch(word)
    return judge_value("name", word)


def _service(word: Word, recursive: bool) -> Finding | None:
    name = word.text
    if _SERVICE.fullmatch(name) is None or name.endswith(_UNIT_SUFFIX):
        return _mismatch(word)
    if _WIDE_SERVICE.fullmatch(name):
        return Finding(Risk.L2, say("risk.wide_service", service=name))
    return None


def _log_file(word: Word, recursive: bool) -> Finding | None:
    if _LOG_FILE.fullmatch(word.text) is None:
        return _mismatch(word)
    return (
        Finding(Risk.L2, say("risk.deletes_evidence", path=word.text)) if _EVIDENCE.match(word.text) else None
    )


def _rotated_log(word: Word, recursive: bool) -> Finding | None:
    return _log_file(word, recursive) if _ROTATED.fullmatch(word.text) else _mismatch(word)


def _outside_file(word: Word, recursive: bool) -> Finding | None:
    # curl reads a file for "@name", and writes one for %output{name}.
    # A header may ask a server to take the request for another method.
    text = word.text.lower()
    return _mismatch(word) if text.startswith("@") or "%output" in text or "override" in text else None


def _script(accepts: Callable[[str], bool]) -> "Judge":
    def judge(word: Word, recursive: bool) -> Finding | None:
        return None if accepts(word.text) else Finding(Risk.L2, say("risk.unknown_script"))

    return judge


Judge = Callable[[Word, bool], Finding | None]

_JUDGES: dict[str, Judge] = {
    "path": _file,
    "place": _place,
    "archive": _archive,
    "hashed": _hashed,
    "sarword": _sar_word,
    "yq": _script(yq_only_reads),
    "kept": _kept,
    "project": _project_file,
    "cert": _certificate,
    "format": _format,
    "columns": _process_columns,
    "psuser": _process_user,
    "service": _service,
    "logfile": _log_file,
    "rotated": _rotated_log,
    "curltext": _outside_file,
    "awk": _script(awk_only_reads),
    "sed": _script(sed_only_prints),
    "jq": _script(jq_only_reads),
    **DATABASE_KINDS,
    **REMOTE_JUDGES,
}

KINDS = _SIMPLE.keys() | _JUDGES.keys()
"""Every kind that a rule file may name."""


def judge_value(kind: str, word: Word, *, recursive: bool = False) -> Finding | None:
    """Return what speaks against ``word`` as a value of ``kind``, None when nothing does."""
    if judge := _JUDGES.get(kind):
        return judge(word, recursive)
    return None if _SIMPLE[kind].fullmatch(word.text) else _mismatch(word)
