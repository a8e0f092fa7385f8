"""OpenAI's batch files: the output, and the input that holds the prompts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from refusal_stability.exchange.log_format import ImportOptions, log_format
from refusal_stability.exchange.log_prompt import answer_text, first_record, logged_number, logged_prompt
from refusal_stability.exchange.logged import LogError, LoggedResponse
from refusal_stability.tables.user_files import UserRow, every_row

SOURCE = "openai-batch"
NO_ANSWER = "the batch has no answer"


def is_batch_file(path: Path) -> bool:
    """Whether a file is a batch's input or output."""
    found = first_record(path) if path.suffix == ".jsonl" else {}
    return "custom_id" in found and not {"body", "response", "error"}.isdisjoint(found)


@log_format("openai-batch", is_batch_file)
def batch_responses(paths: Sequence[Path], options: ImportOptions) -> Iterator[LoggedResponse]:
    """Every choice of every answered request; a request without an answer is missing."""
    asked: dict[str, tuple[str, Mapping[str, Any]]] = {}
    outputs = []
    for path in paths:
        if "body" in first_record(path):
            for row in every_row(path):
                name, body = str(row.values.get("custom_id")), row.values.get("body") or {}
                if not body.get("messages"):
                    raise LogError(f"{row.place}: no messages; batches of /v1/chat/completions are read")
                place, other = asked.setdefault(name, (row.place, body))
                if other != body:
                    raise LogError(
                        f"{row.place}: custom_id {name!r} is another request in {place}; import these batches as two "
                        "studies"
                    )
        else:
            outputs.append(path)
    if not asked:
        raise LogError(f"{paths[0]}: a batch's output has no prompts; import the batch's input file with it")
    answered = set()
    for path in outputs:
        for row in every_row(path):
            name = str(row.values.get("custom_id"))
            if name not in asked:
                raise LogError(f"{row.place}: custom_id {name!r} is in no input file; import the batch's own")
            if name in answered:
                raise LogError(f"{row.place}: custom_id {name!r} is answered twice; import one of its outputs")
            answered.add(name)
            yield from _choices(row, asked[name][1], options)
    for name, (place, body) in asked.items():
        if name not in answered:
            yield _one(place, body, {}, NO_ANSWER, options)


def _choices(row: UserRow, body: Mapping[str, Any], options: ImportOptions) -> Iterator[LoggedResponse]:
    response = row.values.get("response") or {}
    answer = response.get("body") or {}
    error = row.values.get("error") or answer.get("error")
    choices = answer.get("choices") or []
    if error or response.get("status_code") != 200:
        said = error.get("message") if isinstance(error, dict) else error
        told = " ".join(str(said or f"status {response.get('status_code')}").split())[:200]
        yield _one(row.place, body, {}, f"error: {told}", options)
    elif not choices:
        yield _one(row.place, body, {}, NO_ANSWER, options)
    for choice in choices:
        yield _one(row.place, body, choice, "", options)


def _one(
    place: str, body: Mapping[str, Any], choice: Mapping[str, Any], reason: str, options: ImportOptions
) -> LoggedResponse:
    message = choice.get("message") or {}
    temperature = body.get("temperature", options.temperature)
    return LoggedResponse(
        place,
        str(body.get("model") or ""),
        logged_prompt(place, body.get("messages"), SOURCE),
        logged_number(place, "temperature", temperature),
        None,
        answer_text(message.get("content")),
        "refusal" if message.get("refusal") else str(choice.get("finish_reason") or ""),
        reason,
        thinking=str(message.get("reasoning_content") or ""),
    )
