"""What the batch endpoints of every vendor share: patience, downloads, errors; each vendor's own part is a subclass."""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, ClassVar, TypeVar

from refusal_stability.engines.http.batch.journal import Batch
from refusal_stability.engines.http.error_names import Meaning
from refusal_stability.engines.http.errors import ServerError, read_error
from refusal_stability.engines.http.said import Fault
from refusal_stability.engines.http.transport import (
    LONGEST_BACKOFF_S,
    LONGEST_WAIT_S,
    SHORTEST_WAIT_GROWS_TO_S,
    SHORTEST_WAIT_S,
    Reply,
    TooLarge,
    Transport,
    body_of,
)
from refusal_stability.engines.protocol import EngineError

# A file of whole lines that is too short each time is so at the server too. Another look costs less than an answer.
MOST_DOWNLOADS_OF_A_SHORT_FILE = 3
SHORTEST_BACKOFF_S = 0.5
MOST_DOWNLOADED, LONGEST_FILE_S = 4 << 30, 3600.0
MOST_PAGES = 10_000
# While others wait at the server, a queue that is full is left alone until one of them ends.
MOST_TRIES_AT_A_FULL_QUEUE = 3
EXPIRED, CANCELLED, UNREADABLE = "batch_expired", "batch_cancelled", "unreadable"
CUSTOM_ID = re.compile(rb'"custom_id"\s*:\s*"\s*([0-9A-Za-z]+)\s*"')
# Gemini's have a slash.
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./:=+~-]{0,999}")
Line = tuple[str, Reply, str]
T = TypeVar("T")


class NotThere(Exception):
    """The server does not know what was asked for."""


class Unsettled(Exception):
    """Nobody can say yet whether the server knows a batch."""


class Full(Exception):
    """The server takes no more batches for now."""


class Endpoints(Transport, ABC):
    """The batch endpoints of one server; parameters as for `Transport`, whose address is that of single requests.

    Attributes
    ----------
    LIST : where the server lists its batches.
    MOST_BYTES : the vendor's limit on what is sent for a batch.
    HEAD, BETWEEN, TAIL : what stands around the requests in it.
    """

    LIST: ClassVar[str]
    MOST_BYTES: ClassVar[int]
    HEAD: ClassVar[bytes] = b""
    BETWEEN: ClassVar[bytes] = b"\n"
    TAIL: ClassVar[bytes] = b"\n"

    @abstractmethod
    def line(self, key: str, body: dict[str, Any]) -> bytes:
        """One request of a batch."""

    def write(self, file: Path, lines: Iterable[bytes]) -> tuple[str, int, int]:
        """Write what is sent for a batch, as many of these requests as the vendor takes at once.

        Returns its SHA-256, its size and the number of requests.
        """
        digest, size, count = hashlib.sha256(), len(self.TAIL), 0
        with file.open("wb") as out:
            for line in lines:
                part = (self.BETWEEN if count else self.HEAD) + line
                if count and size + len(part) > self.MOST_BYTES:
                    break
                out.write(part)
                digest.update(part)
                size, count = size + len(part), count + 1
            out.write(self.TAIL)
            digest.update(self.TAIL)
        return digest.hexdigest(), size, count

    def newest(self) -> str:
        """The server's name of its newest batch, where a lost batch is looked for behind that; else empty."""
        return ""

    @abstractmethod
    def send(self, batch: Batch, file: Path, others_wait: bool) -> str:
        """Create a batch of a file; returns the server's name of it.

        Raises
        ------
        Unsettled
            The server may or may not have created it.
        Full
            The server takes no more, and `others_wait` there.
        """

    @abstractmethod
    def find(self, batch: Batch, keys: Collection[str], known: Collection[str]) -> str | None:
        """The server's name of a batch whose creation nobody saw; None where there is no such batch.

        Parameters
        ----------
        batch : as it was written down before it was sent.
        keys : its custom ids.
        known : the server's names of all other batches of this store.

        Raises
        ------
        Unsettled
            It may be one of those that have not ended.
        """

    @abstractmethod
    def update(self, batch: Batch) -> list[str]:
        """Bring a batch up to date with the server; returns why the server refused its file, if it did."""

    @abstractmethod
    def files(self, batch: Batch) -> Sequence[tuple[str, int]]:
        """The paths at which an ended batch's answers are, and how many lines each has; raises `NotThere`."""

    @abstractmethod
    def read_line(self, key: str, line: dict[str, Any]) -> Line:
        """The (custom id, reply, error's name) of a line of answers; a reply may be an error of the batch."""

    def fetch(self, path: str, into: Path, lines: int) -> None:
        """Download a file of at least so many lines.

        One that stays shorter is taken as it is after some tries, but never one without any answer, such as a proxy's
        page, nor one whose last line is cut: what it lacks may be paid for.
        """
        tries = 0

        async def whole() -> None:
            nonlocal tries
            tries += 1
            with into.open("wb") as file:
                await self._download(path, file)
            found, last = 0, b""
            with into.open("rb") as file:
                for line in file:
                    last = line.rstrip() or last
                    found += b'"custom_id"' in line and last.endswith(b"}")
            short = found < lines and tries < MOST_DOWNLOADS_OF_A_SHORT_FILE
            if short or not found or not last.endswith(b"}"):
                raise Fault(f"{found:,} of {max(1, lines):,} answers were downloaded")

        self._patiently(whole)

    def replies(self, file: Path) -> Iterator[Line]:
        """What each line says. One that cannot be read is `UNREADABLE`, with its custom id where that can be seen."""
        with file.open("rb") as lines:
            for line in lines:
                whole = self.reply(200, {}, line).answer
                if isinstance(whole, dict) and isinstance(key := whole.get("custom_id"), str):
                    yield self.read_line(key.strip().lower(), whole)
                elif line.strip():
                    named_here = CUSTOM_ID.search(line)
                    yield named_here[1].decode().lower() if named_here else "", Reply(0, {}, "", None), UNREADABLE

    async def _call(self, method: str, path: str, data: Any = None, query: str = "") -> dict[str, Any]:
        async with self._at(method, path, query, data=data) as response:
            return self._good(self.reply(response.status, response.headers, await body_of(response)))

    async def _listed(self, path: str, limit: int, cursor: str) -> AsyncIterator[dict[str, Any]]:
        """What a list holds, page by page, the newest first."""
        after = ""
        for _ in range(MOST_PAGES):
            said = await self._call("GET", path, query=f"limit={limit}{after}")
            page = [one for one in said.get("data") or [] if isinstance(one, dict)]
            for one in page:
                yield one
            if not (said.get("has_more") and page):
                return
            before, after = after, f"&{cursor}={named(page[-1])}"
            if after == before:
                raise Fault("the list of batches names its last page again and again")

    async def _download(self, path: str, file: IO[bytes]) -> None:
        async with self._at("GET", path) as response:
            if response.status != 200:
                self._good(self.reply(response.status, response.headers, await body_of(response)))
            async for part in response.content.iter_any():
                file.write(part)
                if file.tell() > MOST_DOWNLOADED:
                    raise TooLarge(f"the file of answers is larger than {MOST_DOWNLOADED >> 30} GiB")

    def _at(self, method: str, path: str, query: str = "", **more: Any) -> Any:
        """One request; a whole file may take an hour."""
        import aiohttp

        root = self.address.removesuffix(self.path)
        asked = "&".join(part for part in (self._query, query) if part)
        timeout = aiohttp.ClientTimeout(
            total=LONGEST_FILE_S, sock_connect=self._settings.timeout_s, sock_read=self._settings.timeout_s
        )
        url = f"{root}{path}?{asked}" if asked else root + path
        return self._session.request(method, url, allow_redirects=False, proxy=self._proxy, timeout=timeout, **more)

    def _good(self, reply: Reply) -> dict[str, Any]:
        """The answer of a request that did what was asked."""
        error = read_error(reply.status, reply.headers, reply.answer if reply.status != 200 else None, reply.raw)
        if error is not None:
            raise _Refused(error.cleaned(self.clean))
        if not isinstance(reply.answer, dict):
            raise Fault("the answer is no JSON object")
        return reply.answer

    def _patiently(self, act: Callable[[], Coroutine[Any, Any, T]], repeatable: bool = True, tries: int = 0) -> T:
        """What an action brings, tried again while its failure may pass.

        Parameters
        ----------
        act : the action.
        repeatable : whether it may be done twice. If not, only what the server has plainly refused is tried again.
        tries : of an action that the server is too busy for; 0 for as many as its patience lasts.

        Raises
        ------
        NotThere
            The server does not know what was asked for.
        Unsettled
            An action that is not repeatable may have been done.
        Full
            The server was too busy `tries` times.
        EngineError
            The account is at fault, or the server keeps failing.
        """
        patience, faults, pauses = time.monotonic() + LONGEST_WAIT_S, 0, 0
        while True:
            try:
                return asyncio.run(self._opened(act))
            except _Refused as refused:
                error = refused.error
                if error.status == 404:
                    raise NotThere(str(error)) from refused
                passing = error.meaning in (Meaning.BUSY, Meaning.PASSING)
                if not passing:
                    raise EngineError(
                        f"{self._where}: the server refuses batches: {error}; nothing is lost"
                    ) from refused
                wait, reason = error.wait, str(error)
                busy = error.meaning is Meaning.BUSY
                pauses += busy
                if busy and pauses == tries:
                    raise Full(reason) from refused
            except TooLarge as error:
                raise EngineError(
                    f"{self._where}.settings.base_url: {self._settings.base_url}: {error}; check the server. Batches "
                    "that were sent go on there: run the same command again, and their answers are taken"
                ) from error
            except Fault as fault:
                wait, reason, busy = None, str(fault), False
            if not (repeatable or busy):
                raise Unsettled(reason)
            faults += not (busy and time.monotonic() < patience)
            if faults > self._settings.max_retries:
                raise EngineError(
                    f"{self._where}.settings.base_url: {self._settings.base_url} keeps failing: {reason}; batches that "
                    "were sent go on at the server: run the same command again, and their answers are taken"
                )
            self.say("batch", f"{reason}; trying again")
            floor = min(SHORTEST_WAIT_GROWS_TO_S, SHORTEST_WAIT_S * 2 ** min(pauses, 10))
            asked = max(floor, wait) if wait is not None else SHORTEST_BACKOFF_S * 2**faults
            time.sleep(min(LONGEST_BACKOFF_S, asked))

    async def _opened(self, act: Callable[[], Coroutine[Any, Any, T]]) -> T:
        import aiohttp

        try:
            async with self.open():
                return await act()
        except aiohttp.ClientError as error:
            raise Fault(f"the connection broke ({type(error).__name__})") from error
        except asyncio.TimeoutError as error:
            raise Fault(f"no answer within {self._settings.timeout_s:g} s") from error


class _Refused(Exception):
    def __init__(self, error: ServerError) -> None:
        super().__init__(str(error))
        self.error = error


def named(said: dict[str, Any]) -> str:
    """The id that an answer names."""
    if not (name := name_in(said, "id")):
        raise Fault("the answer names no id")
    return name


def name_in(said: dict[str, Any], field: str) -> str:
    """The server's name of a batch or a file; empty where there is none that can stand in an address."""
    name = said.get(field)
    return name if isinstance(name, str) and ID.fullmatch(name) and ".." not in name else ""
