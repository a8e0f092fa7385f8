"""Batch endpoints that have no end, ask to come back at once, or name things by what is no name."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import batches
import pytest
from batch_server import BatchServer
from batches import COUNT, ask, engine_at, requests_of

from refusal_stability.engines.complete import complete_stored
from refusal_stability.engines.http.batch import endpoints, run
from refusal_stability.engines.protocol import EngineError
from refusal_stability.engines.store import Store
from refusal_stability.records import Outcome

NO_NAMES = ("../files/x", "a/../b", "a?b", "a#", "a b", "\x1b[2J", "", "a" * 1001, 7, None)

BROKEN = "what follows is no JSON"


def break_lines(server: BatchServer) -> None:
    """Write a bracket where a line says `BROKEN`."""

    def answer(batch: dict[str, Any]) -> None:
        BatchServer._answer(server, batch)
        name = batch["output_file_id"]
        server.files[name] = server.files[name].replace(json.dumps(BROKEN).encode(), b"{")

    server._answer = answer  # type: ignore[method-assign]


@pytest.fixture
def server() -> Iterator[BatchServer]:
    with batches.served() as found:
        yield found


def test_a_server_that_asks_to_come_back_at_once_is_asked_less_and_less_often(
    server: BatchServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    wait = time.sleep
    monkeypatch.setattr(endpoints.time, "sleep", lambda seconds: (waits.append(seconds), wait(min(seconds, 0.01))))
    server.fail("upload", *["at once"] * 7)
    assert len(ask(server.url, tmp_path / "store.sqlite")) == COUNT
    assert [seconds for seconds in waits if seconds >= 0.05][:7] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0]


@pytest.mark.parametrize("step", ["look", "download"])
def test_an_answer_without_end_ends_the_run_and_the_next_one_takes_what_was_paid_for(
    step: str, server: BatchServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoints, "MOST_DOWNLOADED", 1 << 20)
    server.fail(step, "endless")
    with pytest.raises(EngineError, match=r"is larger than .*run the same command again, and their answers are taken"):
        ask(server.url, tmp_path / "store.sqlite")
    assert len(ask(server.url, tmp_path / "store.sqlite")) == COUNT
    assert (server.paid + server.alone).total() == COUNT


def test_a_status_that_is_a_text_is_read_and_lines_that_cannot_be_are_said(
    server: BatchServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def lines(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**line, "response": line["response"] | {"status_code": "200"}} for line in found] + [{"custom_id": {}}]

    server.lines_of = lines
    with caplog.at_level(logging.WARNING):
        assert len(ask(server.url, tmp_path / "store.sqlite")) == COUNT
    assert "1 lines of answers cannot be read; 0 requests" in caplog.text
    assert (server.paid + server.alone).total() == COUNT


@pytest.mark.parametrize("what", ["no JSON", "key unseen", "no completion"])
def test_an_answer_that_was_paid_for_and_cannot_be_read_is_sent_again_only_if_somebody_asks_for_that(
    what: str, server: BatchServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def lines(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
        first, *others = found
        if what == "no completion":
            return [{**first, "response": {"status_code": 200, "body": ["text"]}}, *others]
        return [{**first, "id": BROKEN} | ({} if what == "no JSON" else {"custom_id": BROKEN}), *others]

    path = tmp_path / "store.sqlite"
    break_lines(server)
    server.lines_of = lines
    with caplog.at_level(logging.WARNING):
        first = ask(server.url, path)
    missing = [completion for completion in first if completion.missing_reason]
    assert {completion.outcome for completion in missing} == {Outcome.UNANSWERED}
    assert len(missing) == len(server.batches)
    assert all("read" in c.missing_reason or "not a chat completion" in c.missing_reason for c in missing)
    assert "1 lines of answers cannot be read; 1 requests have no answer" in caplog.text
    server.lines_of = lambda found: found
    assert ask(server.url, path) == first
    assert (server.paid + server.alone).total() == COUNT
    with Store(path) as store:
        again = complete_stored(engine_at(server.url), requests_of(), store, "m", [Outcome.UNANSWERED])
    assert all(completion.missing_reason is None for completion in again)
    assert (server.paid + server.alone).total() == COUNT + len(missing)


def test_an_answer_behind_its_unreadable_line_and_small_departures_are_read(
    server: BatchServer, tmp_path: Path
) -> None:
    def lines(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
        body = found[1]["response"]["body"]
        return [
            {**found[0], "id": BROKEN},
            found[0],
            {**found[1], "custom_id": f" {found[1]['custom_id'].upper()}", "response": {"body": json.dumps(body)}},
            {**found[2], "response": found[2]["response"] | {"status_code": 201}},
            *found[3:],
        ]

    break_lines(server)
    server.lines_of = lines
    assert all(completion.missing_reason is None for completion in ask(server.url, tmp_path / "store.sqlite"))
    assert (server.paid + server.alone).total() == COUNT


def test_a_batch_in_a_state_that_nobody_knows_is_waited_for_no_longer_than_a_day(
    server: BatchServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store.sqlite"
    server._validate = lambda batch: batch.update(status="paused")  # type: ignore[method-assign]
    monkeypatch.setattr(run, "LONGEST_UNKNOWN_S", 0.0)
    with pytest.raises(
        EngineError, match=r"batch_0 was sent over .* is 'paused', which nobody knows; look at the batch"
    ):
        ask(server.url, path)
    monkeypatch.undo()
    server.__dict__.pop("_validate")
    for batch in server.batches.values():
        batch["status"] = "in_progress"
    assert all(completion.missing_reason is None for completion in ask(server.url, path))
    assert (server.paid + server.alone).total() == COUNT


@pytest.mark.parametrize(
    ("name", "read"),
    [("batch_a-1", "batch_a-1"), ("batches/7", "batches/7"), *((name, "") for name in NO_NAMES)],
)
def test_a_name_that_changes_the_address_is_none(name: object, read: str) -> None:
    assert endpoints.name_in({"id": name}, "id") == read
