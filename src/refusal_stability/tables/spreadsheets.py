"""What a spreadsheet would run as a formula, and how a table is written so that it does not."""

from __future__ import annotations

import csv

import pandas as pd
from pandas.api.types import is_bool_dtype, is_datetime64_any_dtype, is_numeric_dtype

# Tabs and line breaks too: a program that trims a cell runs what is behind them.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
STARTS = frozenset(FORMULA_STARTS)


def safe_text(text: str) -> str:
    """Text that a spreadsheet shows as text: what it would run as a formula gets a leading apostrophe."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def guarded(text: str) -> str:
    """`safe_text` that `unguarded` undoes for every text."""
    return f"'{text}" if text.lstrip("'").startswith(FORMULA_STARTS) else text


def unguarded(text: str) -> str:
    """The text that `guarded` was given."""
    return text[1:] if text.startswith("'") and text.lstrip("'").startswith(FORMULA_STARTS) else text


def formula_safe(table: pd.DataFrame) -> pd.DataFrame:
    """A table for people's spreadsheets: `safe_text` in every column that can hold text, whatever its type."""
    shown = table.copy()
    for name, column in table.items():
        if is_numeric_dtype(column) or is_bool_dtype(column) or is_datetime64_any_dtype(column):
            continue
        values = column.tolist()
        formulas = [place for place, value in enumerate(values) if isinstance(value, str) and value[:1] in STARTS]
        for place in formulas:
            values[place] = safe_text(values[place])
        if formulas or column.dtype != object:
            shown[name] = pd.Series(values, index=table.index, dtype=object)
    return shown


def csv_text(table: pd.DataFrame) -> str:
    """A table as the CSV of a file that people open: no text in it is a formula, and none ends its row early.

    Texts are quoted, all of them: pandas leaves a lone carriage return bare, which readers take for the end of a row.
    """
    return formula_safe(table).to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC)
