"""The sentence of a figure's caption, on tables small enough to read."""

from __future__ import annotations

import pandas as pd
import pytest

from refusal_stability.figures import category_stability, intervention_effect, judge_confusion, stability_vs_compliance
from refusal_stability.figures.alt_text import stated
from refusal_stability.figures.finding import NO_FINDING, Quantity, greatest_change, range_of
from refusal_stability.figures.series import Series, SeriesSet

SET = SeriesSet(tuple(Series(name, "none", name.upper(), "#000000", "o", "-") for name in ("a", "b", "c")))
SSI = Quantity("Mean SSI", "mean_ssi", 2)


def table(*rows: tuple[str, float], **columns: list[float]) -> pd.DataFrame:
    """A row for each (model, mean SSI), with an interval of .1 on either side."""
    frame = pd.DataFrame(rows, columns=["model", "mean_ssi"]).assign(intervention="none", **columns)
    return frame.assign(mean_ssi_low=frame["mean_ssi"] - 0.1, mean_ssi_high=frame["mean_ssi"] + 0.1)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([("a", 0.8), ("b", 0.5), ("c", 0.7)], "Mean SSI runs from 0.50 [0.40, 0.60] (B) to 0.80 [0.70, 0.90] (A)."),
        ([("a", 0.8), ("b", float("nan"))], "Mean SSI is 0.80 [0.70, 0.90]."),
        ([("a", 0.8), ("b", 0.8)], "Mean SSI is 0.80 [0.70, 0.90] for each of 2."),
        ([], NO_FINDING),
    ],
)
def test_a_range_names_the_two_ends(rows, said) -> None:
    assert range_of(table(*rows), SET, SSI) == said


@pytest.mark.parametrize(
    ("rows", "temperatures", "said"),
    [
        (
            [("a", 0.9), ("a", 0.8), ("a", 0.7), ("b", 0.9), ("b", 0.5)],
            [0.0, 0.5, 1.0, 0.0, 1.0],
            "Mean SSI changes most for B: it goes from 0.90 [0.80, 1.00] at temperature 0 to 0.50 [0.40, 0.60] at 1.",
        ),
        (
            [("a", 0.7), ("a", 0.9)],
            [1.0, 0.3],
            "Mean SSI goes from 0.90 [0.80, 1.00] at temperature 0.3 to 0.70 [0.60, 0.80] at 1.",
        ),
        (
            [("a", 0.7), ("b", 0.9)],
            [0.7, 0.7],
            "Mean SSI at temperature 0.7 runs from 0.70 [0.60, 0.80] (A) to 0.90 [0.80, 1.00] (B).",
        ),
        (
            [("a", 0.9), ("a", 0.9), ("b", 0.8), ("b", 0.8)],
            [0.0, 1.0, 0.0, 1.0],
            "Mean SSI is the same at temperature 0 and at 1: it runs from 0.80 [0.70, 0.90] (B) "
            "to 0.90 [0.80, 1.00] (A).",
        ),
        ([], [], NO_FINDING),
    ],
)
def test_a_change_is_told_from_the_lowest_to_the_highest(rows, temperatures, said) -> None:
    assert greatest_change(table(*rows, temperature=temperatures), SET, SSI, "temperature") == said


@pytest.mark.parametrize(
    ("small", "said"),
    [
        (
            [True, False],
            "The least stable category of at least 20 prompts is fraud of B: mean SSI 0.600 [0.500, 0.700].",
        ),
        ([True, True], "The least stable category is drugs of A: mean SSI 0.500 [0.400, 0.600]."),
    ],
)
def test_a_small_category_is_the_least_stable_only_among_small_ones(small, said) -> None:
    rows = table(("a", 0.5), ("b", 0.6)).assign(category=["drugs", "fraud"], small=small)
    assert category_stability.finding({"categories": rows}, SET) == said


@pytest.mark.parametrize(
    ("agreement", "said"),
    [
        ([0.9], "The judges one and two agree on 90.0% [89.0, 91.0] of 1,000 responses."),
        (
            [0.9, 0.8],
            "Of 2 pairs of judges, the least agreeing: one and two agree on 80.0% [79.0, 81.0] of 1,000 responses.",
        ),
    ],
)
def test_of_several_pairs_of_judges_the_least_agreement_is_told(agreement, said) -> None:
    rows = pd.DataFrame({"raw_agreement": agreement}).assign(model="*", judge_a="one", judge_b="two", n_both=1000)
    rows = rows.assign(raw_agreement_low=rows["raw_agreement"] - 0.01, raw_agreement_high=rows["raw_agreement"] + 0.01)
    assert judge_confusion.finding({"judge_agreement": rows}, SET) == said


def test_a_fall_counts_as_a_change() -> None:
    rows = table(("a", 0.5), ("b", 0.5)).assign(temperature=float("nan"), control="none")
    rows = rows.assign(
        pct_flipped_difference=[10.0, -40.0],
        pct_flipped_difference_low=[5.0, -50.0],
        pct_flipped_difference_high=[15.0, -30.0],
    )
    assert intervention_effect.finding({"interventions": rows}, SET) == (
        "The flip rate changes most for B, by -40.0 [-50.0, -30.0] percentage points against none."
    )


def test_partial_majorities_are_no_compliance() -> None:
    prompts = pd.DataFrame(
        {
            "model": "a",
            "intervention": "none",
            "harm": "harmful",
            "ssi": [1.0, 1.0, 1.0, 0.5],
            "refuse_rate": [0.0, 0.0, 1.0, 0.5],
            "majority": ["COMPLY", "PARTIAL", "REFUSE", "COMPLY"],
            "unstable": [False, False, False, True],
        }
    )
    assert stability_vs_compliance.finding({"per_prompt_metrics": prompts}, SET) == (
        "The share of prompts that are stable in COMPLY is 25.0%."
    )


def test_a_share_of_no_prompt_reads_in_captions_and_alternative_texts_as_in_the_tables() -> None:
    row = pd.Series(
        {"model": "a", "pct_flipped": 0.0, "pct_flipped_low": 0.0, "pct_flipped_high": 3.5, "n_prompts": 84}
    )
    assert stated(row, "pct_flipped", 1, "%") == "0 of 84 (at most 3.5%)"
    assert Quantity("Flips", "pct_flipped", 1, "%").of(row) == "0 of 84 (at most 3.5%)"
