"""One verified SSH connection: nothing is read from the bot's own ``~/.ssh``, agent or environment."""

import socket
from collections.abc import Callable
from typing import Any

import asyncssh

from agent.shell.hostkeys import algorithms, fingerprint, one_line, read_key
from core.errors import HostKeyChanged, HostKeyUnknown, It0Error, ServerUnreachable, Unavailable
from core.ports import Login, Target
from core.texts import Say, say
from core.work import Server

KEEPALIVE_S = 15
KEEPALIVE_COUNT = 3
REASON_LETTERS = 200
"""A server may write what it likes into its reason for hanging up."""

QUICK_CIPHERS = "^aes128-gcm@openssh.com,aes256-gcm@openssh.com"
"""Before ChaCha20, asyncssh's first, which costs a third of a short command: it is put together in Python."""

# Old switches and servers know nothing better; a person allows these per server.
_LEGACY: dict[str, Any] = {
    "kex_algs": "+diffie-hellman-group14-sha1,diffie-hellman-group-exchange-sha1,diffie-hellman-group1-sha1",
    "encryption_algs": "+aes128-cbc,aes192-cbc,aes256-cbc,3des-cbc",
    "mac_algs": "+hmac-sha1,hmac-sha1-96",
    "signature_algs": "+ssh-rsa",
}


class Client(asyncssh.SSHClient):
    """Answers a connection's questions, and forgets the secret as soon as it is logged in.

    asyncssh keeps its options as long as the connection lives, so the secret is not among them.
    """

    def __init__(self, login: Login, on_lost: Callable[[], None]) -> None:
        self._login: Login | None = login
        self._key: asyncssh.SSHKey | None = None
        self._on_lost = on_lost
        self._conn: asyncssh.SSHClientConnection | None = None
        self.refused_key: asyncssh.SSHKey | None = None
        if login.kind == "ssh_key":
            self._key = asyncssh.import_private_key(login.secret)

    @property
    def key_accepted(self) -> bool:
        """Return whether the server proved the pinned key."""
        return self._conn is not None and self._conn.get_server_host_key() is not None

    @property
    def connected(self) -> bool:
        """Return whether there was a network connection at all."""
        return self._conn is not None

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        """Note the connection."""
        self._conn = conn

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the pool."""
        self._forget()
        self._on_lost()

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Note and refuse a key that is not the pinned one."""
        self.refused_key = key
        return False

    def public_key_auth_requested(self) -> asyncssh.SSHKey | None:
        """Return the key, once."""
        key, self._key = self._key, None
        return key

    def password(self) -> str | None:
        """Return the password, once."""
        login, self._login = self._login, None
        return login.secret.decode("utf-8", "surrogateescape") if login else None

    def auth_completed(self) -> None:
        """Drop the secret."""
        self._forget()

    def _forget(self) -> None:
        self._login = self._key = None


async def connect(
    target: Target, tunnel: asyncssh.SSHClientConnection | None, timeout_s: float, on_lost: Callable[[], None]
) -> tuple[asyncssh.SSHClientConnection, str]:
    """Return a connection to ``target``, logged in, and the id of the credential that opened it.

    tunnel: a connection to the server before it. on_lost: called when it breaks or is closed.
    Raises It0Error saying why there is none; nothing was started then.
    """
    server = target.server
    pinned = pinned_key(server)
    if target.login is None:
        raise Unavailable("shell.no_credential", server=server.name)
    login = await target.login()
    try:
        client = Client(login, on_lost)
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError, ValueError):
        raise Unavailable("shell.bad_key", server=server.name) from None
    options = _options(server, login, client, pinned, timeout_s)
    credential_id, user = login.credential_id, login.user
    del login
    try:
        conn = await asyncssh.connect(server.host, server.port, tunnel=tunnel or (), **options)
    except Exception as error:  # whatever a server sends, at worst it is not reached
        raise await _reason(error, target, client, tunnel, pinned, user, timeout_s) from None
    return conn, credential_id


async def seen_host_key(target: Target, tunnel: asyncssh.SSHClientConnection | None, timeout_s: float) -> str:
    """Return the host key that ``target`` shows now; raises ServerUnreachable. No login is tried."""
    server = target.server
    legacy = bool(server.ssh_options.get("legacy_algorithms"))
    options = asyncssh.SSHClientConnectionOptions(
        **_alone(),
        **(_LEGACY if legacy else {}),
        username="it0",
        connect_timeout=connect_s(server, timeout_s),
    )
    try:
        key = await asyncssh.get_server_host_key(
            server.host,
            server.port,
            tunnel=tunnel or (),
            server_host_key_algs=algorithms(None, legacy),
            config=None,
            options=options,
        )
    except Exception as error:  # see connect
        raise unreachable(server, error, connect_s(server, timeout_s)) from None
    if key is None:
        raise ServerUnreachable(server=server.name, reason=say("shell.reason_no_key"))
    return one_line(key)


def pinned_key(server: Server) -> asyncssh.SSHKey:
    """Return the key that ``server`` has to show; raises HostKeyUnknown if no person confirmed one."""
    try:
        return read_key(server.host_key or "")
    except (asyncssh.KeyImportError, ValueError):
        raise HostKeyUnknown(server=server.name) from None


def connect_s(server: Server, default_s: float) -> float:
    """Return the seconds that a connection to ``server`` may take."""
    return float(server.ssh_options.get("connect_timeout_s") or default_s)


def unreachable(server: Server, error: BaseException, timeout_s: float) -> ServerUnreachable:
    """Return ``error`` as one that a person understands."""
    return ServerUnreachable(server=server.name, reason=_why(error, timeout_s))


def _alone() -> dict[str, Any]:
    """Return the options that keep asyncssh from everything but what it is given (SECURITY H1)."""
    return {
        "config": None,
        "agent_path": None,
        "agent_forwarding": False,
        "pkcs11_provider": None,
        "client_keys": None,
        "client_host_keys": None,
        "client_host_keysign": False,
        "x509_trusted_certs": None,
        "x509_trusted_cert_paths": [],
        "x11_forwarding": False,
        "gss_host": None,
        "gss_kex": False,
        "gss_auth": False,
        "gss_delegate_creds": False,
        "host_based_auth": False,
        "canonicalize_hostname": False,
        "request_pty": False,
        "env": {},
        "send_env": [],
        "command": None,
    }


def _options(
    server: Server, login: Login, client: Client, pinned: asyncssh.SSHKey, timeout_s: float
) -> dict[str, Any]:
    """Return every option of a connection; only the pinned key is trusted, and only it is asked for."""
    extra = server.ssh_options
    legacy = bool(extra.get("legacy_algorithms"))
    by_key = login.kind == "ssh_key"
    return {
        **_alone(),
        "encryption_algs": QUICK_CIPHERS,
        **(_LEGACY if legacy else {}),
        "client_factory": lambda: client,
        "username": login.user or server.ssh_user,
        "known_hosts": ([pinned], [], []),
        "server_host_key_algs": algorithms(pinned, legacy),
        "public_key_auth": by_key,
        "password_auth": not by_key,
        "kbdint_auth": not by_key,
        "password": None if by_key else client.password,
        "preferred_auth": ["publickey"] if by_key else ["password", "keyboard-interactive"],
        "compression_algs": ["zlib@openssh.com", "none"] if extra.get("compression") else ["none"],
        "connect_timeout": connect_s(server, timeout_s),
        "login_timeout": connect_s(server, timeout_s),
        "keepalive_interval": float(extra.get("keepalive_s") or KEEPALIVE_S),
        "keepalive_count_max": KEEPALIVE_COUNT,
    }


async def _reason(
    error: BaseException,
    target: Target,
    client: Client,
    tunnel: asyncssh.SSHClientConnection | None,
    pinned: asyncssh.SSHKey,
    user: str,
    timeout_s: float,
) -> It0Error:
    """Return why no connection came about."""
    server = target.server
    if client.refused_key:
        return _changed(server, pinned, one_line(client.refused_key))
    if isinstance(error, asyncssh.PermissionDenied):
        return Unavailable("shell.login_refused", server=server.name, user=user)
    # A server that no longer has a key of the pinned type hangs up during the key exchange.
    if client.connected and not client.key_accepted and not isinstance(error, TimeoutError):
        try:
            seen = await seen_host_key(target, tunnel, timeout_s)
        except It0Error:
            return unreachable(server, error, connect_s(server, timeout_s))
        if seen != one_line(pinned):
            return _changed(server, pinned, seen)
    return unreachable(server, error, connect_s(server, timeout_s))


def _changed(server: Server, pinned: asyncssh.SSHKey, seen: str) -> HostKeyChanged:
    """Return the refusal of a changed key."""
    return HostKeyChanged(server=server.name, expected=pinned.get_fingerprint(), seen=fingerprint(seen))


def _why(error: BaseException, timeout_s: float) -> Say | str:
    """Return an error of the network or of SSH in few words."""
    match error:
        case TimeoutError():
            return say("shell.reason_silent", seconds=round(timeout_s))
        case ConnectionRefusedError():
            return say("shell.reason_refused")
        case socket.gaierror():
            return say("shell.reason_name")
        case asyncssh.ConnectionLost() | ConnectionError():
            return say("shell.reason_lost")
        case asyncssh.Error():
            return error.reason[:REASON_LETTERS]
        case OSError() if error.strerror:
            return error.strerror
        case _:
            return f"{type(error).__name__} {error}"[:REASON_LETTERS].strip()
