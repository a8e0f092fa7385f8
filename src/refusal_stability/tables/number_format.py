"""Numbers as people read them: rounded alike everywhere, an unknown one as a dash, never as zero."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from refusal_stability.tables.columns import COLUMNS, Column

UNKNOWN = "–"
EXACT_BELOW = 100_000
# From this per cent on, one decimal says 100.0%.
NEARLY_ALL = 99.95
# A mean of zeros or ones can be off by rounding.
NO_SHARE = 1e-9
Row = Mapping[str, Any]


def number(value: float, digits: int = 3, unit: str = "") -> str:
    """A number with a fixed number of decimals."""
    return UNKNOWN if not math.isfinite(value) else f"{value:.{digits}f}{unit}"


def count(value: float) -> str:
    """A whole number with thousands separators."""
    return UNKNOWN if not math.isfinite(value) else f"{int(value):,}"


def p_value(value: float) -> str:
    """A p-value with three decimals; a smaller one as `<0.001`."""
    if not math.isfinite(value):
        return UNKNOWN
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def one_value(column: Column, value: Any) -> str:
    """A value of a column as people read it."""
    if column.kind == "text":
        return str(value)
    if column.kind == "flag":
        return "yes" if value else "no"
    if column.unit == "p":
        return p_value(value)
    if not math.isfinite(value):
        return UNKNOWN
    if column.digits is None:
        return f"{value:g}"
    unit = "%" if column.unit == "%" else ""
    return count(value) if not (column.digits or unit) else number(column.factor * value, column.digits, unit)


def estimate(row: Row, column: Column | str) -> str:
    """A row's value of a column with its interval, e.g. `0.912 [0.900, 0.924]`; none if unknown or without width.

    A share that is exactly none or all of its prompts says so: `0 of 84 (at most 3.5%)`, `84 of 84 (at least 96.5%)`.
    """
    if isinstance(column, str):
        column = COLUMNS[column]
    value = row[column.name]
    text = one_value(column, value)
    low, high = (float(row.get(f"{column.name}_{end}", math.nan)) for end in ("low", "high"))
    if not column.over or text == UNKNOWN or not (math.isfinite(low) and math.isfinite(high)) or low == value == high:
        return text
    return _none_or_all(row, column, high, low) or f"{text} [{_bound(column, low)}, {_bound(column, high)}]"


def _none_or_all(row: Row, column: Column, at_most: float, at_least: float) -> str:
    """The share in counts where it is none or all of what it is among; empty elsewhere, and for estimates of more."""
    among = _counted(row, column.among)
    share = row[column.name] * column.factor / 100
    if not among or row.get("estimated") or min(share, 1 - share) >= NO_SHARE:
        return ""
    if share < NO_SHARE:
        return f"0 of {count(among)} (at most {_bound(column, at_most)}%)"
    return f"{count(among)} of {count(among)} (at least {_bound(column, at_least)}%)"


def _counted(row: Row, among: str) -> float:
    """How many prompts (or what else) a share is among; 0 where the row does not say."""
    if among == "n_harmful":
        return float(row.get("n_prompts", 0) - row.get("n_benign", 0))
    return float(row.get(among, 0))


def _bound(column: Column, bound: float) -> str:
    return f"{column.factor * bound:.{column.digits}f}"


def short_count(count: int) -> str:
    """A count in at most seven characters: `52,560`, `540 k`, `26.9 M`."""
    if count < EXACT_BELOW:
        return f"{count:,}"
    return f"{count / 1e3:,.0f} k" if count < 1e6 else f"{count / 1e6:,.1f} M"
