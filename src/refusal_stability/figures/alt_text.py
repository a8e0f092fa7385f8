"""Alternative text of a figure: its estimates in words, for captions and for readers who cannot see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from refusal_stability.figures.series import Series, SeriesSet
from refusal_stability.tables.columns import COLUMNS
from refusal_stability.tables.number_format import estimate

if TYPE_CHECKING:
    import pandas as pd

MOST_NAMED = 8


def stated(row: pd.Series, column: str, digits: int, unit: str = "", factor: float = 1.0) -> str:
    """One column of a row with its interval, in the form of the report's tables."""
    shown = replace(COLUMNS[column], digits=digits, unit=unit, factor=factor)
    return estimate({str(name): value for name, value in row.items()}, shown)


def for_each(table: pd.DataFrame, series_set: SeriesSet, describe: Callable[[Series, pd.DataFrame], str]) -> str:
    """`Label: description` of each series in a table, joined; only the first few series are described."""
    series = series_set.found_in(table)
    if not series:
        return "There is no data for this figure."
    parts = [f"{one.label}: {describe(one, one.of(table))}" for one in series[:MOST_NAMED]]
    more = [f"and {len(series) - MOST_NAMED} more"] if len(series) > MOST_NAMED else []
    return "; ".join(parts + more) + "."


def at_lowest_and_highest_temperature(rows: pd.DataFrame, describe: Callable[[pd.Series], str]) -> str:
    """The description of a series' rows at its lowest and at its highest temperature."""
    rows = rows.sort_values("temperature")
    ends = [rows.iloc[0], rows.iloc[-1]] if len(rows) > 1 else [row for _, row in rows.iterrows()]
    return ", ".join(f"{describe(row)} at temperature {row['temperature']:g}" for row in ends)


def prompt_count(number: int) -> str:
    """`1 prompt`, `876 prompts`."""
    return f"{number:,} prompt{'' if number == 1 else 's'}"


def out_of(drawn: int, available: int, what: str) -> str:
    """`24 of 40 categories` where a figure has no room for all; nothing where it shows all."""
    return f"{drawn} of {available} {what}" if drawn < available else ""
