"""Secrets at rest: AES-256-GCM under a master key, bound to their place by associated data (SECURITY S4).

A sealed value is ``key id (4 bytes) | nonce (12) | ciphertext and tag``. The master key setting may list
several keys, comma separated: the first seals, all open, so that a rotation needs no stop.
"""

import base64
import binascii
import hashlib
import os
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from core.errors import SetupError, VaultError

KEY_BYTES = 32
NONCE_BYTES = 12
ID_BYTES = 4


@dataclass(frozen=True, slots=True)
class Place:
    """Where a secret belongs; a ciphertext moved elsewhere does not open.

    kind: the credential's type, so that a password is never taken for a key.
    """

    tenant_id: str
    table: str
    row_id: str
    field: str
    kind: str

    def bound_to(self, key_id: bytes) -> bytes:
        """Return the associated data, length-prefixed so that no two places read alike."""
        parts = ("v1", self.tenant_id, self.table, self.row_id, self.field, self.kind, key_id.hex())
        return b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)


def parse_key(text: str, setting: str) -> bytes:
    """Return the 32 bytes that ``text`` holds in base64.

    Raises SetupError naming ``setting``, never its value.
    """
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise SetupError("setup.bad_key", setting=setting)
    return key


def new_key() -> str:
    """Return a fresh key as base64."""
    return base64.b64encode(os.urandom(KEY_BYTES)).decode()


class Vault:
    """Seals and opens secrets.

    master_keys: the setting's text, one or more base64 keys, the newest first.
    """

    def __init__(self, master_keys: str) -> None:
        keys = [parse_key(text, "VAULT_MASTER_KEY") for text in master_keys.split(",") if text.strip()]
        if not keys:
            raise SetupError("setup.bad_key", setting="VAULT_MASTER_KEY")
        self._keys = {hashlib.sha256(b"it0 key id" + key).digest()[:ID_BYTES]: AESGCM(key) for key in keys}
        self._current = next(iter(self._keys))

    def __repr__(self) -> str:
        """Leave the keys out."""
        return f"Vault({len(self._keys)} keys)"

    def seal(self, secret: bytes, place: Place) -> bytes:
        """Return ``secret`` sealed for ``place``, under the newest key and a fresh nonce."""
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._keys[self._current].encrypt(nonce, secret, place.bound_to(self._current))
        return self._current + nonce + sealed

    def open(self, sealed: bytes, place: Place) -> bytes:
        """Return the secret.

        Raises VaultError when the key is missing, a bit was changed, or it was sealed for another place.
        """
        key_id, nonce = sealed[:ID_BYTES], sealed[ID_BYTES : ID_BYTES + NONCE_BYTES]
        cipher = self._keys.get(key_id)
        if cipher is None:
            raise VaultError("error.vault_key_missing")
        try:
            return cipher.decrypt(nonce, sealed[ID_BYTES + NONCE_BYTES :], place.bound_to(key_id))
        except (InvalidTag, ValueError) as error:
            raise VaultError from error

    def is_current(self, sealed: bytes) -> bool:
        """Return whether ``sealed`` is under the newest key."""
        return sealed[:ID_BYTES] == self._current
