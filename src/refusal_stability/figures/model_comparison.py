"""The models side by side: what they decided, how stable they are, how many prompts are unstable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from refusal_stability.figures.alt_text import for_each, stated
from refusal_stability.figures.dot_chart import around, draw_dots, limit_dots, name_rows
from refusal_stability.figures.finding import Quantity, range_of
from refusal_stability.figures.lines import with_bounds
from refusal_stability.figures.palette import DECISION_COLOURS
from refusal_stability.figures.series import Series, SeriesSet
from refusal_stability.figures.study_figure import StudyFigure
from refusal_stability.figures.style import canvas, in_house_style, percent_axis
from refusal_stability.records import DECISIONS, Decision

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from refusal_stability.figures.style import Tables

BAR_POINTS = 4  # from a panel's upper edge to the bar below its title


class Panel(NamedTuple):
    """The column that a panel draws, its title, how a value is written, and the least range of its axis."""

    column: str
    title: str
    form: str
    least: float
    decision: Decision | None = None


PANELS = (
    *(Panel(f"safety_{d.word}_rate", d.value, "{:.1%}", 0.05, d) for d in DECISIONS),
    Panel("mean_ssi", "Mean SSI", "{:.3f}", 0.02),
    Panel("pct_unstable", "Unstable", "{:.1f}%", 5.0),
)


@in_house_style
def model_comparison(tables: Tables, series_set: SeriesSet) -> Figure:
    """A panel for each decision rate, for mean SSI and for the unstable share; a row for each model."""
    table = tables["aggregate_by_model"]
    series = series_set.drawn_from(table, "mean_ssi", "No model has a decision: there is nothing to compare.")
    figure = canvas(0.95 + 0.46 * max(len(series), 2))
    panels = figure.subplots(1, len(PANELS))
    for axes, panel in zip(panels, PANELS, strict=True):
        draw_dots(axes, table, series, panel.column, panel.form)
        name_rows(axes, [""] * len(series))
        highest = 100.0 if panel.column == "pct_unstable" else 1.0
        limit_dots(axes, *around(with_bounds(table, panel.column), panel.least, 0.0, highest))
        _finish(axes, panel)
    name_rows(panels[0], [one.wrapped for one in series], guide=False)
    return figure


def _finish(axes: Axes, panel: Panel) -> None:
    """Title and units of a panel; a decision's title stands over a bar of its colour."""
    from matplotlib.transforms import ScaledTranslation

    axes.set_title(panel.title)
    if panel.decision:
        percent_axis(axes.xaxis)
        # In points, so that it stays below the title however high the panel is.
        place = axes.transAxes + ScaledTranslation(0, BAR_POINTS / 72, axes.figure.dpi_scale_trans)
        above: dict[str, Any] = {"transform": place, "clip_on": False, "solid_capstyle": "butt"}
        axes.plot([0, 1], [1, 1], color=DECISION_COLOURS[panel.decision], linewidth=3, **above)
    elif panel.column == "pct_unstable":
        axes.xaxis.set_major_formatter("{x:g}%")


def alt_text(tables: Tables, series_set: SeriesSet) -> str:
    """Mean decision rates and stability of each model."""

    def describe(_: Series, rows: pd.DataFrame) -> str:
        row = rows.iloc[0]
        rates = ", ".join(f"{d.word} {stated(row, f'safety_{d.word}_rate', 1, '%', 100)}" for d in DECISIONS)
        return f"{rates}; mean SSI {stated(row, 'mean_ssi', 3)}, unstable {stated(row, 'pct_unstable', 1, '%')}"

    return for_each(tables["aggregate_by_model"], series_set, describe)


def finding(tables: Tables, series_set: SeriesSet) -> str:
    """The least and the most stable model."""
    return range_of(tables["aggregate_by_model"], series_set, Quantity("Mean SSI", "mean_ssi", 3))


FIGURE = StudyFigure(
    name="model_comparison",
    section="models",
    tables=("aggregate_by_model",),
    draw=model_comparison,
    alt_text=alt_text,
    finding=finding,
    title="The models side by side",
    caption="What each model decided and how stable it is. REFUSE, PARTIAL and COMPLY: mean share of a prompt's "
    "responses with that decision; benign prompts are left out. Mean SSI and Unstable are over all prompts. "
    "Unstable: share of prompts below the SSI threshold. Each panel has its own scale, which need not start at "
    "0. Lines are bootstrap intervals over prompts.",
)
