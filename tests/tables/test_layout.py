"""Columns described once, and the layout that every page and terminal shows."""

from __future__ import annotations

import math

import pytest

from refusal_stability.tables.columns import COLUMNS
from refusal_stability.tables.layout import as_text, described, each, filled, laid_out, words
from refusal_stability.tables.number_format import UNKNOWN, estimate

NAN = float("nan")
ROW = {
    "model": "a",
    "mean_ssi": 0.91234,
    "mean_ssi_low": 0.9,
    "mean_ssi_high": 0.925,
    "mean_comply_rate": 0.25,
    "mean_comply_rate_low": NAN,
    "mean_comply_rate_high": NAN,
    "n_prompts": 12345,
    "pct_agreed": NAN,
    "p_holm": 0.0002,
    "temperature": 0.7,
    "unstable": True,
    "std_ssi": -0.00004,
}


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("mean_ssi", "0.912 [0.900, 0.925]"),
        ("mean_comply_rate", "25.0%"),
        ("n_prompts", "12,345"),
        ("pct_agreed", UNKNOWN),
        ("p_holm", "<0.001"),
        ("temperature", "0.7"),
        ("unstable", "yes"),
        ("model", "a"),
    ],
)
def test_a_cell_reads_as_its_column_is_described(column: str, text: str) -> None:
    assert estimate(ROW, column) == text
    assert described(column).read(ROW) == text
    assert described(column).title == COLUMNS[column].title


@pytest.mark.parametrize(
    ("column", "value", "low", "high", "text"),
    [
        ("pct_flipped", 0.0, 0.0, 3.504, "0 of 84 (at most 3.5%)"),
        ("pct_flipped", 100.0, 96.496, 100.0, "84 of 84 (at least 96.5%)"),
        ("pct_flipped", 0.04, 0.0, 0.2, "0.0% [0.0, 0.2]"),
        ("safety_comply_rate", 0.0, 0.0, 0.0425, "0 of 69 (at most 4.2%)"),
        # The mean of many ones, summed with rounding.
        ("safety_comply_rate", 1 - 1e-15, 0.9575, 1.0, "69 of 69 (at least 95.8%)"),
        ("over_refusal", 0.0, 0.0, 0.181, "0 of 15 (at most 18.1%)"),
        # Every resample shows the same: an interval of one point would say that others would, too.
        ("share", 0.0, 0.0, 0.0, "0.0%"),
        ("mean_queries", 1.0, 1.0, 1.0, "1.0"),
        ("share", 0.0, -0.01, 0.01, "0.0% [-1.0, 1.0]"),
    ],
)
def test_a_share_of_none_or_all_is_written_in_counts_with_its_bound(
    column: str, value: float, low: float, high: float, text: str
) -> None:
    row = {"n_prompts": 84, "n_benign": 15, column: value, f"{column}_low": low, f"{column}_high": high}
    assert estimate(row, column) == text
    assert described(column, key=column).read(row) == text


def test_an_estimated_share_and_one_of_an_unknown_number_stay_per_cent() -> None:
    row = {"pct_flipped": 0.0, "pct_flipped_low": 0.0, "pct_flipped_high": 3.5}
    assert estimate(row, "pct_flipped") == "0.0% [0.0, 3.5]"
    assert estimate({**row, "n_prompts": 84, "estimated": True}, "pct_flipped") == "0.0% [0.0, 3.5]"


def test_a_column_can_be_shown_with_other_digits_under_another_title_or_key() -> None:
    shown = described("mean_ssi", "Mean", digits=1)
    assert (shown.title, shown.read(ROW)) == ("Mean", "0.9 [0.9, 0.9]")
    assert described("pct_unstable", key="pct_unstable_pooled").read({"pct_unstable_pooled": 12.34}) == "12.3%"


def test_a_layout_for_a_terminal_is_aligned_and_ends_with_its_notes() -> None:
    rows = [ROW, {**ROW, "model": "longer", "n_prompts": 7}]
    layout = laid_out("t", "Title", rows, words("Model", "model"), *each("n_prompts unstable"), notes=["A note."])
    assert as_text(layout).splitlines() == [
        "Title",
        "Model   Prompts  Unstable",
        "a        12,345  yes",
        "longer        7  yes",
        "A note.",
    ]
    assert filled(layout, laid_out("empty", "", [], words("Model", "model"))) == (layout,)


def test_every_column_has_a_title_and_a_meaning_and_no_two_share_a_metric_in_one_scope() -> None:
    for name, column in COLUMNS.items():
        assert (column.name, bool(column.title), bool(column.meaning)) == (name, True, True)
        assert not column.meaning.endswith(".")
    metrics = [column.mlflow for column in COLUMNS.values() if column.mlflow]
    assert len(metrics) == len(set(metrics))


def test_decimals_are_those_of_the_number_before_its_factor() -> None:
    assert COLUMNS["mean_comply_rate"].decimals == COLUMNS["mean_ssi"].decimals == 3
    assert COLUMNS["pct_flipped"].decimals == 1
    assert math.isclose(round(0.12345, COLUMNS["agreement"].decimals), 0.123)
