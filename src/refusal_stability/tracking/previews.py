"""Tables among a run's artifacts, in a form that is safe to open in a spreadsheet."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from refusal_stability.tables.spreadsheets import csv_text

EXCERPT = 600


def write_preview(table: pd.DataFrame, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(csv_text(table), encoding="utf-8", newline="")


def excerpt(text: str, longest: int = EXCERPT) -> str:
    return text if len(text) <= longest else f"{text[:longest]} […]"
