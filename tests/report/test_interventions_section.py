"""What the report says of interventions and of harmful and benign prompts: sentences, tables, macros, the figure."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest
from synthetic_study import synthetic_study, write_study

from refusal_stability.report.interventions import effects
from refusal_stability.stages import figures, report
from refusal_stability.stages.report import read_inputs
from refusal_stability.tables.csv_files import write_table
from refusal_stability.tables.metrics import METRIC_TABLES, metric_table

PARAMS = Path("params.yaml")
N_PROMPTS = 24


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of one control and one intervention, a third of whose prompts is benign, drawn and reported."""
    folder = tmp_path_factory.mktemp("interventions")
    before = Path.cwd()
    os.chdir(folder)
    try:
        study = synthetic_study(
            interventions=("none", "careful"), n_prompts=N_PROMPTS, harms=("harmful", "benign", "harmful")
        )
        write_study(study, folder)
        figures.run(PARAMS)
        report.run(PARAMS)
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def study(written: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(written)
    return written


def changed(**cells: float) -> str:
    """The sentence on the first model after some cells of its pooled row were replaced."""
    inputs = read_inputs(PARAMS)
    inputs.tables["interventions"] = metric_table("interventions").assign(**cells)
    return effects(inputs)[0]


def test_there_is_a_sentence_for_each_model_and_intervention_in_report_and_console(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report.run(PARAMS)
    printed = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in printed] == ["steady + careful", "Wavering 2.0 + careful"]
    row = metric_table("interventions").iloc[0]
    assert (
        f"Over {N_PROMPTS} prompts, {row['n_different']} of which have another SSI, mean SSI changes by" in printed[0]
    )
    page = Path("reports/report.html").read_text()
    assert "Does an intervention stabilise?" in page
    assert all(line.split(":")[0] in page for line in printed)


def test_an_effect_is_called_supported_only_where_its_corrected_p_is_small(study: Path) -> None:
    said = changed(mean_difference=0.04, mean_difference_p_holm=0.0004)
    assert "against none: supported: decisions get more stable." in said
    assert "p < 0.001" in said
    assert "decisions get less stable" in changed(mean_difference=-0.04, mean_difference_p_holm=0.049)
    said = changed(mean_difference=0.04, mean_difference_p_holm=0.051)
    assert "not distinguishable from chance" in said
    assert "p = 0.051" in said
    assert "not comparable" in changed(n_pairs=0)


def test_the_other_supported_changes_are_named_and_none_is_said(study: Path) -> None:
    assert "No other change is supported." in changed()
    said = changed(pct_flipped_difference=39.3, pct_flipped_difference_p_holm=0.001, over_refusal_difference_p_holm=0.2)
    assert "Other supported changes, in points: flipped prompts 39.3" in said
    assert "refusals of benign" not in said
    said = changed(over_refusal_difference=0.071, over_refusal_difference_p_holm=0.01)
    assert "in points: refusals of benign prompts 7.1" in said


def test_unequal_numbers_of_decisions_are_said_with_the_figure_that_does_not_depend_on_them(study: Path) -> None:
    assert "which alone moves SSI" not in changed(mean_n_a=20.0, mean_n_b=19.5)
    said = changed(mean_n_a=20.0, mean_n_b=10.0, mean_ssi_pairwise_difference=0.012)
    assert "The sides have 20.0 and 10.0 decisions a prompt, which alone moves SSI and flips" in said
    assert "changes by 0.012" in said


def test_tables_figure_and_macros_are_there(study: Path) -> None:
    assert Path("reports/figures/intervention_effect.png").is_file()
    assert 'id="figure-intervention_effect"' in Path("reports/report.html").read_text()
    latex = {path.stem for path in Path("reports/tables").iterdir()}
    wanted = {"interventions", "intervention_tests", "intervention_moves", "interventions_by_temperature"}
    assert wanted | {"intervention_prompts"} <= latex
    macros = dict(
        re.findall(r"^\\newcommand\{\\([A-Za-z]+)\}\{(.*)\} %", Path("reports/tables/numbers.tex").read_text(), re.M)
    )
    row = metric_table("interventions").iloc[0]
    name = "rsSteadyCarefulAgainstNone"
    assert float(macros[f"{name}Difference"]) == pytest.approx(row["mean_difference"], abs=5e-4)
    assert float(macros[f"{name}OverRefusalDifference"]) == pytest.approx(
        100 * row["over_refusal_difference"], abs=0.05
    )
    assert int(macros[f"{name}BecameStable"]) == row["n_became_stable"]
    both = metric_table("aggregate_by_model").iloc[0]
    assert float(macros["rsSteadyComply"]) == pytest.approx(100 * both["safety_comply_rate"], abs=0.05)
    assert float(macros["rsSteadyOverRefusal"]) == pytest.approx(100 * both["over_refusal"], abs=0.05)


def test_safety_and_over_refusal_are_told_apart_in_the_headline(study: Path) -> None:
    page = Path("reports/report.html").read_text()
    row = metric_table("aggregate_by_model").iloc[0]
    assert f"COMPLY on the 16 prompts not marked benign: {100 * row['safety_comply_rate']:.1f}%" in page
    assert f"on the 8 benign ones (over-refusal): {100 * row['over_refusal']:.1f}%" in page
    assert "without the benign prompts" in page


def test_a_study_whose_benign_prompts_have_no_decision_has_no_over_refusal(study: Path) -> None:
    inputs = read_inputs(PARAMS)
    assert inputs.has_benign
    inputs.tables["aggregate_by_model"] = metric_table("aggregate_by_model").assign(n_benign=0)
    assert not inputs.has_benign


def test_without_rows_there_is_neither_section_nor_figure(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The former run had both.
    shutil.copytree(written, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    assert Path("reports/figures/intervention_effect.png").exists()
    for name in ("interventions", "intervention_prompts"):
        path, contract = METRIC_TABLES[name]
        write_table(metric_table(name).iloc[:0], path, contract)
    figures.run(PARAMS)
    report.run(PARAMS)
    assert not Path("reports/figures/intervention_effect.png").exists()
    assert "Does an intervention stabilise?" not in Path("reports/report.html").read_text()
