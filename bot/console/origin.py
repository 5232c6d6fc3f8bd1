"""Whose page a browser's request comes from."""

from urllib.parse import urlsplit

from aiohttp import web


def same_origin(request: web.Request, secure: bool) -> bool:
    """Return whether a browser's request comes from the console's own pages.

    secure: they are reached by https only, as PUBLIC_URL says.
    """
    try:
        origin = urlsplit(request.headers.get("Origin", ""))
    except ValueError:
        return False
    schemes = ("https",) if secure else ("http", "https")
    return origin.scheme in schemes and bool(origin.netloc) and origin.netloc == request.host
