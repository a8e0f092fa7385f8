"""Requests without a text: which outcomes the store keeps, and how they are asked again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from refusal_stability.cli import app
from refusal_stability.engines.complete import complete_stored
from refusal_stability.engines.http.engine import HTTPEngine
from refusal_stability.engines.protocol import EngineError
from refusal_stability.engines.store import Store
from refusal_stability.files import PROMPTS, STORE
from refusal_stability.params.checks import parsed
from refusal_stability.params.engines import ModelParams
from refusal_stability.params.engines.openai import OpenAISettings
from refusal_stability.records import Completion, Message, Outcome, Request, Sampling, StudyError
from refusal_stability.stages import generate
from refusal_stability.tables.csv_files import write_table
from refusal_stability.tables.study import PROMPT_TABLE

Serve = Callable[..., Any]
Answer = tuple[int, Any]
REFUSAL = "I'm sorry, but I can't help with that."


def said(content: Any, reason: Any = "stop") -> Answer:
    return 200, {"choices": [{"message": {"content": content}, "finish_reason": reason}]}


def failed(status: int, message: str, code: Any = None) -> Answer:
    return status, {"error": {"message": message, "code": code}}


def asked(count: int) -> list[Request]:
    return [Request((Message("user", f"{n}"),), Sampling(0.7, n, n, max_tokens=16)) for n in range(count)]


def engine_at(server: Any, **settings: Any) -> HTTPEngine:
    chosen = {"base_url": f"http://127.0.0.1:{server.port}/v1", "concurrency": 2, "max_retries": 1} | settings
    return HTTPEngine(ModelParams(engine="openai", path="m"), parsed(OpenAISettings, chosen), "models.m")


HIDDEN = {"completion_tokens_details": {"reasoning_tokens": 16}, "completion_tokens": 16, "prompt_tokens": 5}
TOO_LONG = failed(400, "too long", "context_length_exceeded")
FILTERED = failed(400, "The prompt was filtered", "content_filter")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store.sqlite") as opened:
        yield opened


def serve_to_one(serve: Serve, answer: Answer | Callable[[], Answer]) -> Any:
    """A server that gives `answer` to the request "1" and answers all others."""

    def respond(_: Any, body: dict[str, Any]) -> Answer:
        if body["messages"][0]["content"] != "1":
            return said("Fine.")
        return answer() if callable(answer) else answer

    return serve(respond)


def facts(completions: list[Completion]) -> list[tuple[Any, ...]]:
    return [(c.text, c.outcome, c.missing_reason, c.thinking, dict(c.details)) for c in completions]


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (FILTERED, "blocked"),
        (said("Sure, first", "content_filter"), "blocked"),
        (said("Sure, first", "SAFETY"), "blocked"),
        ((400, said("Sure", "content_filter")[1] | {"error": {"message": "?"}}), "blocked"),
        ((200, {"choices": [], "promptFeedback": {"blockReason": "SAFETY"}}), "blocked"),
        (TOO_LONG, "unanswered"),
        ((200, said("", "length")[1] | {"usage": HIDDEN}), "unanswered"),
        (said(None, "tool_calls"), "unanswered"),
    ],
)
def test_what_was_decided_is_asked_and_paid_once(serve: Serve, store: Store, answer: Answer, outcome: str) -> None:
    server = serve_to_one(serve, answer)
    first = complete_stored(engine_at(server), asked(3), store, "test")
    again = complete_stored(engine_at(server), asked(3), store, "test")
    assert (first[1].outcome, first[1].text) == (Outcome(outcome), "")
    assert first[1].missing_reason
    assert facts(again) == facts(first)
    assert len(server.bodies) == 3


@pytest.mark.parametrize(
    "answer",
    [
        failed(500, "overloaded"),
        failed(429, "slow down"),
        failed(400, "Nobody knows this"),
        said("half", "error"),
        said("half", "OTHER"),
        said(None, "stop"),
        (200, {"choices": []}),
        (502, "<html>bad gateway</html>"),
    ],
)
def test_what_was_lost_is_asked_again(serve: Serve, store: Store, answer: Answer, monkeypatch: Any) -> None:
    monkeypatch.setattr("refusal_stability.engines.http.transport.LONGEST_BACKOFF_S", 0.01)
    monkeypatch.setattr("refusal_stability.engines.http.transport.LONGEST_WAIT_S", 0.0)
    said_now = [answer]
    server = serve_to_one(serve, lambda: said_now[0])
    lost = complete_stored(engine_at(server, max_retries=0), asked(3), store, "test")
    assert lost[1].outcome is Outcome.UNANSWERED
    said_now[0] = said(REFUSAL)
    assert complete_stored(engine_at(server), asked(3), store, "test")[1].text == REFUSAL


def test_an_account_without_credit_leaves_no_outcome_behind(serve: Serve, tmp_path: Path) -> None:
    said_now = [failed(402, "Insufficient credits")]
    server = serve_to_one(serve, lambda: said_now[0])
    with Store(tmp_path / "store.sqlite") as store, pytest.raises(EngineError, match="no quota left"):
        complete_stored(engine_at(server), asked(3), store, "test")
    said_now[0] = said(REFUSAL)
    with Store(tmp_path / "store.sqlite") as store:
        assert complete_stored(engine_at(server), asked(3), store, "test")[1].text == REFUSAL


def test_outcomes_are_asked_again_where_a_person_wants_it(serve: Serve, store: Store) -> None:
    said_now = [FILTERED]
    server = serve_to_one(serve, lambda: said_now[0])
    assert complete_stored(engine_at(server), asked(3), store, "test")[1].outcome is Outcome.BLOCKED
    said_now[0] = said(REFUSAL)
    kept = complete_stored(engine_at(server), asked(3), store, "test", [Outcome.UNANSWERED])
    assert kept[1].outcome is Outcome.BLOCKED
    again = complete_stored(engine_at(server), asked(3), store, "test", [Outcome.BLOCKED])
    assert again[1].text == REFUSAL
    assert len(server.bodies) == 4


def test_where_nothing_was_answered_nothing_is_kept(serve: Serve, store: Store) -> None:
    said_now = [TOO_LONG]
    server = serve(lambda *_: said_now[0])
    complete_stored(engine_at(server), asked(3), store, "test")
    said_now[0] = said(REFUSAL)
    assert [c.text for c in complete_stored(engine_at(server), asked(3), store, "test")] == [REFUSAL] * 3


def test_the_command_asks_blocked_prompts_again(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said_now = [FILTERED]
    server = serve_to_one(serve, lambda: said_now[0])
    settings = {"base_url": f"http://127.0.0.1:{server.port}/v1"}
    study = {
        "study": "small",
        "interventions": {"none": {}},
        "sampling": {"temperatures": [0.0], "seeds": [1]},
        "models": {"hosted": {"engine": "openai", "path": "m", "settings": settings}},
        "judging": {"primary": "rules", "judges": {"rules": {}}},
    }
    Path("params.yaml").write_text(yaml.safe_dump(study))
    table = pd.DataFrame({"prompt_id": ["a", "b"], "prompt": ["0", "1"], "category": "", "source": "test"})
    write_table(table, PROMPTS, PROMPT_TABLE)
    outcomes = []
    for arguments in ([], [], ["--ask-again", "blocked"]):
        said_now[0] = said(REFUSAL) if arguments else FILTERED
        assert CliRunner().invoke(app, ["generate", "hosted", *arguments]).exit_code == 0
        written = pd.read_csv("data/generations/hosted/hosted_temp0.0_seed1_generations.csv")
        outcomes.append((written["outcome"].tolist(), len(server.bodies)))
    assert outcomes == [(["answered", "blocked"], 2), (["answered", "blocked"], 2), (["answered"] * 2, 3)]
    with pytest.raises(StudyError, match="--ask-again refused is not allowed; allowed: blocked, unanswered"):
        generate.run("hosted", Path("params.yaml"), ["refused"])
    assert STORE.is_file()
