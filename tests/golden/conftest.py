"""The published study run by the project's own stages, and its metric tables."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest
import yaml

from refusal_stability.commands import replication_fetch, replication_report
from refusal_stability.exchange.recorded_files import study_name
from refusal_stability.files import replication_tables
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
    run_replication(folder, "published", shared / "published-study")
    return folder


def run_replication(folder: Path, name: str, data: Path, only: Collection[str] = ()) -> None:
    """Fetch a published study's data into a folder, and run every stage and the comparison there.

    `only` are the models that run, where not all do.
    """
    params = Path("params.yaml")
    with working_in(folder):
        Path("studies").symlink_to(STUDIES)
        replication_fetch.run(name, params, data, None, None)
        active = yaml.safe_load(params.read_text())
        active.setdefault("metrics", {})["n_resamples"] = FEW_RESAMPLES
        for model in set(active["models"]) - set(only) if only else ():
            del active["models"][model]
            for panelist in active["judging"]["judges"].values():
                panelist["settings"]["models"].pop(model, None)
        params.write_text(yaml.safe_dump(active, sort_keys=False))
        prompts.run(params)
        for model in active["models"]:
            generate.run(model, params)
            judge.run(model, params)
        metrics.run(params)
        replication_report.run(name, params)


@pytest.fixture(scope="session")
def refusalbench(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which studies/refusalbench.yaml ran on the published labels of the models with golden figures."""
    folder = tmp_path_factory.mktemp("refusalbench")
    models = {study_name(model) for model in pd.read_csv(shared / "golden/refusalbench.csv")["model"]}
    run_replication(folder, "refusalbench", shared / "refusalbench", models)
    return folder


@pytest.fixture(scope="session")
def tables(published: Path) -> Tables:
    """Reads a metric table of the study by name: of the study itself, or with another judge as `primary=`."""

    def read(name: str, primary: str = PRIMARY) -> pd.DataFrame:
        path, contract = METRIC_TABLES[name]
        if primary != PRIMARY:
            path = replication_tables("published") / f"by_{primary}" / path.name
        return read_table(published / path, contract)

    return read


@pytest.fixture(scope="session")
def comparison(published: Path) -> pd.DataFrame:
    """Every published figure beside ours, as the study wrote it."""
    return read_table(published / replication_tables("published") / "comparison.csv", COMPARED)
