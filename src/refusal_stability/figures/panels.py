"""One panel for each model, with shared axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refusal_stability.figures.series import Series, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def panel_grid(figure: Figure, n: int, columns: int) -> list[Axes]:
    """`n` panels with shared axes in rows of `columns`; the lowest panel of each column has its x axis labelled."""
    grid = figure.subplots(-(-n // columns), columns, squeeze=False, sharex=True, sharey=True)
    for spare in grid.flat[n:]:
        spare.set_visible(False)
    panels = list(grid.flat[:n])
    for lowest in panels[-columns:]:
        lowest.tick_params(labelbottom=True)
    return panels


def panel_title(axes: Axes, one: Series, columns: int) -> None:
    """Name a panel after its series."""
    axes.set_title(wrapped(one.label, 70 // columns, 2), color=one.colour)
