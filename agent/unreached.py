"""Why a connection did not come about, or ended: in words, never as a library's names."""

import errno
import socket
import ssl

import aiohttp

from core.texts import Say, say

NO_WAY = (None, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN)
"""None: several addresses were tried, each without success for a reason of its own."""


def why_unreached(error: BaseException, timeout_s: float) -> Say:
    """Return in words why TCP, TLS or HTTP got no further.

    timeout_s: how long was waited, which stands in the sentence.
    """
    match error:
        case ssl.SSLCertVerificationError():  # aiohttp's own for certificates is one too
            return say("unreached.certificate")
        case ssl.SSLError() | aiohttp.ClientSSLError():
            return say("unreached.no_tls")
        case aiohttp.ClientConnectorError():
            return why_unreached(error.os_error, timeout_s)
        case TimeoutError():
            return say("shell.reason_silent", seconds=round(timeout_s))
        case ConnectionRefusedError():
            return say("shell.reason_refused")
        case socket.gaierror():
            return say("shell.reason_name")
        case aiohttp.ClientResponseError():
            return say("unreached.no_http")
        case aiohttp.ClientError() | ConnectionError():
            return say("shell.reason_lost")
        case OSError() if error.errno not in NO_WAY:
            return say("unreached.other", code=errno.errorcode.get(error.errno or 0, error.errno))
        case _:
            return say("unreached.no_way")
