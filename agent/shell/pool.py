"""SSH connections, kept and shared, and when they are closed."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import asyncssh

from agent.shell.connect import connect, connect_s, seen_host_key, unreachable
from agent.shell.output import OnData
from agent.shell.process import Process
from core.errors import ServerUnreachable
from core.ports import Target
from core.texts import say

SESSIONS = 8
"""At most on one connection; OpenSSH's MaxSessions is 10, and two stay free for Stop."""

IDLE_S = 300.0
ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Key:
    """What a connection may be shared by. before: the same of the jump server."""

    tenant_id: str
    server_id: str
    credential_version: str
    host_key: str
    host: str
    port: int
    user: str
    before: "Key | None"

    @staticmethod
    def of(target: Target) -> "Key":
        """Return the key of ``target``, with its whole way."""
        server = target.server
        return Key(
            target.tenant_id,
            server.id,
            target.credential_version,
            server.host_key or "",
            server.host,
            server.port,
            server.ssh_user,
            Key.of(target.jump) if target.jump else None,
        )


class MaybeStarted(Exception):
    """The connection broke while a restricted server took the command; it may run."""


class Entry:
    """One connection, being made or made; ``leases`` counts who needs it: processes, and tunnels through it.

    fresh: nobody has used it yet. credentials: the ids of what opens it.
    """

    def __init__(self, key: Key, credential_id: str | None) -> None:
        self.key = key
        self.credentials = {credential_id}
        self.leases = 0
        self.fresh = True
        self.retired = False
        self.slots = asyncio.Semaphore(SESSIONS)
        self.conn: asyncssh.SSHClientConnection | None = None
        self.making: asyncio.Task[asyncssh.SSHClientConnection] | None = None
        self.before: Entry | None = None
        self.timer: asyncio.TimerHandle | None = None


class Pool:
    """Connections by ``Key``. A new one is made when there is none, and closed when idle.

    connect_timeout_s: for each connection on the way; idle_s: until an unused one is closed.
    """

    def __init__(self, connect_timeout_s: float = 10.0, idle_s: float = IDLE_S) -> None:
        self._connect_timeout_s = connect_timeout_s
        self._idle_s = idle_s
        self._entries: dict[Key, Entry] = {}
        self._all: set[Entry] = set()
        self._opening: set[asyncio.Task[Process]] = set()

    async def open(self, target: Target, request: str, on_data: OnData, extra: bool = False) -> Process:
        """Return a new process of ``target`` that was asked for by ``request``.

        extra: do not queue behind the connection's other processes. Raises It0Error if there is none, and
        MaybeStarted.
        """
        # A kept connection may be dead without our knowing. Asking again is safe with the wrapper, whose
        # script is not sent yet, but not with a restricted server, where the request is the command.
        for attempt in range(ATTEMPTS):
            entry = await self._lease(target)
            kept, entry.fresh = not entry.fresh, False
            try:
                return await self._start(entry, target, request, on_data, extra, kept)
            except (asyncssh.Error, OSError, TimeoutError) as error:
                self._retire(entry)
                if target.server.restricted and not isinstance(error, asyncssh.ChannelOpenError):
                    raise MaybeStarted from None
                if not kept or attempt == ATTEMPTS - 1:
                    raise unreachable(target.server, error, self._limit(target)) from None
            finally:
                self._release(entry)
        raise AssertionError("unreachable")

    async def reach(self, target: Target) -> None:
        """Make the connection to ``target`` if there is none; raises It0Error."""
        self._release(await self._lease(target))

    async def host_key(self, target: Target) -> str:
        """Return the host key that ``target`` shows, reached through its jump servers."""
        if target.jump is None:
            return await seen_host_key(target, None, self._connect_timeout_s)
        before = await self._lease(target.jump)
        try:
            return await seen_host_key(target, before.conn, self._connect_timeout_s)
        finally:
            self._release(before)

    def forget(self, tenant_id: str, server_id: str) -> None:
        """Close the connections to a server now."""
        self._abort(lambda entry: (entry.key.tenant_id, entry.key.server_id) == (tenant_id, server_id))

    def forget_credential(self, credential_id: str) -> None:
        """Close what a credential opened now."""
        self._abort(lambda entry: credential_id in entry.credentials)

    async def close(self) -> None:
        """Close everything."""
        entries = list(self._all)
        making = [entry.making for entry in entries if entry.making]
        for task in making:
            task.cancel()
        await asyncio.gather(*making, return_exceptions=True)
        for entry in entries:
            self._shut(entry)
        await asyncio.gather(*(entry.conn.wait_closed() for entry in entries if entry.conn))

    def _limit(self, target: Target) -> float:
        return connect_s(target.server, self._connect_timeout_s)

    async def _start(
        self, entry: Entry, target: Target, request: str, on_data: OnData, extra: bool, kept: bool
    ) -> Process:
        """Return a process on the connection of ``entry``, which it holds until closed."""
        if not extra:
            await entry.slots.acquire()
        entry.leases += 1

        def release() -> None:
            if not extra:
                entry.slots.release()
            self._release(entry)

        task = asyncio.create_task(self._session(entry, request, on_data))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)
        try:
            async with asyncio.timeout(self._limit(target)):
                process = await asyncio.shield(task)
        except BaseException:
            # asyncssh leaves a half-opened channel behind when cancelled, so it is opened first, then closed.
            task.add_done_callback(_close_late)
            release()
            raise
        process.release = release
        process.fresh_connection = not kept
        return process

    async def _session(self, entry: Entry, request: str, on_data: OnData) -> Process:
        """Return a new session of a connection."""
        if entry.conn is None or entry.conn.is_closed():
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, "connection closed")
        process = Process(on_data)
        await entry.conn.create_session(
            lambda: process, request, encoding=None, request_pty=False, x11_forwarding=False
        )
        return process

    async def _lease(self, target: Target) -> Entry:
        """Return the connection to ``target``, made if need be; give it back by ``_release``."""
        key = Key.of(target)
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = Entry(key, target.server.credential_id)
            self._all.add(entry)
            entry.making = asyncio.create_task(self._make(entry, target))
            entry.making.add_done_callback(_noted)
        entry.leases += 1
        if entry.timer:
            entry.timer.cancel()
            entry.timer = None
        try:
            if entry.making:
                await asyncio.shield(entry.making)
        except BaseException:
            self._release(entry)
            raise
        return entry

    async def _make(self, entry: Entry, target: Target) -> asyncssh.SSHClientConnection:
        """Connect ``entry``; it is gone from the pool when that fails or when the connection ends."""
        try:
            if target.jump:
                entry.before = await self._lease(target.jump)
            tunnel = entry.before.conn if entry.before else None
            entry.conn, credential_id = await connect(
                target, tunnel, self._connect_timeout_s, lambda: self._lost(entry)
            )
            entry.credentials.add(credential_id)
            # It was forgotten meanwhile: what opened it may no longer be used.
            if entry.retired:
                entry.conn.close()
                raise ServerUnreachable(server=target.server.name, reason=say("shell.reason_lost"))
            return entry.conn
        except BaseException:
            self._lost(entry)
            raise
        finally:
            entry.making = None

    def _lost(self, entry: Entry) -> None:
        """Forget a connection that is gone."""
        self._retire(entry)
        self._all.discard(entry)
        before, entry.before = entry.before, None
        if before:
            self._release(before)

    def _retire(self, entry: Entry) -> None:
        """Give a connection to nobody new; those who use it keep it."""
        entry.retired = True
        if self._entries.get(entry.key) is entry:
            del self._entries[entry.key]

    def _release(self, entry: Entry) -> None:
        """Give a lease back; an unused connection is closed after a while."""
        entry.leases -= 1
        if entry.leases or entry not in self._all:
            return
        if entry.retired:
            self._shut(entry)
        elif entry.timer is None:
            entry.timer = asyncio.get_running_loop().call_later(self._idle_s, self._shut, entry)

    def _shut(self, entry: Entry) -> None:
        """Close a connection now."""
        if entry.timer:
            entry.timer.cancel()
        self._retire(entry)
        if entry.conn:
            entry.conn.close()

    def _abort(self, wanted: Callable[[Entry], bool]) -> None:
        """Close the connections that are ``wanted``."""
        for entry in [entry for entry in self._all if wanted(entry)]:
            self._shut(entry)


def _noted(task: "asyncio.Task[asyncssh.SSHClientConnection]") -> None:
    """Look at the error of a connection that nobody waits for any more."""
    if not task.cancelled():
        task.exception()


def _close_late(task: "asyncio.Task[Process]") -> None:
    """Close a process that came when nobody waited for it any more."""
    if not task.cancelled() and task.exception() is None:
        task.result().close()
