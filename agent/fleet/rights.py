"""What a kubeconfig's account may do in its cluster, read from two commands that change nothing."""

import re
from collections.abc import Iterator

from core.texts import Say, say
from core.work import RunTarget, Server

VERSION = "kubectl version"
RIGHTS = "kubectl auth can-i --list"
READING = frozenset({"get", "list", "watch"})
MOST = 20
_RULE = re.compile(r"(\S*(?:, \S+)*) +\[([^]]*)\] +\[([^]]*)\] +\[([^]]*)\]")
_SERVER = re.compile(r"Server Version: (\S+)")
_OF_ONESELF = (".authorization.k8s.io", ".authentication.k8s.io")
"""Everybody may ask what they may."""


def version_of(result: RunTarget, cluster: Server) -> Say | None:
    """Return the version that the answer to ``VERSION`` tells, None where it is none."""
    found = _SERVER.search(result.stdout)
    return say("cluster.api_version", cluster=cluster.name, version=found[1]) if found else None


def rights_of(result: RunTarget, cluster: Server) -> Say | None:
    """Return whether the account may do more than look, by the answer to ``RIGHTS``."""
    if result.exit_code != 0:
        return None
    who = {"cluster": cluster.name, "account": cluster.ssh_user}
    found = list(dict.fromkeys(_more(result.stdout)))
    if any(types == "*.*" and "*" in verbs for types, verbs in found):
        return say("cluster.api_everything", **who)
    if not found:
        return say("cluster.api_views", **who)
    shown = [f"{types} ({', '.join(verbs)})" for types, verbs in found[:MOST]]
    return say("cluster.api_changes", **who, rights="; ".join([*shown, *(["…"] if found[MOST:] else [])]))


def _more(text: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield (types, verbs) of each rule that is more than looking; looking at secrets is."""
    for line in text.splitlines():
        rule = _RULE.fullmatch(line.strip())
        if rule is None or not rule[1] or rule[1].endswith(_OF_ONESELF):
            continue
        verbs = tuple(rule[4].split())
        secret = {"secrets", "*", "*.*"} & set(rule[1].split(", "))
        more = verbs if secret else tuple(verb for verb in verbs if verb not in READING)
        if more:
            yield rule[1], more
