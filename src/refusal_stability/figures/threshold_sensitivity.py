"""How the share of unstable prompts depends on the threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refusal_stability.figures.alt_text import for_each, stated
from refusal_stability.figures.finding import Quantity, greatest_change
from refusal_stability.figures.lines import draw_lines, percent_limits, with_bounds
from refusal_stability.figures.palette import RULE
from refusal_stability.figures.series import Series, SeriesSet
from refusal_stability.figures.study_figure import StudyFigure
from refusal_stability.figures.style import DASHED, canvas, in_house_style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from refusal_stability.figures.style import Tables


@in_house_style
def threshold_sensitivity(tables: Tables, series_set: SeriesSet) -> Figure:
    """Share of prompts called unstable under each threshold."""
    table = tables["threshold_sensitivity"]
    series = series_set.drawn_from(table, "pct_unstable", "No model has a decision: there is no threshold to vary.")
    figure = canvas(max(2.6, 0.9 + 0.3 * len(series)), 5.2)
    axes = figure.subplots()
    thresholds = sorted(table["threshold"].unique())
    pad = 0.06 * max(thresholds[-1] - thresholds[0], 0.1)
    axes.set_xlim(thresholds[0] - pad, thresholds[-1] + pad)
    axes.set_xticks(thresholds, labels=[f"{t:g}" for t in thresholds])
    percent_limits(axes, with_bounds(table, "pct_unstable"))
    axes.grid(axis="y")
    axes.axvline(series_set.threshold, color=RULE, linewidth=0.8, linestyle=DASHED, zorder=0.5)
    draw_lines(axes, table, series, "threshold", "pct_unstable")
    axes.set_xlabel("SSI below which a prompt is called unstable (dashed: this study)")
    axes.set_ylabel("unstable prompts")
    return figure


def alt_text(tables: Tables, series_set: SeriesSet) -> str:
    """Unstable share of each model under the lowest and the highest threshold."""

    def describe(_: Series, rows: pd.DataFrame) -> str:
        ordered = rows.sort_values("threshold")
        ends = [ordered.iloc[0], ordered.iloc[-1]]
        return ", ".join(f"{stated(r, 'pct_unstable', 1, '%')} below {r['threshold']:g}" for r in ends)

    return for_each(tables["threshold_sensitivity"], series_set, describe)


def finding(tables: Tables, series_set: SeriesSet) -> str:
    """The model whose unstable share depends most on the threshold."""
    unstable = Quantity("The share of unstable prompts", "pct_unstable", 1, "%")
    return greatest_change(tables["threshold_sensitivity"], series_set, unstable, "threshold")


FIGURE = StudyFigure(
    name="threshold_sensitivity",
    section="models",
    tables=("threshold_sensitivity",),
    draw=threshold_sensitivity,
    alt_text=alt_text,
    finding=finding,
    title="The choice of threshold",
    caption="The share of prompts called unstable under each threshold of SSI. The dashed line is this study's "
    "threshold. Lines through the points are bootstrap intervals over prompts.",
)
