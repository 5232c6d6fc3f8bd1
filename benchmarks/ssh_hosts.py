"""Many SSH hosts in one process: ``python -m benchmarks.ssh_hosts FILE``.

FILE, JSON: hosts, real, host_key, client_key. ``real`` of the ``hosts`` run what they are asked for,
/bin/sh -s with its script, in a home of their own. The others read the script whole, take the nonce from it,
and say at once what the wrapper (agent.shell.wrapper) would say of ``uptime``: its opening line on both
streams, a line of output, exit 0. The exchange on the wire is the same. Prints their ports and that of a host
that passes on to them; each line on stdin
("cut") breaks every connection, so that the next command starts cold.
"""

import asyncio
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncssh

from agent.shell.wrapper import REQUEST

NONCE = re.compile(r"^n='([0-9a-f]+)'$", re.MULTILINE)
UPTIME = b" 12:00:00 up 1 day,  1:00,  0 users,  load average: 0.00, 0.00, 0.00\n"

connections: set[asyncssh.SSHServerConnection] = set()


class Host(asyncssh.SSHServer):
    """Lets whoever has the key in."""

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """Note the connection, to cut it later."""
        self._conn = conn
        connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        connections.discard(self._conn)


class Jump(Host):
    """Passes on to any port of this machine."""

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> bool:
        """Let it through."""
        return dest_host == "127.0.0.1"


async def canned(process: "asyncssh.SSHServerProcess[bytes]") -> None:
    """Answer as the wrapper would, or as ``uptime`` where there is no wrapper (ansible's raw)."""
    if process.command == REQUEST:
        script = (await process.stdin.read()).decode()
        found = NONCE.search(script)
        assert found, "the wrapper's script has changed"
        line = f"it0-{found[1]} started\n".encode()
        process.stdout.write(line)
        process.stderr.write(line)
    process.stdout.write(UPTIME)
    process.exit(0)


def really(home: Path) -> Callable[["asyncssh.SSHServerProcess[bytes]"], Any]:
    """Return a handler that runs what it is asked for."""

    async def handle(process: "asyncssh.SSHServerProcess[bytes]") -> None:
        child = await asyncio.create_subprocess_exec(
            "/bin/sh",
            "-c",
            f"exec {process.command}",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={"HOME": str(home), "USER": "bench", "LOGNAME": "bench", "PATH": os.environ["PATH"]},
        )
        given = await process.stdin.read() if process.command == REQUEST else b""
        out, error = await child.communicate(given)
        process.stdout.write(out)
        process.stderr.write(error)
        process.exit(child.returncode or 0)

    return handle


async def main(file: Path) -> None:
    """Serve until stdin is closed."""
    given = json.loads(file.read_text())
    host_key = asyncssh.import_private_key(given["host_key"])
    allowed = asyncssh.import_authorized_keys(given["client_key"])
    with tempfile.TemporaryDirectory(prefix="it0-bench-home-") as folder:
        keys = {"server_host_keys": [host_key], "authorized_client_keys": allowed, "login_timeout": 0}
        jump = await asyncssh.listen("127.0.0.1", 0, server_factory=Jump, **keys)
        ports = []
        for number in range(given["hosts"]):
            home = Path(folder) / str(number)
            home.mkdir()
            acceptor = await asyncssh.listen(
                "127.0.0.1",
                0,
                server_factory=Host,
                process_factory=really(home) if number < given["real"] else canned,
                encoding=None,
                allow_scp=False,
                backlog=100,
                **keys,
            )
            ports.append(acceptor.get_port())
        print(json.dumps({"ports": ports, "jump": jump.get_port()}), flush=True)
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
        )
        while await reader.readline():
            for conn in tuple(connections):
                conn.abort()
            while connections:
                await asyncio.sleep(0.01)
            print("cut", flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
