"""The models side by side: what they decided, how stable they are, how many prompts are unstable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refusal_stability.figures.cast import Cast, Series
from refusal_stability.figures.house import (
    canvas,
    in_house_style,
    name_rows,
    percent_axis,
)
from refusal_stability.figures.palette import DECISION_COLOURS, DECISION_INK, MUTED, RULE
from refusal_stability.figures.stability import draw_dot
from refusal_stability.records import DECISIONS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from refusal_stability.figures.house import Tables

ROOM_FOR_A_NUMBER = 0.09


@in_house_style
def model_comparison(tables: Tables, cast: Cast) -> Figure:
    """Decision shares, mean SSI and unstable share of each model, with intervals."""
    table = tables["aggregate_by_model"]
    series = cast.drawn_from(table, "No model has a decision: there is nothing to compare.")
    figure = canvas(0.95 + 0.46 * max(len(series), 2))
    figure.get_layout_engine().set(w_pad=0.09)  # type: ignore[union-attr, call-arg]
    shares, stability, unstable = figure.subplots(1, 3, width_ratios=(1.5, 1, 1))
    rows = [one.of(table).iloc[0] for one in series]
    _decision_bars(shares, rows)
    name_rows(shares, [one.wrapped for one in series], guide=False)
    for axes, column, digits, unit in ((stability, "mean_ssi", 3, ""), (unstable, "pct_unstable", 1, "%")):
        _dots(axes, series, rows, column, f"{{:.{digits}f}}{unit}")
        name_rows(axes, [""] * len(series))
    shares.set_title("Decisions", pad=18)
    stability.set_title("Mean SSI", pad=18)
    unstable.set_title("Unstable prompts", pad=18)
    return figure


def _decision_bars(axes: Axes, rows: list[pd.Series]) -> None:
    start = np.zeros(len(rows))
    for decision in DECISIONS:
        width = np.array([row[f"mean_{decision.value.lower()}_rate"] for row in rows], dtype=float)
        bars = np.nan_to_num(width)
        axes.barh(
            range(len(rows)), bars, 0.62, start, color=DECISION_COLOURS[decision], edgecolor="white", linewidth=0.8
        )
        for row, (left, share) in enumerate(zip(start, width, strict=True)):
            if share >= ROOM_FOR_A_NUMBER:
                axes.text(
                    left + share / 2,
                    row,
                    f"{share:.0%}",
                    color=DECISION_INK[decision],
                    ha="center",
                    va="center",
                    fontsize=7,
                )
        start = start + bars
    axes.set_xlim(0, 1)
    percent_axis(axes.xaxis)
    axes.set_xlabel("mean share of a prompt's responses")
    _decision_key(axes)


def _decision_key(axes: Axes) -> None:
    """The three decisions named above the bars, each beside its colour."""
    for decision, x in zip(DECISIONS, (0.0, 0.34, 0.7), strict=True):
        settings: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "center"}
        axes.annotate("■", (x, 1), xytext=(0, 6), fontsize=9, color=DECISION_COLOURS[decision], **settings)
        axes.annotate(decision.value, (x, 1), xytext=(9, 6), fontsize=7, color=MUTED, **settings)


def _dots(axes: Axes, series: tuple[Series, ...], rows: list[pd.Series], column: str, form: str) -> None:
    for place, (one, row) in enumerate(zip(series, rows, strict=True)):
        draw_dot(axes, place, one, row, column, form)
    seen = np.array([row[c] for row in rows for c in (column, f"{column}_low", f"{column}_high")], dtype=float)
    if column == "mean_ssi":
        span = 1 - float(np.nanmin(np.append(seen, 0.95)))
        axes.set_xlim(1 - 1.18 * span, 1 + 0.06 * span)
        axes.axvline(1.0, color=RULE, linewidth=0.6)
    else:
        axes.set_xlim(0, max(5.0, 1.18 * float(np.nanmax(np.append(seen, 0.0)))))
        axes.xaxis.set_major_formatter("{x:.0f}%")
