"""The published study run by the project's own stages, and its metric tables."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest
import yaml

from refusal_stability.commands import published_fetch, published_report
from refusal_stability.files import PUBLISHED_TABLES
from refusal_stability.replication.comparison import COMPARED
from refusal_stability.stages import generate, judge, metrics, prompts
from refusal_stability.tables.csv_files import read_table
from refusal_stability.tables.metrics import METRIC_TABLES

STUDIES = Path(__file__).parents[2] / "studies"
PRIMARY = "claude-3-5-haiku"
FEW_RESAMPLES = 200  # no golden value is an interval's bound

Tables = Callable[..., pd.DataFrame]


@contextmanager
def working_in(folder: Path) -> Iterator[None]:
    here = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(here)


@pytest.fixture(scope="session")
def published(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which every stage of studies/published.yaml ran on the published data."""
    folder = tmp_path_factory.mktemp("published")
    params = Path("params.yaml")
    with working_in(folder):
        published_fetch.run(STUDIES / "published.yaml", params, shared / "published-study", "", "", None)
        active = yaml.safe_load(params.read_text())
        active.setdefault("metrics", {})["n_resamples"] = FEW_RESAMPLES
        params.write_text(yaml.safe_dump(active, sort_keys=False))
        prompts.run(params)
        for model in active["models"]:
            generate.run(model, params)
            judge.run(model, params)
        metrics.run(params)
        published_report.run(STUDIES / "published.yaml", STUDIES / "published_figures.csv", params)
    return folder


@pytest.fixture(scope="session")
def tables(published: Path) -> Tables:
    """Reads a metric table of the study by name: of the study itself, or with another judge as `primary=`."""

    def read(name: str, primary: str = PRIMARY) -> pd.DataFrame:
        path, contract = METRIC_TABLES[name]
        if primary != PRIMARY:
            path = PUBLISHED_TABLES / f"by_{primary}" / path.name
        return read_table(published / path, contract)

    return read


@pytest.fixture(scope="session")
def comparison(published: Path) -> pd.DataFrame:
    """Every published figure beside ours, as the study wrote it."""
    return read_table(published / PUBLISHED_TABLES / "comparison.csv", COMPARED)
