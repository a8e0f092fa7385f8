"""Page one of the report: three numbers with intervals, what follows, what they rest on; a banner where it must be."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from synthetic_study import SyntheticStudy, synthetic_study

from refusal_stability.params.reference_models import ReferenceModelParams
from refusal_stability.report.build import build_report
from refusal_stability.report.content import Picture
from refusal_stability.report.report_inputs import ReportInputs
from refusal_stability.report.summary import MOST_MODELS, page_one


def inputs_of(study: SyntheticStudy, **tables: pd.DataFrame) -> ReportInputs:
    labels = {(one.model, one.intervention): one.label for one in study.series_set.series}
    pictures = {
        name: Picture(
            name=name, section="models", title=f"The {name}", caption="how", finding="which", shows="what", png=b""
        )
        for name in ("model_comparison", "flip_rate")
    }
    return ReportInputs(
        study.params, "", study.prompts.assign(turns="", language=""), {**study.tables, **tables}, pictures, labels, ()
    )


@pytest.fixture(scope="module")
def study() -> SyntheticStudy:
    return synthetic_study(n_prompts=60, harms=("harmful", "benign"))


def test_three_numbers_that_matter_each_with_its_interval(study: SyntheticStudy) -> None:
    row = study.tables["aggregate_by_model"].iloc[0]
    flips, unstable, comply = page_one(inputs_of(study)).figures
    n = round(row["pct_flipped"] * 60 / 100)
    interval = f"[{row['pct_flipped_low']:.1f}, {row['pct_flipped_high']:.1f}]"
    assert flips.name == "Prompts that got more than one decision"
    assert flips.values[0] == ("steady", f"{n} of 60 ({row['pct_flipped']:.1f}% {interval})")
    assert unstable.name == "Unstable prompts (SSI below 0.8)"
    assert comply.name == "Answers to harmful prompts labelled COMPLY"
    assert comply.values[0][1].startswith(f"{100 * row['safety_comply_rate']:.1f}% [")
    assert [label for label, _ in flips.values] == ["steady", "Wavering 2.0"]


def test_the_consequence_is_that_of_the_least_stable_model(study: SyntheticStudy) -> None:
    models = study.tables["aggregate_by_model"]
    least = models.sort_values("mean_ssi").iloc[0]
    label = {"steady": "steady", "wavering": "Wavering 2.0"}[least["model"]]
    said = page_one(inputs_of(study)).consequence
    assert said.startswith(f"For {label}, the least stable of 2, a test that asks each prompt once")
    assert f"in {100 * least['mean_ssi']:.1f}% [" in said


def test_nothing_changed_is_said_so(study: SyntheticStudy) -> None:
    firm = study.tables["aggregate_by_model"].assign(pct_flipped=0.0)
    assert "No prompt changed its decision" in page_one(inputs_of(study, aggregate_by_model=firm)).consequence


def test_a_banner_stands_only_where_there_is_a_reason(study: SyntheticStudy) -> None:
    sound = study.tables["aggregate_by_model"].assign(n_missing=0)
    place = {"model": "steady", "intervention": "none", "temperature": float("nan")}
    outcomes = pd.DataFrame([{**place, "n_asked": 100, "n_cut": 4, "n_unseeded": 0}])
    assert page_one(inputs_of(study, aggregate_by_model=sound, outcomes=outcomes)).banner == ()
    missing = sound.assign(n_missing=sound["n_responses"])
    first, _ = page_one(inputs_of(study, aggregate_by_model=missing, outcomes=outcomes)).banner
    assert first == "Data missing: 50% of the responses of steady have no decision."
    (cut,) = page_one(inputs_of(study, aggregate_by_model=sound, outcomes=outcomes.assign(n_cut=30))).banner
    assert cut == "Answers cut: 30% of those of steady reached the token limit."


def test_few_prompts_and_synthetic_models_are_in_the_banner() -> None:
    few = synthetic_study()
    few.params.reference_models["steady"] = ReferenceModelParams()
    few.params.models["steady"].path = str(Path("models/reference/steady"))
    said = page_one(inputs_of(few)).banner
    assert said[0].startswith("Synthetic models: steady.")
    assert said[1].startswith("Few prompts: 40.")


def test_the_summary_s_figure_is_figure_1_and_stands_nowhere_else(study: SyntheticStudy) -> None:
    report = build_report(inputs_of(study))
    assert report.summary is not None
    assert [(one.name, one.heading) for one in report.summary.pictures] == [("flip_rate", "Figure 1. The flip_rate")]
    others = [one for section in report.sections for one in section.pictures]
    assert [(one.name, one.number) for one in others] == [("model_comparison", 2)]


def test_only_the_least_stable_of_many_models_are_on_page_one() -> None:
    many = synthetic_study({f"m{i}": None for i in range(MOST_MODELS + 2)})
    page = page_one(inputs_of(many))
    shown = {label for label, _ in page.figures[0].values}
    ordered = many.tables["aggregate_by_model"].sort_values("mean_ssi")["model"].tolist()
    assert shown == set(ordered[:MOST_MODELS])
    assert any(caveat.startswith("2 more models, all more stable") for caveat in page.caveats)
