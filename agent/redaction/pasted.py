"""Recognises secrets as they are pasted into a chat, which are not to be kept."""

from agent.redaction.recognised import find

KINDS = ("private_key", "cloud_key", "token", "password")
"""What people are told of a secret, the worst first."""


def kinds_in(text: str) -> tuple[str, ...]:
    """Return the kinds of secrets that ``text`` seems to hold, none for ordinary talk."""
    found = {each.of for each in find(text.encode("utf-8", "surrogatepass"))}
    return tuple(kind for kind in KINDS if kind in found)
