"""The tables that a reader of the published study would look for, laid out from the study's own metric tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from refusal_stability.records import DECISIONS
from refusal_stability.replication.comparison import records
from refusal_stability.tables.columns import POOLED
from refusal_stability.tables.layout import Layout, Shown, described, each, laid_out, numbers, words
from refusal_stability.tables.number_format import Row, p_value

Keep = Callable[[Row], bool]
DRAWS = (1, 2, 3, 5, 10, 15, 20)

TEMPERATURE = words("T", lambda row: "all" if pd.isna(row["temperature"]) else f"{row['temperature']:g}")
STABILITY = each("mean_ssi std_ssi pct_unstable pct_flipped")
RATES = each(" ".join(f"mean_{decision.word}_rate" for decision in DECISIONS))
PAIRWISE = described("mean_ssi_pairwise", "Pairwise SSI")


def _all(row: Row) -> bool:
    return True


def _all_temperatures(row: Row) -> bool:
    return bool(pd.isna(row["temperature"]))


def _some_draws(row: Row) -> bool:
    return _all_temperatures(row) and row["n_draws"] in DRAWS


def _occurring_over_models(row: Row) -> bool:
    return bool(row["model"] == POOLED and row["judge_a"] != POOLED and row["n_label"] > 0)


def _has(column: str) -> Keep:
    return lambda row: row[column] > 0


def _valid_p(row: Row) -> str:
    return p_value(row["p_value"]) if row["independent_blocks"] else "not valid"


@dataclass(frozen=True)
class ReaderTable:
    """One table: its name and title, the metric table it comes from, its columns, and which rows are kept."""

    name: str
    title: str
    source: str
    columns: tuple[Shown, ...]
    keep: Keep = _all
    by_model: bool = True

    def layout(self, source: pd.DataFrame, who: Shown) -> Layout:
        """The table of the rows of a metric table; `who` names a row's model as readers know it."""
        rows = (row for row in records(source) if self.keep(row))
        return laid_out(self.name, self.title, rows, *([who] if self.by_model else []), *self.columns)


READER_TABLES = (
    ReaderTable("models", "The models, all temperatures pooled.", "aggregate_by_model", (*STABILITY, *RATES)),
    ReaderTable(
        "within_temperature",
        "Within one temperature, over seeds only.",
        "aggregate_by_temperature",
        (TEMPERATURE, *STABILITY, *RATES, PAIRWISE),
    ),
    ReaderTable(
        "judges",
        "The same figures by each judge, all temperatures pooled.",
        "aggregate_by_judge",
        (described("judge"), *STABILITY, described("n_missing")),
        _all_temperatures,
    ),
    ReaderTable(
        "temperature",
        "Does stability change with temperature? Friedman's test over prompts.",
        "temperature_tests",
        (
            described("n_blocks", "Blocks"),
            described("statistic", "Chi-square"),
            described("kendalls_w"),
            numbers("p", _valid_p),
        ),
    ),
    ReaderTable(
        "sample_size",
        "Chance that the majority of n responses is the majority of all, exact.",
        "sample_size",
        each("n_draws n_prompts majority_agreement"),
        _some_draws,
    ),
    ReaderTable(
        "judge_validation",
        "Agreement of the judges on the same responses.",
        "judge_agreement",
        each("judge_a judge_b n_both n_prompts raw_agreement cohens_kappa krippendorff_alpha"),
        _has("n_both"),
    ),
    ReaderTable(
        "confusion",
        "Confusion of the judges: responses that both decided, of all models and configurations that both judged. "
        "What never occurred is left out.",
        "judge_confusion",
        each("judge_a judge_b label_a label_b n_label"),
        _occurring_over_models,
        by_model=False,
    ),
    ReaderTable(
        "consensus",
        "Stability on the responses that the judges label alike.",
        "consensus_stability",
        (*each("judges n_agreed n_prompts"), *STABILITY, PAIRWISE),
        _has("n_agreed"),
    ),
    ReaderTable(
        "binary",
        "Two decisions instead of three: PARTIAL as COMPLY (conservative) or as REFUSE (lenient).",
        "binary_scoring",
        (described("scoring"), *STABILITY),
    ),
    ReaderTable(
        "thresholds",
        "Share of unstable prompts under each threshold.",
        "threshold_sensitivity",
        each("threshold pct_unstable"),
    ),
    ReaderTable(
        "tail_risk",
        "Prompts with any COMPLY, and the number of queries to the first one.",
        "tail_risk",
        (
            TEMPERATURE,
            *each("pct_ever_comply n_ever_comply"),
            described("mean_queries", digits=2),
            described("median_queries", digits=2),
            described("pct_within_5"),
        ),
    ),
    ReaderTable(
        "determinism",
        "Prompts with byte-identical responses at T = 0, and those of them that flipped all the same.",
        "t0_determinism",
        each("judge n_all_present pct_identical n_flipped n_identical_flipped"),
        _has("n_all_present"),
    ),
    ReaderTable(
        "draws",
        "What fewer responses per prompt would have shown of the same model: the exact mean over all subsets.",
        "stability_by_draws",
        (*each("n_draws n_prompts mean_ssi"), PAIRWISE, *each("pct_unstable pct_flipped")),
        _some_draws,
    ),
)
