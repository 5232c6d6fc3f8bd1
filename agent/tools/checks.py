"""Checks from the bot's own machine: does an HTTP address answer, does a TCP port open.

An address is resolved once, judged, and the connection goes to exactly that address (SECURITY N1): public
addresses and those of servers in the inventory are allowed, whatever else lies in private, loopback or
link-local ranges is refused.
"""

import asyncio
import ipaddress
import socket
import time
from typing import Any
from urllib.parse import urljoin, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from pydantic import BaseModel, ConfigDict, Field

from agent.context import Call
from agent.engine import Answer
from agent.fleet.servers import Fleet
from agent.unreached import why_unreached
from core.errors import BadInput, NotAllowed, Refused
from core.tenant import Tenant
from core.texts import say
from core.work import Role, User

TIMEOUT_S = 5.0
MAX_BODY = 1_000_000
MAX_REDIRECTS = 3
METADATA = ("100.100.100.200", "192.0.0.192", "fd00:ec2::254")
"""Where clouds tell a machine its secrets beside 169.254.169.254: Alibaba, Oracle, Amazon by IPv6."""

TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


async def resolve(host: str, port: int, known: set[str]) -> list[str]:
    """Return the addresses of ``host`` that may be connected to.

    known: hosts of the inventory. Raises BadInput when it does not resolve, Refused when it may not be
    reached.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(TIMEOUT_S):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError, UnicodeError) as error:
        raise BadInput("check.no_such_host", host=host) from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    allowed = [each for each in addresses if may_reach(each, {each} if host in known else known)]
    if not allowed and host in addresses:
        raise Refused("check.private_host", host=host)
    if not allowed:
        raise Refused("check.private_address", host=host, address=addresses[0])
    return allowed


def may_reach(address: str, known: set[str]) -> bool:
    """Return whether ``address`` is public or of a server in the inventory.

    Link-local ones never are: there a cloud tells a machine its secrets.
    """
    parsed = ipaddress.ip_address(address.split("%")[0])
    meant = _meant(parsed)
    if meant.is_link_local or str(meant) in METADATA:
        return False
    return not known.isdisjoint((address, str(parsed))) or (meant.is_global and parsed.is_global)


def _meant(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 one leads to: mapped, 6to4, or by a translator (RFC 6052)."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in TRANSLATED:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _operator(user: User) -> None:
    if not user.role.covers(Role.OPERATOR):
        raise NotAllowed("error.operators_only")


async def known_hosts_of(fleet: Fleet, tenant: Tenant) -> set[str]:
    """Return the hosts of the tenant's servers."""
    return {server.host for server in await fleet.servers(tenant)}


class _Checked(AbstractResolver):
    """Resolves to the addresses that were judged, so that a second answer of the DNS changes nothing."""

    def __init__(self, known: set[str]) -> None:
        self._known = known

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the allowed addresses of ``host``."""
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=0,
            )
            for address in await resolve(host, port, self._known)
        ]

    async def close(self) -> None:
        """Nothing to close."""


class TcpArguments(BaseModel):
    """What ``check_tcp`` takes."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    host: str = Field(min_length=1, max_length=253)
    port: int = Field(ge=1, le=65535)


class CheckTcp:
    """Opens a TCP connection and closes it."""

    name = "check_tcp"
    description = "Check from the bot's machine whether a TCP port of a host accepts connections."
    arguments = TcpArguments

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    async def __call__(self, call: Call, arguments: TcpArguments) -> Answer:
        """Answer whether it opened and how long that took."""
        _operator(call.work.user)
        known = await known_hosts_of(self._fleet, call.work.tenant)
        address = (await resolve(arguments.host, arguments.port, known))[0]
        began = time.monotonic()
        where = {"host": arguments.host, "port": arguments.port}
        try:
            async with asyncio.timeout(TIMEOUT_S):
                _, writer = await asyncio.open_connection(address, arguments.port)
        except (OSError, TimeoutError) as error:
            reason = why_unreached(error, TIMEOUT_S)
            return Answer("done", (say("check.tcp_closed", **where, reason=reason),), {"open": False})
        milliseconds = round((time.monotonic() - began) * 1000)
        writer.close()
        return Answer("done", (say("check.tcp_open", **where, ms=milliseconds),), {"open": True})


class HttpArguments(BaseModel):
    """What ``check_http`` takes."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    url: str = Field(max_length=2048)


class CheckHttp:
    """Asks for an address and reports the status."""

    name = "check_http"
    description = "Check from the bot's machine whether an HTTP(S) address answers, with which status."
    arguments = HttpArguments

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    async def __call__(self, call: Call, arguments: HttpArguments) -> Answer:
        """Answer with status, time and size."""
        _operator(call.work.user)
        known = await known_hosts_of(self._fleet, call.work.tenant)
        began = time.monotonic()
        try:
            async with asyncio.timeout(TIMEOUT_S):
                status, size = await self._fetch(arguments.url, known)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            reason = why_unreached(error, TIMEOUT_S)
            return Answer(
                "done", (say("check.http_down", url=arguments.url, reason=reason),), {"status": None}
            )
        ms = round((time.monotonic() - began) * 1000)
        found = {"status": status, "ms": ms, "size": size}
        return Answer("done", (say("check.http_up", url=arguments.url, **found),), found)

    async def _fetch(self, url: str, known: set[str]) -> tuple[int, int]:
        connector = aiohttp.TCPConnector(resolver=_Checked(known), use_dns_cache=False)
        async with aiohttp.ClientSession(connector=connector, trust_env=False) as session:
            for _ in range(MAX_REDIRECTS + 1):
                await _judge(url, known)
                async with session.get(url, allow_redirects=False) as response:
                    location = response.headers.get("Location")
                    if location is None or response.status not in (301, 302, 303, 307, 308):
                        return response.status, len(await response.content.read(MAX_BODY))
                    url = urljoin(url, location)
        raise Refused("check.too_many_redirects", url=url)


async def _judge(url: str, known: set[str]) -> None:
    """Refuse what is no HTTP address, and a literal address that the resolver would not be asked for."""
    try:
        parts: Any = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise BadInput("check.bad_url", url=url) from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadInput("check.bad_url", url=url)
    await resolve(parts.hostname, port, known)
