"""Quantities against temperature: a column of panels for each quantity, a row for each intervention."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from refusal_stability.figures.lines import draw_lines, with_bounds
from refusal_stability.figures.series import SeriesSet, wrapped
from refusal_stability.figures.style import canvas, note, temperature_axis

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from refusal_stability.figures.style import Floats

    Quantity = tuple[str, str, Callable[[Axes, Floats], None]]


def against_temperature(table: pd.DataFrame, series_set: SeriesSet, quantities: Sequence[Quantity]) -> Figure:
    """Draw each quantity: its column, its title, and the function that sets the limits of its axis."""
    missing = "No temperature has a decision: there is nothing to show."
    series = series_set.drawn_from(table, quantities[-1][0], missing)
    interventions = [i for i in series_set.interventions if any(s.intervention == i for s in series)]
    most = max(len([s for s in series if s.intervention == i]) for i in interventions)
    figure = canvas((0.5 + max(2.2, 0.75 + 0.3 * most)) * len(interventions))
    grid = figure.subplots(len(interventions), len(quantities), squeeze=False, sharex=True)
    for row, intervention in enumerate(interventions):
        for axes, (column, title, limits) in zip(grid[row], quantities, strict=True):
            temperature_axis(axes, sorted(table["temperature"].unique()))
            limits(axes, with_bounds(table, column))
            axes.grid(axis="y")
            if not table[column].notna().any():
                note(axes, 0.5, 0.5, "not defined: one seed only", ha="center", transform=axes.transAxes)
            draw_lines(axes, table, [s for s in series if s.intervention == intervention], "temperature", column)
            axes.set_title(title if row == 0 else "")
            axes.tick_params(labelbottom=True)
            if row < len(interventions) - 1:
                axes.set_xlabel("")
        if len(interventions) > 1:
            grid[row][0].set_ylabel(f"intervention: {wrapped(intervention)}")
    return figure
