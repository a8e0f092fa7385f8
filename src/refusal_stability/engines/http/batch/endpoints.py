"""OpenAI's endpoints for files and batches: send a file, create a batch, find it, look at it, fetch its answers."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import IO, Any, TypeVar

from refusal_stability.engines.http.batch.journal import Batch
from refusal_stability.engines.http.error_names import Meaning
from refusal_stability.engines.http.errors import ServerError, one_line, read_error
from refusal_stability.engines.http.said import Fault, token_count
from refusal_stability.engines.http.transport import LONGEST_BACKOFF_S, LONGEST_WAIT_S, Reply, Transport
from refusal_stability.engines.protocol import EngineError

NAMED_IN_METADATA = "refusal_stability_batch"
WINDOW = "24h"
LISTED_AT_ONCE = 100
# A file that lacks lines each time lacks them at the server too.
MOST_DOWNLOADS_OF_A_SHORT_FILE = 2
SHORTEST_BACKOFF_S = 0.5
T = TypeVar("T")


class NotThere(Exception):
    """The server does not know what was asked for."""


class Endpoints(Transport):
    """The batch endpoints of one server; parameters as for `Transport`, whose address is that of single requests."""

    def send(self, batch: Batch, file: Path) -> str:
        """Upload a batch's file and create the batch; returns the server's name of it.

        Whether a create that broke off reached the server is asked of its list before it is tried again.
        """
        file_id = self._patiently(lambda: self._upload(file))
        asked = {
            "input_file_id": file_id,
            "endpoint": "/v1/chat/completions",
            "completion_window": WINDOW,
            "metadata": {NAMED_IN_METADATA: batch.name, "sha256": batch.sha256},
        }
        broke = False

        async def create() -> str:
            nonlocal broke
            if broke and (found := await self._found(batch.name)):
                return found
            broke = True
            return _named(await self._call("POST", "/batches", asked))

        return self._patiently(create)

    def find(self, name: str) -> str | None:
        """The server's name of the batch whose metadata holds `name`; None where there is no such batch."""
        return self._patiently(lambda: self._found(name))

    def update(self, batch: Batch) -> list[str]:
        """Bring a batch up to date with the server; returns why the server refused its file, if it did."""
        said = self._patiently(lambda: self._call("GET", f"/batches/{batch.batch_id}"))
        counts = said.get("request_counts") or {}
        batch.state = str(said.get("status") or batch.state)
        batch.completed = token_count(counts.get("completed")) if isinstance(counts, dict) else 0
        batch.failed = token_count(counts.get("failed")) if isinstance(counts, dict) else 0
        batch.output, batch.errors = str(said.get("output_file_id") or ""), str(said.get("error_file_id") or "")
        found = said.get("errors")
        listed = found.get("data") if isinstance(found, dict) else found
        return [one_line(self.clean(json.dumps(error))) for error in listed] if isinstance(listed, list) else []

    def fetch(self, file_id: str, into: Path, lines: int) -> None:
        """Download a file of at least so many lines. A file that stays shorter is taken as it is, after some tries."""
        tries = 0

        async def whole() -> None:
            nonlocal tries
            tries += 1
            with into.open("wb") as file:
                await self._download(f"/files/{file_id}/content", file)
            with into.open("rb") as file:
                found = sum(1 for line in file if line.rstrip().endswith(b"}"))
            if found < lines and tries < MOST_DOWNLOADS_OF_A_SHORT_FILE:
                raise Fault(f"{found:,} of {lines:,} answers were downloaded")

        self._patiently(whole)

    def replies(self, file: Path) -> Iterator[tuple[str, Reply, str]]:
        """The (custom id, reply, error's name) of each line that can be read; a reply may be an error of the batch."""
        with file.open("rb") as lines:
            for line in lines:
                whole = self.reply(200, {}, line).answer
                if not isinstance(whole, dict) or not isinstance(key := whole.get("custom_id"), str):
                    continue
                response, error = whole.get("response"), whole.get("error")
                if isinstance(response, dict):
                    body = response.get("body")
                    status = response.get("status_code")
                    raw = body if isinstance(body, str) else json.dumps(body)
                    yield key, Reply(status if isinstance(status, int) else 0, {}, raw, body), ""
                else:
                    name = error.get("code") if isinstance(error, dict) else None
                    yield key, Reply(200, {}, json.dumps(error), {"error": error or "no answer"}), str(name or "")

    async def _found(self, name: str) -> str | None:
        after = ""
        while True:
            said = await self._call("GET", "/batches", query=f"limit={LISTED_AT_ONCE}{after}")
            listed = [one for one in said.get("data") or [] if isinstance(one, dict)]
            for one in listed:
                if (one.get("metadata") or {}).get(NAMED_IN_METADATA) == name:
                    return _named(one)
            if not (said.get("has_more") and listed):
                return None
            after = f"&after={_named(listed[-1])}"

    async def _upload(self, file: Path) -> str:
        import aiohttp

        with file.open("rb") as content:
            form = aiohttp.FormData({"purpose": "batch"})
            form.add_field("file", content, filename=file.name, content_type="application/jsonl")
            parts = form()
            async with self._at("POST", "/files", data=parts, headers={"Content-Type": parts.content_type}) as response:
                return _named(self._good(self.reply(response.status, response.headers, await response.read())))

    async def _call(self, method: str, path: str, body: Any = None, query: str = "") -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        async with self._at(method, path, query, data=data) as response:
            return self._good(self.reply(response.status, response.headers, await response.read()))

    async def _download(self, path: str, file: IO[bytes]) -> None:
        async with self._at("GET", path) as response:
            if response.status != 200:
                self._good(self.reply(response.status, response.headers, await response.read()))
            async for part in response.content.iter_any():
                file.write(part)

    def _at(self, method: str, path: str, query: str = "", **more: Any) -> Any:
        """One request; no limit on the time of a whole file, only on that without a byte."""
        import aiohttp

        root = self.address.removesuffix(self.path)
        asked = "&".join(part for part in (self._query, query) if part)
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=self._settings.timeout_s, sock_read=self._settings.timeout_s
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

    def _patiently(self, act: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What an action brings, tried again while its failure may pass.

        Raises
        ------
        NotThere
            The server does not know what was asked for.
        EngineError
            The account is at fault, or the server keeps failing.
        """
        patience, tries = time.monotonic() + LONGEST_WAIT_S, 0
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
                busy = error.meaning is Meaning.BUSY and time.monotonic() < patience
            except Fault as fault:
                wait, reason, busy = None, str(fault), False
            tries += not busy
            if tries > self._settings.max_retries:
                raise EngineError(
                    f"{self._where}.settings.base_url: {self._settings.base_url} keeps failing: {reason}; batches that "
                    "were sent go on at the server: run the same command again, and their answers are taken"
                )
            self.say("batch", f"{reason}; trying again")
            time.sleep(min(LONGEST_BACKOFF_S, wait if wait is not None else SHORTEST_BACKOFF_S * 2**tries))

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


def _named(said: dict[str, Any]) -> str:
    name = said.get("id")
    if not isinstance(name, str) or not name:
        raise Fault("the answer names no id")
    return name
