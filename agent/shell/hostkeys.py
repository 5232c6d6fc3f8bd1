"""Host keys: their one-line form, their fingerprints, and what is asked of a server because of them."""

import asyncssh

MODERN_ALGORITHMS = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
)
"""Asked for, in this order, when a server's key is to be seen for the first time."""

SHA1_ALGORITHM = "ssh-rsa"


def read_key(line: str) -> asyncssh.SSHKey:
    """Return the public key in ``line``; raises asyncssh.KeyImportError."""
    return asyncssh.import_public_key(line)


def one_line(key: asyncssh.SSHKey) -> str:
    """Return ``key`` as OpenSSH writes it, without a comment: ``ssh-ed25519 AAAA…``."""
    kind, data = key.export_public_key().decode().split()[:2]
    return f"{kind} {data}"


def fingerprint(host_key_line: str) -> str:
    """Return the SHA-256 fingerprint of a public key's line as people compare it: ``SHA256:…``.

    What is one already, a cluster's, stays as it is.
    """
    if host_key_line.startswith("SHA256:"):
        return host_key_line
    return read_key(host_key_line).get_fingerprint()


def algorithms(pinned: asyncssh.SSHKey | None, legacy: bool = False) -> list[str]:
    """Return the host-key algorithms to ask for: only the pinned key's own, or all good ones.

    legacy: RSA with SHA-1 as well.
    """
    if pinned is None:
        wanted = list(MODERN_ALGORITHMS)
    elif pinned.algorithm == b"ssh-rsa":
        wanted = ["rsa-sha2-512", "rsa-sha2-256"]
    else:
        return [pinned.algorithm.decode()]
    return [*wanted, SHA1_ALGORITHM] if legacy else wanted
