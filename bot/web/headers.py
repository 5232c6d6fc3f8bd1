"""The headers that every answer has."""

from aiohttp import web

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(self)",
}


def add_headers(response: web.StreamResponse, cache: str = "no-store") -> None:
    """Give a response the headers that it does not have of its own."""
    for name, value in {**HEADERS, "Cache-Control": cache}.items():
        response.headers.setdefault(name, value)
