"""A chat-completions server on loopback that answers at once: what a client's own overhead is measured against.

`python loopback_server.py` prints its port and serves until killed. `GET /count` tells how many completions were asked.
No framework: on two shared cores each microsecond here is one less for the client.
"""

from __future__ import annotations

import asyncio
import http.client
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# With the text an answer of 530 bytes, about the mean of the published Llama responses.
SENTENCES = b" And so it goes on, at about the length that a model of eight billion parameters gives its answers." * 5
ANSWER = (
    b'{"id":"x","object":"chat.completion","model":"loopback","choices":[{"index":0,"message":{"role":"assistant",'
    b'"content":"Answer of seed %s.'
    + SENTENCES
    + b'"},"finish_reason":"stop"}],"usage":{"prompt_tokens":20,"completion_tokens":132,"total_tokens":152}}'
)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


class Connection(asyncio.Protocol):
    """One connection; requests of all connections are counted together."""

    asked = 0

    def __init__(self) -> None:
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is whole."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            start = head.find(b"content-length:")
            length = int(head[start + 15 :].split(b"\r\n", 1)[0]) if start >= 0 else 0
            if len(self._buffer) < end + 4 + length:
                return
            body = self._buffer[end + 4 : end + 4 + length]
            self._buffer = self._buffer[end + 4 + length :]
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"get "):
            content = b"%d" % Connection.asked
        else:
            Connection.asked += 1
            # Every seed its own text: equal ones would look like a server that ignores seeds.
            seed = body[body.find(b'"seed":') + 7 :].lstrip().split(b",", 1)[0]
            content = ANSWER % seed
        self._transport.write(HEAD % len(content) + content)


@contextmanager
def serving() -> Iterator[int]:
    """A server process of its own, for as long as the block runs; gives its port."""
    process = subprocess.Popen([sys.executable, str(Path(__file__))], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


def asked_of(port: int) -> int:
    """How many completions the server was asked so far."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/count")
        return int(connection.getresponse().read())
    finally:
        connection.close()


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())
