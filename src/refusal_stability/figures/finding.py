"""The one finding that a figure's caption states; the other numbers stand in its `alt_text` and in the tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from refusal_stability.figures.alt_text import stated
from refusal_stability.figures.series import Series, SeriesSet

if TYPE_CHECKING:
    import pandas as pd

NO_FINDING = "There is no data for this figure."


class Quantity(NamedTuple):
    """What a finding is about: its words, its column, and how a value is written."""

    words: str
    column: str
    digits: int
    unit: str = ""
    factor: float = 1.0

    def of(self, row: pd.Series) -> str:
        """A row's estimate with its interval."""
        return stated(row, self.column, self.digits, self.unit, self.factor)


def known_rows(table: pd.DataFrame, series_set: SeriesSet, column: str) -> list[tuple[Series, pd.Series]]:
    """The row of each series in a table of one row a series, where its value is known."""
    found = [(one, row) for one in series_set.found_in(table) for _, row in one.of(table).iterrows()]
    return [(one, row) for one, row in found if np.isfinite(row[column])]


def range_of(table: pd.DataFrame, series_set: SeriesSet, quantity: Quantity, where: str = "") -> str:
    """A sentence with the lowest and the highest value over the series of a table of one row a series."""
    known = known_rows(table, series_set, quantity.column)
    return lowest_to_highest(
        f"{quantity.words}{where}", [(one.label, row[quantity.column], quantity.of(row)) for one, row in known]
    )


def lowest_to_highest(words: str, found: list[tuple[str, float, str]]) -> str:
    """A sentence with the lowest and the highest of (name, value, value as written)."""
    if not found:
        return NO_FINDING
    (low, _, least), (high, _, most) = min(found, key=_value), max(found, key=_value)
    if least == most:
        return f"{words} is {least}{f' for each of {len(found)}' if len(found) > 1 else ''}."
    return f"{words} runs from {least} ({low}) to {most} ({high})."


def greatest_change(
    table: pd.DataFrame, series_set: SeriesSet, quantity: Quantity, along: str, said: tuple[str, str] | None = None
) -> str:
    """A sentence on the series whose quantity changes most between the lowest and the highest value of `along`.

    `said` is how the first and the last value are written; without it `at temperature 0` and `at 1`.
    """
    at_first, at_last = said or (f"at {along} {{:g}}", "at {:g}")
    ends = []
    for one in series_set.found_in(table):
        rows = one.of(table).dropna(subset=[quantity.column]).sort_values(along)
        if len(rows):
            ends.append((one, rows.iloc[0], rows.iloc[-1]))
    if not ends:
        return NO_FINDING
    changes = [abs(last[quantity.column] - first[quantity.column]) for _, first, last in ends]
    one, first, last = ends[int(np.argmax(changes))]
    if first[along] == last[along]:
        there = [(one.label, last[quantity.column], quantity.of(last)) for one, _, last in ends]
        return lowest_to_highest(f"{quantity.words} {at_first.format(first[along])}", there)
    start, end = at_first.format(first[along]), at_last.format(last[along])
    if quantity.of(first) == quantity.of(last):
        there = [(one.label, last[quantity.column], quantity.of(last)) for one, _, last in ends]
        return lowest_to_highest(f"{quantity.words} is the same {start} and {end}: it", there)
    who = f"changes most for {one.label}: it goes" if len(ends) > 1 else "goes"
    return f"{quantity.words} {who} from {quantity.of(first)} {start} to {quantity.of(last)} {end}."


def _value(named: tuple[str, float, str]) -> float:
    return named[1]
