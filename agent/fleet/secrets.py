"""Secrets as they come in: read, checked, and what of them may be shown."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time

import asyncssh

from agent.clusters.kube.kubeconfig import read_kubeconfig
from agent.fleet.forms import NAME
from core.errors import BadInput

MAX_SECRET_BYTES = 65536


def read_key(secret: bytes) -> tuple[str, str]:
    """Return (fingerprint, type) of a private key.

    Raises BadInput when it is none, or has a passphrase.
    """
    try:
        key = asyncssh.import_private_key(secret)
    except asyncssh.KeyEncryptionError as error:
        raise BadInput("credential.encrypted") from error
    except (asyncssh.KeyImportError, ValueError) as error:
        locked = "passphrase" in str(error).lower()  # asyncssh tells it by these words only
        raise BadInput("credential.encrypted" if locked else "credential.not_a_key") from error
    return key.get_fingerprint(), key.get_algorithm()


@dataclass(frozen=True, slots=True)
class Checked:
    """A secret as it is sealed, and what may be shown of it. server: where a kubeconfig leads."""

    secret: bytes
    fingerprint: str = ""
    key_type: str = ""
    server: str = ""


def checked_secret(name: str, kind: str, secret: bytes) -> Checked:
    """Return a secret as it is sealed; raises BadInput naming what is wrong."""
    if not NAME.fullmatch(name):
        raise BadInput("credential.bad_name")
    if kind not in ("ssh_key", "ssh_password", "token", "kubeconfig"):
        raise BadInput("credential.bad_kind")
    if kind == "ssh_password":
        secret = secret.rstrip(b"\r\n")
    if not secret.strip() or len(secret) > MAX_SECRET_BYTES:
        raise BadInput("credential.empty")
    if kind == "ssh_key":
        return Checked(secret, *read_key(secret))
    if kind == "kubeconfig":
        config = read_kubeconfig(secret)
        return Checked(config.sealed(), config.fingerprint, config.login_kind, config.server)
    return Checked(secret)


def parts_of(kind: str, secret: bytes) -> tuple[bytes, ...]:
    """Return what is secret in a secret: a kubeconfig's other lines stand in every other one as well."""
    if kind != "kubeconfig":
        return (secret,)
    try:
        return read_kubeconfig(secret).secrets
    except BadInput:  # stored before it was checked
        return (secret,)


def expiry_of(text: str) -> datetime | None:
    """Return the moment that ``text`` names, None for none: a day such as 2027-01-31 counts to its end, UTC.

    Raises BadInput for a text of another form.
    """
    if not text:
        return None
    try:
        if len(text) == 10:
            return datetime.combine(date.fromisoformat(text), time.max, UTC)
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadInput("credential.bad_expiry") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
