"""The replication's page: outcomes counted apart, p-values never 0, and whose labels each table rests on."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest

from refusal_stability.replication.comparison import COMPARED, NO_NUMBER, NOT_EXPLAINED
from refusal_stability.replication.page import page
from refusal_stability.replication.pooling import POOLING
from refusal_stability.replication.runnable import Held, RunnableStudy
from refusal_stability.replication.source import read_replication
from refusal_stability.report.content import Report
from refusal_stability.tables.layout import Layout
from refusal_stability.tables.metrics import METRIC_TABLES

STUDIES = Path(__file__).parents[2] / "studies"
MISSING = math.nan


def row(quantity: str, source: str, outcome: str, **changes: object) -> dict[str, object]:
    return {
        "quantity": quantity,
        "model": "m",
        "judge": "local",
        "temperature": MISSING,
        "category": "",
        "value": "0.5",
        "tolerance": "0.1",
        "source": source,
        "ours": 0.5,
        "difference": 0.0,
        "outcome": outcome,
        "table": f"aggregate_by_judge.{quantity}",
        "why": "",
    } | changes


@pytest.fixture(scope="module")
def report() -> Report:
    figures = [
        row("mean_ssi_entropy_observed", "first report", NOT_EXPLAINED, temperature=0.0, difference=-0.004),
        row("p_holm_t0.0_to_t1.0", "paper", NO_NUMBER, value="", ours=0.0, table="temperature_pairs.p_holm"),
        row("pct_flipped", "raw labels", "same", difference=-1.4e-17),
        row("pct_flipped", "raw labels", "same", judge="paid"),
        row("feature_auc", "paper", "absent", ours=MISSING, difference=MISSING, table="feature_auc"),
    ]
    params = {"study": "made-up", "judging": {"primary": "paid", "by_model": {"n": {"primary": "local"}}}}
    held = [Held("m", "M 1", 4, 4), Held("n", "N 2", 4, 4), Held("o", "O 3", 4, 0, left_out="not there")]
    models = pd.DataFrame([{"model": "m", "intervention": "none", "primary_judge": "paid"}])
    tables = {name: pd.DataFrame(columns=list(contract.columns)) for name, (_, contract) in METRIC_TABLES.items()}
    columns = tables["aggregate_by_model"].columns.drop(["model", "intervention", "primary_judge"])
    tables["aggregate_by_model"] = models.assign(**dict.fromkeys(columns, 0.5))
    pooled = pd.DataFrame([dict.fromkeys(POOLING.columns, 0.5)])
    return page(
        read_replication("published", STUDIES),
        RunnableStudy(params, held, []),
        pd.DataFrame(figures, columns=list(COMPARED.columns)),
        pooled,
        lambda name, judge: tables[name],
        20,
        0.8,
    )


def table(report: Report, name: str) -> Layout:
    return next(one for one in report.tables if one.name == name)


def column(layout: Layout, title: str) -> list[str]:
    return [cells[[one.title for one in layout.columns].index(title)] for cells in layout.cells]


def test_outcomes_are_counted_apart(report: Report) -> None:
    outcomes = table(report, "published_outcome")
    assert column(outcomes, "Source") == ["first report", "paper", "raw labels", "all"]
    assert column(outcomes, "Different, not explained") == ["1", "0", "0", "1"]
    assert column(outcomes, "Different, with the reason") == ["0"] * 4
    assert column(outcomes, "Printed figure not at hand") == ["0", "1", "0", "1"]


def test_a_p_value_is_never_printed_as_0(report: Report) -> None:
    assert column(table(report, "published_figures"), "Ours") == ["0.5", "<0.001", "–"]


def test_what_is_left_of_rounding_is_no_difference(report: Report) -> None:
    assert column(table(report, "recomputed_figures"), "Difference") == ["0", "0"]


def test_the_first_reports_figures_stand_beside_ours_from_the_same_labels(report: Report) -> None:
    first = table(report, "published_first_report")
    assert column(first, "Figure") == ["mean_ssi_entropy_observed", "pct_flipped"]
    assert column(first, "Judge") == ["local", "local"]


def test_each_table_of_figures_names_its_judge_or_the_primary_judge_of_each_model(report: Report) -> None:
    by_model = "Primary judge: paid for M 1; local for N 2."
    assert table(report, "models").title.endswith(by_model)
    assert column(table(report, "models"), "Model") == ["M 1 (paid)"]
    assert table(report, "published_pooling").title.endswith("Judge: paid.")
    for name in ("published_figures", "recomputed_figures", "published_differences", "published_first_report"):
        assert table(report, name).title.endswith("Each row names its judge.")
