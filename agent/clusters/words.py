"""Which commands a cluster takes: kubectl's for Kubernetes, docker's for a Swarm, one at a time.

Only that they are the cluster's own; how much harm they can do is the classifier's to say.
"""

from collections.abc import Mapping, Sequence

from agent.clusters.kube.argv import Ask, understood
from agent.risk.lexer import Stuck, parse
from core.texts import Say, say
from core.work import Server

OWN_CONNECTION = (
    *("--context", "--kubeconfig", "--cluster", "--user", "--server", "--token"),
    *("--as", "--as-group", "--as-uid", "--username", "--password"),
    *("--client-certificate", "--client-key", "--certificate-authority"),
    *("--insecure-skip-tls-verify", "--tls-server-name", "--kuberc", "--as-user-extra"),
)
"""kubectl's flags that change where or as whom it works; ``-s`` is short for --server."""

NOT_HERE = ("config", "proxy", "port-forward", "edit", "attach")
"""kubectl's verbs that need a terminal, keep a port open, or change which cluster is meant."""

WITH_COMMAND = ("exec", "debug", "run")
"""kubectl's verbs behind whose ``--`` stands another program's command line."""

_WITH_VALUE = ("-n", "--namespace", "--request-timeout", "-v", "--v")
_SWITCHES = ("-i", "-t", "-it", "-ti", "-q", "--stdin", "--tty", "--quiet")
_SHORT_WITH_VALUE = "=nlocLvkfp"
SWARM: Mapping[str, Sequence[str]] = {
    "service": ("ls", "ps", "logs", "inspect", "scale", "update", "rollback"),
    "node": ("ls", "ps", "inspect"),
    "stack": ("ls", "ps", "services", "deploy", "rm"),
}


def asked(command: str, cluster: str) -> Ask | Say:
    """Return what ``command`` asks of a cluster's API, or why it is refused."""
    words = _words(command)
    return say("cluster.only_kubectl", cluster=cluster) if words is None else understood(words, cluster)


def _words(command: str) -> list[str] | None:
    """Return the words after ``kubectl``, None for anything but one kubectl command."""
    parts = parse(command.strip())
    if isinstance(parts, Stuck) or len(parts) != 1 or parts[0].words[0].text != "kubectl":
        return None
    return [word.text for word in parts[0].words[1:]]


def refusal(command: str, cluster: Server) -> Say | None:
    """Return why ``cluster`` does not take ``command``, or None if it does."""
    if cluster.connection == "k8s":
        words = _words(command)
        return (
            say("cluster.only_kubectl", cluster=cluster.name) if words is None else _kubectl(words, cluster)
        )
    parts = parse(command.strip())
    if isinstance(parts, Stuck) or len(parts) != 1 or parts[0].words[0].text != "docker":
        return say("cluster.only_docker", cluster=cluster.name)
    return _docker([word.text for word in parts[0].words[1:]], cluster)


def _kubectl(words: Sequence[str], cluster: Server) -> Say | None:
    verb = _verb(words)
    for word in _own(words, verb):
        if word.partition("=")[0] in OWN_CONNECTION or _names_server(word, verb):
            return say("cluster.own_connection", cluster=cluster.name, flag=word.partition("=")[0])
    if cluster.by_api:
        found = understood(words, cluster.name)
        return found if isinstance(found, Say) else None
    is_unknown = verb in NOT_HERE or verb.startswith("-")
    return say("cluster.not_here", cluster=cluster.name, verb=verb) if is_unknown else None


def _verb(words: Sequence[str]) -> str:
    """Return the first word that is no flag and no flag's value, or a flag before it that is not known."""
    left = iter(words)
    for word in left:
        if word in _WITH_VALUE:
            next(left, "")
        elif not (word.startswith(("-n", "-v")) or (word.startswith("--") and "=" in word)):
            return word
    return ""


def _own(words: Sequence[str], verb: str) -> Sequence[str]:
    """Return kubectl's own words: ``--`` may as well be the value of the flag before it."""
    if verb not in WITH_COMMAND:
        return words
    for place, word in enumerate(words):
        before = words[place - 1]
        if word == "--" and (not before.startswith("-") or "=" in before or before in _SWITCHES):
            return words[:place]
    return words


def _names_server(word: str, verb: str) -> bool:
    """Return whether ``-s`` stands in ``word``, alone or behind other flags of one letter."""
    if not word.startswith("-") or word.startswith("--"):
        return False
    with_value = _SHORT_WITH_VALUE.translate({ord(each): "" for each in "fp"} if verb == "logs" else {})
    return "s" in word[1:] and not any(letter in with_value for letter in word[1 : word.index("s")])


def _docker(words: Sequence[str], cluster: Server) -> Say | None:
    if len(words) >= 2 and words[1] in SWARM.get(words[0], ()):
        return None
    known = "; ".join(f"docker {noun} {'|'.join(verbs)}" for noun, verbs in SWARM.items())
    return say("cluster.swarm_knows", cluster=cluster.name, known=known)
