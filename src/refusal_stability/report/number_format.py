"""Numbers as a report writes them: rounded alike everywhere, an unknown one as a dash, never as zero."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

UNKNOWN = "–"
Row = Mapping[str, Any]


def number(value: float, digits: int = 3, unit: str = "") -> str:
    """A number with a fixed count of decimals."""
    return UNKNOWN if not math.isfinite(value) else f"{value:.{digits}f}{unit}"


def count(value: float) -> str:
    """A whole number with its thousands apart."""
    return UNKNOWN if not math.isfinite(value) else f"{int(value):,}"


def estimate(row: Row, column: str, digits: int = 3, unit: str = "", factor: float = 1.0) -> str:
    """A column with its interval, e.g. `0.912 [0.900, 0.924]`; an unknown interval is left out."""
    value, low, high = (factor * float(row[name]) for name in (column, f"{column}_low", f"{column}_high"))
    if not math.isfinite(value):
        return UNKNOWN
    bounds = f" [{low:.{digits}f}, {high:.{digits}f}]" if math.isfinite(low) and math.isfinite(high) else ""
    return f"{value:.{digits}f}{unit}{bounds}"


def share(row: Row, column: str, digits: int = 1) -> str:
    """A share from 0 to 1 in per cent, with its interval."""
    return estimate(row, column, digits, "%", 100.0)


def percent(row: Row, column: str, digits: int = 1) -> str:
    """A figure that is in per cent already, with its interval."""
    return estimate(row, column, digits, "%")


def p_value(value: float) -> str:
    """A p value to three decimals; a smaller one as such."""
    if not math.isfinite(value):
        return UNKNOWN
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def spelled(category: str) -> str:
    """A category's name with its words apart, so that it can be read and broken; several are set off by semicolons."""
    parts = (", ".join(part.strip() for part in one.split(",")) for one in category.replace("_", " ").split("|"))
    return "; ".join(parts)


def several(things: list[str], most: int = 12) -> str:
    """Things as a list in a sentence, a long one cut with its count."""
    rest = len(things) - most
    return ", ".join(things) if rest <= 1 else f"{', '.join(things[:most])} and {rest} more"
