"""Anthropic's message batches: the results (JSON lines), and the requests that hold the prompts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from refusal_stability.exchange.formats.openai_batch import responses_of_batches
from refusal_stability.exchange.log_format import ImportOptions, log_format
from refusal_stability.exchange.log_prompt import file_head, first_record, whole_json
from refusal_stability.exchange.logged import LogError, LoggedResponse
from refusal_stability.tables.user_files import UserRow, every_row

SOURCE = "anthropic-batch"
LARGEST_REQUESTS = 256 * 2**20


def is_message_batch(path: Path) -> bool:
    """Whether a file holds the results of a message batch, or its requests as they were sent."""
    if path.suffix == ".json":
        head = file_head(path)
        return all(key in head for key in (b'"custom_id"', b'"params"'))
    found = first_record(path) if path.suffix == ".jsonl" else {}
    return "custom_id" in found and not {"params", "result"}.isdisjoint(found)


@log_format(SOURCE, is_message_batch)
def message_batch_responses(paths: Sequence[Path], options: ImportOptions) -> Iterator[LoggedResponse]:
    """Every answered request; one that failed, expired or was cancelled is missing."""
    for response in responses_of_batches(paths, options, _rows):
        yield replace(response, prompt=replace(response.prompt, source=SOURCE))


def _rows(path: Path) -> Iterator[UserRow]:
    """Each request and each result as OpenAI's batches write it."""
    for row in _requests(path) if path.suffix == ".json" else every_row(path):
        asked = row.values.get("params")
        name = {"custom_id": row.values.get("custom_id")}
        yield replace(row, values=name | ({"body": _body(asked)} if asked else _result(row.values.get("result") or {})))


def _requests(path: Path) -> Iterator[UserRow]:
    """The requests of the JSON that creates a batch, or of a list of them."""
    found = whole_json(path, LARGEST_REQUESTS, "write a request a line (.jsonl)")
    found = found.get("requests") if isinstance(found, dict) else found
    if not (isinstance(found, list) and all(isinstance(one, dict) for one in found)):
        raise LogError(f"{path}: no list of requests with custom_id and params; import the requests as they were sent")
    yield from (UserRow(str(path), number, one) for number, one in enumerate(found, start=1))


def _body(asked: Mapping[str, Any]) -> dict[str, Any]:
    """A request's settings with the system text as its first turn."""
    system = [{"role": "system", "content": asked["system"]}] if asked.get("system") else []
    turns = asked.get("messages")
    return {**asked, "system": None, "messages": [*system, *turns] if isinstance(turns, list) else None}


def _result(result: Mapping[str, Any]) -> dict[str, Any]:
    if result.get("type") != "succeeded":
        error = (result.get("error") or {}).get("error") or {}
        return {"error": {"message": error.get("message") or f"the request has {result.get('type') or 'no result'}"}}
    message = result["message"]
    parts = message.get("content") or []
    text = "".join(str(part.get("text") or "") for part in parts if part.get("type") == "text")
    thinking = "\n".join(str(part.get("thinking") or "") for part in parts if part.get("type") == "thinking")
    choice = {
        "message": {"content": text, "reasoning_content": thinking},
        "finish_reason": message.get("stop_reason"),
    }
    return {"id": message.get("id"), "response": {"status_code": 200, "body": {"choices": [choice]}}}
