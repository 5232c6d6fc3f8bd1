"""``fan_out``: one command on 200 hosts through gate and audit, beside bare asyncssh, and beside ansible."""

import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncssh
from sqlalchemy import select

from agent.shell.connect import QUICK_CIPHERS
from benchmarks.grounds import Bot, Ground, Page, Person, environment, free_port, ground, page, signed_in
from benchmarks.measure import Figure, alternated, compared, cpu_s, table
from core.ids import new_id
from core.store import fleet, tables
from core.store.database import Database, Statement
from core.work import Server

HOSTS = 200
REAL = 4
REFUSING = 5
GOOD = HOSTS - REFUSING - 1
FAN_OUT = 50
USER = "bench"
CONNECT_S = "10"


class Helper:
    """A child process that does one thing for each line it is told."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        """Return the process's id."""
        return self._process.pid

    def tell(self, word: str) -> None:
        """Tell it a word and do not wait."""
        assert self._process.stdin
        self._process.stdin.write(f"{word}\n".encode())

    async def line(self) -> Any:
        """Return what it says next."""
        assert self._process.stdout
        said = await self._process.stdout.readline()
        if not said:
            raise RuntimeError("a helper of fan_out ended")
        return json.loads(said) if said[:1] in b"[{" else said

    async def ask(self, word: str) -> Any:
        """Tell it a word and return its answer."""
        self.tell(word)
        return await self.line()


@asynccontextmanager
async def helper(module: str, file: Path, given: dict[str, Any], **more: str) -> AsyncIterator[Helper]:
    """Yield a running module of ours that reads ``given`` from ``file``. more: of its environment."""
    file.touch(mode=0o600)
    file.write_text(json.dumps(given))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        str(file),
        cwd=file.parent,
        env=environment(**more),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        limit=2**20,
    )
    try:
        yield Helper(process)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


class Hosts:
    """The hosts' keys and ports. bad: one that hangs, and those that refuse."""

    def __init__(self) -> None:
        self.host_key = asyncssh.generate_private_key("ssh-ed25519")
        self.client_key = asyncssh.generate_private_key("ssh-ed25519")
        self.ports: list[int] = []
        self.jump = 0
        self._hung = socket.socket()
        self._hung.bind(("127.0.0.1", 0))
        self._hung.listen(16)  # the kernel accepts, and nobody ever says a word
        self.bad = [int(self._hung.getsockname()[1]), *(free_port() for _ in range(REFUSING))]

    @property
    def private(self) -> str:
        """Return the client's key."""
        return self.client_key.export_private_key("openssh").decode()

    @property
    def public(self) -> str:
        """Return the hosts' key in one line."""
        return " ".join(self.host_key.export_public_key("openssh").decode().split()[:2])

    def for_server(self) -> dict[str, Any]:
        """Return what benchmarks.ssh_hosts needs."""
        return {
            "hosts": HOSTS,
            "real": REAL,
            "host_key": self.host_key.export_private_key("openssh").decode(),
            "client_key": self.client_key.export_public_key("openssh").decode(),
        }

    def for_bare(self, ciphers: str = "", jump: int = 0) -> dict[str, Any]:
        """Return what benchmarks.bare_ssh needs. ciphers: "" for its own; jump: a port, or 0."""
        return {
            "ports": self.ports,
            "user": USER,
            "host_key": self.public,
            "client_key": self.private,
            "fan_out": FAN_OUT,
            "ciphers": ciphers,
            "jump": jump,
        }

    def close(self) -> None:
        """Close the port that hangs."""
        self._hung.close()


async def add(land: Ground, person: Person, hosts: Hosts) -> None:
    """Put the hosts into the inventory.

    ``#all`` work, ``#some`` are 194 of them and the bad ones, ``#behind`` are all once more, through another.
    """
    secret = {"name": "bench", "kind": "ssh_key", "secret": hosts.private}
    await person.post("/api/v1/credentials", secret)
    async with Database.open(land.owner_url, size=2) as database:
        async with database.reading() as db:
            tenant = await db.value(Statement(select(tables.tenants.c.id)))
        async with database.transaction(f"it0_t_{tenant}", tenant) as tx:
            row = await tx.one(fleet.CREDENTIAL_NAMED, name="bench")
            assert row
            good = [("all", "some")] * GOOD + [("all",)] * (HOSTS - GOOD)
            places = [*zip(hosts.ports, good, strict=True), *((port, ("some",)) for port in hosts.bad)]
            for number, (port, tags) in enumerate(places):
                one = server(f"h{number:03}", port, tags, row["id"], hosts.public)
                await tx.run(fleet.ADD_SERVER, **fleet.server_row(one, datetime.now(UTC)))
            gate = server("gate", hosts.jump, ("gate",), row["id"], hosts.public)
            await tx.run(fleet.ADD_SERVER, **fleet.server_row(gate, datetime.now(UTC)))
            for number, port in enumerate(hosts.ports):
                one = server(f"b{number:03}", port, ("behind",), row["id"], hosts.public, gate.id)
                await tx.run(fleet.ADD_SERVER, **fleet.server_row(one, datetime.now(UTC)))


def server(
    name: str, port: int, tags: Sequence[str], credential: str, host_key: str, jump: str | None = None
) -> Server:
    """Return a host's entry."""
    return Server(
        id=new_id(),
        name=name,
        connection="ssh",
        host="127.0.0.1",
        port=port,
        environment="dev",
        role=None,
        ssh_user=USER,
        credential_id=credential,
        jump_server_id=jump,
        ssh_options={},
        tags=dict.fromkeys(tags, "1"),
        status="active",
        description="",
        host_key=host_key,
    )


class Series:
    """What was measured of one side."""

    def __init__(self) -> None:
        self.cold: list[float] = []
        self.reused: list[float] = []
        self.cold_cpu: list[float] = []
        self.reused_cpu: list[float] = []


class Rounds:
    """Measures ours and the baseline."""

    def __init__(
        self,
        bot: Bot,
        talker: Page,
        conversation: str,
        machine: Helper,
        bare: Helper,
        quick: Helper,
        through: Helper,
    ) -> None:
        self._bot = bot
        self._talker = talker
        self._conversation = conversation
        self._machine = machine
        self._bare = bare
        self._quick = quick
        self._through = through
        self.ours = Series()
        self.behind = Series()
        self.through = Series()
        self.theirs = Series()
        self.quick = Series()
        self.healthy: list[float] = []
        self.troubled: list[float] = []

    async def _run(self, group: str) -> tuple[float, float]:
        """Return (seconds, CPU seconds) from the message to its reply."""
        self._talker.output_of.clear()
        cpu, began = cpu_s(self._bot.pid), time.monotonic()
        await self._talker.ask(f"/run #{group} uptime", self._conversation)
        return time.monotonic() - began, cpu_s(self._bot.pid) - cpu

    async def measure_ours(self) -> None:
        """Run one cold and two reused rounds."""
        await self._measure_group("all", self.ours)

    async def measure_behind(self) -> None:
        """Run the same through another host."""
        await self._measure_group("behind", self.behind)

    async def measure_through(self) -> None:
        """Run the same with bare asyncssh."""
        await self._measure(self._through, self.through)

    async def _measure_group(self, group: str, series: Series) -> None:
        await self._machine.ask("cut")
        await asyncio.sleep(0.3)
        seconds, cpu = await self._run(group)
        series.cold.append(seconds)
        series.cold_cpu.append(cpu)
        again = [await self._run(group) for _ in range(2)]
        series.reused.append(statistics.mean(seconds for seconds, _ in again))
        series.reused_cpu.append(statistics.mean(cpu for _, cpu in again))

    async def measure_bare(self) -> None:
        """Run one cold and two reused rounds of bare asyncssh."""
        await self._measure(self._bare, self.theirs)

    async def measure_quick(self) -> None:
        """Run the same with our ciphers."""
        await self._measure(self._quick, self.quick)

    async def _measure(self, bare: Helper, series: Series) -> None:
        await self._machine.ask("cut")
        await asyncio.sleep(0.3)
        cold = await bare.ask("cold")
        series.cold.append(cold["seconds"])
        series.cold_cpu.append(cold["cpu"])
        again = [await bare.ask("reused") for _ in range(2)]
        series.reused.append(statistics.mean(each["seconds"] for each in again))
        series.reused_cpu.append(statistics.mean(each["cpu"] for each in again))

    async def _last_good(self, group: str) -> float:
        """Return when the slowest of the 194 had answered; each shows its output as it comes."""
        await self._machine.ask("cut")
        await asyncio.sleep(0.3)
        self._talker.output_of.clear()
        began = time.monotonic()
        reply = await self._talker.say(f"/run #{group} uptime", self._conversation)
        good = {f"h{number:03}" for number in range(GOOD)}
        while not good <= self._talker.output_of.keys():
            if reply.done() or time.monotonic() - began > 60:
                raise RuntimeError(f"not all of the {GOOD} hosts were seen to answer")
            await asyncio.sleep(0.002)
        seen = max(self._talker.output_of[name] for name in good)
        await reply
        return seen - began

    async def measure_troubled(self) -> None:
        """Run on 194 good hosts, one that hangs and five that refuse."""
        self.troubled.append(await self._last_good("some"))

    async def measure_healthy(self) -> None:
        """Run on 200 good hosts, looking at the same 194."""
        self.healthy.append(await self._last_good("all"))


async def run(quick: bool) -> str:
    """Return the table."""
    rounds = 3 if quick else 7
    hosts = Hosts()
    async with AsyncExitStack() as stack:
        stack.callback(hosts.close)
        land = await stack.enter_async_context(ground())
        machine = await stack.enter_async_context(
            helper("benchmarks.ssh_hosts", land.folder / "hosts.json", hosts.for_server())
        )
        found = await machine.line()
        hosts.ports, hosts.jump = found["ports"], found["jump"]
        bare = await stack.enter_async_context(
            helper("benchmarks.bare_ssh", land.folder / "bare.json", hosts.for_bare())
        )
        await bare.line()
        quick_bare = await stack.enter_async_context(
            helper("benchmarks.bare_ssh", land.folder / "quick.json", hosts.for_bare(QUICK_CIPHERS))
        )
        await quick_bare.line()
        through = await stack.enter_async_context(
            helper("benchmarks.bare_ssh", land.folder / "through.json", hosts.for_bare(jump=hosts.jump))
        )
        await through.line()
        bot = await stack.enter_async_context(land.bot(FAN_OUT=str(FAN_OUT), CONNECT_TIMEOUT_S=CONNECT_S))
        person = await stack.enter_async_context(signed_in(bot, await bot.link()))
        await add(land, person, hosts)
        talker = await stack.enter_async_context(page(person.session, bot.url))
        measured = Rounds(bot, talker, await talker.ask("hi"), machine, bare, quick_bare, through)
        sides = (measured.measure_ours, measured.measure_bare, measured.measure_quick)
        for side in sides:
            await side()
        measured.ours, measured.theirs, measured.quick = Series(), Series(), Series()
        await alternated(rounds, *sides)
        beyond = (measured.measure_behind, measured.measure_through)
        for side in beyond:
            await side()
        measured.behind, measured.through = Series(), Series()
        await alternated(min(rounds, 5), *beyond)
        await alternated(min(rounds, 5), measured.measure_healthy, measured.measure_troubled)
        ansible, why = (None, "skipped with --quick") if quick else await ansible_raw(land.folder, hosts)
    lines = figures(measured, ansible)
    return table("fan_out", notes(rounds, ansible, why), lines)


async def ansible_raw(folder: Path, hosts: Hosts) -> tuple[tuple[float, float] | None, str]:
    """Return ((cold, again) seconds of ``ansible -m raw -f 50``, ""), or (None, why not)."""
    with tempfile.TemporaryDirectory(prefix="it0-bench-ansible-") as name:
        place = Path(name)
        pip = [place / "venv/bin/python", "-m", "pip", "install", "--quiet", "ansible-core"]
        for command in ([sys.executable, "-m", "venv", place / "venv"], pip):
            made = await asyncio.create_subprocess_exec(*map(str, command), stderr=subprocess.PIPE)
            _, error = await made.communicate()
            if made.returncode:
                return None, f"ansible-core could not be installed: {error.decode()[-200:].strip()}"
        (place / "key").touch(mode=0o600)
        (place / "key").write_text(hosts.private)
        lines = [f"h{n} ansible_host=127.0.0.1 ansible_port={port}" for n, port in enumerate(hosts.ports)]
        (place / "hosts").write_text("\n".join(lines) + "\n")
        (place / "known").write_text("".join(f"[127.0.0.1]:{port} {hosts.public}\n" for port in hosts.ports))
        control = f"-o ControlMaster=auto -o ControlPersist=60s -o ControlPath={place}/%C -F /dev/null"
        variables = {
            **{k: v for k, v in os.environ.items() if k in ("PATH", "LANG")},
            "HOME": name,
            "ANSIBLE_SSH_ARGS": f"{control} -o UserKnownHostsFile={place}/known -o StrictHostKeyChecking=yes",
            "LC_ALL": "C.UTF-8",
        }
        words = ["all", "-i", place / "hosts", "-m", "raw", "-f", "50", "-a", "uptime", "-u", USER]
        command = [place / "venv/bin/ansible", *words, "--private-key", place / "key"]
        times = []
        for _ in range(2):
            began = time.monotonic()
            process = await asyncio.create_subprocess_exec(
                *map(str, command), env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
            said, _ = await process.communicate()
            times.append(time.monotonic() - began)
            if process.returncode or said.count(b"load average") != HOSTS:
                return None, f"ansible failed: {said.decode()[-200:].strip()}"
        return (times[0], times[1]), ""


def figures(measured: Rounds, ansible: tuple[float, float] | None) -> list[Figure]:
    """Return the table's lines."""
    ours, theirs = measured.ours, measured.theirs
    cold, reused = statistics.median(ours.cold), statistics.median(ours.reused)
    good, bad = measured.healthy, measured.troubled
    own = statistics.median(reused / cold for reused, cold in zip(ours.reused, ours.cold, strict=True))
    lines = [
        compared("200 hosts, cold (H1)", ours.cold, theirs.cold, 1.5, "s"),
        compared("200 hosts, reused connections (H1)", ours.reused, theirs.reused, 1.5, "s"),
        Figure("reused, beside our own cold (H1)", reused, cold, own, 0.5, "s"),
        compared(
            "reused, beside bare asyncssh with our ciphers", ours.reused, measured.quick.reused, None, "s"
        ),
        compared("cold, beside bare asyncssh with our ciphers", ours.cold, measured.quick.cold, None, "s"),
        compared("the client's CPU, cold", ours.cold_cpu, theirs.cold_cpu, None, "s"),
        compared("the client's CPU, reused", ours.reused_cpu, theirs.reused_cpu, None, "s"),
        compared("200 hosts behind a jump host, cold", measured.behind.cold, measured.through.cold, 1.5, "s"),
        compared("the same, reused connections", measured.behind.reused, measured.through.reused, 1.5, "s"),
        compared("194 hosts beside 1 hung and 5 refusing (H2)", bad, good, 1.2, "s"),
    ]
    if ansible:
        first, again = ansible
        lines.append(Figure("cold, beside ansible -m raw -f 50 (H1)", cold, first, cold / first, 0.2, "s"))
        lines.append(Figure("reused, beside ansible again", reused, again, reused / again, None, "s"))
    return lines


def notes(rounds: int, ansible: tuple[float, float] | None, why: str) -> list[str]:
    """Return what the table stands on."""
    told = [
        f"`/run #all uptime` in the console, from the message to the reply: gate, audit, run record,"
        f" {FAN_OUT} at once; {rounds} rounds",
        f"hosts: one asyncssh process on {HOSTS} loopback ports; {REAL} run the wrapper's script in a real"
        " /bin/sh, the others read it and say what it would say",
        "baseline: bare asyncssh with the ciphers it chooses (ChaCha20; it0 asks for AES-GCM), the same"
        " script, host keys verified, 50 at once",
        "jump host: one more of that process, one connection to it carries all; bare asyncssh does the same",
        "H2: until the slowest of the same 194 hosts had answered, beside 200 hosts that all work; cold",
    ]
    if ansible:
        told.append("ansible-core with ControlPersist, the same hosts and keys, one cold run and one more")
    else:
        told.append(f"ANSIBLE SKIPPED: {why}")
    return told
