"""The Telegram client's requests over aiohttp, which costs a third of what its own HTTP client does."""

from typing import Any

import aiohttp
import httpx
from telegram.error import NetworkError, TimedOut
from telegram.request import BaseRequest, RequestData

DEFAULT = BaseRequest.DEFAULT_NONE
CERTIFICATES = httpx.create_ssl_context()
"""As the client's own requests take them: from SSL_CERT_FILE, else those that it brings."""


class Request(BaseRequest):
    """One bot's connections.

    connections: at most so many at once; timeout_s: how long an answer may take that no call says it of.
    """

    def __init__(self, connections: int, timeout_s: float) -> None:
        self._connections = connections
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None

    @property
    def read_timeout(self) -> float:
        """Return how long an answer may take, in seconds."""
        return self._timeout_s

    async def initialize(self) -> None:
        """Be ready for calls."""
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=self._connections, ssl=CERTIFICATES)
            self._session = aiohttp.ClientSession(connector=connector, trust_env=True)

    async def shutdown(self) -> None:
        """Close the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def do_request(
        self,
        url: str,
        method: str,
        request_data: RequestData | None = None,
        read_timeout: Any = DEFAULT,
        write_timeout: Any = DEFAULT,
        connect_timeout: Any = DEFAULT,
        pool_timeout: Any = DEFAULT,
    ) -> tuple[int, bytes]:
        """Return (status, content) of an answer; read_timeout: seconds for the whole of it.

        The other time-outs are within that one. Raises TimedOut and NetworkError.
        """
        await self.initialize()
        assert self._session is not None
        limit = aiohttp.ClientTimeout(total=self._timeout_s if read_timeout is DEFAULT else read_timeout)
        body = _form(request_data) if request_data else None
        try:
            async with self._session.request(
                method, url, data=body, headers={"User-Agent": self.USER_AGENT}, timeout=limit
            ) as answer:
                return answer.status, await answer.read()
        except TimeoutError as error:
            raise TimedOut from error
        except aiohttp.ClientError as error:
            raise NetworkError(f"{type(error).__name__}: {error}") from error


def _form(data: RequestData) -> dict[str, str] | aiohttp.FormData:
    if not data.contains_files:
        return data.json_parameters
    form = aiohttp.FormData(data.json_parameters)
    for name, (filename, content, mimetype) in data.multipart_data.items():
        form.add_field(name, content, filename=filename, content_type=mimetype)
    return form
