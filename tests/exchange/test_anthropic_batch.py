"""Anthropic's message batches: prompts from the requests, answers from the results, failures told with their reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from imported_study import import_files, run_imported
from test_openai_batch import lines

from refusal_stability.exchange.logged import LogError
from refusal_stability.tables.csv_files import read_table
from refusal_stability.tables.study import PROMPT_TABLE


def asked(k: int, **params: Any) -> dict[str, Any]:
    turns = [{"role": "user", "content": [{"type": "text", "text": f"Question {k % 3}?"}]}]
    params = {
        "model": "claude-x",
        "max_tokens": 9,
        "temperature": 1.0,
        "messages": turns,
        "system": "Be kind.",
    } | params
    return {"custom_id": f"r{k}", "params": params}


def result(k: int, kind: str = "succeeded", text: str = "", stop: str = "end_turn", **more: Any) -> dict[str, Any]:
    parts = [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": text}]
    told = {"message": {"id": f"msg_{k}", "content": parts, "stop_reason": stop}} if kind == "succeeded" else more
    return {"custom_id": f"r{k}", "result": {"type": kind, **told}}


def test_a_message_batch_becomes_a_study() -> None:
    failed = {"error": {"type": "error", "error": {"type": "invalid_request_error", "message": "too\nlong"}}}
    results = [
        result(0, text="Sure."),
        result(1, text="Cut", stop="max_tokens"),
        result(2, stop="refusal"),
        result(3, text="No."),
        result(4, "errored", **failed),
        result(5, "expired"),
    ]
    for requests in ({"requests": [asked(k) for k in range(6)]}, [asked(k) for k in range(6)]):
        Path("requests.json").write_text(json.dumps(requests))
        import_files(Path("requests.json"), lines("results.jsonl", results))
    table = run_imported()
    assert sorted(table["outcome"]) == ["answered", "answered", "cut", "refused", "unanswered", "unanswered"]
    assert set(table["missing_reason"]) >= {"error: too long", "error: the request has expired"}
    turns = read_table(Path("data/prompts/prompts.csv"), PROMPT_TABLE)["turns"]
    assert set(turns) == {'[{"role": "system", "content": "Be kind."}]'}
    assert set(table.loc[table["outcome"] == "answered", "thinking"]) == {"Hm."}
    study = yaml.safe_load(Path("studies/imported.yaml").read_text())
    assert (list(study["models"]), study["sampling"]) == (["claude-x"], {"temperatures": [1.0], "seeds": [1, 2]})


def test_a_temperature_that_was_not_sent_is_asked_for_and_results_alone_ask_for_their_requests() -> None:
    results = lines("results.jsonl", [result(0, text="Sure.")])
    with pytest.raises(LogError, match=r"results\.jsonl: a batch's output has no prompts"):
        import_files(results)
    requests = lines("requests.jsonl", [asked(0, temperature=None)])
    with pytest.raises(LogError, match=r"row 1: the log does not say the temperature; give it: --temperature"):
        import_files(requests, results)
    import_files(requests, results, temperature=1.0)
    for wrong in (
        '{"custom_id": "a", "params": {}}',
        '[{"custom_id": "a", "params": {}}, 7]',
        '["custom_id", "params"',
    ):
        Path("bad.json").write_text(wrong)
        with pytest.raises(LogError, match=r"bad\.json: "):
            import_files(Path("bad.json"), results)
