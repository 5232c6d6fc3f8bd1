"""A script for accounts that can do no more than they should; it is printed, never run."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from core.work import Server

ACCOUNTS = ("read-only", "operating")
OTHERS = {"cluster-role": ".yaml", "postgresql": ".sql", "mysql": ".sql"}
KINDS = (*ACCOUNTS, *OTHERS)
READ_USER = "it0-ro"
OPERATE_USER = "it0-op"
FORCED = 'command="/bin/sh -s"'
"""What it0 asks a server for, always: a key that is held to it can copy no files and open no shell."""

_USES = {
    "cluster-role": "cluster-role    prints a cluster role: … | kubectl apply -f -",
    "postgresql": "postgresql      prints SQL for a role that reads: … | psql",
    "mysql": "mysql           prints SQL for an account that reads: … | mysql",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What the script is to hold.

    read_key, operate_key: public keys in one line, "" where none is known: the script then asks for them.
    behind: (host, port) of the servers that are reached through this one.
    """

    server: Server
    kinds: Sequence[str] = KINDS
    read_key: str = ""
    operate_key: str = ""
    behind: Sequence[tuple[str, int]] = ()


def script(plan: Plan) -> str:
    """Return the script; for one kind that is no account, what it would print."""
    if len(plan.kinds) == 1 and plan.kinds[0] in OTHERS:
        return _piece(plan.kinds[0] + OTHERS[plan.kinds[0]])
    accounts = [kind for kind in ACCOUNTS if kind in plan.kinds]
    others = [kind for kind in OTHERS if kind in plan.kinds]
    parts = [_piece("head.sh")]
    if accounts:
        parts += [_piece("accounts.sh"), *(_piece(f"{kind}.sh") for kind in accounts)]
    parts += [_printing(kind) for kind in others]
    parts.append(_choice(accounts, others))
    return _filled("".join(parts), plan, others)


def _printing(kind: str) -> str:
    return f"\n{_function(kind)}() {{\n    cat <<'PRINTED'\n{_piece(kind + OTHERS[kind])}PRINTED\n}}\n"


def _choice(accounts: Sequence[str], others: Sequence[str]) -> str:
    """Return the end of the script: what is done for which word."""
    cases = [f"{kind}) {_function(kind)} ;;" for kind in others]
    if accounts:
        calls = "".join(f"{_function(kind)}; " for kind in accounts)
        cases.insert(0, f"accounts) {calls}echo 'The accounts are as they should be.' ;;")
    words = "|".join([*(["accounts"] if accounts else []), *others])
    cases.append(f'*) echo "usage: sh harden.sh [{words}]" >&2; exit 2 ;;')
    first = "accounts" if accounts else others[0]
    lines = "\n".join(cases)
    return f'\ncase "${{1:-{first}}}" in\n{lines}\nesac\n'


def _function(kind: str) -> str:
    return kind.replace("-", "_")


def _filled(text: str, plan: Plan, others: Sequence[str]) -> str:
    forced = "" if plan.server.restricted else f",{FORCED}"
    opens = "".join(f',permitopen="{host}:{port}"' for host, port in plan.behind)
    forwards = f",port-forwarding{opens}" if opens else ""
    places = {
        "SERVER": plan.server.name,
        "HOST": plan.server.host,
        "USES": "".join(f"#   sh harden.sh {_USES[kind]}\n" for kind in others),
        "READ_USER": plan.server.read_user or READ_USER,
        "OPERATE_USER": OPERATE_USER,
        "READ_KEY": plan.read_key,
        "OPERATE_KEY": plan.operate_key,
        "READ_OPTIONS": _quoted(f"restrict{forced}"),
        "OPERATE_OPTIONS": _quoted(f"restrict{forced}{forwards}"),
    }
    for name, value in places.items():
        text = text.replace(f"@{name}@", value)
    return text


def _quoted(text: str) -> str:
    """Return ``text`` as it stands between double quotes in the script."""
    return text.replace('"', '\\"')


@cache
def _piece(name: str) -> str:
    return (files("agent.fleet") / "scripts" / name).read_text("utf-8")
