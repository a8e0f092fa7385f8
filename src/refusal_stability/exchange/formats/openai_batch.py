"""OpenAI's batch files: the output, and the input that holds the prompts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from refusal_stability.engines.http.error_names import Meaning
from refusal_stability.engines.http.errors import read_error
from refusal_stability.exchange.batch_pairs import Asked, LoggedBatch, batches_of
from refusal_stability.exchange.equal_settings import EqualSettings
from refusal_stability.exchange.log_format import ImportOptions, log_format
from refusal_stability.exchange.log_prompt import answer_text, first_record, logged_number, logged_prompt
from refusal_stability.exchange.logged import LogError, LoggedResponse
from refusal_stability.exchange.responses_endpoint import chat_answer, chat_request, is_responses_request
from refusal_stability.tables.user_files import UserRow, every_row

SOURCE = "openai-batch"
NO_ANSWER = "the batch has no answer"
# Of a request's body, what a model does not answer to, or what may differ between repeats.
FREE = {"seed", "n", "metadata", "user", "safety_identifier", "store"}
FREE |= {"service_tier", "prompt_cache_key", "logprobs", "top_logprobs", "include"}
SENT_AGAIN = "requests that failed and were sent again: {}; their answers count"
ANSWERED_AGAIN = "requests answered more than once: {}; each answer is a repeat"
Rows = Callable[[Path], Iterator[UserRow]]
Request = tuple[str, Mapping[str, Any]]


def is_batch_file(path: Path) -> bool:
    """Whether a file is a batch's input or output."""
    found = first_record(path) if path.suffix == ".jsonl" else {}
    return "custom_id" in found and not {"body", "response", "error"}.isdisjoint(found)


@log_format(SOURCE, is_batch_file)
def batch_responses(paths: Sequence[Path], options: ImportOptions) -> Iterator[LoggedResponse]:
    """Every choice of every answered request; a request without an answer is missing."""
    yield from responses_of_batches(paths, options, _rows)


def _rows(path: Path) -> Iterator[UserRow]:
    """Each request and each answer as chat completions have them."""
    for row in every_row(path):
        asked, response = row.values.get("body"), row.values.get("response")
        if isinstance(asked, dict) and is_responses_request(str(row.values.get("url") or ""), asked):
            row = replace(row, values={**row.values, "body": chat_request(row.place, asked)})
        elif isinstance(response, dict) and "output" in (body := response.get("body") or {}):
            row = replace(row, values={**row.values, "response": {**response, "body": chat_answer(body)}})
        yield row


def responses_of_batches(paths: Sequence[Path], options: ImportOptions, rows: Rows) -> Iterator[LoggedResponse]:
    """The responses of batches whose `rows` are built as OpenAI's are."""
    inputs: dict[Path, Asked] = {}
    outputs = []
    for path in paths:
        first = next(rows(path), None)
        if first is not None and "body" in first.values:
            inputs[path] = _requests(path, rows)
        else:
            outputs.append(path)
    if not inputs:
        raise LogError(f"{paths[0]}: a batch's output has no prompts; import the batch's input file with it")
    if not outputs:
        raise LogError(f"{paths[0]}: a batch's input has no answers; import the batch's output file with it")

    def ids_in(path: Path) -> set[str]:
        return {str(row.values.get("custom_id")) for row in rows(path)}

    batches = batches_of(inputs, outputs, ids_in, options)
    requests = [request for batch in batches for request in batch.asked.values()]
    _check_equal(requests)
    seeded = _is_seeded(requests)
    if not seeded and any("seed" in body for _, body in requests):
        options.note("some equal requests share their seed, or have none; the repeats are only counted")
    again = Counter[str]()
    for batch in batches:
        answered = set()
        for name, row in _answers(batch, again, rows):
            answered.add(name)
            yield from _choices(row, batch.asked[name], options, seeded)
        for name, asked in batch.asked.items():
            if name not in answered:
                yield _one(asked[0], asked, {}, NO_ANSWER, options, seeded)
    for words, count in again.items():
        if count:
            options.note(words.format(count))


def _requests(path: Path, rows: Rows) -> Asked:
    """The requests of one input file."""
    asked: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for row in rows(path):
        name, body = str(row.values.get("custom_id")), row.values.get("body") or {}
        if not body.get("messages"):
            raise LogError(
                f"{row.place}: no messages; batches of /v1/chat/completions and /v1/responses are read: make others "
                "a table of prompts and responses"
            )
        body = {key: value for key, value in body.items() if value is not None}
        place, other = asked.setdefault(name, (row.place, body))
        if other != body:
            raise LogError(
                f"{row.place}: custom_id {name!r} is another request in {place}; give each request of a batch an id of "
                "its own"
            )
    return asked


def _answers(batch: LoggedBatch, again: Counter[str], rows: Rows) -> Iterator[tuple[str, UserRow]]:
    """Each answer to each request; of one that failed and was sent again, only what it was answered then."""
    succeeded: Counter[str] = Counter()
    failures, taken = set[str](), set[str]()
    for path in batch.outputs:
        of_this_file = set()
        for row in rows(path):
            name, own = str(row.values.get("custom_id")), row.values.get("id")
            if name not in batch.asked:
                raise LogError(f"{row.place}: custom_id {name!r} is in no input file; import the batch's own")
            if (name, own) in of_this_file:
                raise LogError(f"{row.place}: custom_id {name!r} is answered twice; import one of its outputs")
            of_this_file.add((name, own))
            succeeded[name] += not _failure(row) and not _is_taken(row, taken)
    taken.clear()
    for path in batch.outputs:
        for row in rows(path):
            name = str(row.values.get("custom_id"))
            if _failure(row):
                again[SENT_AGAIN] += bool(succeeded[name])
                if succeeded[name] or name in failures:
                    continue
                failures.add(name)
            elif _is_taken(row, taken):
                continue
            yield name, row
    again[ANSWERED_AGAIN] += sum(count > 1 for count in succeeded.values())


def _is_taken(row: UserRow, taken: set[str]) -> bool:
    """Whether another output has this very answer: the server names each; then or not, it is taken now."""
    own = row.values.get("id")
    key = f"{row.values.get('custom_id')} {own}"
    known = bool(own) and key in taken
    taken.add(key)
    return known


def _failure(row: UserRow) -> str:
    """Why a request has no answer; empty where it has one."""
    response = row.values.get("response") or {}
    error = row.values.get("error") or (response.get("body") or {}).get("error")
    if not error and response.get("status_code") == 200:
        return ""
    said = error.get("message") if isinstance(error, dict) else error
    return "error: " + " ".join(str(said or f"status {response.get('status_code')}").split())[:200]


def _is_blocked(row: UserRow) -> bool:
    """Whether a filter of the provider refused the request."""
    response = row.values.get("response") or {}
    body = {"error": row.values["error"]} if row.values.get("error") else response.get("body")
    status = response.get("status_code")
    error = read_error(status if isinstance(status, int) else 400, {}, body, "")
    return error is not None and error.meaning is Meaning.BLOCKED


def _check_equal(requests: Iterable[Request]) -> None:
    """Refuse requests of one prompt at one temperature that differ in anything else: they are no repeats."""
    equal = EqualSettings()
    for place, body in requests:
        cell = json.dumps([body.get(name) for name in ("model", "messages", "temperature")], sort_keys=True)
        equal.check(place, cell, {key: value for key, value in body.items() if key not in FREE})


def _is_seeded(requests: Iterable[Request]) -> bool:
    """Whether every request has a seed of its own among the requests that equal it, so that seeds are the repeats."""
    seeds: Counter[str] = Counter()
    for _, body in requests:
        seed = body.get("seed")
        if type(seed) is not int or seed < 0 or body.get("n", 1) != 1:
            return False
        cell = [body.get(name) for name in ("model", "messages", "temperature")]
        seeds[json.dumps([*cell, seed], sort_keys=True)] += 1
    return max(seeds.values()) == 1


def _choices(row: UserRow, asked: Request, options: ImportOptions, seeded: bool) -> Iterator[LoggedResponse]:
    choices = ((row.values.get("response") or {}).get("body") or {}).get("choices") or []
    failure = _failure(row)
    if failure and _is_blocked(row):
        failure, choices = "", [{"finish_reason": "content_filter"}]
    if failure or not choices:
        yield _one(row.place, asked, {}, failure or NO_ANSWER, options, seeded)
    for choice in [] if failure else choices:
        yield _one(row.place, asked, choice, "", options, seeded)


def _one(
    place: str, asked: Request, choice: Mapping[str, Any], reason: str, options: ImportOptions, seeded: bool
) -> LoggedResponse:
    asked_at, body = asked
    message = choice.get("message") or {}
    temperature = body.get("temperature", options.temperature)
    return LoggedResponse(
        place,
        str(body.get("model") or ""),
        logged_prompt(asked_at, body.get("messages"), SOURCE),
        logged_number(place, "temperature", temperature),
        body["seed"] if seeded else None,
        answer_text(message.get("content")) or str(message.get("refusal") or ""),
        "refusal" if message.get("refusal") else str(choice.get("finish_reason") or ""),
        reason,
        thinking=str(message.get("reasoning_content") or message.get("reasoning") or ""),
        sent_seed=True,
    )
