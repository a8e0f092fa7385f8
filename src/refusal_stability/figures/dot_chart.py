"""A row for each series, with its estimate as a marker and its interval as a line with caps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from refusal_stability.figures.palette import FAINT
from refusal_stability.figures.series import Series
from refusal_stability.figures.style import draw_intervals

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from refusal_stability.figures.style import Floats

MARGIN = 0.12  # of the axis, on either side: a marker at its end is drawn whole
CAP = 8.5  # points; taller than a marker, so that an interval narrower than its marker still shows


def draw_dots(axes: Axes, table: pd.DataFrame, series: Sequence[Series], column: str, form: str) -> None:
    """The estimate of each series in its row, with its interval, and with its value written above."""
    for row, one in enumerate(series):
        for _, value in one.of(table).iterrows():
            x = value[column]
            draw_capped(axes, row, (value[f"{column}_low"], value[f"{column}_high"]), one.colour)
            axes.plot([x], [row], color=one.colour, marker=one.marker, markersize=4, linestyle="none", zorder=3)
            if np.isfinite(x):
                place: dict[str, Any] = {"xytext": (0, 5.5), "textcoords": "offset points", "ha": "center"}
                ground = {"facecolor": "white", "linewidth": 0, "pad": 0.4}
                axes.annotate(form.format(x), (x, row), fontsize=7, va="bottom", bbox=ground, zorder=2, **place)


def draw_capped(axes: Axes, row: int, ends: tuple[Any, Any], colour: str) -> None:
    """An interval as a line with caps, which no marker hides."""
    draw_intervals(axes, [row], ends[:1], ends[1:], colour, upright=False)
    look: dict[str, Any] = {"color": colour, "marker": "|", "markersize": CAP, "clip_on": False, "zorder": 2.5}
    axes.plot(ends, [row, row], linestyle="none", **look)


def name_rows(axes: Axes, names: Sequence[str], guide: bool = True) -> None:
    """Name the rows from the top, with a faint guide line along each."""
    axes.set_yticks(np.arange(len(names)), labels=names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    for row in range(len(names) if guide else 0):
        axes.axhline(row, color=FAINT, linewidth=0.6, zorder=0.5)


def limit_dots(axes: Axes, low: float, high: float, ticks: int = 2) -> None:
    """Let the axis run from `low` to `high`, with a margin on either side so that no marker is cut."""
    margin = MARGIN * (high - low)
    axes.set_xlim(low - margin, high + margin)
    axes.spines["bottom"].set_bounds(low, high)
    axes.xaxis.set_major_locator(_ticks_within(low, high, ticks))


def around(seen: Floats, least: float, lowest: float, highest: float) -> tuple[float, float]:
    """The range of what is drawn, at least `least` wide, within what the quantity can be."""
    known = seen[np.isfinite(seen)]
    low, high = (float(known.min()), float(known.max())) if known.size else (lowest, lowest)
    wider = max(0.0, least - (high - low)) / 2
    return max(lowest, low - wider), min(highest, high + wider)


def _ticks_within(low: float, high: float, most: int) -> Any:
    """Two to `most` round ticks, as many as fit; the first and last of the coarsest step where no step fits."""
    from matplotlib.ticker import FixedLocator

    slack = 1e-9 * (high - low)
    largest = int(np.floor(np.log10(high - low)))
    steps = [digit * 10.0**power for power in range(largest - 1, largest + 1) for digit in (1, 2, 4, 5)]
    inside = [_multiples(step, low - slack, high + slack) for step in steps]
    fitting = [ticks for ticks in inside if 2 <= len(ticks) <= most]
    coarsest = next(ticks for ticks in reversed(inside) if len(ticks) > 1)
    return FixedLocator(fitting[0] if fitting else [coarsest[0], coarsest[-1]])


def _multiples(step: float, low: float, high: float) -> list[float]:
    return [step * number for number in range(int(np.ceil(low / step)), int(np.floor(high / step)) + 1)]
