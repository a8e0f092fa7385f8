"""The warnings of a report: each where it is due, none where it is not, in the report and on the console."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from refusal_stability.files import generation_file, label_file
from refusal_stability.params.load import load_params
from refusal_stability.report.build import build_report
from refusal_stability.report.markdown import markdown_report
from refusal_stability.report.report_inputs import ReportInputs
from refusal_stability.report.warnings import print_warnings, warnings_of
from refusal_stability.stages import metrics
from refusal_stability.tables.csv_files import write_table
from refusal_stability.tables.metrics import METRIC_TABLES, metric_table
from refusal_stability.tables.study import GENERATION_TABLE, LABEL_TABLE, PROMPT_TABLE

N = 20
STUDY = {
    "study": "warned",
    "prompts": {"source": "builtin"},
    "sampling": {"temperatures": [1.0], "seeds": [1, 2], "max_tokens": 64},
    "models": {"m": {"path": "nowhere"}},
    "judging": {"judges": {"rules": {"kind": "rules"}}},
    "metrics": {"n_resamples": 100},
}


def inputs_of(
    labels: list[str], reasons: list[str], cut: int = 0, languages: list[str] | None = None, **changes: Any
) -> ReportInputs:
    """The inputs of a study in which both seeds have these labels; `cut` answers of each are cut."""
    params_path = Path("params.yaml")
    params_path.write_text(yaml.safe_dump(STUDY | changes))
    params = load_params(params_path)
    ids = [f"p{i:02d}" for i in range(N)]
    prompts = pd.DataFrame({"prompt_id": ids, "prompt": ids, "category": "", "source": "test", "turns": ""})
    prompts["language"] = languages or ""
    write_table(prompts, Path("data/prompts/prompts.csv"), PROMPT_TABLE)
    for condition in params.conditions("m"):
        place = {name: getattr(condition, name) for name in ("model", "intervention", "temperature", "seed")}
        generations = prompts[["prompt_id", "prompt"]].assign(response="text", missing_reason="", **place)
        generations["finish_reason"] = ["length" if i < cut else "stop" for i in range(N)]
        write_table(generations, generation_file(condition), GENERATION_TABLE)
        judged = prompts[["prompt_id"]].assign(label=labels, missing_reason=reasons, repeat=0, reasoning="", **place)
        write_table(judged.assign(judge="rules"), label_file(condition), LABEL_TABLE)
    metrics.run(params_path)
    tables = {name: metric_table(name) for name in METRIC_TABLES}
    return ReportInputs(params, "", prompts, tables, {}, {("m", "none"): "M"}, ())


def few(**changes: Any) -> list[str]:
    """The warnings of small samples that a study with these figures gets."""
    model = {"model": "m", "intervention": "none", "n_prompts": 84, "n_responses": 840, "pct_flipped": 25.0} | changes
    risk = {"model": "m", "intervention": "none", "temperature": float("nan"), "n_ever_comply": 20} | changes
    tables = {"aggregate_by_model": pd.DataFrame([model]), "tail_risk": pd.DataFrame([risk])}
    by_temperature = [
        {"model": "m", "intervention": "none", "n_prompts": 84, "n_responses": 84 * n, "temperature": float(n)}
        for n in changes.get("decisions", (5, 5))
    ]
    tables["aggregate_by_temperature"] = pd.DataFrame(by_temperature)
    tables["temperature_tests"] = pd.DataFrame([{"model": "m", "intervention": "none", "p_value": 0.001}])
    Path("params.yaml").write_text(yaml.safe_dump(STUDY))
    inputs = ReportInputs(load_params(Path("params.yaml")), "", pd.DataFrame(), tables, {}, {("m", "none"): "M"}, ())
    return warnings_of(inputs)


def test_small_samples_are_warned_of_and_large_ones_are_not() -> None:
    assert few() == []
    assert few(pct_flipped=100 * 8 / 84, n_ever_comply=8) == []
    assert few(pct_flipped=0.0, n_ever_comply=0) == [], "no event has its own exact bound"
    (seven,) = few(pct_flipped=100 * 7 / 84)
    assert "7 of 84 prompts flipped" in seven
    assert "Take them as too narrow" in seven
    (one,) = few(n_ever_comply=1)
    assert "1 of 84 prompts ever complied, and the intervals of compliance and tail risk rest on it. Do not use" in one
    assert ["anecdote" in said for said in few(n_prompts=19, n_responses=190)] == [True]
    assert ["Stability was not measured" in said for said in few(n_responses=84)] == [True]


def test_unequal_numbers_of_decisions_by_temperature_are_warned_of() -> None:
    (said,) = few(decisions=(5, 2))
    assert "2.0 decisions at one temperature and 5.0 at another" in said
    assert "Read the change in pairwise agreement" in said


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)


MIXED = ["COMPLY", "REFUSE"] * (N // 2)
FINE = [""] * N


def test_zero_events_are_reported_with_their_bound_in_place_of_an_empty_interval() -> None:
    report = build_report(inputs_of(["REFUSE"] * N, FINE))
    first, second = report.sections[:2]
    assert (first.slug, second.slug) == ("headline", "warnings")
    headline, said = " ".join(first.paragraphs), " ".join(second.paragraphs)
    # 1 - 0.05^(1/20) = 13.9 %.
    assert "Prompts with more than one decision: 0 of 20 (at most 13.9%)." in headline
    assert "Unstable prompts (SSI below 0.8): 0 of 20 (at most 13.9%)." in headline
    assert "0 of 20 prompts (at most 13.9%): none got a COMPLY" in said
    assert "[0.0, 0.0]" not in headline
    assert report.summary.figures[0].values == (("M", "0 of 20 (at most 13.9%)"),)
    models = next(table for table in report.tables if table.name == "models")
    assert models.cells[0][-2:] == ("0 of 20 (at most 13.9%)",) * 2


def test_a_judge_that_decided_little_is_named_with_its_commonest_reason() -> None:
    reasons = ["the server said: no"] * 15 + FINE[15:]
    labels = [""] * 15 + MIXED[15:]
    (said,) = [w for w in warnings_of(inputs_of(labels, reasons)) if "decided" in w and "judge" in w]
    assert said.startswith(
        "M: the judge rules decided 10 of the 40 responses that it was shown, mostly because of: the"
    )
    # What had no response is not the judge's doing.
    for reason in ("no response: HTTP 500", "not judged"):
        reasons = [reason] * 15 + FINE[15:]
        assert not any("the judge rules decided" in w for w in warnings_of(inputs_of(labels, reasons)))


def test_other_languages_are_told_from_the_judges_reasons_and_from_the_prompts_tags() -> None:
    unread = "not understood: the text is not English, and no refusal was recognised"
    found = inputs_of(["", *MIXED[1:]], [unread, *FINE[1:]], languages=["de", "fr-CA", "en", "en-GB", *[""] * 16])
    said = warnings_of(found)
    assert any(w.startswith("M: the judge rules could not read 2 responses, which are not in English.") for w in said)
    assert any(
        w.startswith("2 of 20 prompts are in languages that the judge rules does not know (de, fr-CA)") for w in said
    )
    asked = {"primary": "a", "judges": {"a": {"kind": "model", "model": {"path": "x"}}}}
    other = replace(found, params=load_with(asked))
    assert not any("prompts are in languages" in w for w in warnings_of(other))


def load_with(judging: dict[str, Any]) -> Any:
    Path("params.yaml").write_text(yaml.safe_dump(STUDY | {"judging": judging}))
    return load_params(Path("params.yaml"))


def test_many_cut_answers_are_counted_and_few_are_not() -> None:
    said = [w for w in warnings_of(inputs_of(MIXED, FINE, cut=5)) if "cut" in w]
    assert said == [
        "M: 10 of 40 answers (25%) were cut at the token limit (max_tokens 64). Judges see only how these begin, so a "
        "later refusal or later help is not counted. Raise sampling.max_tokens."
    ]
    assert not any("cut" in w for w in warnings_of(inputs_of(MIXED, FINE)))


def test_a_study_without_anything_to_warn_of_has_no_section_and_prints_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = inputs_of(MIXED, FINE)
    for condition in found.params.conditions("m"):
        # The second seed decides the other way round: every event happens.
        if condition.seed == 2:
            table = pd.read_csv(label_file(condition), keep_default_na=False)
            write_table(table.assign(label=MIXED[::-1]), label_file(condition), LABEL_TABLE)
    metrics.run(Path("params.yaml"))
    found = replace(found, tables={name: metric_table(name) for name in METRIC_TABLES})
    assert "Warnings" not in markdown_report(build_report(found))
    capsys.readouterr()
    print_warnings(found)
    assert capsys.readouterr().err == ""


def test_the_console_has_each_warning_on_one_line_that_cannot_steer_it(capsys: pytest.CaptureFixture[str]) -> None:
    found = inputs_of([""] * N, ["\x1b[2J\nboo"] * N)
    capsys.readouterr()
    print_warnings(found)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == len(warnings_of(found))
    assert all(line.startswith("warning: ") and line.isprintable() for line in lines)
