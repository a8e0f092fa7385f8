"""Comparisons and plans as text."""

from __future__ import annotations

import pandas as pd

from refusal_stability.report.console import comparison_legend, comparison_text, plan_text

NAN = float("nan")
FIGURES = pd.DataFrame(
    [
        ["mean_ssi", 0.94361, 0.938, -0.00561, -0.0131, 0.002, 0.2020, 0.404],
        ["pct_flipped", 27.283, 26.256, -1.0274, -3.767, 1.7123, 1e-7, 2e-7],
        ["mean_comply_rate", 0.1, 0.1, 0.0, 0.0, 0.0, NAN, NAN],
    ],
    columns=["figure", "a", "b", "difference", "low", "high", "p_value", "p_holm"],
)
CHANGED = pd.DataFrame([["p1", 0.5, 1.0, 0.5]], columns=["prompt_id", "ssi_a", "ssi_b", "change"])


def test_shares_have_four_decimals_percents_two_and_an_undefined_test_a_dash() -> None:
    lines = [line.split() for line in comparison_text(FIGURES, CHANGED).splitlines()]
    assert lines[1] == ["mean_ssi", "0.9436", "0.9380", "-0.0056", "-0.0131", "0.0020", "0.2020", "0.4040"]
    assert lines[2] == ["pct_flipped", "27.28", "26.26", "-1.03", "-3.77", "1.71", "<0.0001", "<0.0001"]
    assert lines[3][-2:] == ["-", "-"]
    assert lines[-1] == ["p1", "0.50", "1.00", "+0.50"]


def test_a_figure_that_is_not_defined_is_a_dash() -> None:
    # one decision a prompt: two samples cannot be compared
    one = pd.DataFrame([["mean_ssi_pairwise", *[NAN] * 7]], columns=FIGURES.columns)
    lines = [line.split() for line in comparison_text(one, CHANGED.iloc[:0]).splitlines()]
    assert lines[1] == ["mean_ssi_pairwise", *["-"] * 7]


def test_without_a_change_no_prompts_are_listed() -> None:
    assert comparison_text(FIGURES, CHANGED.iloc[:0]).endswith("No prompt's ssi changed.")


def test_the_legend_explains_every_figure() -> None:
    text = comparison_legend(["mean_ssi", "pct_flipped"], 0.9)
    assert "pct_flipped: percent of prompts with more than one decision" in text
    assert "its 90% interval" in text
    assert "corrected for the 2 figures" in text


def test_a_plan_out_of_reach_says_so() -> None:
    found = {"related": True, "samples": 3, "prompts": 1234, "responses": 7404, "tokens": 370200, "power": 0.8}
    rows = [found | {"difference_seen": -0.014}]
    rows += [rows[0] | {"related": False, "prompts": None, "responses": None, "tokens": None, "power": 0.31}]
    text = plan_text(rows, "ssi", -0.02, 0.8, 0.95, 20, 84, 50.0)
    assert "To detect -0.02 in mean SSI, as measured with 20 samples per prompt, with power 0.8 at level 0.05:" in text
    lines = [line.split() for line in text.splitlines()]
    assert ["3", "1,234", "7,404", "370,200", "0.80", "-0.0140"] in lines
    assert ["3", "over", "1,000,000", "0.31", "-0.0140"] in lines
