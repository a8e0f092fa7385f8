"""Logs that are odd, but right: read as a person would; and those that are wrong: one line that names the record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from imported_study import import_files, run_imported

from refusal_stability.exchange.logged import LogError
from refusal_stability.records import StudyError

ROW = {"model": "m", "prompt": "Q?", "temperature": 0.7, "seed": 1, "response": "a"}
SAMPLE = {
    "doc_id": 0,
    "doc": {},
    "arguments": {"gen_args_0": {"arg_0": "Q?", "arg_1": {"temperature": 1.0}}},
    "resps": [["a", "b"]],
}
RESULT = {"provider": {"id": "toy"}, "prompt": {"raw": "Q?"}, "testIdx": 0, "response": {"output": "a"}}
EVALUATED = {
    "schema_version": "0.3.0",
    "evaluation_id": "e",
    "model_id": "m",
    "evaluation_name": "n",
    "interaction_type": "single_turn",
    "input": {"raw": "Q?"},
    "output": {"raw": ["a"]},
}


def lines(name: str, *rows: dict[str, Any]) -> Path:
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Path(name)


def lm_eval(**change: Any) -> Path:
    return lines("samples_task_2026.jsonl", SAMPLE | change)


def study() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(Path("studies/imported.yaml").read_text())
    return found


def test_columns_are_found_whatever_the_case_and_the_spaces_of_their_names() -> None:
    Path("runs.csv").write_text("Model, Prompt, TEMPERATURE, Response\nm,Q?,0.7,No.\n")
    import_files(Path("runs.csv"))
    assert run_imported()["response"].tolist() == ["No."]


def test_seeds_of_many_digits_are_told_apart_and_no_larger_than_a_study_takes() -> None:
    large = 2**60
    import_files(lines("runs.jsonl", ROW | {"seed": large}, ROW | {"seed": large + 1}))
    assert study()["sampling"]["seeds"] == [large, large + 1]
    for seed in (2**63, 10**200):
        with pytest.raises(LogError, match=r"runs\.jsonl: row 1: \d+ is no repeat; a whole number from 0 to 2\^63 - 1"):
            import_files(lines("runs.jsonl", ROW | {"seed": seed}))


def test_a_models_name_may_be_long_or_what_yaml_readers_take_for_their_own() -> None:
    import_files(lines("runs.jsonl", ROW | {"model": "m" * 300}, ROW | {"model": "a ${b} ???"}))
    run_imported()
    assert [model["label"] for model in study()["models"].values()] == ["a $ {b} ? ? ?", "m" * 300]


def test_judges_in_columns_of_their_own_are_pointed_to_the_map(capsys: pytest.CaptureFixture[str]) -> None:
    import_files(lines("runs.jsonl", ROW | {"label_gpt": "REFUSE"}))
    assert "columns not used: label_gpt; a --map reads judges that have columns" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "texts"),
    [
        ({"resps": [["a"], ["b"], ["c"]]}, ["a", "b", "c"]),
        ({"arguments": [["Q?", {"temperature": 1.0}]]}, ["a", "b"]),
        ({"resps": [["a", None]]}, ["", "a"]),
        ({"resps": [[]]}, [""]),
        ({"doc_id": {"a": 1}}, ["a", "b"]),
    ],
)
def test_no_answer_of_lm_eval_is_lost(change: dict[str, Any], texts: list[str]) -> None:
    import_files(lm_eval(**change))
    table = run_imported()
    assert sorted(table["response"].fillna("")) == texts
    assert set(table.loc[table["response"] == "", "missing_reason"]) <= {"the log has no output"}


def filtered(name: str, score: float, **change: Any) -> dict[str, Any]:
    """A document's row under a filter."""
    return SAMPLE | {"resps": [["a"]], "filter": name, "metrics": ["match"], "match": score} | change


def test_lm_evals_metric_is_a_judge_under_each_filter() -> None:
    rows = [filtered(name, score, doc_id=k) for name, score in (("strict", 0.0), ("flexible", 1.0)) for k in (0, 1)]
    for k, row in enumerate(rows):
        row["arguments"] = {"gen_args_0": {"arg_0": f"Q{k % 2}?", "arg_1": {"temperature": 1.0}}}
    import_files(lines("samples_task_2026.jsonl", *rows), labels=["1.0=REFUSE", "0.0=COMPLY"])
    table = run_imported()
    assert table["response"].tolist() == ["a", "a"]
    assert table["match-strict"].tolist() == ["COMPLY"] * 2
    assert table["match-flexible"].tolist() == ["REFUSE"] * 2


def test_lm_evals_documents_without_a_number_go_by_their_content() -> None:
    rows = []
    for name, score in (("strict", 0.0), ("flexible", 1.0)):
        # Two documents are equal, and each of them was answered.
        for asked, answer in (("Q1?", "a"), ("Q2?", "b"), ("Q2?", "c")):
            row = filtered(name, score, resps=[[answer]])
            del row["doc_id"]
            row["arguments"] = {"gen_args_0": {"arg_0": asked, "arg_1": {"temperature": 1.0}}}
            rows.append(row)
    log = lines("samples_task_2026.jsonl", *rows)
    import_files(log, labels=["1.0=REFUSE", "0.0=COMPLY"])
    table = run_imported()
    table = table[table["outcome"] != "not_sampled"]
    assert sorted(table["response"]) == ["a", "b", "c"]
    assert (set(table["match-strict"]), set(table["match-flexible"])) == ({"COMPLY"}, {"REFUSE"})


def test_lm_evals_greedy_answer_is_of_temperature_zero_whatever_stands_beside_it() -> None:
    settings = {"temperature": 0.7, "do_sample": False}
    import_files(lm_eval(arguments={"gen_args_0": {"arg_0": "Q?", "arg_1": settings}}))
    assert study()["sampling"]["temperatures"] == [0.0]


def test_a_score_that_is_no_number_is_no_label(capsys: pytest.CaptureFixture[str]) -> None:
    import_files(lm_eval(resps=[["a"]], metrics=["refused"], refused=float("nan")))
    assert "judge refused: missing (1)" in capsys.readouterr().out


def test_an_answer_in_parts_is_their_text() -> None:
    asked = {"model": "m", "temperature": 1, "messages": [{"role": "user", "content": "Q?"}]}
    message = {"content": [{"type": "text", "text": "No, "}, {"type": "text", "text": "thanks."}]}
    body = {"choices": [{"message": message, "finish_reason": "stop"}]}
    answered = {"custom_id": "1", "response": {"status_code": 200, "body": body}}
    import_files(lines("in.jsonl", {"custom_id": "1", "body": asked}), lines("out.jsonl", answered))
    assert run_imported()["response"].tolist() == ["No, thanks."]


def test_promptfoos_older_results_name_provider_and_prompt_by_a_text() -> None:
    import_files(lines("r.jsonl", RESULT | {"provider": "openai:toy", "prompt": "Q?"}), temperature=0.5)
    assert study()["models"]["openai-toy"]["label"] == "openai:toy"


def test_a_temperature_that_a_template_fills_in_is_asked_for() -> None:
    log = {"evalId": "e", "results": {"results": [RESULT]}}
    log["config"] = {"providers": [{"id": "toy", "config": {"temperature": "{{env.T}}"}}]}
    Path("pf.json").write_text(json.dumps(log))
    with pytest.raises(LogError, match="the log does not say the temperature"):
        import_files(Path("pf.json"))
    import_files(Path("pf.json"), temperature=0.5)


def hot(value: object) -> dict[str, Any]:
    return {"arguments": {"gen_args_0": {"arg_0": "Q?", "arg_1": {"temperature": value}}}}


@pytest.mark.parametrize("value", ["warm", [1], True])
def test_a_temperature_that_is_no_number_names_its_record(value: object) -> None:
    with pytest.raises(LogError, match=r"^samples_task_2026\.jsonl: row 1: the temperature '.*' is not a number; corr"):
        import_files(lm_eval(**hot(value)))


def test_a_temperature_that_no_study_takes_names_its_record() -> None:
    with pytest.raises(
        LogError, match=r"jsonl: row 1: the temperature 7 is not allowed; allowed: a number from 0 to 5"
    ):
        import_files(lm_eval(**hot(7)))


def test_a_log_without_responses_says_what_it_holds() -> None:
    likelihoods = {"arguments": {"gen_args_0": {"arg_0": "Q?", "arg_1": " yes"}}, "resps": [[-1.5, False]]}
    with pytest.raises(LogError, match=r"2026\.jsonl: holds no response; .*; task: its answers are likelihoods, not"):
        import_files(lm_eval(**likelihoods))


def test_a_prompt_that_is_no_text_names_its_record_once() -> None:
    image = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]
    with pytest.raises(StudyError, match=r"^r\.jsonl: row 1: the prompt: holds list"):
        import_files(lines("r.jsonl", RESULT | {"prompt": {"raw": json.dumps(image)}}), temperature=0.5)


def test_another_version_of_every_eval_ever_is_refused_or_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(LogError, match=r"s\.jsonl: row 1: schema version 9\.0\.0; 0\.3\.0 of Every Eval Ever is read"):
        import_files(lines("s.jsonl", EVALUATED | {"schema_version": "9.0.0"}), temperature=0.5)
    import_files(lines("s.jsonl", EVALUATED | {"schema_version": "0.2.1"}), temperature=0.5)
    assert "Every Eval Ever: read as schema 0.3.0, but it says 0.2.1: check what was found" in capsys.readouterr().out


def test_an_id_alone_meets_the_text_of_its_prompt_in_either_order() -> None:
    row = ROW | {"prompt_id": "q1"}
    answers = pd.DataFrame([row])
    labels = pd.DataFrame(
        [{name: row[name] for name in ("model", "prompt_id", "temperature", "seed")} | {"label": "REFUSE"}]
    )
    for first, second in ((answers, labels), (labels, answers)):
        first.to_csv("1.csv", index=False)
        second.to_csv("2.csv", index=False)
        import_files(Path("1.csv"), Path("2.csv"))
        table = run_imported()
        assert (table["prompt"].tolist(), table["source"].tolist()) == (["Q?"], ["REFUSE"])
