"""A real OpenSSH server on a free loopback port, with keys and a home of its own."""

import asyncio
import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import asyncssh

from core.ports import Login, Target
from core.work import Server

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin") or ""

CONFIG = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host_key
PidFile none
AuthorizedKeysFile {folder}/authorized_keys
StrictModes no
UsePAM no
PermitRootLogin yes
PasswordAuthentication yes
KbdInteractiveAuthentication no
LogLevel ERROR
MaxStartups 500
SetEnv HOME={home}{environment}
{extra}
"""


def free_port() -> int:
    """Return a loopback port that nobody uses now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass
class Sshd:
    """A running server.

    home: where its users' markers lie; client_key: the private key's text that opens it;
    host_key: the public key that it shows, in one line.
    """

    port: int
    home: Path
    folder: Path
    client_key: bytes
    host_key: str
    process: subprocess.Popen[bytes]

    @property
    def user(self) -> str:
        """Return who may log in."""
        return getpass.getuser()

    def server(self, **changes: Any) -> Server:
        """Return its entry in the inventory."""
        entry = a_server(id=f"sshd-{self.port}", port=self.port, host_key=self.host_key, ssh_user=self.user)
        return replace(entry, **changes)

    def target(self, login: Login | None = None, jump: Target | None = None, **changes: Any) -> Target:
        """Return the way to it. changes: fields of its ``Server``."""
        return a_target(self.server(**changes), login or self.login(), jump)

    def login(self) -> Login:
        """Return what opens it."""
        return Login(self.user, "ssh_key", self.client_key, "credential-1", 1)

    def children(self) -> list[int]:
        """Return the processes of the open connections."""
        found = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self.process.pid)], capture_output=True, text=True, check=False
        )
        return [int(pid) for pid in found.stdout.split()]

    def cut(self) -> None:
        """Break every connection without a word, as a crashed network would."""
        for pid in self.children():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def stop(self) -> None:
        """Stop it and what it serves."""
        self.cut()
        self.process.kill()
        self.process.wait()


def start_sshd(
    folder: Path, extra: str = "", key_type: str = "ssh-ed25519", port: int = 0, environment: str = ""
) -> Sshd:
    """Return a server that has begun to listen; its files are in ``folder``, which is made if need be.

    extra: more lines of its configuration; key_type: of its host key; environment: more of its users'.
    """
    home = folder / "home"
    home.mkdir(parents=True, exist_ok=True)
    host, client = asyncssh.generate_private_key(key_type), asyncssh.generate_private_key("ssh-ed25519")
    (folder / "host_key").write_bytes(host.export_private_key("openssh"))
    (folder / "host_key").chmod(0o600)
    (folder / "authorized_keys").write_bytes(client.export_public_key())
    port = port or free_port()
    config = CONFIG.format(
        port=port, folder=folder, home=home, extra=extra, environment=f" {environment}".rstrip()
    )
    (folder / "config").write_text(config)
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    process = subprocess.Popen([SSHD, "-D", "-e", "-f", folder / "config"], stderr=subprocess.DEVNULL)
    _await_port(port, process)
    line = " ".join(host.export_public_key().decode().split()[:2])
    return Sshd(port, home, folder, client.export_private_key("openssh"), line, process)


def _await_port(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until somebody listens."""
    for _ in range(200):
        if process.poll() is not None:
            raise RuntimeError("sshd did not start")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError("sshd does not listen")


def a_server(**changes: Any) -> Server:
    """Return an inventory entry for a loopback SSH server."""
    fields: Mapping[str, Any] = {
        "id": "server-1",
        "name": "web-1",
        "connection": "ssh",
        "host": "127.0.0.1",
        "port": 22,
        "environment": "dev",
        "role": "web",
        "ssh_user": getpass.getuser(),
        "credential_id": "credential-1",
        "jump_server_id": None,
        "ssh_options": {},
        "tags": {},
        "status": "active",
        "description": "",
        "host_key": None,
    }
    return Server(**{**fields, **changes})


def a_target(
    server: Server, login: Login | None, jump: Target | None = None, tenant_id: str = "tenant-1"
) -> Target:
    """Return the way to ``server`` with ``login`` as its credential."""

    async def open_vault() -> Login:
        assert login is not None
        return login

    return Target(tenant_id, server, open_vault if login else None, "1", jump)


class Relay:
    """A TCP relay in front of a server, which can be made to hang or to break.

    hanging: while true nothing gets through; it is held back, not lost.
    """

    def __init__(self) -> None:
        self.port = 0
        self.hanging = False
        self.connections = 0
        self._writers: list[asyncio.StreamWriter] = []

    def cut(self) -> None:
        """Break what is connected; new connections work."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on bytes, or hold them while hanging."""
        self._writers.append(writer)
        try:
            while data := await reader.read(65536):
                while self.hanging and not writer.is_closing():
                    await asyncio.sleep(0.01)
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def relay_to(port: int) -> AsyncIterator[Relay]:
    """Yield a relay to a loopback port."""
    relay = Relay()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        relay.connections += 1
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(relay.pump(reader, there_writer), relay.pump(there_reader, writer))

    listener = await asyncio.start_server(accept, "127.0.0.1", 0)
    relay.port = listener.sockets[0].getsockname()[1]
    try:
        yield relay
    finally:
        relay.cut()
        listener.close()
        await asyncio.sleep(0)
