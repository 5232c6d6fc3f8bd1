"""What opens a Kubernetes API: a kubeconfig's current context, read and checked; nothing of it is a file."""

import base64
import binascii
import hashlib
import json
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from core.errors import BadInput

FILES = ("certificate-authority", "client-certificate", "client-key", "tokenFile")
IMPERSONATION = ("as", "as-uid", "as-groups", "as-user-extra")
MERGE = "tag:yaml.org,2002:merge"
_TOKEN = re.compile(r"[!-~]+")
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


class _Plain(yaml.SafeLoader):  # type: ignore[misc]
    """Takes no mapping into another one: a few lines of that would multiply beyond measure.

    Not its brother in C, which dies of deep nesting, and the process with it.
    """

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Refuse what would be taken in."""
        if any(key.tag == MERGE for key, _ in node.value):
            raise yaml.YAMLError
        super().flatten_mapping(node)


@dataclass(frozen=True, slots=True)
class Kubeconfig:
    """How a cluster's API is reached, and as whom: by a token, or a client's certificate with its key.

    server: its address, https://HOST[:PORT][/PATH]; ca, certificate, key: PEM; tls_name: the name in the
    server's certificate, "" for the address's own.
    """

    server: str
    ca: str
    namespace: str
    tls_name: str = ""
    token: str = ""
    certificate: str = ""
    key: str = ""

    def __repr__(self) -> str:
        """Leave the secrets out."""
        return f"Kubeconfig(server={self.server!r})"

    @property
    def fingerprint(self) -> str:
        """Return what tells this API server from another: a hash of its address and its authority."""
        shown = "\n".join((self.server, self.tls_name, self.ca.strip()))
        digest = hashlib.sha256(shown.encode()).digest()
        return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"

    @property
    def login_kind(self) -> str:
        """Return by what it logs in."""
        return "token" if self.token else "client-certificate"

    @property
    def secrets(self) -> tuple[bytes, ...]:
        """Return what nobody may see."""
        return tuple(each.encode() for each in (self.token, self.key) if each)

    def sealed(self) -> bytes:
        """Return the current context alone as a kubeconfig: what else the file held is not kept."""
        pair = {"client-certificate-data": self.certificate, "client-key-data": self.key}
        user = {
            **({"token": self.token} if self.token else {}),
            **{name: base64.b64encode(pem.encode()).decode() for name, pem in pair.items() if pem},
        }
        cluster = {
            "server": self.server,
            "certificate-authority-data": base64.b64encode(self.ca.encode()).decode(),
            **({"tls-server-name": self.tls_name} if self.tls_name else {}),
        }
        context = {"cluster": "it0", "user": "it0", "namespace": self.namespace}
        whole = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "it0",
            "contexts": [{"name": "it0", "context": context}],
            "clusters": [{"name": "it0", "cluster": cluster}],
            "users": [{"name": "it0", "user": user}],
        }
        return json.dumps(whole).encode()


def read_kubeconfig(secret: bytes) -> Kubeconfig:
    """Return a kubeconfig's current context; raises BadInput naming what is wrong, and nothing of it."""
    whole = _mapping(_parsed(secret))
    name = whole.get("current-context")
    if not isinstance(name, str) or not name:
        raise BadInput("kubeconfig.no_context")
    context = _named(whole, "context", name)
    cluster = _named(whole, "cluster", context.get("cluster"))
    user = _named(whole, "user", context.get("user"))
    _check_cluster(cluster)
    _check_user(user)
    namespace = context.get("namespace") or "default"
    if not isinstance(namespace, str) or not _NAMESPACE.fullmatch(namespace):
        raise BadInput("kubeconfig.bad_data", field="namespace")
    found = Kubeconfig(
        server=_server(cluster.get("server")),
        ca=_ca(cluster),
        namespace=namespace,
        tls_name=_text(cluster, "tls-server-name"),
        token=_token(user),
        certificate=_pem(user, "client-certificate-data"),
        key=_pem(user, "client-key-data"),
    )
    if found.certificate or found.key or not found.token:
        _check_pair(found)
    return found


def _parsed(secret: bytes) -> Any:
    try:
        return _Plain(secret.decode()).get_single_data()
    except (yaml.YAMLError, ValueError, RecursionError):
        raise BadInput("kubeconfig.not_read") from None


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise BadInput("kubeconfig.not_read")
    return value


def _named(whole: Mapping[str, Any], kind: str, name: Any) -> Mapping[str, Any]:
    """Return the entry called ``name`` of a list of named ones."""
    entries = whole.get(f"{kind}s")
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and name is not None and entry.get("name") == name:
            return _mapping(entry.get(kind))
    raise BadInput("kubeconfig.no_such", kind=kind)


def _check_cluster(cluster: Mapping[str, Any]) -> None:
    if cluster.get("insecure-skip-tls-verify"):
        raise BadInput("kubeconfig.insecure")
    if cluster.get("proxy-url"):
        raise BadInput("kubeconfig.proxy")
    _check_files(cluster)


def _check_user(user: Mapping[str, Any]) -> None:
    for field in ("exec", "auth-provider"):
        if user.get(field):
            raise BadInput("kubeconfig.plugin", field=field)
    if any(user.get(field) for field in IMPERSONATION):
        raise BadInput("kubeconfig.impersonates")
    if user.get("username") or user.get("password"):
        raise BadInput("kubeconfig.password")
    _check_files(user)


def _check_files(fields: Mapping[str, Any]) -> None:
    for field in FILES:
        if fields.get(field):
            raise BadInput("kubeconfig.file", field=field)


def _server(value: Any) -> str:
    try:
        parts = urlsplit(value if isinstance(value, str) else "")
        port = parts.port
    except ValueError:
        raise BadInput("kubeconfig.not_https") from None
    if parts.scheme != "https" or not parts.hostname or parts.username or parts.query or port == 0:
        raise BadInput("kubeconfig.not_https")
    return str(value).rstrip("/")


def _ca(cluster: Mapping[str, Any]) -> str:
    pem = _pem(cluster, "certificate-authority-data")
    if not pem:
        raise BadInput("kubeconfig.no_ca")
    try:
        ssl.create_default_context(cadata=pem)
    except (ssl.SSLError, ValueError):
        raise BadInput("kubeconfig.bad_data", field="certificate-authority-data") from None
    return pem


def _token(user: Mapping[str, Any]) -> str:
    token = _text(user, "token").strip()
    if token and not _TOKEN.fullmatch(token):
        raise BadInput("kubeconfig.bad_data", field="token")
    return token


def _text(fields: Mapping[str, Any], field: str) -> str:
    value = fields.get(field) or ""
    if not isinstance(value, str):
        raise BadInput("kubeconfig.bad_data", field=field)
    return value


def _pem(fields: Mapping[str, Any], field: str) -> str:
    """Return the PEM that a field holds in base64, "" where there is none."""
    try:
        return base64.b64decode("".join(_text(fields, field).split()), validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        raise BadInput("kubeconfig.bad_data", field=field) from None


def _check_pair(config: Kubeconfig) -> None:
    """Raise BadInput unless there is a certificate with the key that belongs to it."""
    if not config.certificate or not config.key:
        raise BadInput("kubeconfig.no_login")
    try:
        certificate = x509.load_pem_x509_certificate(config.certificate.encode())
    except ValueError:
        raise BadInput("kubeconfig.bad_data", field="client-certificate-data") from None
    try:
        key = load_pem_private_key(config.key.encode(), None)
    except (ValueError, TypeError):  # TypeError: it has a passphrase
        raise BadInput("kubeconfig.bad_data", field="client-key-data") from None
    shown = [
        each.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        for each in (certificate.public_key(), key.public_key())
    ]
    if shown[0] != shown[1]:
        raise BadInput("kubeconfig.other_key")
