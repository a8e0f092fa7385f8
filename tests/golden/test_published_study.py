"""The figures of the published study come out of its raw labels, within the tolerance that each row states.

A row whose tolerance is `inside` holds an interval (the published Monte Carlo one); the exact value must fall into it.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

GOLDEN = Path(os.environ.get("RS_SHARED", Path(__file__).parents[3] / "shared")) / "golden/published_study.csv"
ROWS = list(csv.DictReader(GOLDEN.open(encoding="utf-8"))) if GOLDEN.is_file() else []
HAIKU, LLAMA_JUDGE = "claude-3-5-haiku", "llama-judge"
JUDGES = {"claude-3.5-haiku": HAIKU, "llama-judge": LLAMA_JUDGE}

pytestmark = pytest.mark.timeout(1800)  # whichever comes first runs the whole study
Tables = Callable[..., pd.DataFrame]


def name_of(row: dict[str, str]) -> str:
    return "-".join(filter(None, (row["quantity"], row["model"], row["judge"].replace(" ", "_"), row["temperature"])))


def test_the_golden_file_is_there(shared: Path) -> None:
    assert len(ROWS) == 241, f"{GOLDEN} should hold 241 figures"


@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_a_published_figure_comes_out(row: dict[str, str], tables: Tables) -> None:
    value = ours(row, tables)
    if row["tolerance"] == "inside":
        low, high = json.loads(row["value"])
        assert low <= value <= high
    else:
        assert value == pytest.approx(float(row["value"]), rel=0, abs=float(row["tolerance"]))


def ours(row: dict[str, str], tables: Tables) -> float:
    """The figure that our tables hold for a golden row."""
    quantity = row["quantity"]
    model = row["model"].replace("qwen-2.5", "qwen-2-5").replace("llama-3.1", "llama-3-1")
    temperature = float(row["temperature"]) if row["temperature"] else float("nan")
    if quantity.startswith(("confusion", "cohens_kappa", "judge_agreement")):
        return between_judges(quantity, tables)
    if quantity.startswith(("friedman", "kendalls")):
        column = "kendalls_w" if quantity.startswith("kendalls") else "statistic"
        return one(tables("temperature_tests"), model=model or "*")[column]
    if quantity == "ssi_drop_t0_to_t1_pooled":
        return -one(tables("temperature_pairs"), model="*", temperature_a=0.0, temperature_b=1.0)["mean_difference"]
    if quantity.startswith("majority_agreement_n"):
        draws = int(quantity.removeprefix("majority_agreement_n"))
        table = tables("sample_size", primary=JUDGES[row["judge"]])
        return one(table, model=model, temperature=temperature, n_draws=draws)["majority_agreement"]
    found = one(tables("aggregate_by_judge"), model=model, judge=JUDGES[row["judge"]], temperature=temperature)
    return found[quantity]


def between_judges(quantity: str, tables: Tables) -> float:
    judges = {"model": "*", "judge_a": LLAMA_JUDGE, "judge_b": HAIKU}
    if quantity.startswith("confusion"):
        _, first, second = quantity.split("_")
        return one(tables("judge_confusion"), **judges, label_a=first, label_b=second)["n_label"]
    column = "raw_agreement" if quantity == "judge_agreement" else quantity
    return one(tables("judge_agreement"), **judges)[column]


def one(table: pd.DataFrame, **where: object) -> pd.Series:
    """The one row of a table where the columns have these values (NaN matches the empty cell)."""
    for column, value in where.items():
        table = table[table[column].isna() if value != value else table[column] == value]
    assert len(table) == 1, f"{len(table)} rows for {where}"
    return table.iloc[0]
