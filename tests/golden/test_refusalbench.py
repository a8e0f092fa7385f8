"""RefusalBench's figures come out of its published labels, through the project's own stages, to nine decimals."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pandas as pd
import pytest
import yaml

from refusal_stability.exchange.recorded_files import study_name
from refusal_stability.files import replication_page, replication_tables
from refusal_stability.replication.comparison import COMPARED
from refusal_stability.tables.csv_files import read_table
from refusal_stability.tables.metrics import METRIC_TABLES

GOLDEN = Path(os.environ.get("RS_SHARED", Path(__file__).parents[3] / "shared")) / "golden/refusalbench.csv"
ROWS = list(csv.DictReader(GOLDEN.open(encoding="utf-8"))) if GOLDEN.is_file() else []
TIERS = ("benign", "borderline", "dual_use")
PAGE = Path(__file__).parents[2] / "docs/refusalbench.md"
LABELS = {
    told["label"]: model
    for model, told in yaml.safe_load((PAGE.parents[1] / "studies/refusalbench.yaml").read_text())["models"].items()
}

pytestmark = pytest.mark.timeout(1800)  # whichever comes first runs the study


@pytest.fixture(scope="session")
def aggregates(refusalbench: Path) -> dict[str, pd.DataFrame]:
    """The tables of models, and of their tiers."""
    names = ("aggregate_by_model", "categories", "aggregate_by_judge", "binary_scoring", "stability_by_draws")
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


def told(row: pd.Series, column: str, digits: int = 1) -> str:
    """A figure as the page prints it; an interval only where no prompt flips, since others depend on the resamples."""
    text = f"{row[column]:.{digits}f}"
    if row["pct_flipped"] > 0:
        return f"{text} ["
    return f"{text} [{row[f'{column}_low']:.{digits}f}, {row[f'{column}_high']:.{digits}f}]"


def test_the_published_page_tells_what_the_tables_hold(aggregates: dict[str, pd.DataFrame]) -> None:
    lines = [line.strip("|").split("|") for line in PAGE.read_text(encoding="utf-8").splitlines()]
    printed = {(cells[0].strip(), len(cells)): [cell.strip() for cell in cells[1:]] for cells in lines}
    by_judge, binary = aggregates["aggregate_by_judge"], aggregates["binary_scoring"]
    unanimous = by_judge[by_judge["temperature"].isna() & (by_judge["judge"] == "unanimous")].set_index("model")
    two_way = binary[binary["scoring"] == "conservative"].set_index("model")
    tiers = aggregates["categories"].set_index(["model", "category"])
    draws = aggregates["stability_by_draws"]
    draws = draws[draws["temperature"].isna()].set_index(["model", "n_draws"])
    checked = [label for label, model in LABELS.items() if model in set(aggregates["aggregate_by_model"]["model"])]
    assert len(checked) == 13
    for label in checked:
        model = LABELS[label]
        row = aggregates["aggregate_by_model"].set_index("model").loc[model]
        agreed = unanimous.loc[model]
        expected = [
            told(row, "pct_flipped"),
            told(row, "mean_ssi_pairwise", 3),
            told(two_way.loc[model], "pct_flipped"),
            f"{row['pct_expected_unstable']:.1f}",
            told(agreed, "mean_ssi_pairwise", 3),
            f"{100 * agreed['n_responses'] / (row['n_responses'] + row['n_missing']):.0f}",
            f"{100 * row['mean_refuse_rate']:.1f}",
            f"{row['n_missing']:.0f}",
        ]
        of_tiers = [tiers.loc[(model, tier)] for tier in TIERS]
        by_tier = [told(tier, "pct_flipped") for tier in of_tiers]
        by_tier += [f"{100 * tier['mean_refuse_rate']:.1f}" for tier in of_tiers]
        by_draws = [f"{draws.loc[(model, count)]['pct_flipped']:.1f}" for count in (2, 3, 4, 5)]
        for found in (expected, by_tier, by_draws):
            cells = printed[label, len(found) + 1]
            assert [c[: len(one)] if one.endswith("[") else c for c, one in zip(cells, found, strict=True)] == found
