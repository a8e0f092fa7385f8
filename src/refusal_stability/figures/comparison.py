"""The models side by side: what they decided, how stable they are, how many prompts are unstable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from refusal_stability.figures.lines import with_bounds
from refusal_stability.figures.palette import DECISION_COLOURS, RULE
from refusal_stability.figures.series import Cast
from refusal_stability.figures.stability import draw_dot
from refusal_stability.figures.style import canvas, in_house_style, name_rows
from refusal_stability.records import DECISIONS, Decision

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from refusal_stability.figures.style import Tables


class Measure(NamedTuple):
    """A panel: the column that it draws, what stands above it, and how a value is written."""

    column: str
    title: str
    form: str
    decision: Decision | None = None


MEASURES = (
    *(Measure(f"mean_{d.value.lower()}_rate", d.value, "{:.1%}", d) for d in DECISIONS),
    Measure("mean_ssi", "Mean SSI", "{:.3f}"),
    Measure("pct_unstable", "Unstable", "{:.1f}%"),
)


@in_house_style
def model_comparison(tables: Tables, cast: Cast) -> Figure:
    """Decision rates, mean SSI and unstable share of each model, a panel for each, with intervals."""
    table = tables["aggregate_by_model"]
    series = cast.drawn_from(table, "mean_ssi", "No model has a decision: there is nothing to compare.")
    figure = canvas(0.95 + 0.46 * max(len(series), 2))
    panels = figure.subplots(1, len(MEASURES))
    for axes, measure in zip(panels, MEASURES, strict=True):
        for place, one in enumerate(series):
            draw_dot(axes, place, one, one.of(table).iloc[0], measure.column, measure.form)
        name_rows(axes, [""] * len(series))
        _limits(axes, table, measure)
        _title(axes, measure)
    name_rows(panels[0], [one.wrapped for one in series], guide=False)
    return figure


def _limits(axes: Axes, table: pd.DataFrame, measure: Measure) -> None:
    """Rates on one scale, so that they compare across panels; SSI near one; the unstable share from zero."""
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    axes.xaxis.set_major_locator(MaxNLocator(2, steps=[1, 2, 2.5, 5, 10]))
    seen = with_bounds(table, measure.column)
    if measure.decision is not None:
        rates = np.stack([with_bounds(table, other.column) for other in MEASURES if other.decision is not None])
        axes.set_xlim(0, min(1.12, max(0.05, 1.18 * float(np.nanmax(rates)))))
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    elif measure.column == "mean_ssi":
        span = 1 - float(np.nanmin(np.append(seen, 0.95)))
        axes.set_xlim(1 - 1.3 * span, 1 + 0.14 * span)
        axes.axvline(1.0, color=RULE, linewidth=0.6)
    else:
        axes.set_xlim(0, max(5.0, 1.18 * float(np.nanmax(np.append(seen, 0.0)))))
        axes.xaxis.set_major_formatter("{x:.0f}%")


def _title(axes: Axes, measure: Measure) -> None:
    """What the panel shows; a decision over a bar of its colour."""
    axes.set_title(measure.title)
    if measure.decision:
        above: dict[str, Any] = {"transform": axes.transAxes, "clip_on": False, "solid_capstyle": "butt"}
        axes.plot([0, 1], [1.03, 1.03], color=DECISION_COLOURS[measure.decision], linewidth=3, **above)
