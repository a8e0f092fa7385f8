"""OpenAI's batches: a file of requests, a batch of the file, and files with answers and errors."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from refusal_stability.engines.http.batch.endpoints import Endpoints, Line, name_in, named
from refusal_stability.engines.http.batch.journal import Batch
from refusal_stability.engines.http.errors import one_line
from refusal_stability.engines.http.said import token_count
from refusal_stability.engines.http.transport import Reply, body_of
from refusal_stability.engines.protocol import EngineError

NAMED_IN_METADATA = "refusal_stability_batch"
WINDOW = "24h"
LISTED_AT_ONCE = 100
PATH_OF_A_REQUEST = "/v1/chat/completions"
# How long a batch that has ended may not name the file of its answers.
LONGEST_UNNAMED_S = 600.0
UNNAMED = "finalizing"
OTHER_SPELLINGS = {"canceled": "cancelled"}


class OpenAIBatches(Endpoints):
    """OpenAI's endpoints for files and batches. A batch's metadata holds our name of it."""

    LIST = "/batches"
    MOST_BYTES = 200_000_000

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._unnamed: dict[str, float] = {}

    def line(self, key: str, body: dict[str, Any]) -> bytes:
        """One line of the file."""
        return json.dumps({"custom_id": key, "method": "POST", "url": PATH_OF_A_REQUEST, "body": body}).encode()

    def send(self, batch: Batch, file: Path, others_wait: bool) -> str:
        """Upload the file, and create the batch.

        Whether a create that broke off reached the server is asked of its list before it is tried again.
        """
        file_id = self._patiently(lambda: self._upload(file))
        asked = {
            "input_file_id": file_id,
            "endpoint": PATH_OF_A_REQUEST,
            "completion_window": WINDOW,
            "metadata": {NAMED_IN_METADATA: batch.name, "sha256": batch.sha256},
        }
        broke = False

        async def create() -> str:
            nonlocal broke
            if broke and (found := await self._found(batch.name, file_id)):
                return found
            broke = True
            return named(await self._call("POST", "/batches", json.dumps(asked).encode()))

        return self._patiently(create)

    def find(self, batch: Batch, keys: Collection[str], known: Collection[str]) -> str | None:
        """The server's name of the batch whose metadata holds our name of it."""
        return self._patiently(lambda: self._found(batch.name))

    def update(self, batch: Batch) -> list[str]:
        """Bring a batch up to date with the server; returns why the server refused its file, if it did.

        One with answers that are in no file yet has not ended: to send their requests again would be to pay twice.
        """
        said = self._patiently(lambda: self._call("GET", f"/batches/{batch.batch_id}"))
        counts = said.get("request_counts") or {}
        batch.state = one_line(str(said.get("status") or batch.state))
        batch.state = OTHER_SPELLINGS.get(batch.state, batch.state)
        batch.completed = token_count(counts.get("completed")) if isinstance(counts, dict) else 0
        batch.failed = token_count(counts.get("failed")) if isinstance(counts, dict) else 0
        batch.output, batch.errors = name_in(said, "output_file_id"), name_in(said, "error_file_id")
        if batch.ended and batch.completed and not batch.output:
            since = self._unnamed.setdefault(batch.name, time.monotonic())
            if time.monotonic() - since > LONGEST_UNNAMED_S:
                raise EngineError(
                    f"{self._where}: {batch.batch_id} has {batch.completed:,} answers, and the server names no file of "
                    "them; run the same command again later, and they are taken"
                )
            batch.state = UNNAMED
        found = said.get("errors")
        listed = found.get("data") if isinstance(found, dict) else found
        return [one_line(self.clean(json.dumps(error))) for error in listed] if isinstance(listed, list) else []

    def files(self, batch: Batch) -> Sequence[tuple[str, int]]:
        """The file with answers, then the file with errors."""
        there = (batch.output, batch.completed), (batch.errors, batch.failed)
        return [(f"/files/{file_id}/content", lines) for file_id, lines in there if file_id]

    def read_line(self, key: str, line: dict[str, Any]) -> Line:
        """A line has a response, or an error."""
        response, error = line.get("response"), line.get("error")
        if isinstance(response, dict):
            body, status = response.get("body"), response.get("status_code")
            if isinstance(body, str):
                return key, self.reply(_status(status), {}, body.encode()), ""
            return key, Reply(_status(status), {}, json.dumps(body), body), ""
        name = error.get("code") if isinstance(error, dict) else None
        return key, Reply(200, {}, json.dumps(error), {"error": error or "no answer"}), str(name or "")

    async def _found(self, name: str, file_id: str | None = None) -> str | None:
        """The batch of our name, or of a file that we uploaded: some servers keep no metadata."""
        async for one in self._listed(self.LIST, LISTED_AT_ONCE, "after"):
            found = one.get("metadata")
            ours = isinstance(found, dict) and found.get(NAMED_IN_METADATA) == name
            if ours or (file_id is not None and one.get("input_file_id") == file_id):
                return named(one)
        return None

    async def _upload(self, file: Path) -> str:
        import aiohttp

        with file.open("rb") as content:
            form = aiohttp.FormData({"purpose": "batch"})
            form.add_field("file", content, filename=file.name, content_type="application/jsonl")
            parts = form()
            async with self._at("POST", "/files", data=parts, headers={"Content-Type": parts.content_type}) as response:
                return named(self._good(self.reply(response.status, response.headers, await body_of(response))))


def _status(said: Any) -> int:
    """A line's HTTP status, which some servers write as a text or leave out; every success is 200."""
    if isinstance(said, str) and said.isdecimal() and len(said) == 3:
        said = int(said)
    if said is None or (isinstance(said, int) and 200 <= said < 300):
        return 200
    return said if isinstance(said, int) else 0
