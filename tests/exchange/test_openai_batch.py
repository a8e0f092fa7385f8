"""OpenAI's batch files: prompts from the input, answers from the output, failures told with their reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from imported_study import import_files, run_imported

from refusal_stability.exchange.logged import LogError


def lines(name: str, rows: list[dict[str, Any]]) -> Path:
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Path(name)


def asked(k: int, **body: Any) -> dict[str, Any]:
    messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": f"Question {k % 2}?"}]
    body = {"model": "gpt-x", "messages": messages, "temperature": 0.7} | body
    return {"custom_id": f"r{k}", "method": "POST", "url": "/v1/chat/completions", "body": body}


def answered(k: int, *choices: dict[str, Any]) -> dict[str, Any]:
    body = {"object": "chat.completion", "choices": list(choices)}
    return {"id": f"b{k}", "custom_id": f"r{k}", "response": {"status_code": 200, "body": body}, "error": None}


def choice(text: str | None, finish: str = "stop", **message: Any) -> dict[str, Any]:
    return {"index": 0, "message": {"role": "assistant", "content": text} | message, "finish_reason": finish}


def test_a_batch_becomes_a_study() -> None:
    failed = {"custom_id": "r3", "response": {"status_code": 500, "body": {"error": {"message": "server\nerror"}}}}
    output = [
        answered(0, choice("Sure."), choice("Cut", "length")),
        answered(1, choice(None, refusal="I cannot.")),
        answered(2, choice("", "content_filter")),
        failed | {"error": None},
    ]
    import_files(lines("in.jsonl", [asked(k) for k in range(5)]), lines("out.jsonl", output))
    table = run_imported()
    table = table[table["outcome"] != "not_sampled"]
    assert sorted(table["outcome"]) == ["answered", "blocked", "cut", "refused", "unanswered", "unanswered"]
    assert {"error: server error", "the batch has no answer"} <= set(table["missing_reason"])
    params = yaml.safe_load(Path("studies/imported.yaml").read_text())
    assert params["sampling"]["temperatures"] == [0.7]
    assert list(params["models"]) == ["gpt-x"]


def test_an_output_alone_asks_for_its_input() -> None:
    with pytest.raises(LogError, match=r"out\.jsonl: a batch's output has no prompts; import the batch's input file"):
        import_files(lines("out.jsonl", [answered(0, choice("Sure."))]))


def test_two_batches_that_share_their_ids_are_an_error() -> None:
    other = asked(0) | {"body": asked(1)["body"]}
    with pytest.raises(
        LogError, match=r"b\.jsonl: row 1: custom_id 'r0' is another request in a\.jsonl: row 1; .*two st"
    ):
        import_files(lines("a.jsonl", [asked(0)]), lines("b.jsonl", [other]), lines("o.jsonl", [answered(0)]))
    output = lines("o.jsonl", [answered(0, choice("Sure.")), answered(0, choice("No."))])
    with pytest.raises(LogError, match=r"o\.jsonl: row 2: custom_id 'r0' is answered twice; .*one"):
        import_files(lines("a.jsonl", [asked(0)]), output)


def test_a_batch_of_another_endpoint_says_so() -> None:
    row = {"custom_id": "r0", "url": "/v1/responses", "body": {"model": "gpt-x", "input": "Q?", "temperature": 1}}
    with pytest.raises(LogError, match=r"in\.jsonl: row 1: no messages; .*/v1/chat/completions"):
        import_files(lines("in.jsonl", [row]), lines("out.jsonl", [answered(0)]))


def test_an_answer_without_choices_is_missing() -> None:
    import_files(lines("in.jsonl", [asked(0), asked(1)]), lines("out.jsonl", [answered(0), answered(1, choice("A."))]))
    assert sorted(run_imported()["missing_reason"]) == ["", "the batch has no answer"]


def test_an_answer_to_another_batch_is_an_error() -> None:
    with pytest.raises(LogError, match=r"row 1: custom_id 'r7' is in no input file"):
        import_files(lines("in.jsonl", [asked(0)]), lines("out.jsonl", [answered(7, choice("Sure."))]))


def test_a_temperature_that_is_null_is_asked_for_and_given() -> None:
    files = lines("in.jsonl", [asked(0, temperature=None)]), lines("out.jsonl", [answered(0, choice("Sure."))])
    with pytest.raises(LogError, match=r"row 1: the log does not say the temperature; give it: --temperature 0\.7"):
        import_files(*files)
    import_files(*files, temperature=0.3)
    assert yaml.safe_load(Path("studies/imported.yaml").read_text())["sampling"]["temperatures"] == [0.3]


@pytest.mark.parametrize("setting", ["top_p", "max_tokens", "reasoning_effort"])
def test_requests_that_differ_in_a_setting_are_no_repeats(setting: str) -> None:
    requests = lines("in.jsonl", [asked(0, **{setting: 1}), asked(2)])
    output = lines("out.jsonl", [answered(0, choice("Sure.")), answered(2, choice("No."))])
    with pytest.raises(
        LogError, match=rf"^in\.jsonl: row 2: asks what in\.jsonl: row 1 asks, but with another {setting}"
    ):
        import_files(requests, output)


def test_the_outputs_of_one_input_that_was_sent_again_are_repeats(capsys: pytest.CaptureFixture[str]) -> None:
    requests = lines("in.jsonl", [asked(k, seed=7) for k in range(2)])
    failed = {"id": "f", "custom_id": "r1", "response": {"status_code": 500}, "error": None}
    first = lines("1.jsonl", [answered(0, choice("A.")), failed])
    second = lines("2.jsonl", [answered(k, choice("A.")) | {"id": f"again {k}"} for k in range(2)])
    copy = lines("3.jsonl", [json.loads(line) for line in second.read_text().splitlines()[::-1]])
    import_files(requests, first, second, copy)
    said = capsys.readouterr().out
    assert "3 responses: 2 prompts, 1 model, temperature 0.7, 2 repeats" in said
    assert "requests that failed and were sent again: 1; their answers count" in said
    assert "requests answered more than once: 1; each answer is a repeat" in said
    assert "responses sent the seed of another response to their prompt: 1; each is a repeat" in said
    assert run_imported()["response"].tolist() == ["A.", "A.", "A.", ""]


def test_an_input_alone_and_outputs_whose_ids_are_empty_or_shared() -> None:
    requests = lines("in.jsonl", [asked(k) for k in range(4)])
    with pytest.raises(LogError, match=r"in\.jsonl: a batch's input has no answers; import the batch's output"):
        import_files(requests)
    for own in ("", "batch_1"):
        import_files(requests, lines("out.jsonl", [answered(k, choice("A.")) | {"id": own} for k in range(4)]))
        assert run_imported()["response"].tolist() == ["A."] * 4


def test_a_seed_of_each_equal_request_is_kept_and_one_that_is_shared_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    output = lines("out.jsonl", [answered(k, choice(f"Answer {k}")) for k in range(4)])
    for seeds, kept in (([11, 11, 12, 12], [11, 12]), ([7, 7, 7, 7], [1, 2])):
        import_files(lines("in.jsonl", [asked(k, seed=seeds[k], user=f"u{k}") for k in range(4)]), output)
        assert yaml.safe_load(Path("studies/imported.yaml").read_text())["sampling"]["seeds"] == kept
        assert ("some equal requests share their seed" in capsys.readouterr().out) == (kept == [1, 2])
