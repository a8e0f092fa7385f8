"""Bodies sent over aiohttp's connections, and through `ClientSession.post`: a server sees and gives the same."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Awaitable, Callable

import aiohttp
import pytest

from refusal_stability.engines.http import body, exchange
from refusal_stability.engines.http.exchange import Exchanges

GOOD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\nfine"
Seen = list[tuple[int, dict[str, str], bytes]]


@pytest.fixture(params=["connection", "session"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Over a connection, or as with an aiohttp that was not tried."""
    if request.param == "session":
        monkeypatch.setattr(exchange, "TRIED", ((0, 0), (0, 0)))
    return str(request.param)


def exchanged(
    answers: list[bytes | None],
    use: Callable[[Exchanges], Awaitable[None]],
    headers: dict[str, str] | None = None,
    seconds: float = 60.0,
) -> Seen:
    """What a server saw (connection, headers, body) that gives these answers in turn; None stands for silence."""
    seen: Seen = []
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        number = connections
        try:
            while answers:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                lines = head.strip().split("\r\n")
                sent = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:])}
                early = answers[0] is not None and b"early" in answers[0]
                content = b"" if early else await reader.readexactly(int(sent["content-length"]))
                seen.append((number, {":": lines[0], **sent}, content))
                if (answer := answers.pop(0)) is None:
                    await asyncio.sleep(3600)
                    return
                writer.write(answer)
                if not answer.startswith(b"HTTP") or b"connection: close" in answer:
                    return
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def run() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        wait = aiohttp.ClientTimeout(total=seconds)
        connector = aiohttp.TCPConnector(limit=1)
        async with aiohttp.ClientSession(connector=connector, headers=headers, timeout=wait) as session:
            await use(Exchanges(session, f"http://localhost:{port}/v1/chat?a=b c", None))
        server.close()

    asyncio.run(run())
    return seen


def twice(first: bytes, second: bytes) -> Callable[[Exchanges], Awaitable[None]]:
    """Send a body twice; the answers' contents must be these."""

    async def use(exchanges: Exchanges) -> None:
        assert (await exchanges.post(b'{"a": 1}'))[2] == first
        assert (await exchanges.post(b'{"a": 1}'))[2] == second

    return use


def test_the_server_sees_the_same_request_either_way(monkeypatch: pytest.MonkeyPatch) -> None:
    headers = {"Content-Type": "application/json", "Authorization": "Bearer k", "X-Own": "caf\u00e9"}
    over_a_connection = exchanged([GOOD, GOOD], twice(b"fine", b"fine"), headers)
    monkeypatch.setattr(exchange, "TRIED", ((0, 0), (0, 0)))
    through_the_session = exchanged([GOOD, GOOD], twice(b"fine", b"fine"), headers)
    for one, other in zip(over_a_connection, through_the_session, strict=True):
        assert one[0] == other[0] == 1
        assert one[2] == other[2] == b'{"a": 1}'
        assert {**one[1], "host": ""} == {**other[1], "host": ""}


@pytest.mark.parametrize(
    ("answer", "content"),
    [
        (GOOD, b"fine"),
        (b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n" + GOOD, b"fine"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nfi\r\n2\r\nne\r\n0\r\n\r\n", b"fine"),
        (b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nfine", b"fine"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b"
            % (len(packed := gzip.compress(b"fine", mtime=0)), packed),
            b"fine",
        ),
    ],
    ids=["plain", "after early hints", "in chunks", "up to the end", "no content", "compressed"],
)
def test_answers_of_every_form_are_read_and_the_next_request_works(way: str, answer: bytes, content: bytes) -> None:
    seen = exchanged([answer, GOOD], twice(content, b"fine"))
    assert [number for number, _, _ in seen] == ([1, 2] if b"close" in answer else [1, 1])


def test_a_cookie_that_the_server_sets_is_sent_back(way: str) -> None:
    baked = GOOD.replace(b"\r\n\r\n", b"\r\nSet-Cookie: route=7\r\n\r\n")

    async def use(exchanges: Exchanges) -> None:
        for _ in range(3):
            await exchanges.post(b"{}")

    seen = exchanged([baked, baked, GOOD], use)
    assert seen[2][1]["cookie"] == "route=7"


def test_a_server_that_answers_before_it_read_the_body_spoils_no_other_request(way: str) -> None:
    early = b"HTTP/1.1 413 early\r\nContent-Length: 0\r\nconnection: close\r\n\r\n"

    async def use(exchanges: Exchanges) -> None:
        try:
            status, _, _ = await exchanges.post(b"x" * 50_000_000)
            assert status == 413
        except aiohttp.ClientError:
            # The server closed while the body was under way.
            pass
        assert (await exchanges.post(b"{}"))[2] == b"fine"

    seen = exchanged([early, GOOD], use)
    assert [(number, content) for number, _, content in seen] == [(1, b""), (2, b"{}")]


CUT = b"HTTP/1.1 200 OK\r\nconnection: close\r\nContent-Length: 5\r\n\r\nfine"


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 abc\r\nconnection: close\r\n\r\n", CUT], ids=["closed", "no status", "cut"]
)
def test_what_is_no_answer_is_an_error_of_the_client(way: str, answer: bytes) -> None:
    async def use(exchanges: Exchanges) -> None:
        with pytest.raises(aiohttp.ClientError):
            await exchanges.post(b"{}")

    assert len(exchanged([answer], use)) == 1


def test_a_silent_server_is_given_up_in_time_and_the_connection_is_not_used_again(way: str) -> None:
    async def use(exchanges: Exchanges) -> None:
        with pytest.raises(asyncio.TimeoutError):
            await exchanges.post(b"{}")
        with pytest.raises(asyncio.TimeoutError):
            await exchanges.post(b"{}")

    used = [number for number, _, _ in exchanged([None, None], use, seconds=0.5)]
    assert len(used) == len(set(used))


def test_an_answer_that_is_too_large_is_given_up(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "MOST_BYTES", 3)

    async def use(exchanges: Exchanges) -> None:
        with pytest.raises(body.TooLarge):
            await exchanges.post(b"{}")
        monkeypatch.setattr(body, "MOST_BYTES", 4)
        assert (await exchanges.post(b"{}"))[2] == b"fine"

    assert len(exchanged([GOOD, GOOD], use)) == 2


def test_a_header_that_cannot_be_sent_is_refused(way: str) -> None:
    async def use(exchanges: Exchanges) -> None:
        with pytest.raises(ValueError, match=r"(?i)header|newline|carriage"):
            await exchanges.post(b"{}")

    assert exchanged([GOOD], use, {"X-Own": "a\r\nX-Other: b"}) == []
