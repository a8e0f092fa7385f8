"""One line for each series: points, intervals, and the series' name at the line's end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from refusal_stability.figures.series import Series, wrapped
from refusal_stability.figures.style import draw_intervals, percent_axis

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from refusal_stability.figures.style import Floats

POINTS_A_LINE = 10.0
MOST_WHISKERS = 8
LINE_END_WIDTH = 18
DODGE = 0.016
CAP = 6.5  # points; wider than a marker, so that an interval shorter than its marker still shows
BAND_ALPHA = 0.16
LEAST_SPAN = 0.05
STUB_POINTS = 20.0


def draw_lines(axes: Axes, table: pd.DataFrame, series: Sequence[Series], x: str, y: str) -> None:
    """Draw `y` with its interval against `x` for each series, shifted sideways so that no interval hides another.

    Intervals of a line of many points are drawn as a band, without a shift. Set the limits of both axes before: they
    decide where the names stand.
    """
    low, high = axes.get_xlim()
    ends = []
    crowded = table[x].nunique() > MOST_WHISKERS
    for place, one in enumerate(series):
        rows = one.of(table).sort_values(x)
        aside = 0 if crowded else (place - (len(series) - 1) / 2) * DODGE * (high - low)
        across, values = rows[x].to_numpy(dtype=float) + aside, rows[y].to_numpy(dtype=float)
        least, most = rows[[f"{y}_low", f"{y}_high"]].to_numpy(dtype=float).T
        if crowded:
            axes.fill_between(across, least, most, color=one.colour, alpha=BAND_ALPHA, linewidth=0, clip_on=False)
        else:
            draw_intervals(axes, across, least, most, one.colour)
            cap: dict[str, Any] = {"color": one.colour, "marker": "_", "markersize": CAP, "clip_on": False}
            axes.plot([across, across], [least, most], linestyle="none", zorder=2.4, **cap)
        look: dict[str, Any] = {"color": one.colour, "marker": one.marker, "linestyle": one.line, "clip_on": False}
        axes.plot(across, values, markersize=4.5, **look)
        known = np.flatnonzero(np.isfinite(values))
        if known.size:
            ends.append((float(across[known[-1]]), float(values[known[-1]]), one))
    name_line_ends(axes, ends)


def name_line_ends(axes: Axes, ends: Sequence[tuple[float, float, Series]]) -> None:
    """Write each series' name beside its line's last point (x, y), without overlaps.

    A thin line leads from the line's end to the name. The marker is repeated beside the name, on a piece of the line
    where lines differ, so that line and name can be matched without colour.
    """
    if not ends:
        return
    names = [wrapped(one.label, LINE_END_WIDTH, 2) for _, _, one in ends]
    low, high = axes.get_ylim()
    per_point = (high - low) / (axes.get_window_extent().height / axes.figure.dpi * 72)
    sizes = [per_point * POINTS_A_LINE * (name.count("\n") + 1) for name in names]
    placed = spread([y for _, y, _ in ends], sizes, low, high)
    left, right = axes.get_xlim()
    per_point_across = (right - left) / (axes.get_window_extent().width / axes.figure.dpi * 72)
    start = right + 0.01 * (right - left)
    # A model keeps colour and marker under every intervention: only its line differs.
    dashed = len({str(one.line) for _, _, one in ends}) > 1
    stub = STUB_POINTS if dashed else 0.0
    for (x, y, one), name, height in zip(ends, names, placed, strict=True):
        axes.plot([x, start], [y, height], color=one.colour, linewidth=0.6, alpha=0.55, clip_on=False, zorder=1.5)
        end = start + stub * per_point_across
        look: dict[str, Any] = {"color": one.colour, "linestyle": one.line if dashed else "none", "clip_on": False}
        axes.plot([start, end], [height, height], **look)
        middle: dict[str, Any] = {"color": one.colour, "marker": one.marker, "markersize": 4, "clip_on": False}
        axes.plot([(start + end) / 2], [height], linestyle="none", **middle)
        axes.annotate(
            name,
            (end, height),
            xytext=(5, 0),
            textcoords="offset points",
            color=one.colour,
            va="center",
            linespacing=1.05,
            annotation_clip=False,
        )


def spread(wanted: Sequence[float], sizes: Sequence[float], low: float, high: float) -> Floats:
    """Centres of items of these sizes in [low, high], without overlap, nearest to the wanted ones (least squares).

    Where there is no room for all, the sizes shrink in proportion.
    """
    values, extents = np.asarray(wanted, dtype=float), np.asarray(sizes, dtype=float)
    if values.size == 0:
        return values
    extents = extents * min(1.0, (high - low) / extents.sum())
    order = np.argsort(values, kind="stable")
    # Stack all from the bottom, then fit the slack below each item, which can only grow.
    stacked = low + np.cumsum(extents[order]) - extents[order] / 2
    slack = nearest_rising(values[order] - stacked)
    result = np.empty_like(values)
    result[order] = stacked + np.clip(slack, 0, high - low - extents.sum())
    return result


def nearest_rising(wanted: Floats) -> Floats:
    """The values nearest to the wanted ones (least squares) of which none is below the one before it.

    The same as `scipy.optimize.isotonic_regression`, whose import takes as long as to draw two figures. Value i is the
    largest over starts a <= i of the smallest mean over wanted[a:b] with b > i.
    """
    n = len(wanted)
    sums = np.concatenate([[0.0], np.cumsum(wanted)])
    starts, ends = np.arange(n)[:, None], np.arange(1, n + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        means = np.where(ends > starts, (sums[ends] - sums[starts]) / (ends - starts), np.inf)
    least = np.minimum.accumulate(means[:, ::-1], axis=1)[:, ::-1]
    # Only starts up to i count for value i.
    nearest: Floats = np.where(starts < ends, least, -np.inf).max(axis=0)
    return nearest


def percent_limits(axes: Axes, seen: Floats) -> None:
    """A y axis of percentages from 0 to a little above what is drawn, at most 100."""
    axes.set_ylim(0, min(100.0, max(5.0, 1.12 * float(np.nanmax(np.append(seen, 0.0))))))
    axes.yaxis.set_major_formatter("{x:.0f}%")


def share_limits(axes: Axes, seen: Floats) -> None:
    """A y axis of shares from 0 to a little above what is drawn, at most 1, labelled in per cent."""
    axes.set_ylim(0, min(1.0, max(0.05, 1.12 * float(np.nanmax(np.append(seen, 0.0))))))
    percent_axis(axes.yaxis)


def near_one_limits(axes: Axes, seen: Floats) -> None:
    """A y axis that ends at 1 and starts a little below what is drawn, for values that never come near 0."""
    span = max(1 - float(np.nanmin(np.append(seen, 1.0))), LEAST_SPAN)
    axes.set_ylim(1 - 1.1 * span, 1)


def with_bounds(table: pd.DataFrame, column: str) -> Floats:
    """A column and its interval's bounds: the values that an axis must hold."""
    return table[[column, f"{column}_low", f"{column}_high"]].to_numpy(dtype=float)
