"""Tables as people and their spreadsheets see them among a run's artifacts."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

EXCERPT = 600
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def formula_safe(table: pd.DataFrame) -> pd.DataFrame:
    """A table for people's spreadsheets: a text that a spreadsheet would run as a formula gets a leading apostrophe."""
    shown = table.copy()
    for column in shown.select_dtypes(object):
        shown[column] = [
            f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_STARTS) else value
            for value in shown[column]
        ]
    return shown


def write_preview(table: pd.DataFrame, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    formula_safe(table).to_csv(path, index=False)


def excerpt(text: str) -> str:
    return text if len(text) <= EXCERPT else f"{text[:EXCERPT]} […]"
