"""Batches against a server on loopback that behaves as OpenAI documents, with the faults of its pages and others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import batches
import pytest
from batch_server import BatchServer, answer_of
from batches import CASES, COUNT, ask, engine_at, requests_of, run_case

from refusal_stability.engines.complete import complete_stored
from refusal_stability.engines.http.batch import engine as batch_engine
from refusal_stability.engines.http.batch.journal import UNSEEN, Batch, Journal
from refusal_stability.engines.http.engine import HTTPEngine
from refusal_stability.engines.open import open_engine
from refusal_stability.engines.protocol import EngineError
from refusal_stability.engines.store import Store
from refusal_stability.params.checks import ParamsError, parsed
from refusal_stability.params.engines import ModelParams
from refusal_stability.params.engines.openai import OpenAISettings
from refusal_stability.params.study import StudyParams
from refusal_stability.records import Outcome

# `make faults ARGS=batches` runs all.
SOME = [
    "custom ids twice in the output",
    "answers left out",
    "lines in the error file",
    "expired half way",
    "cancelled by somebody",
    "file refused",
    "queue of tokens full",
    "connection drops after create",
    "torn download",
    "killed before the create",
    "killed after the create",
    "killed with answers stored",
]
KEY = "sk-secret-0123456789"


@pytest.fixture
def server() -> Iterator[BatchServer]:
    with batches.served() as found:
        yield found


@pytest.mark.parametrize("name", SOME)
def test_a_fault_loses_nothing_stores_nothing_twice_and_pays_nothing_twice(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    counts = run_case(case, tmp_path)
    assert {bad: counts[bad] for bad in batches.BAD} == dict.fromkeys(batches.BAD, 0)
    assert (counts["stored"], counts["paid"], counts["left in the journal"]) == (COUNT, COUNT, 0)
    assert counts["stopped with an error"] == case.stops
    assert counts["killed"] == (case.kill is not None)


def test_the_first_request_teaches_the_fields_and_the_files_are_within_the_limits(
    server: BatchServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_engine, "MOST_BYTES", 1500)
    got = ask(server.url, tmp_path / "store.sqlite", batch_size=50_000)
    assert [c.text for c in got] == [f"prompt {i} at 1.0 by {i}" for i in range(COUNT)]
    assert server.refused == ["top_k"]
    assert server.alone.total() == 1
    sent = [server.files[batch["input_file_id"]] for batch in server.batches.values()]
    assert len(sent) > 2
    assert max(map(len, sent)) <= 1500
    lines = [json.loads(line) for file in sent for line in file.splitlines()]
    assert len(lines) == COUNT - 1
    assert {(line["method"], line["url"]) for line in lines} == {("POST", "/v1/chat/completions")}
    assert not any("top_k" in line["body"] for line in lines)
    # The hash that is kept is that of the file that was sent.
    kept = [json.loads(file.read_text()) for file in (tmp_path / "store.batches").glob("*.json")]
    assert {one["batch_id"] for one in kept} == set(server.batches)
    assert sorted(one["size"] for one in kept) == sorted(map(len, sent))
    assert {one["sha256"] for one in kept} == {batch["metadata"]["sha256"] for batch in server.batches.values()}


def test_a_request_paid_in_a_batch_is_not_asked_alone_nor_the_other_way_round(
    server: BatchServer, tmp_path: Path
) -> None:
    requests = requests_of()
    settings = OpenAISettings(base_url=server.url)
    with Store(tmp_path / "store.sqlite") as store:
        first = complete_stored(HTTPEngine(ModelParams("openai", "m"), settings), requests[:5], store, "m")
        got = complete_stored(engine_at(server.url), requests, store, "m")
        assert got[:5] == first
        assert complete_stored(HTTPEngine(ModelParams("openai", "m"), settings), requests, store, "m") == got
    # Five alone, and the first of the batch's run.
    assert (server.alone.total(), server.paid.total()) == (6, COUNT - 6)


def test_a_study_that_asks_less_leaves_the_other_answers_of_a_batch_to_a_later_one(
    server: BatchServer, tmp_path: Path
) -> None:
    server.fail("look", 404)
    path = tmp_path / "store.sqlite"
    with pytest.raises(EngineError, match="the server does not know batch_0"):
        ask(server.url, path)
    with Store(path) as store:
        assert len(complete_stored(engine_at(server.url), requests_of()[:6], store, "m")) == 6
    assert len(ask(server.url, path)) == COUNT
    assert server.paid.total() + server.alone.total() == COUNT
    assert not list(Journal(path).pending())


def test_a_batch_that_nobody_saw_created_is_found_behind_many_others(server: BatchServer, tmp_path: Path) -> None:
    engine = engine_at(server.url)
    file = tmp_path / "x.jsonl"
    file.write_text("{}\n")
    endpoints = engine._endpoints
    endpoints.read_secrets()
    names = [f"name{number}" for number in range(3)]
    first = {name: endpoints.send(Batch(name, "w", "s", 3, 1, "", True, 0.0), file) for name in names}
    for number in range(210):
        server.batches[f"other_{number}"] = {**server.batches["batch_0"], "id": f"other_{number}", "metadata": {}}
    assert {name: endpoints.find(name) for name in names} == first
    assert endpoints.find("name9") is None


def test_what_a_line_says_of_one_prompt_is_its_outcome_and_what_fails_thrice_is_given_up(
    server: BatchServer, tmp_path: Path
) -> None:
    said = {
        3: (400, {"code": "content_filter", "message": "The prompt was filtered"}),
        4: (400, {"code": "context_length_exceeded", "message": "maximum context length is 16 tokens"}),
        5: (500, {"message": "The server had an error", "type": "server_error"}),
    }

    def broken(line: dict) -> dict | None:  # type: ignore[type-arg]
        found = said.get(int(line["body"]["messages"][0]["content"].split()[-1]))
        return {"status_code": found[0], "request_id": "r", "body": {"error": found[1]}} if found else None

    server.broken = broken
    got = ask(server.url, tmp_path / "store.sqlite")
    assert [number for number, c in enumerate(got) if c.missing_reason] == [3, 4, 5]
    assert (got[3].outcome, got[4].outcome) == (Outcome.BLOCKED, Outcome.UNANSWERED)
    assert "no answer in 3 batches" in str(got[5].missing_reason)
    assert "HTTP 500" in str(got[5].missing_reason)
    batches_before = len(server.batches)
    server.broken = lambda _: None
    again = ask(server.url, tmp_path / "store.sqlite")
    # Only what may fare better is asked again: alone, since a run's first request is.
    assert [number for number, c in enumerate(again) if c.missing_reason] == [3, 4]
    assert len(server.batches) == batches_before


def test_a_cap_stops_a_batch_before_anything_is_sent(server: BatchServer, tmp_path: Path) -> None:
    for cap in ({"max_requests": COUNT - 1}, {"max_total_tokens": 100}):
        with pytest.raises(EngineError, match=next(iter(cap))):
            ask(server.url, tmp_path / "store.sqlite", **cap)
    assert not server.files
    assert not server.alone


def test_no_key_is_written_down(server: BatchServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RS_TEST_KEY", KEY)
    server.fates.append(f"token {KEY} is not valid")
    with pytest.raises(EngineError, match="refuses batch batch_0") as error:
        ask(server.url, tmp_path / "store.sqlite", api_key_env="RS_TEST_KEY")
    assert KEY not in str(error.value)
    written = [file.read_text() for file in (tmp_path / "store.batches").iterdir()]
    assert written
    assert not any(KEY in text for text in written)


def test_a_damaged_entry_stops_the_run_since_its_batch_may_be_paid_for(server: BatchServer, tmp_path: Path) -> None:
    journal = Journal(tmp_path / "store.sqlite")
    journal.begin(Batch("n", engine_at(server.url)._hashed, "s", 1, 1, "", True, 0.0), ["k"])
    assert [batch.state for batch, _ in journal.pending()] == [UNSEEN]
    (journal.folder / "n.json").write_text('{"name": "n"')
    with pytest.raises(EngineError, match=r"n\.json: damaged"):
        ask(server.url, tmp_path / "store.sqlite")
    assert not server.files


def _model(**settings: int) -> dict[str, object]:
    return {"engine": "openai", "path": "m", "settings": settings}


def test_settings_of_batches(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"models\.m\.settings\.batch_size: 50001 is not allowed.*50,000"):
        parsed(StudyParams, {"study": "s", "models": {"m": _model(batch_size=50_001)}})
    half = OpenAISettings(price_in=1.0, price_out=4.0, batch=True)
    # A million tokens in and half a million out: 1 + 2, and half of that.
    assert half.cost(1_000_000, 500_000) == 1.5
    assert OpenAISettings(batch=True).cost(1, 1) is None
    with pytest.raises(EngineError, match=r"m\.settings\.batch: true is not allowed .*anthropic_messages"):
        open_engine(ModelParams("openai", "m", settings={"preset": "anthropic", "batch": True}), "m")


def test_the_server_answers_by_the_request_alone() -> None:
    body = {"messages": [{"content": "a"}], "temperature": 1.0, "seed": 3}
    assert answer_of(body) == "a at 1.0 by 3"
