"""Batch endpoints that have no end, ask to come back at once, or name things by what is no name."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import batches
import pytest
from batch_server import BatchServer
from batches import COUNT, ask

from refusal_stability.engines.http.batch import endpoints
from refusal_stability.engines.protocol import EngineError

NO_NAMES = ("../files/x", "a/../b", "a?b", "a#", "a b", "\x1b[2J", "", "a" * 1001, 7, None)


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
    assert "1 lines of a batch's answers cannot be read" in caplog.text
    assert (server.paid + server.alone).total() == COUNT


@pytest.mark.parametrize(
    ("name", "read"),
    [("batch_a-1", "batch_a-1"), ("batches/7", "batches/7"), *((name, "") for name in NO_NAMES)],
)
def test_a_name_that_changes_the_address_is_none(name: object, read: str) -> None:
    assert endpoints.name_in({"id": name}, "id") == read
