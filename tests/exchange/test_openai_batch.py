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


def test_one_id_of_two_requests_or_of_two_answers_is_an_error() -> None:
    other = asked(0) | {"body": asked(1)["body"]}
    output = lines("o.jsonl", [answered(0, choice("Sure."))])
    with pytest.raises(LogError, match=r"a\.jsonl: row 2: custom_id 'r0' is another request in a\.jsonl: row 1; .*own"):
        import_files(lines("a.jsonl", [asked(0), other]), output)
    output = lines("o.jsonl", [answered(0, choice("Sure.")), answered(0, choice("No."))])
    with pytest.raises(LogError, match=r"o\.jsonl: row 2: custom_id 'r0' is answered twice; .*one"):
        import_files(lines("a.jsonl", [asked(0)]), output)


@pytest.mark.parametrize(
    "names",
    [
        ("in_t0.jsonl", "out_t0.jsonl", "in_t1.jsonl", "out_t1.jsonl"),
        ("a/input.jsonl", "a/batch_77.jsonl", "b/input.jsonl", "b/batch_66.jsonl"),
        ("inputs/0.7.jsonl", "outputs/0.7.jsonl", "inputs/1.0.jsonl", "outputs/1.0.jsonl"),
    ],
)
def test_batches_that_share_their_ids_are_one_study(names: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    for name in names:
        Path(name).parent.mkdir(exist_ok=True)
    for k, temperature in enumerate((0, 1)):
        lines(names[2 * k], [asked(q, temperature=temperature) for q in range(2)])
        lines(names[2 * k + 1], [answered(q, choice(f"At {temperature}.")) for q in range(2)])
    import_files(*map(Path, sorted(names)))
    said = capsys.readouterr().out
    assert (
        f"same custom_ids for different requests: {names[1]} answers {names[0]}; {names[3]} answers {names[2]}" in said
    )
    table = run_imported()
    assert table["response"].tolist() == [f"At {temperature:g}." for temperature in table["temperature"]]
    assert table.groupby("temperature").size().to_dict() == {0: 2, 1: 2}


def test_batches_that_share_their_ids_and_nothing_tells_apart_are_an_error() -> None:
    inputs = [lines(f"{k}.jsonl", [asked(0, temperature=k)]) for k in (0, 1)]
    outputs = [lines(f"{name}.jsonl", [answered(0, choice(name))]) for name in ("x", "y")]
    with pytest.raises(LogError, match=r"^x\.jsonl: answers 0\.jsonl or 1\.jsonl, .*; name each .* alike .*folder"):
        import_files(*inputs, *outputs)
    with pytest.raises(LogError, match=r"^1-in\.jsonl: a batch's input has no answers"):
        import_files(inputs[0], lines("0-out.jsonl", [answered(0, choice("A."))]), inputs[1].rename("1-in.jsonl"))
    with pytest.raises(LogError, match=r"^z\.jsonl: no input file has all its custom_ids"):
        import_files(inputs[0], Path("1-in.jsonl"), lines("z.jsonl", [answered(7, choice("A."))]))


def test_a_batch_of_another_endpoint_says_so() -> None:
    row = {"custom_id": "r0", "url": "/v1/embeddings", "body": {"model": "gpt-x", "input": "Q?"}}
    with pytest.raises(LogError, match=r"in\.jsonl: row 1: no messages; .*/v1/chat/completions and /v1/responses"):
        import_files(lines("in.jsonl", [row]), lines("out.jsonl", [answered(0)]))


def response(k: int, status: str, *output: dict[str, Any], **body: Any) -> dict[str, Any]:
    """An answer of /v1/responses."""
    found = {"object": "response", "status": status, "output": list(output)} | body
    return {"id": f"b{k}", "custom_id": f"r{k}", "response": {"status_code": 200, "body": found}, "error": None}


def test_a_batch_of_responses_is_read_as_one_of_chat_completions() -> None:
    listed = [
        {"role": "user", "content": [{"type": "input_text", "text": "Question "}, {"type": "input_text", "text": "0?"}]}
    ]
    bodies = [{"input": "Question 0?"}, {"input": listed}, *({"input": f"Question {k}?"} for k in range(2, 6))]
    settings = {"model": "gpt-x", "temperature": 1, "instructions": "Be kind."}
    requests = [
        {"custom_id": f"r{k}", "url": "/v1/responses", "body": settings | body} for k, body in enumerate(bodies)
    ]
    thought = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]}

    def message(**part: Any) -> dict[str, Any]:
        return {"type": "message", "role": "assistant", "content": [part]}

    output = [
        response(0, "completed", thought, message(type="output_text", text="Sure.")),
        response(1, "completed", message(type="output_text", text="Yes.")),
        response(2, "completed", message(type="refusal", refusal="I cannot.")),
        response(
            3, "incomplete", message(type="output_text", text="Cu"), incomplete_details={"reason": "max_output_tokens"}
        ),
        response(4, "incomplete", thought, incomplete_details={"reason": "content_filter"}),
        response(5, "failed", error={"code": "server_error", "message": "It broke."}),
    ]
    import_files(lines("in.jsonl", requests), lines("out.jsonl", output))
    table = run_imported()
    table = table[table["outcome"] != "not_sampled"].sort_values(["prompt", "seed"])
    assert table["prompt"].tolist() == [f"Question {k}?" for k in (0, 0, 2, 3, 4, 5)]
    assert table["outcome"].tolist() == ["answered", "answered", "refused", "cut", "blocked", "unanswered"]
    assert table["response"].tolist()[:2] == ["Sure.", "Yes."]
    assert table["thinking"].tolist()[0] == "Hm."
    assert "error: It broke." in set(table["missing_reason"])
    assert json.loads(
        Path("data/prompts/prompts.csv").read_text().split('"[')[1].split(']"')[0].replace('""', '"')
    ) == {
        "role": "system",
        "content": "Be kind.",
    }


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({"input": "Q?", "previous_response_id": "resp_1"}, "in previous_response_id; make it a table"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "holds input_image, which is no text"),
        ({"input": [{"type": "function_call_output", "output": "x"}]}, "holds function_call_output, which is no text"),
        ({"input": []}, "no messages"),
    ],
)
def test_a_request_of_responses_that_is_no_text_is_an_error(body: dict[str, Any], fault: str) -> None:
    row = {"custom_id": "r0", "url": "/v1/responses", "body": {"model": "gpt-x", "temperature": 1} | body}
    with pytest.raises(LogError, match=rf"^in\.jsonl: row 1: .*{fault}"):
        import_files(lines("in.jsonl", [row]), lines("out.jsonl", [response(0, "completed")]))


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


def test_a_request_that_the_filter_refused_is_blocked_and_what_a_message_thinks_is_kept() -> None:
    error = {"message": "The response was filtered.", "type": "invalid_request_error", "code": "content_filter"}
    refused = {"id": "b0", "custom_id": "r0", "response": {"status_code": 400, "body": {"error": error}}, "error": None}
    output = lines("out.jsonl", [refused, answered(1, choice("Sure.", reasoning="Hm."))])
    import_files(lines("in.jsonl", [asked(0), asked(1)]), output)
    table = run_imported().set_index("prompt")
    assert table["outcome"].to_dict() == {"Question 0?": "blocked", "Question 1?": "answered"}
    assert table.loc["Question 1?", "thinking"] == "Hm."


def test_a_request_that_is_no_conversation_of_texts_names_its_own_row() -> None:
    messages = [{"role": "user", "content": None}]
    output = lines("out.jsonl", [answered(0, choice("Sure."))])
    with pytest.raises(LogError, match=r"^in\.jsonl: row 1: the prompt: holds nothing \(null\); .*; remove the record"):
        import_files(lines("in.jsonl", [asked(0, messages=messages)]), output)
