"""How many prompts flip: over everything, and over the seeds of one temperature."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from refusal_stability.figures.alt_text import at_lowest_and_highest_temperature, for_each, stated
from refusal_stability.figures.dot_chart import draw_dots, limit_dots, name_rows
from refusal_stability.figures.finding import Quantity, range_of
from refusal_stability.figures.lines import draw_lines, percent_limits, with_bounds
from refusal_stability.figures.series import Series, SeriesSet
from refusal_stability.figures.study_figure import StudyFigure
from refusal_stability.figures.style import canvas, in_house_style, temperature_axis

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from refusal_stability.figures.style import Tables


@in_house_style
def flip_rate(tables: Tables, series_set: SeriesSet) -> Figure:
    """Prompts with more than one decision: over all configurations, and over seeds alone at each temperature."""
    table = tables["aggregate_by_model"]
    series = series_set.drawn_from(table, "pct_flipped", "No model has a decision: there is no flip rate to show.")
    figure = canvas(max(2.5, 0.95 + 0.36 * len(series)))
    left, right = figure.subplots(1, 2, width_ratios=(1, 1))
    draw_dots(left, table, series, "pct_flipped", "{:.1f}%")
    name_rows(left, [one.wrapped for one in series])
    limit_dots(left, 0.0, max(5.0, float(np.nanmax(with_bounds(table, "pct_flipped")))), ticks=4)
    left.xaxis.set_major_formatter("{x:g}%")
    left.set_title("All configurations")
    left.set_xlabel("prompts with more than one decision")
    _within_temperatures(right, tables["aggregate_by_temperature"], series_set)
    return figure


def _within_temperatures(axes: Axes, table: pd.DataFrame, series_set: SeriesSet) -> None:
    axes.set_title("Seeds alone, at one temperature")
    axes.set_ylabel("prompts that flip")
    if table.empty:
        return
    temperature_axis(axes, sorted(table["temperature"].unique()))
    percent_limits(axes, with_bounds(table, "pct_flipped"))
    axes.grid(axis="y")
    draw_lines(axes, table, series_set.found_in(table), "temperature", "pct_flipped")


def alt_text(tables: Tables, series_set: SeriesSet) -> str:
    """Flip rate of each model over everything, and at its lowest and highest temperature."""

    def rate(row: pd.Series) -> str:
        return stated(row, "pct_flipped", 1, "%")

    def describe(one: Series, rows: pd.DataFrame) -> str:
        ends = at_lowest_and_highest_temperature(one.of(tables["aggregate_by_temperature"]), rate)
        return f"prompts that flip overall {rate(rows.iloc[0])}" + (f"; {ends}" if ends else "")

    return for_each(tables["aggregate_by_model"], series_set, describe)


def finding(tables: Tables, series_set: SeriesSet) -> str:
    """The models with the fewest and with the most flips."""
    flips = Quantity("The share of prompts that flip over all configurations", "pct_flipped", 1, "%")
    return range_of(tables["aggregate_by_model"], series_set, flips)


FIGURE = StudyFigure(
    name="flip_rate",
    section="models",
    tables=("aggregate_by_model", "aggregate_by_temperature"),
    draw=flip_rate,
    alt_text=alt_text,
    finding=finding,
    title="How many prompts flip",
    caption="The share of prompts that got more than one decision. Left: over all temperatures and seeds. Right: over "
    "the seeds of one temperature. Do not compare the two sides: more responses find more flips, and the left side "
    "rests on more. Lines through the points are bootstrap intervals over prompts.",
)
