"""Where instability comes from: prompt, temperature, seed and judge repeats."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refusal_stability.figures.alt_text import at_lowest_and_highest_temperature, for_each, stated
from refusal_stability.figures.dot_chart import draw_dots, limit_dots, name_rows
from refusal_stability.figures.finding import Quantity, range_of
from refusal_stability.figures.lines import draw_lines, with_bounds
from refusal_stability.figures.palette import RULE
from refusal_stability.figures.series import Series, SeriesSet
from refusal_stability.figures.study_figure import StudyFigure
from refusal_stability.figures.style import canvas, in_house_style, percent_axis, temperature_axis

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from refusal_stability.figures.style import Tables

SOURCES = {"prompt": "Prompt", "temperature": "Temperature", "seed": "Seed", "judge": "Judge repeats"}
AT_TEMPERATURE = r"^seed at T=(.+)$"


@in_house_style
def decomposition(tables: Tables, series_set: SeriesSet) -> Figure:
    """The share of variance of each source above, and that of the seeds at each temperature below."""
    table = tables["decomposition"].dropna(subset=["share"])
    series = series_set.drawn_from(table, "share", "No variance can be split: there is nothing to show.")
    sources = [name for name in SOURCES if name in set(table["component"])]
    seeds = seeds_by_temperature(table)
    above = 0.75 + 0.46 * max(len(series), 2)
    below = 0.9 + max(1.5, 0.3 * len(series)) if len(seeds) else 0.0
    figure = canvas(above + below)
    rows: Any = figure.subfigures(2, 1, height_ratios=(above, below)) if below else [figure]
    panels = rows[0].subplots(1, len(sources), squeeze=False)[0]
    seen = with_bounds(table[table["component"].isin(sources)], "share")
    for axes, source in zip(panels, sources, strict=True):
        of_source = table[table["component"] == source]
        draw_dots(axes, of_source, series, "share", "{:.1%}")
        name_rows(axes, [""] * len(series))
        limit_dots(axes, min(0.0, float(np.nanmin(seen))), max(0.05, float(np.nanmax(seen))))
        axes.set_title(SOURCES[source])
        percent_axis(axes.xaxis)
    name_rows(panels[0], [one.wrapped for one in series], guide=False)
    remark = " (seed: mean of the points below)" if below else ""
    rows[0].supxlabel(f"share of the variance of a decision{remark}", fontsize=8)
    if below:
        _seeds(rows[1].subplots(), seeds, series)
    return figure


def _seeds(axes: Axes, seeds: pd.DataFrame, series: tuple[Series, ...]) -> None:
    temperature_axis(axes, sorted(seeds["temperature"].unique()))
    seen = with_bounds(seeds, "share")
    low, high = float(np.nanmin(np.append(seen, 0.0))), float(np.nanmax(np.append(seen, 0.05)))
    axes.set_ylim(low, high + 0.06 * (high - low))
    axes.axhline(0, color=RULE, linewidth=0.7, zorder=0.6)
    axes.grid(axis="y")
    percent_axis(axes.yaxis)
    draw_lines(axes, seeds, series, "temperature", "share")
    axes.set_title("Seed, at each temperature")
    axes.set_ylabel("variance between seeds,\nas a share of the total")


def seeds_by_temperature(table: pd.DataFrame) -> pd.DataFrame:
    """The rows `seed at T=...`, with their temperature as a column."""
    found = table["component"].str.extract(AT_TEMPERATURE, expand=False).astype(float)
    return table.assign(temperature=found)[found.notna()]


def alt_text(tables: Tables, series_set: SeriesSet) -> str:
    """The share of each source, and of the seeds at the lowest and highest temperature, for each model."""

    def share(row: pd.Series) -> str:
        return stated(row, "share", 1, "%", 100)

    def describe(_: Series, rows: pd.DataFrame) -> str:
        sources = ", ".join(
            f"{row['component']} {share(row)}" for _, row in rows.iterrows() if row["component"] in SOURCES
        )
        ends = at_lowest_and_highest_temperature(seeds_by_temperature(rows), share)
        return sources + (f"; between seeds {ends}" if ends else "")

    return for_each(tables["decomposition"].dropna(subset=["share"]), series_set, describe)


def finding(tables: Tables, series_set: SeriesSet) -> str:
    """The variance between seeds at the highest temperature; of one seed, that between temperatures."""
    table = tables["decomposition"].dropna(subset=["share"])
    seeds = seeds_by_temperature(table)
    if seeds.empty:
        between = Quantity("The share of the variance between temperatures", "share", 1, "%", 100)
        return range_of(table[table["component"] == "temperature"], series_set, between)
    highest = seeds["temperature"].max()
    between = Quantity("The variance between seeds", "share", 1, "%", 100)
    where = f" at temperature {highest:g}, as a share of the total,"
    return range_of(seeds[seeds["temperature"] == highest], series_set, between, where)


FIGURE = StudyFigure(
    name="decomposition",
    section="sources",
    tables=("decomposition",),
    draw=decomposition,
    alt_text=alt_text,
    finding=finding,
    title="Where instability comes from",
    caption="The share of a decision's variance that each source adds. Top: the seed's share is the mean of the points "
    "below, each weighted by its number of responses; temperature 0 is one of them. Bottom: the variance between seeds "
    "at each temperature, as a share of the same total. That total, and with it every share, depends on the study's "
    "prompts and temperatures. At temperature 0 the seed should add nothing. Lines are bootstrap intervals over "
    "prompts. Estimates are unbiased, so a small share can be negative.",
)
