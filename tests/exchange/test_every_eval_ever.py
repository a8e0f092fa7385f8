"""Samples in the schema of Every Eval Ever (0.3.0) become a study."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from imported_study import import_files, run_imported

from refusal_stability.exchange.logged import LogError
from refusal_stability.exchange.told_by_export import OWN, TOLD, TOLD_OF_ANSWER, told_by

REFUSAL, HELP = "I'm sorry, but I can't help with that.", "Sure, here is how: mix the two and stir."


def sample(question: str, *answers: str, **other: Any) -> dict[str, Any]:
    """A sample of the schema, with all that it requires."""
    return {
        "schema_version": "0.3.0",
        "evaluation_id": "refusals/model/1",
        "model_id": "org/Model-1.5",
        "evaluation_name": "refusals",
        "sample_id": question,
        "interaction_type": "single_turn",
        "input": {"raw": question, "reference": ["REFUSE"]},
        "output": {"raw": list(answers)},
        "answer_attribution": [],
        "evaluation": {"score": 1.0, "is_correct": answers[:1] == (REFUSAL,)},
    } | other


def written(samples: list[dict[str, Any]], temperature: float | None = 0.7) -> list[Path]:
    """The samples' file, and the evaluation's own beside it."""
    Path("run_samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in samples))
    settings = {"generation_args": {"temperature": temperature}}
    result = {"evaluation_name": "refusals", "score_details": {"score": 1.0}, "generation_config": settings}
    evaluation = {"schema_version": "0.3.0", "evaluation_id": "refusals/model/1", "evaluation_results": [result]}
    Path("run.json").write_text(json.dumps(evaluation))
    return [Path("run_samples.jsonl"), Path("run.json")]


def test_samples_become_repeats_of_their_question() -> None:
    rows = [sample("First?", REFUSAL, HELP), sample("Second?", HELP), sample("Second?", REFUSAL)]
    import_files(*written(rows))
    params = yaml.safe_load(Path("studies/imported.yaml").read_text())
    assert params["sampling"] == {"temperatures": [0.7], "seeds": [1, 2]}
    table = run_imported()
    found = {(row.prompt, row.seed): row.response for row in table.itertuples()}
    assert found == {("First?", 1): REFUSAL, ("First?", 2): HELP, ("Second?", 1): HELP, ("Second?", 2): REFUSAL}


def test_results_of_one_name_whose_temperatures_differ_need_an_id_or_the_temperature() -> None:
    samples, evaluation = written([sample("First?", HELP, evaluation_result_id="b"), sample("First?", REFUSAL)])
    found = json.loads(evaluation.read_text())
    (one,) = found["evaluation_results"]
    other = one | {"generation_config": {"generation_args": {"temperature": 1.0}}, "evaluation_result_id": "b"}
    evaluation.write_text(json.dumps(found | {"evaluation_results": [one, other]}))
    with pytest.raises(LogError, match=r"row 2: the log does not say the temperature"):
        import_files(samples, evaluation)
    import_files(samples, evaluation, temperature=0.3)
    sampling = yaml.safe_load(Path("studies/imported.yaml").read_text())["sampling"]
    assert sampling["temperatures"] == [0.3, 1.0]


def test_a_samples_score_is_a_judge() -> None:
    rows = [sample("First?", REFUSAL), sample("First?", HELP)]
    import_files(*written(rows), labels=["correct=REFUSE", "incorrect=COMPLY"])
    assert run_imported().groupby("response")["refusals"].first().to_dict() == {REFUSAL: "REFUSE", HELP: "COMPLY"}


def test_a_conversation_and_an_error_are_read_and_an_agents_run_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    turns = [("system", "Be kind."), ("user", "Hello?"), ("assistant", "Yes?"), ("user", "Go on?"), ("assistant", HELP)]
    messages = [{"turn_idx": i, "role": role, "content": text} for i, (role, text) in enumerate(turns)]
    rows = [
        sample("x", interaction_type="multi_turn", output=None, messages=messages),
        sample("First?", error="timeout\nafter 60 s"),
        sample("y", interaction_type="agentic", output=None, messages=messages),
    ]
    import_files(*written(rows))
    assert "agentic samples have no one answer; left out" in capsys.readouterr().out
    table = run_imported()
    assert table.set_index("prompt")["response"].to_dict() == {"Go on?": HELP, "First?": ""}
    assert "error: timeout after 60 s" in set(table["missing_reason"])


def test_an_output_that_is_one_text_is_one_response() -> None:
    import_files(*written([sample("First?") | {"output": {"raw": HELP, "reasoning_trace": "Hm."}}]))
    table = run_imported()
    assert (table["response"].tolist(), table["thinking"].tolist()) == ([HELP], ["Hm."])


def test_a_score_of_a_sample_that_failed_is_no_decision() -> None:
    rows = [sample("First?", "", error="timeout"), sample("Second?", REFUSAL)]
    import_files(*written(rows), labels=["correct=REFUSE", "incorrect=COMPLY"])
    assert run_imported().set_index("prompt")["refusals"].fillna("").to_dict() == {"First?": "", "Second?": "REFUSE"}


def test_a_temperature_that_the_evaluation_lacks_is_asked_for() -> None:
    files = written([sample("First?", HELP)], temperature=None)
    with pytest.raises(LogError, match="the log does not say the temperature"):
        import_files(*files)
    import_files(*files, temperature=1.0)
    assert yaml.safe_load(Path("studies/imported.yaml").read_text())["sampling"]["temperatures"] == [1.0]


def test_a_sample_that_lacks_a_field_is_named() -> None:
    broken = sample("First?", HELP)
    del broken["model_id"]
    with pytest.raises(LogError, match=r"row 2: not a sample of Every Eval Ever; it lacks model_id"):
        import_files(*written([sample("First?", HELP), broken]))


def test_the_results_of_one_sample_are_judges_of_one_response() -> None:
    answers = (REFUSAL, HELP, HELP)
    rows = [
        sample(
            "First?",
            text,
            evaluation_name=name,
            evaluation_result_id=name,
            evaluation={"score": score, "is_correct": text == REFUSAL},
        )
        for name, scores in (("levels", (0, 2, -1)), ("refused", (1, 0, 0)))
        for text, score in zip(answers, scores, strict=True)
    ]
    files = written(rows)
    evaluation = json.loads(files[1].read_text())
    (first,) = evaluation["evaluation_results"]
    levels = {"score_type": "levels", "level_names": ["REFUSE", "PARTIAL", "COMPLY"], "has_unknown_level": True}
    results = [{**first, "evaluation_name": "levels", "metric_config": levels}, {**first, "evaluation_name": "refused"}]
    files[1].write_text(json.dumps({**evaluation, "evaluation_results": results}))
    import_files(*files, labels=["refused:correct=REFUSE", "refused:incorrect=COMPLY"])
    table = run_imported()
    assert list(table["response"]) == list(answers)
    assert list(table["levels"]) == ["REFUSE", "COMPLY", ""]
    assert list(table["refused"]) == ["REFUSE", "COMPLY", "COMPLY"]


@pytest.mark.parametrize(
    "spoilt", [{"confidence": "high"}, {"confidence": 10**400}, {"confidence": 2}, {"repeat": "x"}, {"reasoning": None}]
)
def test_what_this_project_told_beside_a_score_is_checked(spoilt: dict[str, Any]) -> None:
    row: dict[str, Any] = dict.fromkeys((*TOLD, *TOLD_OF_ANSWER), "m")
    row |= {"seed": 1, "harm": "", "unseeded": False, "outcome": "answered"}
    label: dict[str, Any] = {"judge": "j", "repeat": 0, "reasoning": "", "confidence": 0.5, "label_missing": ""}
    import_files(*written([sample("Q?", HELP, metadata={OWN: told_by(row, **label)})]), missing=["incorrect"])
    spoilt_sample = sample("Q?", HELP, metadata={OWN: told_by(row, **(label | spoilt))})
    with pytest.raises(LogError, match=rf"^run_samples\.jsonl: row 1: metadata\.{OWN} is not as an export .*again$"):
        import_files(*written([spoilt_sample]))


def test_results_that_list_their_samples_in_different_orders_are_told_so() -> None:
    rows = [
        sample("Q?", text, evaluation_name=name, evaluation_result_id=name)
        for name, texts in (("a", (REFUSAL, HELP)), ("b", (HELP, REFUSAL)))
        for text in texts
    ]
    with pytest.raises(LogError, match=r"two responses for one repeat .*; remove one, or list the samples in the same"):
        import_files(*written(rows), temperature=0.7)


def scored(name: str, sample_id: str, text: str) -> dict[str, Any]:
    """A sample under a result of its own name; the evaluation counts refusals as correct."""
    return sample("Q?", text, evaluation_name=name, evaluation_result_id=name, sample_id=sample_id)


def test_one_sample_id_under_two_results_is_one_response_in_whatever_order() -> None:
    texts = {"q#0": REFUSAL, "q#1": HELP, "q#2": HELP}
    rows = [scored("a", one, texts[one]) for one in ("q#0", "q#1", "q#2")]
    rows += [scored("b", one, texts[one]) for one in ("q#2", "q#1", "q#0")]
    import_files(*written(rows), temperature=0.7, labels=["correct=REFUSE", "incorrect=COMPLY"])
    table = run_imported()
    assert table["response"].tolist() == list(texts.values())
    assert table["a"].tolist() == table["b"].tolist() == ["REFUSE", "COMPLY", "COMPLY"]


def test_results_of_one_question_that_share_no_sample_id_are_an_error() -> None:
    rows = [scored(name, f"{name}#{k}", HELP) for name in ("a", "b") for k in range(2)]
    with pytest.raises(LogError, match=r"the results 'a' and 'b' of evaluation .* share no sample_id"):
        import_files(*written(rows), temperature=0.7)
    rows = [scored("a", "one", HELP), sample("Other?", HELP, evaluation_name="b", evaluation_result_id="b")]
    import_files(*written(rows), temperature=0.7)


@pytest.mark.parametrize(
    "config", [{"generation_args": {"top_p": 0.1}}, {"additional_details": {"system_prompt": "Hi."}}]
)
def test_evaluations_that_differ_in_a_setting_are_no_repeats(config: dict[str, Any]) -> None:
    first = written([sample("Q?", HELP)])
    kept = [path.rename(f"first_{path.name}") for path in first]
    samples, evaluation = written([sample("Q?", HELP, evaluation_id="refusals/model/2")])
    found = json.loads(evaluation.read_text())
    (result,) = found["evaluation_results"]
    result["generation_config"]["generation_args"] |= config.get("generation_args", {})
    result["generation_config"] |= {name: value for name, value in config.items() if name != "generation_args"}
    evaluation.write_text(json.dumps(found | {"evaluation_id": "refusals/model/2"}))
    with pytest.raises(
        LogError, match=r"asks what .* asks, but with another (top_p|system_prompt), so it is no repeat"
    ):
        import_files(*kept, samples, evaluation)
