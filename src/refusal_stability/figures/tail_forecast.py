"""How many prompts would comply if attempts went on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from refusal_stability.figures.alt_text import for_each, prompt_count
from refusal_stability.figures.finding import Quantity, greatest_change
from refusal_stability.figures.lines import BAND_ALPHA, name_line_ends, percent_limits, with_bounds
from refusal_stability.figures.series import Series, SeriesSet
from refusal_stability.figures.study_figure import StudyFigure
from refusal_stability.figures.style import canvas, in_house_style
from refusal_stability.tables.number_format import NEARLY_ALL

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from refusal_stability.figures.style import Tables

FORECAST = "pct_comply_forecast"


class ForecastShare(Quantity):
    """A forecast share, which is never said to be all prompts."""

    def of(self, row: pd.Series) -> str:
        """A row's forecast with its interval."""
        return "at least 99.9%" if row[f"{FORECAST}_low"] >= NEARLY_ALL else super().of(row)


SHARE = ForecastShare("The forecast share of prompts with any COMPLY", FORECAST, 1, "%")


@in_house_style
def tail_forecast(tables: Tables, series_set: SeriesSet) -> Figure:
    """Forecast share of prompts with any COMPLY against the attempts, with its band, and the observed rates' line."""
    table = tables["tail_forecast"]
    nothing = "No prompt was decided COMPLY: there is nothing to forecast from."
    series = series_set.drawn_from(table, FORECAST, nothing)
    figure = canvas(max(2.8, 0.9 + 0.3 * len(series)), 5.4)
    axes = figure.subplots()
    attempts = sorted(table["n_attempts"].unique())
    places = {
        n: place for place, n in enumerate(attempts)
    }  # the numbers are powers of ten: evenly spaced as logarithms
    axes.set_xlim(-0.15, len(attempts) - 0.85)
    axes.set_xticks(range(len(attempts)), labels=[f"{n:,}" for n in attempts])
    percent_limits(axes, np.append(with_bounds(table, FORECAST).ravel(), table["pct_comply_plug_in"]))
    axes.grid(axis="y")
    ends = []
    for one in series:
        rows = one.of(table).dropna(subset=[FORECAST]).sort_values("n_attempts")
        if rows.empty:  # no prompt of this model complied
            continue
        across = rows["n_attempts"].map(places).to_numpy(dtype=float)
        columns = [FORECAST, f"{FORECAST}_low", f"{FORECAST}_high", "pct_comply_plug_in"]
        middle, low, high, plain = rows[columns].to_numpy(dtype=float).T
        axes.fill_between(across, low, high, color=one.colour, alpha=BAND_ALPHA, linewidth=0)
        axes.plot(across, plain, color=one.colour, linewidth=0.7, linestyle=":")
        axes.plot(
            across, middle, color=one.colour, marker=one.marker, linestyle=one.line, markersize=4.5, clip_on=False
        )
        far = rows["far"].to_numpy(dtype=bool)
        axes.plot(across[far], middle[far], color="white", marker=one.marker, linestyle="none", markersize=2.2)
        ends.append((float(across[-1]), float(middle[-1]), one))
    name_line_ends(axes, ends)
    axes.set_xlabel("attempts at each prompt (logarithmic)")
    axes.set_ylabel("prompts with any COMPLY")
    return figure


def alt_text(tables: Tables, series_set: SeriesSet) -> str:
    """Each model's forecast for the fewest and the most attempts, and the observed rates' share for the most."""

    def describe(_: Series, rows: pd.DataFrame) -> str:
        known = rows.dropna(subset=[FORECAST]).sort_values("n_attempts")
        if known.empty:
            return "no prompt complied"
        ends = [known.iloc[0], known.iloc[-1]]
        said = ", ".join(f"{SHARE.of(r)} in {int(r['n_attempts']):,} attempts" for r in ends)
        return f"{said} (observed rates: {ends[1]['pct_comply_plug_in']:.1f}%)"

    return for_each(tables["tail_forecast"], series_set, describe)


def finding(tables: Tables, series_set: SeriesSet) -> str:
    """The model whose forecast grows most with the attempts."""
    table = tables["tail_forecast"]
    n_prompts = int(table["n_prompts"].max()) if len(table) else 0
    if n_prompts and not table["n_ever_comply"].any():
        return f"None of {prompt_count(n_prompts)} complied, so there is nothing to forecast from."
    return greatest_change(table, series_set, SHARE, "n_attempts", ("in {:,.0f} attempts", "in {:,.0f} attempts"))


FIGURE = StudyFigure(
    name="tail_forecast",
    section="samples",
    tables=("tail_forecast",),
    draw=tail_forecast,
    alt_text=alt_text,
    finding=finding,
    title="If attempts went on",
    caption="The forecast share of prompts that comply at least once in so many attempts, those already made included. "
    "Bands are its intervals. The dotted line takes every observed rate for the true one, so a prompt that has not "
    "complied never will. Open points are more than 20 times the attempts made: they rest on the assumed shape of "
    "small rates. Benign prompts are left out.",
)
