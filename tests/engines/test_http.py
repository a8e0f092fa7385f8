"""The HTTP engine against a real server process on loopback that misbehaves on demand."""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from refusal_stability.engines.complete import complete_stored
from refusal_stability.engines.http.budget import Budget
from refusal_stability.engines.http.engine import HTTPEngine
from refusal_stability.engines.protocol import EngineError
from refusal_stability.engines.store import Store
from refusal_stability.params.engines import ModelParams
from refusal_stability.params.engines.openai import OpenAISettings
from refusal_stability.records import Completion, Message, Request, Sampling, sampler_stream

SERVER = Path(__file__).with_name("misbehaving_server.py")
KEY = "sk-secret-0123456789"
SCHEMA = {"type": "object", "properties": {"label": {"type": "string"}}, "required": ["label"]}


def _module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("misbehaving_server", SERVER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


server_module = _module()


class Served:
    """A server process, its address, and what it logged."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "server.jsonl"
        self.process: subprocess.Popen[str] | None = None
        self.port = 0

    def start(self, *options: str) -> Served:
        command = [sys.executable, str(SERVER), "--port", str(self.port), "--log", str(self.log), *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        return self

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def tries(self) -> list[dict[str, Any]]:
        # The server may be in the middle of its last line.
        whole = self.log.read_text().rpartition("\n")[0] if self.log.exists() else ""
        return [json.loads(line) for line in whole.splitlines()]

    def tries_by_request(self) -> Counter[str]:
        return Counter(entry["name"] for entry in self.tries())


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    server = Served(tmp_path)
    yield server
    server.kill()


@pytest.fixture(autouse=True)
def short_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long a request that failed waits is not what these tests are about."""
    monkeypatch.setattr("refusal_stability.engines.http.transport.LONGEST_BACKOFF_S", 0.2)


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("RS_TEST_KEY", KEY)
    return KEY


def engine_at(url: str, **settings: Any) -> HTTPEngine:
    chosen = {"concurrency": 8, "timeout_s": 20.0} | settings
    model = ModelParams(engine="openai", path="some-model")
    return HTTPEngine(model, OpenAISettings(base_url=url, **chosen), "params.yaml: models.m")


def grid(prompts: int, temperatures: tuple[float, ...] = (0.0, 0.7), seeds: int = 5, **fields: Any) -> list[Request]:
    requests = []
    for number in range(prompts):
        messages = (Message("user", f"prompt {number}"),)
        for temperature in temperatures:
            for seed in range(seeds):
                stream = sampler_stream(messages, temperature, seed)
                requests.append(Request(messages, Sampling(temperature, seed, stream, max_tokens=16), **fields))
    return requests


def right_text(request: Request) -> str:
    messages = [{"role": m.role, "content": m.content} for m in request.messages]
    chosen = request.sampling
    return server_module.answer_text({"messages": messages, "temperature": chosen.temperature, "seed": chosen.stream})


def answers(engine: HTTPEngine, requests: list[Request]) -> list[Completion]:
    """Every position's completion; each position exactly once."""
    found = list(engine.complete(requests))
    assert sorted(position for position, _ in found) == list(range(len(requests)))
    return [completion for _, completion in sorted(found, key=lambda pair: pair[0])]


def test_each_request_gets_its_own_answer_and_what_the_server_reports_is_kept(served: Served) -> None:
    requests = grid(20)
    got = answers(engine_at(served.start().url), requests)
    assert [c.text for c in got] == [right_text(r) for r in requests]
    assert {c.finish_reason for c in got} == {"stop"}
    assert got[0].prompt_tokens == 10
    assert got[0].completion_tokens == 5
    assert got[0].details["model"] == "served-model"
    assert got[0].details["system_fingerprint"] == "fp_1"
    assert got[0].details["usage"]["total_tokens"] == 15


def test_every_seed_reaches_the_server_and_no_two_configurations_share_a_stream(served: Served) -> None:
    requests = grid(10)
    answers(engine_at(served.start().url), requests)
    sent = {(t["body"]["messages"][0]["content"], t["body"]["temperature"], t["body"]["seed"]) for t in served.tries()}
    asked = {(r.messages[0].content, r.sampling.temperature, r.sampling.stream) for r in requests}
    assert sent == asked
    assert len({seed for _, _, seed in sent}) == len(requests)
    body = served.tries()[0]["body"]
    assert (body["top_p"], body["top_k"], body["max_tokens"], body["model"]) == (1.0, 0, 16, "some-model")


def test_concurrency_is_bounded_and_reached(served: Served) -> None:
    answers(engine_at(served.start("--delay", "0.3").url, concurrency=5), grid(2))
    assert max(entry["under_way"] for entry in served.tries()) == 5


@pytest.mark.parametrize("fault", ["server-error", "reset", "truncated", "html", "no-choices"])
def test_a_passing_fault_loses_nothing_and_doubles_nothing(served: Served, tmp_path: Path, fault: str) -> None:
    requests = grid(8)
    served.start("--fault", fault, "--every", "4", "--times", "2")
    engine = engine_at(served.url)
    with Store(tmp_path / "store.sqlite") as store:
        got = complete_stored(engine, requests, store, "test")
        assert [c.text for c in got] == [right_text(r) for r in requests]
        before = len(served.tries())
        assert complete_stored(engine, requests, store, "test") == got
    assert len(served.tries()) == before
    tries = served.tries_by_request()
    assert len(tries) == len(requests)
    assert Counter(tries.values()) == {1: 60, 3: 20}  # every 4th of 80: two broken tries, then the answer


def test_a_stalled_response_is_given_up_after_the_timeout_and_asked_again(served: Served) -> None:
    requests = grid(4)
    # It stalls for ten minutes, so a test that ends did not wait for it.
    served.start("--fault", "stall", "--every", "10")
    got = answers(engine_at(served.url, timeout_s=3.0, max_retries=8), requests)
    assert [c.text for c in got] == [right_text(r) for r in requests]
    tries = served.tries_by_request()
    assert len(tries) == len(requests)
    # On a busy machine a good answer may take longer than the timeout too.
    assert sum(times > 1 for times in tries.values()) >= 4


def test_retry_after_holds_back_every_request_for_as_long_as_the_server_asks(served: Served) -> None:
    requests = grid(4)
    served.start("--fault", "rate-limit", "--retry-after", "3", "--after", "20", "--every", "100")
    got = answers(engine_at(served.url, concurrency=4), requests)
    assert [c.text for c in got] == [right_text(r) for r in requests]
    times = sorted(entry["at"] for entry in served.tries())
    longest = max(later - earlier for earlier, later in pairwise(times))
    # What was on its way when the server asked may arrive later, which shortens the pause that the server sees.
    assert longest >= 1.5
    assert len(times) == len(requests) + 1


def test_a_rate_limit_is_a_wait_and_not_a_failure(served: Served) -> None:
    served.start("--fault", "rate-limit", "--retry-after", "0.05", "--times", "4")
    got = answers(engine_at(served.url, max_retries=0), grid(1))
    assert all(c.missing_reason is None for c in got)


def test_a_wait_of_hours_ends_the_run_with_the_time_to_come_back(served: Served) -> None:
    served.start("--fault", "rate-limit", "--retry-after", "86400")
    with pytest.raises(EngineError, match="86,400 s"):
        answers(engine_at(served.url), grid(1))
    assert len(served.tries()) == 1


@pytest.mark.parametrize(
    ("fault", "parameter"),
    [
        ("unauthorized", "settings.api_key_env"),
        ("bad-request", "path"),
        ("redirect", "settings.base_url"),
        ("no-quota", "no quota"),
    ],
)
def test_what_cannot_pass_fails_at_once_once_and_without_the_key(
    served: Served, key: str, fault: str, parameter: str, caplog: pytest.LogCaptureFixture
) -> None:
    served.start("--fault", fault, "--times", "1000")
    with pytest.raises(EngineError) as raised:
        answers(engine_at(served.url, api_key_env="RS_TEST_KEY"), grid(20))
    assert parameter in str(raised.value)
    assert key not in str(raised.value)
    assert key not in caplog.text
    assert [entry["key"] for entry in served.tries()] == [f"Bearer {key}"]


def test_a_wrong_path_is_named(served: Served) -> None:
    served.start()
    with pytest.raises(EngineError, match=r"settings\.base_url"):
        answers(engine_at(served.url.removesuffix("/v1")), grid(1))


def test_a_server_that_is_not_there_fails_at_once(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    served.start()
    served.kill()
    waits: list[float] = []

    async def sleep(_: Budget, seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(Budget, "sleep", sleep)
    with pytest.raises(EngineError, match="start the server"):
        answers(engine_at(served.url), grid(1))
    assert waits == []


def test_a_key_that_is_not_set_is_named_before_anything_is_sent(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RS_TEST_KEY", raising=False)
    served.start()
    with pytest.raises(EngineError, match="RS_TEST_KEY is not set"):
        answers(engine_at(served.url, api_key_env="RS_TEST_KEY"), grid(1))
    assert served.tries() == []


def test_the_key_is_in_no_store_log_or_description(
    served: Served, key: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    served.start("--fault", "server-error", "--every", "3")
    engine = engine_at(served.url, api_key_env="RS_TEST_KEY")
    with caplog.at_level(logging.DEBUG), Store(tmp_path / "store.sqlite") as store:
        complete_stored(engine, grid(3), store, "test")
        for file in tmp_path.glob("store.sqlite*"):
            assert key.encode() not in file.read_bytes()
    assert key not in caplog.text
    assert key not in json.dumps([dict(engine.identity), dict(engine.description)])


def test_retries_that_run_out_leave_a_missing_completion_that_a_rerun_asks_again(
    served: Served, tmp_path: Path
) -> None:
    requests = grid(4)
    served.start("--fault", "server-error", "--after", "7", "--every", "100", "--times", "2")
    with Store(tmp_path / "store.sqlite") as store:
        first = complete_stored(engine_at(served.url, max_retries=1), requests, store, "test")
        missing = [c for c in first if c.missing_reason is not None]
        assert [c.missing_reason for c in missing] == ["HTTP 500: Internal server error (tries: 2)"]
        assert [c.text for c in missing] == [""]
        second = complete_stored(engine_at(served.url, max_retries=1), requests, store, "test")
    assert [c.text for c in second] == [right_text(r) for r in requests]
    assert len(served.tries()) == len(requests) - 1 + 2 + 1


def test_a_prompt_that_the_server_filters_is_missing_and_the_rest_goes_on(served: Served) -> None:
    served.start("--fault", "filtered", "--after", "3", "--every", "20", "--times", "9")
    got = answers(engine_at(served.url), grid(4))
    assert [c.missing_reason for c in got if c.missing_reason] == ["HTTP 400: The prompt was filtered"] * 2
    assert len(served.tries()) == 40


def test_an_answer_without_content_is_missing_with_its_finish_reason_and_not_an_empty_text(served: Served) -> None:
    served.start("--fault", "no-content", "--every", "4")
    answers = dict(engine_at(served.url).complete(grid(2)))
    missing = {place: answer.missing_reason for place, answer in answers.items() if answer.missing_reason}
    assert set(missing.values()) == {"the answer has no content (finish reason: length)"}
    assert len(missing) == 5
    assert all(answer.text for place, answer in answers.items() if place not in missing)


def test_a_server_that_stays_broken_ends_the_run_after_as_many_failures_as_are_in_flight(served: Served) -> None:
    served.start("--fault", "server-error", "--after", "10", "--times", "1000")
    requests = grid(40)
    got: list[int] = []
    with pytest.raises(EngineError, match="keeps failing"):
        for position, completion in engine_at(served.url, max_retries=1, concurrency=4).complete(requests):
            if completion.missing_reason is None:
                got.append(position)
    assert len(got) == 10
    assert len(served.tries()) < 40


def test_a_server_killed_and_restarted_loses_and_doubles_nothing(served: Served, tmp_path: Path) -> None:
    requests = grid(30)
    served.start("--delay", "0.02")
    done = 0
    with Store(tmp_path / "store.sqlite") as store:
        engine = engine_at(served.url)

        class Watched:
            identity, description = engine.identity, engine.description

            def complete(self, todo: Any) -> Iterator[tuple[int, Completion]]:
                nonlocal done
                for pair in engine.complete(todo):
                    done += 1
                    if done == 100:
                        served.kill()
                        served.start("--delay", "0.02")
                    yield pair

            def close(self) -> None: ...

        got = complete_stored(Watched(), requests, store, "test")
    assert [c.text for c in got] == [right_text(r) for r in requests]
    tries = served.tries_by_request()
    assert len(tries) == len(requests)
    assert sum(tries.values()) <= len(requests) + 8  # only what was in flight at the kill went twice


def test_a_cap_on_requests_stops_a_run_that_is_too_large_before_anything_is_sent(served: Served) -> None:
    served.start()
    with pytest.raises(EngineError, match=r"settings\.max_requests: 20 requests are needed"):
        answers(engine_at(served.url, max_requests=19), grid(2))
    assert served.tries() == []
    answers(engine_at(served.url, max_requests=20), grid(2))


def test_retries_count_towards_the_cap_on_requests(served: Served) -> None:
    served.start("--fault", "server-error", "--every", "2", "--times", "5")
    with pytest.raises(EngineError, match=r"settings\.max_requests"):
        answers(engine_at(served.url, max_requests=22), grid(2))
    assert len(served.tries()) == 22


def test_the_cap_on_tokens_is_never_passed_and_what_was_answered_is_handed_over(served: Served) -> None:
    served.start()
    got = []
    # Each answer takes 15 tokens; each request may take 8 bytes + 32 + 16 = 56: at 150 used, 56 more pass 200.
    with pytest.raises(EngineError, match=r"settings\.max_total_tokens: the cap of 200 is reached: 150 tokens"):
        for position, _ in engine_at(served.url, max_total_tokens=200).complete(grid(10)):
            got.append(position)
    assert len(set(got)) == 10
    assert len(served.tries()) == 10


def test_requests_per_minute_are_kept(served: Served) -> None:
    served.start()
    answers(engine_at(served.url, requests_per_minute=600), grid(4, seeds=3))
    times = sorted(entry["at"] for entry in served.tries())
    assert len(times) == 24
    # The first may arrive late at a busy server, by less than the other half.
    assert times[-1] - times[0] >= 23 * 0.1 / 2


def test_a_schema_is_asked_for_and_every_verdict_parses(served: Served) -> None:
    requests = grid(3, schema=SCHEMA)
    got = answers(engine_at(served.start().url), requests)
    assert all(json.loads(c.text)["label"] == "REFUSE" for c in got)
    asked = served.tries()[0]["body"]["response_format"]
    assert asked["type"] == "json_schema"
    assert asked["json_schema"]["schema"] == SCHEMA


@pytest.mark.parametrize(("fallback", "kind"), [("json_object", "json_object"), ("prompt", None)])
def test_a_server_without_json_schema_is_said_and_asked_as_configured(
    served: Served, fallback: str, kind: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    reject = "json_schema" if fallback == "json_object" else "response_format"
    served.start("--reject", reject)
    got = answers(engine_at(served.url, structured_fallback=fallback), grid(2, schema=SCHEMA))
    assert {c.details["structured"] for c in got} == {fallback}
    assert f"falling back to `{fallback}`" in caplog.text
    assert len(served.tries()) == 20 + 1
    body = served.tries()[-1]["body"]
    assert body.get("response_format", {}).get("type") == kind
    assert '"required": ["label"]' in body["messages"][-1]["content"]


def test_without_a_fallback_a_rejected_schema_ends_the_run(served: Served) -> None:
    served.start("--reject", "response_format")
    with pytest.raises(EngineError, match="response_format"):
        answers(engine_at(served.url, structured_fallback="none"), grid(1, schema=SCHEMA))
    assert len(served.tries()) == 1


def test_a_vendor_that_knows_no_top_k_is_asked_without_it_only_while_it_changes_nothing(served: Served) -> None:
    served.start("--reject", "top_k")
    got = answers(engine_at(served.url), grid(1))
    assert all(c.missing_reason is None for c in got)
    assert "top_k" not in served.tries()[-1]["body"]
    cut = [Request(r.messages, Sampling(1.0, 1, 1, top_k=5)) for r in grid(1)]
    with pytest.raises(EngineError, match="top_k"):
        answers(engine_at(served.url), cut)


def test_extra_fields_of_the_body_are_sent_and_are_part_of_the_identity(served: Served) -> None:
    engine = engine_at(served.start().url, extra_body={"repetition_penalty": 1.0})
    answers(engine, grid(1))
    assert served.tries()[0]["body"]["repetition_penalty"] == 1.0
    assert engine.identity["extra_body"] == {"repetition_penalty": 1.0}


CHILD = textwrap.dedent(
    """
    import importlib.util, sys
    from pathlib import Path
    spec = importlib.util.spec_from_file_location("test_http", sys.argv[1])
    tests = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tests)
    with tests.Store(Path(sys.argv[3])) as store:
        tests.complete_stored(tests.engine_at(sys.argv[2]), tests.grid(60), store, "child")
    """
)


def run_child(url: str, store: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", CHILD, __file__, url, str(store)], stdout=subprocess.DEVNULL)


def wait_for(condition: Callable[[], bool], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_kill_9_in_the_middle_of_a_grid_costs_only_what_was_in_flight(served: Served, tmp_path: Path) -> None:
    served.start("--delay", "0.02")
    path = tmp_path / "store.sqlite"
    for stop_at in (150, 400):
        child = run_child(served.url, path)
        wait_for(lambda stop_at=stop_at: len(served.tries()) >= stop_at)  # type: ignore[misc]
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    assert run_child(served.url, path).wait(300) == 0
    tries = served.tries_by_request()
    assert len(tries) == 600
    assert sum(tries.values()) <= 600 + 2 * 8  # two kills, eight in flight at each
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT count(*), count(DISTINCT key) FROM completions").fetchone() == (600, 600)


def test_two_processes_on_one_store_send_no_request_twice(served: Served, tmp_path: Path) -> None:
    served.start("--delay", "0.01")
    path = tmp_path / "store.sqlite"
    children = [run_child(served.url, path) for _ in range(2)]
    assert [child.wait(300) for child in children] == [0, 0]
    assert Counter(served.tries_by_request().values()) == {1: 600}
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT count(*) FROM completions").fetchone() == (600,)
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.fixture
def study(tmp_path: Path) -> Callable[..., list[str]]:
    """Write a study of one HTTP model at a server; returns the command that runs its generate stage."""
    import pandas as pd
    import yaml

    from refusal_stability.files import PROMPTS
    from refusal_stability.tables.csv_files import write_table
    from refusal_stability.tables.study import PROMPT_TABLE

    def write(url: str, prompts: int = 12, **settings: Any) -> list[str]:
        model = {"engine": "openai", "path": "some-model", "settings": {"base_url": url, "concurrency": 8} | settings}
        params = {
            "study": "http",
            "interventions": {"none": {}},
            "sampling": {"temperatures": [0.0, 1.0], "seeds": [1, 2, 3]},
            "models": {"m": model},
            "judging": {"primary": "rules", "judges": {"rules": {"kind": "rules"}}},
        }
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
        names = [f"p{number}" for number in range(prompts)]
        table = pd.DataFrame({"prompt_id": names, "prompt": names, "category": "", "source": "test"})
        write_table(table, tmp_path / PROMPTS, PROMPT_TABLE)
        return [sys.executable, "-m", "refusal_stability.cli", "generate", "m"]

    return write


def test_the_stage_says_when_a_server_ignores_seeds_and_keeps_quiet_when_it_does_not(
    served: Served, study: Callable[..., list[str]], tmp_path: Path
) -> None:
    served.start()
    command = study(served.url)
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "ignore" not in ran.stderr
    served.kill()
    served.port = 0
    served.start("--ignore-seed")
    ran = subprocess.run(study(served.url), cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "identical text for 12 of 12 prompts at temperature 1: the server seems to ignore `seed`" in ran.stderr


def test_the_stage_leaves_the_key_in_no_file_and_no_output(
    served: Served, study: Callable[..., list[str]], tmp_path: Path, key: str
) -> None:
    served.start("--fault", "server-error", "--every", "5")
    command = study(served.url, api_key_env="RS_TEST_KEY")
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    served.kill()
    served.port = 0
    served.start("--fault", "unauthorized", "--times", "99")
    failed = subprocess.run(
        study(served.url, api_key_env="RS_TEST_KEY"), cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert failed.returncode == 1
    assert failed.stderr.startswith("error: params.yaml: models.m.settings.api_key_env: ")
    assert len(failed.stderr.splitlines()) == 1
    for told in (ran.stdout, ran.stderr, failed.stdout, failed.stderr):
        assert key not in told
    files = [file for file in tmp_path.rglob("*") if file.is_file() and file != served.log]
    assert len([file for file in files if file.suffix == ".csv"]) == 1 + 6
    assert not [file for file in files if key.encode() in file.read_bytes()]
    assert {entry["key"] for entry in served.tries()} == {f"Bearer {key}"}


def test_a_stage_whose_server_fails_too_often_fails_and_a_rerun_asks_only_what_is_missing(
    served: Served, study: Callable[..., list[str]], tmp_path: Path
) -> None:
    served.start("--fault", "server-error", "--every", "10", "--times", "1")
    command = study(served.url, max_retries=0)
    failed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    # The first request goes alone; its failure ends the run, and the second run gets past it.
    assert failed.returncode == 1
    assert "keeps failing: HTTP 500" in failed.stderr
    again = [subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False) for _ in range(2)]
    assert [run.returncode for run in again] == [1, 0], [run.stderr for run in again]
    assert "7 of 72 requests went unanswered (7 HTTP 500: Internal server error (tries: 1))" in again[0].stderr
    assert Counter(served.tries_by_request().values()) == {1: 64, 2: 8}


def test_a_stage_whose_every_request_is_too_long_fails_with_what_to_correct(
    served: Served, study: Callable[..., list[str]], tmp_path: Path
) -> None:
    served.start("--fault", "too-long")
    failed = subprocess.run(study(served.url), cwd=tmp_path, capture_output=True, text=True, check=False)
    assert failed.returncode == 1
    assert "the server rejects every request (72 HTTP 400: This model's maximum context length" in failed.stderr
    assert not (tmp_path / "data/generations").exists()
