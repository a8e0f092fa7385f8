"""MLflow's runs -> reports/history: the versions of the study as a page and as CSV."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from refusal_stability.files import HISTORY, atomic_write
from refusal_stability.params.load import load_params
from refusal_stability.records import StudyError
from refusal_stability.report.history_page import history_page
from refusal_stability.report.html import html_report
from refusal_stability.tables.spreadsheets import csv_text
from refusal_stability.tracking.history import version_rows
from refusal_stability.tracking.mlflow_log import every_run
from refusal_stability.tracking.server import tracking_uri


def run(params_path: Path) -> None:
    """Write the page and the table of every version that MLflow has."""
    study = load_params(params_path).study
    rows = version_rows(every_run(study, tracking_uri()))
    if not rows:
        raise StudyError(f"MLflow has no runs of study {study} yet; log them with `make track`")
    for name, text in (("history.html", html_report(history_page(study, rows))), ("history.csv", _csv(rows))):
        with atomic_write(HISTORY / name) as file:
            file.write(text)
    moved = sum(bool(row["moved"]) for row in rows)
    print(f"{HISTORY / 'history.html'}: {len(rows)} versions, {moved} of them with a figure that moved")


def _csv(rows: list[dict[str, object]]) -> str:
    return csv_text(pd.DataFrame(rows))
