"""RefusalBench's figures come out of its published labels, through the project's own stages, to nine decimals."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pandas as pd
import pytest

from refusal_stability.exchange.recorded_files import study_name
from refusal_stability.files import replication_page, replication_tables
from refusal_stability.replication.comparison import COMPARED
from refusal_stability.tables.csv_files import read_table
from refusal_stability.tables.metrics import METRIC_TABLES

GOLDEN = Path(os.environ.get("RS_SHARED", Path(__file__).parents[3] / "shared")) / "golden/refusalbench.csv"
ROWS = list(csv.DictReader(GOLDEN.open(encoding="utf-8"))) if GOLDEN.is_file() else []
TIERS = ("benign", "borderline", "dual_use")

pytestmark = pytest.mark.timeout(1800)  # whichever comes first runs the study


@pytest.fixture(scope="session")
def aggregates(refusalbench: Path) -> dict[str, pd.DataFrame]:
    """The tables of models, and of their tiers."""
    names = ("aggregate_by_model", "categories", "aggregate_by_judge")
    return {name: read_table(refusalbench / METRIC_TABLES[name][0], METRIC_TABLES[name][1]) for name in names}


def test_the_golden_file_is_there(shared: Path) -> None:
    assert len(ROWS) == 195, f"{GOLDEN} should hold 195 figures"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['model']}-{row['quantity']}")
def test_a_figure_of_refusalbench_comes_out(row: dict[str, str], aggregates: dict[str, pd.DataFrame]) -> None:
    tier = next((tier for tier in TIERS if row["quantity"].endswith(f"_{tier}")), None)
    table = aggregates["aggregate_by_model" if tier is None else "categories"]
    found = table[table["model"] == study_name(row["model"])]
    if tier is not None:
        found = found[found["category"] == tier]
    assert len(found) == 1
    column = row["quantity"].removesuffix(f"_{tier}")
    assert found[column].iloc[0] == pytest.approx(float(row["value"]), rel=0, abs=1e-9)


def test_the_figures_file_holds_every_golden_figure_and_all_come_out(refusalbench: Path) -> None:
    compared = read_table(refusalbench / replication_tables("refusalbench") / "comparison.csv", COMPARED)
    names = compared["quantity"] + compared["category"].map(lambda tier: f"_{tier}" if tier else "")
    ours = set(zip(compared["model"], names, compared["value"], strict=True))
    assert ours == {(row["model"], row["quantity"], row["value"]) for row in ROWS}
    assert set(compared["outcome"]) == {"same"}


def test_six_prompts_have_four_answers_and_the_fifth_is_not_missing(refusalbench: Path) -> None:
    table = read_table(refusalbench / METRIC_TABLES["per_prompt_metrics"][0], METRIC_TABLES["per_prompt_metrics"][1])
    asked = (table["n"] + table["n_missing"]).groupby(table["model"]).sum()
    assert asked["anthropic-claude-opus-4-5"] == 704
    assert asked["zai-glm-5"] == 705


def test_where_the_councils_judges_agree_models_look_more_stable(aggregates: dict[str, pd.DataFrame]) -> None:
    by_judge = aggregates["aggregate_by_judge"]
    pooled = by_judge[by_judge["temperature"].isna()].pivot(index="model", columns="judge", values="mean_ssi_pairwise")
    assert (pooled["unanimous"] > pooled["council"]).mean() > 0.8


def test_the_page_names_its_source_and_the_tiers(refusalbench: Path) -> None:
    page = (refusalbench / replication_page("refusalbench")).read_text(encoding="utf-8")
    assert "arXiv 2605.21545" in page
    assert "borderline" in page
    assert "first report" not in page.lower()
