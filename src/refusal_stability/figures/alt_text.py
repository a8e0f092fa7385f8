"""Alternative text of a figure: its estimates in words, for captions and for readers who cannot see it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from refusal_stability.figures.series import Series, SeriesSet

if TYPE_CHECKING:
    import pandas as pd

MOST_NAMED = 8


def with_interval(value: float, low: float, high: float, digits: int, unit: str = "") -> str:
    """An estimate with its interval, e.g. `0.912 [0.900, 0.924]`; an unknown interval is left out."""
    if not np.isfinite(value):
        return "–"
    middle = f"{value:.{digits}f}{unit}"
    return f"{middle} [{low:.{digits}f}, {high:.{digits}f}]" if np.isfinite(low) and np.isfinite(high) else middle


def stated(row: pd.Series, column: str, digits: int, unit: str = "", factor: float = 1.0) -> str:
    """One column of a row with its interval."""
    value, low, high = (factor * row[name] for name in (column, f"{column}_low", f"{column}_high"))
    return with_interval(value, low, high, digits, unit)


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
