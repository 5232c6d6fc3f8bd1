"""Whether the addresses in the settings can be what they are for, asked before anything is started."""

import re
import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

from core.errors import SetupError
from core.settings import Settings

POSTGRES = ("postgresql", "postgres")
REDIS = ("redis", "rediss", "unix")
LEAST_SECRET_BYTES = 32
PLACE = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[^\[\]:/\s]*)(:[0-9]{1,5})?")
"""A host with its port in a URL; PostgreSQL's may name several, with commas between."""


def check_port(settings: Settings) -> None:
    """Look whether the port is free, before a database is made and servers are started for nothing.

    Somebody may still take it in the meantime; then listening fails with the same sentence. Raises
    SetupError.
    """
    host, port = settings.it0_http_host, settings.it0_http_port
    if port == 0:
        return
    try:
        places = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, _, _, address in places:
            with socket.socket(family, kind) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind(address)
    except OSError as error:
        where, reason = f"{host}:{port}", error.strerror or type(error).__name__
        raise SetupError("setup.port_in_use", where=where, reason=reason) from error


def check_keys(settings: Settings) -> None:
    """Look whether tokens can be signed by every process; raises SetupError."""
    if settings.jwt_secret is None:
        raise SetupError("setup.key_not_set", setting="JWT_SECRET")
    # RFC 7518 3.2: a key as long as the hash.
    if len(settings.jwt_secret.get_secret_value().encode()) < LEAST_SECRET_BYTES:
        raise SetupError("setup.jwt_secret_short", least=LEAST_SECRET_BYTES)


def urls(settings: Settings) -> tuple[str | None, str | None]:
    """Return the databases that are set: the application's role's and the owner's.

    Raises SetupError for a database's or Redis's URL that is none, never showing it.
    """
    for name, schemes, key in (
        ("database_url", POSTGRES, "setup.bad_database_url"),
        ("database_admin_url", POSTGRES, "setup.bad_database_url"),
        ("redis_url", REDIS, "setup.bad_redis_url"),
    ):
        given = getattr(settings, name)
        if given is not None and not is_url(given.get_secret_value(), schemes):
            raise SetupError(key, setting=name.upper())
    database, admin = settings.database_url, settings.database_admin_url
    return (
        database.get_secret_value() if database else None,
        admin.get_secret_value() if admin else None,
    )


def is_url(text: str, schemes: Sequence[str]) -> bool:
    """Return whether a client can take ``text`` apart; whether anybody is there is another question."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    if parts.scheme not in schemes or not (parts.netloc or parts.path) or parts.fragment:
        return False
    return all(PLACE.fullmatch(place) for place in parts.netloc.rpartition("@")[2].split(","))
