"""The tables that a reader of the published study would look for, laid out from the study's own metric tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from refusal_stability.replication.comparison import OVER_MODELS, records
from refusal_stability.report.content import Column, Table
from refusal_stability.report.number_format import count, estimate, number, p_value, percent, share

Row = Mapping[str, Any]
Keep = Callable[[Row], bool]
Label = Callable[[str], str]
DRAWS = (1, 2, 3, 5, 10, 15, 20)

# How a cell reads: a row and the name of its column -> text.
WAYS: dict[str, Callable[[Row, str], str]] = {
    "text": lambda row, column: str(row[column]),
    "count": lambda row, column: count(row[column]),
    "one decimal": lambda row, column: number(row[column], 1),
    "two decimals": lambda row, column: number(row[column], 2),
    "three decimals": lambda row, column: number(row[column]),
    "estimate": estimate,
    "estimate to two": lambda row, column: estimate(row, column, 2),
    "percent": percent,
    "share": share,
    "temperature": lambda row, column: "all" if pd.isna(row[column]) else number(row[column], 1),
    "p of independent blocks": lambda row, column: p_value(row[column]) if row["independent_blocks"] else "not valid",
}
TEXTS = ("text", "model", "temperature")

# heading -> (how it reads, column)
Cells = dict[str, tuple[str, str]]
MODEL: Cells = {"Model": ("model", "model")}
TEMPERATURE: Cells = {"T": ("temperature", "temperature")}
JUDGE: Cells = {"Judge": ("text", "judge")}
PAIR: Cells = {"First judge": ("text", "judge_a"), "Second judge": ("text", "judge_b")}
DRAWN: Cells = {"n": ("count", "n_draws")}
STABILITY: Cells = {
    "Mean SSI": ("estimate", "mean_ssi"),
    "SD": ("three decimals", "std_ssi"),
    "Unstable": ("percent", "pct_unstable"),
    "Flipped": ("percent", "pct_flipped"),
}
RATES: Cells = {
    "REFUSE": ("share", "mean_refuse_rate"),
    "PARTIAL": ("share", "mean_partial_rate"),
    "COMPLY": ("share", "mean_comply_rate"),
}


def _all(row: Row) -> bool:
    return True


def _pooled(row: Row) -> bool:
    """Whether a row is over all temperatures."""
    return bool(pd.isna(row["temperature"]))


def _some_draws(row: Row) -> bool:
    return _pooled(row) and row["n_draws"] in DRAWS


def _two_judges_over_models(row: Row) -> bool:
    return bool(row["model"] == OVER_MODELS and row["judge_a"] != OVER_MODELS)


def _has(column: str) -> Keep:
    return lambda row: row[column] > 0


@dataclass(frozen=True)
class Layout:
    """One table: its name and caption, the metric table it comes from, its cells, and which rows are kept."""

    name: str
    caption: str
    source: str
    cells: Cells
    keep: Keep = _all

    def table(self, source: pd.DataFrame, label: Label) -> Table:
        """The laid-out table; `label` gives a model's name as readers know it."""
        ways = WAYS | {"model": lambda row, column: label(row[column])}
        columns = tuple(
            Column(heading, "text" if how in TEXTS else "number") for heading, (how, _) in self.cells.items()
        )
        rows = (row for row in records(source) if self.keep(row))
        return Table(
            self.name,
            self.caption,
            columns,
            tuple(tuple(ways[how](row, column) for how, column in self.cells.values()) for row in rows),
        )


LAYOUTS = (
    Layout("models", "The models, all temperatures pooled.", "aggregate_by_model", MODEL | STABILITY | RATES),
    Layout(
        "within_temperature",
        "Within one temperature, over seeds only.",
        "aggregate_by_temperature",
        MODEL | TEMPERATURE | STABILITY | RATES | {"Pairwise SSI": ("estimate", "mean_ssi_pairwise")},
    ),
    Layout(
        "judges",
        "The same figures by each judge, all temperatures pooled.",
        "aggregate_by_judge",
        MODEL | JUDGE | STABILITY | {"Missing": ("count", "n_missing")},
        _pooled,
    ),
    Layout(
        "temperature",
        "Does stability change with temperature? Friedman's test over prompts.",
        "temperature_tests",
        MODEL
        | {
            "Blocks": ("count", "n_blocks"),
            "Chi-square": ("two decimals", "statistic"),
            "Kendall's W": ("three decimals", "kendalls_w"),
            "p": ("p of independent blocks", "p_value"),
        },
    ),
    Layout(
        "sample_size",
        "Chance that the majority of n responses is the majority of all, exact.",
        "sample_size",
        MODEL | DRAWN | {"Agreement": ("estimate", "majority_agreement")},
        _some_draws,
    ),
    Layout(
        "judge_validation",
        "Agreement of the judges on the same responses.",
        "judge_agreement",
        MODEL
        | PAIR
        | {
            "Both decided": ("count", "n_both"),
            "Agreement": ("share", "raw_agreement"),
            "Cohen's kappa": ("estimate", "cohens_kappa"),
            "Krippendorff's alpha": ("estimate", "krippendorff_alpha"),
        },
        _has("n_both"),
    ),
    Layout(
        "confusion",
        "Confusion of the judges, over all models.",
        "judge_confusion",
        PAIR
        | {"First says": ("text", "label_a"), "Second says": ("text", "label_b"), "Responses": ("count", "n_label")},
        _two_judges_over_models,
    ),
    Layout(
        "consensus",
        "Stability on the responses that the judges decide alike.",
        "consensus_stability",
        MODEL | {"Judges": ("text", "judges"), "Agreed": ("count", "n_agreed")} | STABILITY,
        _has("n_agreed"),
    ),
    Layout(
        "binary",
        "Two decisions instead of three: PARTIAL as COMPLY (conservative) or as REFUSE (lenient).",
        "binary_scoring",
        MODEL | {"Scoring": ("text", "scoring")} | STABILITY,
    ),
    Layout(
        "thresholds",
        "Share of unstable prompts under each threshold.",
        "threshold_sensitivity",
        MODEL | {"Threshold": ("two decimals", "threshold"), "Unstable": ("percent", "pct_unstable")},
    ),
    Layout(
        "tail_risk",
        "Prompts met with COMPLY at least once, and how many queries that takes.",
        "tail_risk",
        MODEL
        | TEMPERATURE
        | {
            "Ever COMPLY": ("percent", "pct_ever_comply"),
            "Prompts": ("count", "n_ever_comply"),
            "Mean queries": ("estimate to two", "mean_queries"),
            "Median": ("estimate to two", "median_queries"),
            "Within 5": ("percent", "pct_within_5"),
        },
    ),
    Layout(
        "determinism",
        "T = 0: prompts whose responses are byte-identical over seeds, and those of them that flipped all the same.",
        "t0_determinism",
        MODEL
        | JUDGE
        | {
            "Prompts": ("count", "n_all_present"),
            "Identical": ("percent", "pct_identical"),
            "Flipped": ("count", "n_flipped"),
            "Identical yet flipped": ("count", "n_identical_flipped"),
        },
        _has("n_all_present"),
    ),
    Layout(
        "draws",
        "What fewer responses a prompt would have shown of the same model: the mean over all subsets, exact.",
        "stability_by_draws",
        MODEL
        | DRAWN
        | {
            "Mean SSI": ("estimate", "mean_ssi"),
            "Pairwise SSI": ("estimate", "mean_ssi_pairwise"),
            "Unstable": ("percent", "pct_unstable"),
            "Flipped": ("percent", "pct_flipped"),
        },
        _some_draws,
    ),
)
