"""Batches against servers on loopback that behave as their vendors document, with their faults and others."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import batches
import pytest
from batch_server import CUSTOM_ID, AnthropicServer, BatchServer, answer_of
from batches import ANTHROPIC, ANTHROPIC_CASES, CASES, COUNT, OPENAI, SETTINGS, ask, engine_at, requests_of, run_case

from refusal_stability.engines.complete import complete_stored
from refusal_stability.engines.http.batch import openai
from refusal_stability.engines.http.batch.anthropic import AnthropicBatches
from refusal_stability.engines.http.batch.engine import BatchEngine
from refusal_stability.engines.http.batch.journal import UNSEEN, Batch, Journal
from refusal_stability.engines.http.batch.openai import OpenAIBatches
from refusal_stability.engines.http.engine import HTTPEngine
from refusal_stability.engines.http.models_list import batches_found
from refusal_stability.engines.open import open_engine
from refusal_stability.engines.protocol import EngineError
from refusal_stability.engines.store import Store
from refusal_stability.params.checks import ParamsError, parsed
from refusal_stability.params.engines import ModelParams
from refusal_stability.params.engines.openai import OpenAISettings
from refusal_stability.params.study import StudyParams
from refusal_stability.records import Outcome


@pytest.fixture(autouse=True)
def short_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long a call that failed waits is not what these tests are about; `make faults` waits as long as a study."""
    monkeypatch.setattr("refusal_stability.engines.http.batch.endpoints.SHORTEST_BACKOFF_S", 0.02)


# `make faults ARGS=batches` runs all.
SOME = [
    "custom ids twice in the output",
    "answers left out",
    "lines in the error file",
    "an error before the answer",
    "lines of other requests",
    "output file named late",
    "page of a proxy in place of the answers",
    "download that ends early, again and again",
    "expired half way",
    "cancelled by somebody",
    "file refused",
    "queue of tokens full",
    "connection drops after create",
    "connection drops after create, no metadata",
    "torn download",
    "killed before the create",
    "killed after the create",
    "killed with answers stored",
    "journal: a bit of the keys",
]
SOME_OF_ANTHROPIC = [
    "an error before the answer",
    "page of a proxy in place of the answers",
    "expired half way",
    "cancelled by somebody",
    "results that are errors",
    "500 at each step",
    "created, but 500 is said",
    "connection drops beside others' batches",
    "queue full",
    "queue full beside a create that failed",
    "torn download",
    "killed before the create",
    "killed after the create, beside others' batches",
    "killed with answers stored",
]
VENDORS = {"openai": (OPENAI, CASES), "anthropic": (ANTHROPIC, ANTHROPIC_CASES)}
KEY = "sk-secret-0123456789"


@pytest.fixture
def server() -> Iterator[BatchServer]:
    with batches.served() as found:
        yield found


@pytest.mark.parametrize(
    ("vendor", "name"),
    [*(("openai", name) for name in SOME), *(("anthropic", name) for name in SOME_OF_ANTHROPIC)],
)
def test_a_fault_loses_nothing_stores_nothing_twice_and_pays_nothing_twice(
    vendor: str, name: str, tmp_path: Path
) -> None:
    settings, cases = VENDORS[vendor]
    case = cases[name]
    counts = run_case(case, tmp_path, settings)
    assert {bad: counts[bad] for bad in batches.BAD} == dict.fromkeys(batches.BAD, 0)
    assert (counts["stored"], counts["paid"], counts["left in the journal"]) == (COUNT, COUNT, 0)
    assert counts["stopped with an error"] == case.stops + (case.damage is not None)
    assert counts["killed"] == (case.kill is not None)


def test_the_first_request_teaches_the_fields_and_the_files_are_within_the_limits(
    server: BatchServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OpenAIBatches, "MOST_BYTES", 1500)
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
    ours = [Batch(f"name{number}", "w", "s", 3, 1, "", True, 0.0) for number in range(3)]
    first = [endpoints.send(batch, file, others_wait=False) for batch in ours]
    for number in range(210):
        server.batches[f"other_{number}"] = {**server.batches["batch_0"], "id": f"other_{number}", "metadata": {}}
    assert [endpoints.find(batch, [], []) for batch in ours] == first
    assert endpoints.find(Batch("name9", "w", "s", 3, 1, "", True, 0.0), [], []) is None


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


def test_answers_in_no_file_are_waited_for_and_never_asked_again(
    server: BatchServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.late = 5
    monkeypatch.setattr(openai, "LONGEST_UNNAMED_S", 0.0)
    with pytest.raises(
        EngineError, match=r"batch_0 has 10 answers, and the server names no file of them; run the same"
    ):
        ask(server.url, tmp_path / "store.sqlite")
    monkeypatch.undo()
    assert len(ask(server.url, tmp_path / "store.sqlite")) == COUNT
    assert (server.paid + server.alone).total() == COUNT


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


@pytest.mark.parametrize("what", ["keys gone", "keys emptied", "keys cut", "keys changed", "json gone", "work changed"])
def test_a_journal_that_is_damaged_stops_the_run_and_pays_nothing_again(
    server: BatchServer, tmp_path: Path, what: str
) -> None:
    path = tmp_path / "store.sqlite"
    server.fail("look", 404)
    with pytest.raises(EngineError, match="the server does not know batch_0"):
        ask(server.url, path)
    keys = min((tmp_path / "store.batches").glob("*.keys"))
    file = keys.with_suffix(".json")
    kept, said = keys.read_bytes(), file.read_text()
    match what:
        case "keys gone":
            keys.unlink()
        case "json gone":
            file.unlink()
        case "work changed":
            work = json.loads(said)["work"]
            file.write_text(said.replace(work, work[::-1]))
        case "keys changed":
            keys.write_bytes(bytes([kept[0] ^ 128]) + kept[1:])
        case _:
            keys.write_bytes(kept[: len(kept) // 2 if "cut" in what else 0])
    with pytest.raises(EngineError, match=f"{keys.stem}.*damaged or gone.*then delete {keys.stem}"):
        ask(server.url, path)
    keys.write_bytes(kept)
    file.write_text(said)
    assert len(ask(server.url, path)) == COUNT
    assert (server.paid + server.alone).total() == COUNT


def test_keys_that_are_gone_after_a_batch_ended_stop_the_run(server: BatchServer, tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    server.fail("download", 404)
    with pytest.raises(EngineError, match="are gone from the server"):
        ask(server.url, path)
    ended = [batch.name for batch, _ in Journal(path).pending() if batch.ended]
    keys = Journal(path).folder / f"{ended[0]}.keys"
    kept = keys.read_bytes()
    keys.unlink()
    with pytest.raises(EngineError, match=rf"{keys.name}: damaged or gone"):
        ask(server.url, path)
    keys.write_bytes(kept)
    assert len(ask(server.url, path)) == COUNT
    assert (server.paid + server.alone).total() == COUNT
    # Whose answers were all taken has none, and that is no damage.
    assert not list(Journal(path).folder.glob("*.keys"))
    assert not list(Journal(path).pending())


@pytest.mark.parametrize("what", ["folder", "keys"])
def test_a_journal_removed_while_a_run_follows_its_batches_is_written_again(
    what: str, server: BatchServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "store.sqlite"
    folder = Journal(path).folder
    validate = server._validate

    def remove(batch: dict[str, object]) -> None:
        validate(batch)
        if not removed:
            removed.append(what)
            if what == "folder":
                shutil.rmtree(folder)
            for file in folder.glob("*.keys"):
                file.unlink()

    removed: list[str] = []
    server._validate = remove  # type: ignore[method-assign]
    server.fail("download", 404)
    with pytest.raises(EngineError, match="are gone from the server"):
        ask(server.url, path)
    assert f"{folder}: somebody removed files of batches here; they are written again" in caplog.text
    assert len(ask(server.url, path)) == COUNT
    assert (server.paid + server.alone).total() == COUNT


def _model(**settings: int) -> dict[str, object]:
    return {"engine": "openai", "path": "m", "settings": settings}


def test_settings_of_batches(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"models\.m\.settings\.batch_size: 50001 is not allowed.*50,000"):
        parsed(StudyParams, {"study": "s", "models": {"m": _model(batch_size=50_001)}})
    half = OpenAISettings(price_in=1.0, price_out=4.0, batch=True)
    # A million tokens in and half a million out: 1 + 2, and half of that.
    assert half.cost(1_000_000, 500_000) == 1.5
    assert OpenAISettings(batch=True).cost(1, 1) is None
    engine = open_engine(ModelParams("openai", "m", settings={"preset": "anthropic", "batch": True}), "m")
    assert isinstance(engine, BatchEngine)


def test_the_server_answers_by_the_request_alone() -> None:
    body = {"messages": [{"content": "a"}], "temperature": 1.0, "seed": 3}
    assert answer_of(body) == "a at 1.0 by 3"


@pytest.fixture
def anthropic() -> Iterator[AnthropicServer]:
    with batches.served(AnthropicServer) as found:
        yield found


def test_messages_are_sent_within_the_limits_and_answers_are_those_of_single_requests(
    anthropic: AnthropicServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AnthropicBatches, "MOST_BYTES", 1500)
    got = ask(anthropic.url, tmp_path / "store.sqlite", batch_size=50_000, **ANTHROPIC)
    assert [c.text for c in got] == [f"prompt {i} at 1.0 by None" for i in range(COUNT)]
    assert all(c.details["unseeded"] for c in got)
    assert (anthropic.alone.total(), anthropic.paid.total()) == (1, COUNT - 1)
    kept = [json.loads(file.read_text()) for file in (tmp_path / "store.batches").glob("*.json")]
    assert len(kept) == len(anthropic.batches) > 2
    assert max(one["size"] for one in kept) <= 1500
    # What was posted is as large as was written down.
    posted = {name: {"requests": requests} for name, requests in anthropic.requests.items()}
    sizes = {name: len(json.dumps(body).replace('{"requests": [{', '{"requests":[{')) for name, body in posted.items()}
    between = {name: len(requests) - 1 for name, requests in anthropic.requests.items()}
    assert {one["batch_id"]: one["size"] for one in kept} == {name: sizes[name] - between[name] for name in sizes}
    assert all(CUSTOM_ID.fullmatch(one["custom_id"]) for sent in anthropic.requests.values() for one in sent)
    bodies = [one["params"] for sent in anthropic.requests.values() for one in sent]
    assert {tuple(sorted(body)) for body in bodies} == {("max_tokens", "messages", "model", "temperature")}


def test_what_one_result_says_is_the_outcome_of_its_request(anthropic: AnthropicServer, tmp_path: Path) -> None:
    said = {
        4: {"type": "invalid_request_error", "message": "prompt is too long: 250000 tokens > 200000 maximum"},
        5: {"type": "api_error", "message": "Internal server error"},
    }

    def broken(line: dict) -> dict | None:  # type: ignore[type-arg]
        found = said.get(int(line["body"]["messages"][0]["content"].split()[-1]))
        return {"body": {"error": found}} if found else None

    anthropic.broken = broken
    got = ask(anthropic.url, tmp_path / "store.sqlite", **ANTHROPIC)
    assert [number for number, c in enumerate(got) if c.missing_reason] == [4, 5]
    assert {got[number].outcome for number in said} == {Outcome.UNANSWERED}
    assert "prompt is too long" in str(got[4].missing_reason)
    assert "no answer in 3 batches" in str(got[5].missing_reason)
    assert (anthropic.paid + anthropic.alone).total() == COUNT - 2


def test_results_that_are_archived_end_the_run_with_the_file_that_sends_them_again(
    anthropic: AnthropicServer, tmp_path: Path
) -> None:
    path = tmp_path / "store.sqlite"
    anthropic.fail("download", 403)
    with pytest.raises(EngineError, match="403"):
        ask(anthropic.url, path, **ANTHROPIC)
    anthropic.archive("msgbatch_0")
    with pytest.raises(EngineError, match=r"answers of msgbatch_0 are gone .*29 days.*delete this file") as error:
        ask(anthropic.url, path, **ANTHROPIC)
    for suffix in (".json", ".keys"):
        Path(str(error.value).partition(".json:")[0] + suffix).unlink()
    assert len(ask(anthropic.url, path, **ANTHROPIC)) == COUNT
    assert anthropic.paid.total() + anthropic.alone.total() == COUNT + 10


def test_the_key_goes_to_the_address_of_the_study_whatever_results_url_names(
    anthropic: AnthropicServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RS_TEST_KEY", KEY)
    elsewhere = AnthropicServer()
    monkeypatch.setattr(type(anthropic), "url", property(lambda _: f"http://127.0.0.1:{elsewhere.port}/v1"))
    address = f"http://127.0.0.1:{anthropic.port}/v1"
    try:
        assert len(ask(address, tmp_path / "store.sqlite", api_key_env="RS_TEST_KEY", **ANTHROPIC)) == COUNT
    finally:
        elsewhere.stop()
    assert all(str(elsewhere.port) in batch["results_url"] for batch in anthropic.batches.values())
    assert not elsewhere.asked
    assert anthropic.asked


def test_a_server_that_fails_every_create_ends_the_run_and_a_server_without_batches_is_named(
    anthropic: AnthropicServer, tmp_path: Path
) -> None:
    anthropic.fail("create", *[500] * 30)
    with pytest.raises(EngineError, match=r"keeps failing: HTTP 500.*looks whether this batch was created"):
        ask(anthropic.url, tmp_path / "store.sqlite", max_retries=2, **ANTHROPIC)
    anthropic.faults.clear()
    assert len(ask(anthropic.url, tmp_path / "store.sqlite", **ANTHROPIC)) == COUNT
    anthropic.fail("list", 404)
    with pytest.raises(EngineError, match=r"m\.settings\.batch: http.* has no batches .*set it to false"):
        ask(anthropic.url, tmp_path / "other.sqlite", **ANTHROPIC)
    # The other store's first request went alone.
    assert (anthropic.paid + anthropic.alone).total() == COUNT + 1


def test_plan_hears_of_batches_from_the_servers_own_list(server: BatchServer, anthropic: AnthropicServer) -> None:
    for url, vendor in ((server.url, OPENAI), (anthropic.url, ANTHROPIC)):
        settings = OpenAISettings(base_url=url, **SETTINGS | vendor)
        assert batches_found(settings, "models.m") == f"{url} takes batches"
        with pytest.raises(EngineError, match=r"models\.m\.settings\.batch: .* has no batches \(HTTP 404\)"):
            batches_found(dataclasses.replace(settings, base_url=f"{url}/elsewhere"), "models.m")
    anthropic.fail("list", 500)
    said = batches_found(OpenAISettings(base_url=anthropic.url, **SETTINGS | ANTHROPIC), "models.m")
    assert said.endswith("does not say whether it takes batches (HTTP 500)")
    assert server.sent() + anthropic.sent() + (server.alone + anthropic.alone).total() == 0


def test_a_cap_counts_a_batch_that_the_server_may_not_know(anthropic: AnthropicServer, tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    anthropic.fail("create", *[500] * 3)
    with pytest.raises(EngineError, match="keeps failing"):
        ask(anthropic.url, path, max_retries=0, **ANTHROPIC)
    with pytest.raises(EngineError, match="max_requests"):
        ask(anthropic.url, path, max_requests=COUNT - 2, **ANTHROPIC)
    assert len(ask(anthropic.url, path, max_requests=COUNT - 1, **ANTHROPIC)) == COUNT
