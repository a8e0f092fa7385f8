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
    """A row's value of a column with its interval, e.g. `0.912 [0.900, 0.924]`; an unknown interval is left out."""
    if isinstance(column, str):
        column = COLUMNS[column]
    text = one_value(column, row[column.name])
    bounds = [float(row.get(f"{column.name}_{end}", math.nan)) for end in ("low", "high")]
    if not column.over or text == UNKNOWN or not all(map(math.isfinite, bounds)):
        return text
    low, high = (f"{column.factor * bound:.{column.digits}f}" for bound in bounds)
    return f"{text} [{low}, {high}]"


def short_count(count: int) -> str:
    """A count in at most seven characters: `52,560`, `540 k`, `26.9 M`."""
    if count < EXACT_BELOW:
        return f"{count:,}"
    return f"{count / 1e3:,.0f} k" if count < 1e6 else f"{count / 1e6:,.1f} M"
