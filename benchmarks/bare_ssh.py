"""The baseline of ``fan_out``: bare asyncssh, the same bytes; its own choice of ciphers unless told.

``python -m benchmarks.bare_ssh FILE``, JSON: ports, user, host_key (public), client_key (private),
fan_out, ciphers, jump (the port of a host to go through, 0 for none).
Each line on stdin asks for a round: ``cold`` connects anew, ``reused`` uses the last round's connections.
Prints seconds and CPU seconds, JSON.
"""

import asyncio
import json
import os
import secrets
import sys
import time
from pathlib import Path
from typing import Any

import asyncssh

from agent.shell.connect import KEEPALIVE_COUNT, KEEPALIVE_S, _alone
from agent.shell.hostkeys import algorithms
from agent.shell.wrapper import REQUEST, marker, run_script
from core.ports import Order


class Client:
    """Runs ``uptime`` on every host, as many at once as ours."""

    def __init__(self, given: dict[str, Any]) -> None:
        self._ports = given["ports"]
        self._jump = given["jump"]
        self._slots = asyncio.Semaphore(given["fan_out"])
        self._connections: dict[int, asyncssh.SSHClientConnection] = {}
        pinned = asyncssh.import_public_key(given["host_key"])
        self._options = {
            **_alone(),
            "client_keys": [asyncssh.import_private_key(given["client_key"])],
            "username": given["user"],
            "known_hosts": ([pinned], [], []),
            "server_host_key_algs": algorithms(pinned, False),
            "preferred_auth": ["publickey"],
            "compression_algs": ["none"],
            "connect_timeout": 10,
            "login_timeout": 10,
            "keepalive_interval": KEEPALIVE_S,
            "keepalive_count_max": KEEPALIVE_COUNT,
            **({"encryption_algs": given["ciphers"]} if given["ciphers"] else {}),
        }

    async def round(self, cold: bool) -> None:
        """Ask every host once."""
        if cold:
            for connection in self._connections.values():
                connection.abort()
            self._connections.clear()
            if self._jump:
                self._connections[0] = await asyncssh.connect("127.0.0.1", self._jump, **self._options)
        run_id = secrets.token_hex(16)
        await asyncio.gather(*(self._one(port, run_id) for port in self._ports))

    async def _one(self, port: int, run_id: str) -> None:
        async with self._slots:
            if port not in self._connections:
                self._connections[port] = await asyncssh.connect(
                    "127.0.0.1", port, tunnel=self._connections.get(0, ()), **self._options
                )
            order = Order(run_id, "uptime", 60)
            nonce = secrets.token_hex(16)
            script = run_script(order, marker(run_id, str(port)), nonce)
            done = await self._connections[port].run(REQUEST, input=script, encoding=None)
            assert done.exit_status == 0, done
            assert isinstance(done.stdout, bytes)
            assert done.stdout.startswith(f"it0-{nonce} started\n".encode())


async def main(file: Path) -> None:
    """Serve rounds until stdin is closed."""
    client = Client(json.loads(file.read_text()))
    print("ready", flush=True)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := await reader.readline():
        began, cpu = time.perf_counter(), sum(os.times()[:2])
        await client.round(line == b"cold\n")
        used = {"seconds": time.perf_counter() - began, "cpu": sum(os.times()[:2]) - cpu}
        print(json.dumps(used), flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
