"""One POST after another to one address, over aiohttp's own connections and its own reading of answers.

`ClientSession.post` works out anew for every request what never changes in a run: address, headers, cookies, proxy,
redirects, and a task for the body. That takes two thirds of its CPU time (107 us against 37 on two busy cores). Here
the head of a request is written once. Connections, TLS, limits and the parsing of answers stay aiohttp's.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from refusal_stability.engines.http.body import body_of

if TYPE_CHECKING:
    import aiohttp

if sys.version_info >= (3, 11):
    from asyncio import timeout
else:
    from async_timeout import timeout

# aiohttp documents the connector, not what its connections read. These versions were tried.
TRIED = ((3, 12), (3, 14))
LENGTH = "content-length"
# Headers that say how a body is sent.
FRAMING = (LENGTH, "transfer-encoding", "content-encoding", "expect", "connection")


class Exchanges:
    """Send bodies to one address and read what comes back.

    Parameters
    ----------
    session : holds connector, headers, cookies and the timeout.
    url : the whole address.
    proxy : the proxy on the way, or None.

    Notes
    -----
    Whatever is out of the ordinary goes through `ClientSession.post`: a proxy, a login in the address, a header that
    cannot be sent, a server that sets cookies, and an aiohttp that was not tried.
    """

    def __init__(self, session: aiohttp.ClientSession, url: str, proxy: str | None) -> None:
        import aiohttp
        from yarl import URL

        self._session, self._url, self._proxy = session, url, proxy
        self._seconds = session.timeout.total
        self._head: bytes | None = None
        version = tuple(int(part) for part in aiohttp.__version__.split(".")[:2])
        if proxy is not None or not TRIED[0] <= version <= TRIED[1]:
            return
        address = URL(url)
        if address.scheme not in ("http", "https") or not address.raw_host or address.user or address.password:
            return
        loop = asyncio.get_running_loop()
        self._request = aiohttp.ClientRequest("POST", address, headers=session.headers, loop=loop, session=session)
        headers = [(name, value) for name, value in self._request.headers.items() if name.lower() != LENGTH]
        lines = [f"POST {address.raw_path_qs} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
        ordinary = not any(name in session.headers for name in FRAMING)
        if ordinary and all(line.isprintable() for line in lines):
            self._head = "\r\n".join([*lines, "Content-Length: "]).encode()

    async def post(self, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and body of the answer.

        Raises
        ------
        TooLarge
            The answer is given up for its size.
        asyncio.TimeoutError
            It did not come in time.
        aiohttp.ClientError
            No connection, or one that broke, or no HTTP.
        """
        import aiohttp

        if self._head is None:
            sent = self._session.post(self._url, data=body, allow_redirects=False, proxy=self._proxy)
            async with sent as response:
                return response.status, response.headers, await body_of(response.content)
        try:
            async with timeout(self._seconds):
                return await self._over_a_connection(self._head, body)
        except OSError as error:
            if isinstance(error, aiohttp.ClientError) or (isinstance(error, asyncio.TimeoutError) and not error.args):
                raise
            raise aiohttp.ClientOSError(*error.args) from error

    async def _over_a_connection(self, head: bytes, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        import aiohttp
        from aiohttp.http import HttpProcessingError

        connector = self._session.connector
        assert connector is not None
        connection = await connector.connect(self._request, [], self._session.timeout)
        try:
            protocol, transport = connection.protocol, connection.transport
            if protocol is None or transport is None or transport.is_closing():
                raise aiohttp.ServerDisconnectedError
            protocol.set_response_params(read_until_eof=True)
            transport.write(b"%b%d\r\n\r\n%b" % (head, len(body), body))
            try:
                message, content = await protocol.read()
                while 100 <= message.code < 200 and message.code != 101:
                    message, content = await protocol.read()
            except HttpProcessingError as error:
                raise aiohttp.ClientResponseError(self._request.request_info, (), message=error.message) from error
            found = await body_of(content)
            if "Set-Cookie" in message.headers:
                self._head = None
            if transport.get_write_buffer_size():
                # Answered before all was sent: what is left would be taken for the next request.
                connection.close()
        except BaseException:
            connection.close()
            raise
        connection.release()
        return message.code, message.headers, found
