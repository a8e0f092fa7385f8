"""Stability by category."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refusal_stability.figures.alt_text import for_each, out_of, stated
from refusal_stability.figures.dot_chart import draw_capped, name_rows
from refusal_stability.figures.finding import NO_FINDING, Quantity, known_rows
from refusal_stability.figures.lines import with_bounds
from refusal_stability.figures.panels import panel_grid, panel_title
from refusal_stability.figures.series import Series, SeriesSet, wrapped
from refusal_stability.figures.study_figure import StudyFigure
from refusal_stability.figures.style import canvas, in_house_style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from refusal_stability.figures.style import Tables

MOST_CATEGORIES = 24


@in_house_style
def category_stability(tables: Tables, series_set: SeriesSet) -> Figure:
    """Mean SSI of each category with its interval, a panel for each model; small categories hollow."""
    table = tables["categories"].dropna(subset=["mean_ssi"])
    names, left_out = drawn_categories(table)
    series = series_set.drawn_from(table, "mean_ssi", "No category has a decision: there is nothing to compare.")
    figure = canvas((0.75 + 0.22 * len(names)) * -(-len(series) // 2) + 0.4)
    panels = panel_grid(figure, len(series), min(2, len(series)))
    for axes, one in zip(panels, series, strict=True):
        _panel(axes, one, one.of(table).set_index("category"), names)
        panel_title(axes, one, 2)
    name_rows(panels[0], [wrapped(_in_words(name), 30, 1) for name in names], guide=False)
    low = float(np.nanmin(with_bounds(table, "mean_ssi")))
    panels[0].set_xlim(1 - 1.08 * max(1 - low, 0.05), 1)
    figure.supxlabel(f"mean SSI (hollow: fewer than 20 prompts{left_out and f'; {left_out}'})", fontsize=8)
    return figure


def _panel(axes: Axes, one: Series, rows: pd.DataFrame, names: list[str]) -> None:
    axes.grid(axis="x")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    for place, name in enumerate(names):
        if name in rows.index:
            row = rows.loc[name]
            draw_capped(axes, place, (row["mean_ssi_low"], row["mean_ssi_high"]), one.colour)
            fill = "white" if row["small"] else one.colour
            look: dict[str, Any] = {
                "marker": one.marker,
                "color": one.colour,
                "markerfacecolor": fill,
                "clip_on": False,
            }
            axes.plot([row["mean_ssi"]], [place], zorder=3, **look)


def drawn_categories(table: pd.DataFrame) -> tuple[list[str], str]:
    """The largest categories, as many as a figure has room for, in the table's order; and words on those left out."""
    sizes = table.groupby("category", sort=False)["n_prompts"].max()
    chosen = set(sizes.sort_values(ascending=False, kind="stable").index[:MOST_CATEGORIES])
    names = [str(name) for name in sizes.index if name in chosen]
    return names, out_of(len(names), len(sizes), "categories, those with most prompts")


def _in_words(category: str) -> str:
    return category.replace("_", " ").replace(",", ", ")


def alt_text(tables: Tables, series_set: SeriesSet) -> str:
    """The least and the most stable category of each model."""

    def describe(_: Series, rows: pd.DataFrame) -> str:
        ordered = rows.sort_values("mean_ssi", kind="stable")
        ends = (("least stable", ordered.iloc[0]), ("most stable", ordered.iloc[-1]))
        return ", ".join(
            f"{word} {_in_words(row['category'])} (mean SSI {stated(row, 'mean_ssi', 3)})" for word, row in ends
        )

    table = tables["categories"].dropna(subset=["mean_ssi"])
    _, left_out = drawn_categories(table)
    return for_each(table, series_set, describe) + (f" Drawn: {left_out}." if left_out else "")


def finding(tables: Tables, series_set: SeriesSet) -> str:
    """The least stable category, of those with enough prompts where there are any."""
    table = tables["categories"]
    large = table[~table["small"].astype(bool)]
    ssi = Quantity("", "mean_ssi", 3)
    known = known_rows(large, series_set, ssi.column) or known_rows(table, series_set, ssi.column)
    if not known:
        return NO_FINDING
    one, row = min(known, key=lambda found: float(found[1]["mean_ssi"]))
    enough = "" if row["small"] else " of at least 20 prompts"
    return f"The least stable category{enough} is {_in_words(row['category'])} of {one.label}: mean SSI {ssi.of(row)}."


FIGURE = StudyFigure(
    name="category_stability",
    section="categories",
    tables=("categories",),
    draw=category_stability,
    alt_text=alt_text,
    finding=finding,
    title="Stability by category",
    caption="Mean SSI of the prompts of each category. Hollow marks rest on fewer than 20 prompts. Lines are bootstrap "
    "intervals over prompts. The axis does not start at 0.",
)
