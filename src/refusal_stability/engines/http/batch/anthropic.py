"""Anthropic's message batches: the requests themselves are posted, and one file holds all results.

A batch has no metadata. So one whose creation nobody saw is told by what the server lists: newer than the newest batch
before it, of its size, and with results of its custom ids. Results are there only once a whole batch has ended.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from refusal_stability.engines.http.batch.endpoints import (
    CANCELLED,
    EXPIRED,
    MOST_TRIES_AT_A_FULL_QUEUE,
    Endpoints,
    Line,
    NotThere,
    Unsettled,
    named,
)
from refusal_stability.engines.http.batch.journal import Batch
from refusal_stability.engines.http.errors import one_line
from refusal_stability.engines.http.said import Fault, token_count
from refusal_stability.engines.http.transport import MOST_BYTES, Reply, TooLarge, body_of

PATH = "/messages/batches"
LISTED_AT_ONCE = 1000
KINDS = ("processing", "succeeded", "errored", "canceled", "expired")
ENDED_WITHOUT_ANSWER = {"expired": EXPIRED, "canceled": CANCELLED}


class AnthropicBatches(Endpoints):
    """Anthropic's endpoints for message batches."""

    LIST = PATH
    # 256 MB are allowed.
    MOST_BYTES = 250_000_000
    HEAD, BETWEEN, TAIL = b'{"requests":[', b",", b"]}"

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._first_keys: dict[str, str] = {}

    def line(self, key: str, body: dict[str, Any]) -> bytes:
        """One request of the batch."""
        return json.dumps({"custom_id": key, "params": body}).encode()

    def newest(self) -> str:
        """The first of the list."""
        page = self._patiently(lambda: self._call("GET", PATH, query="limit=1")).get("data")
        return named(page[0]) if isinstance(page, list) and page and isinstance(page[0], dict) else ""

    def send(self, batch: Batch, file: Path, others_wait: bool) -> str:
        """Post the file. A create that broke off is never repeated blindly: the batch may be there and be paid for."""

        async def create() -> str:
            with file.open("rb") as content:
                return named(await self._call("POST", PATH, content))

        return self._patiently(create, repeatable=False, tries=MOST_TRIES_AT_A_FULL_QUEUE if others_wait else 0)

    def find(self, batch: Batch, keys: Collection[str], known: Collection[str]) -> str | None:
        """The batch with results of these keys, among those that are newer than the newest one before it."""

        async def found() -> str | None:
            undecided = False
            async for one in self._listed(PATH, LISTED_AT_ONCE, "after_id"):
                name = named(one)
                if name == batch.newest_before:
                    break
                if name in known or sum(_counts(one).values()) != batch.requests:
                    continue
                if one.get("processing_status") != "ended":
                    undecided = True
                elif one.get("results_url"):
                    if name not in self._first_keys:
                        self._first_keys[name] = await self._first_key(name)
                    if self._first_keys[name] in keys:
                        return name
            if undecided:
                raise Unsettled(f"a batch of {batch.requests:,} requests that has not ended may be {batch.name}")
            return None

        return self._patiently(found)

    def update(self, batch: Batch) -> list[str]:
        """A batch that ended is named by the worst that happened to a request, as OpenAI names batches."""
        said = self._patiently(lambda: self._call("GET", f"{PATH}/{batch.batch_id}"))
        counts = _counts(said)
        batch.completed, batch.failed = counts["succeeded"], counts["errored"]
        batch.state = one_line(str(said.get("processing_status") or batch.state))
        if batch.state == "ended":
            batch.state = "cancelled" if counts["canceled"] else "expired" if counts["expired"] else "completed"
            batch.output = "results" if said.get("results_url") else ""
        return []

    def files(self, batch: Batch) -> Sequence[tuple[str, int]]:
        """The results, a line for each request. The key goes to this server only, whatever `results_url` names."""
        if not batch.output:
            raise NotThere("it has no results_url any more; results are kept for 29 days")
        return [(_results(batch.batch_id), batch.requests)]

    def read_line(self, key: str, line: dict[str, Any]) -> Line:
        """A result succeeded with a message, errored with an error, was canceled, or expired."""
        result = line.get("result")
        kind, said = (str(result.get("type")), result) if isinstance(result, dict) else ("", {})
        if kind == "succeeded":
            message = said.get("message")
            return key, Reply(200, {}, json.dumps(message), message), ""
        error = said.get("error") or {"error": {"type": "api_error", "message": f"no answer ({kind or 'no result'})"}}
        return key, Reply(200, {}, json.dumps(error), error), ENDED_WITHOUT_ANSWER.get(kind, "")

    async def _first_key(self, name: str) -> str:
        """The custom id of the first result."""
        async with self._at("GET", _results(name)) as response:
            if response.status != 200:
                self._good(self.reply(response.status, response.headers, await body_of(response)))
            line = b""
            async for part in response.content.iter_any():
                line += part
                if b"\n" in part:
                    break
                if len(line) > MOST_BYTES:
                    raise TooLarge("the first line of a batch's results has no end")
        first = self.reply(200, {}, line.partition(b"\n")[0]).answer
        if not isinstance(first, dict):
            raise Fault("the first result cannot be read")
        return str(first.get("custom_id"))


def _results(name: str) -> str:
    return f"{PATH}/{name}/results"


def _counts(said: Mapping[str, Any]) -> dict[str, int]:
    counts = said.get("request_counts")
    return {kind: token_count(counts.get(kind)) if isinstance(counts, dict) else 0 for kind in KINDS}
