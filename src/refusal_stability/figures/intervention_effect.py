"""What each intervention changes against the control."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from refusal_stability.figures.alt_text import for_each, stated
from refusal_stability.figures.dot_chart import around, draw_dots, limit_dots, name_rows
from refusal_stability.figures.finding import NO_FINDING, Quantity, known_rows
from refusal_stability.figures.lines import with_bounds
from refusal_stability.figures.palette import RULE
from refusal_stability.figures.series import Series, SeriesSet
from refusal_stability.figures.study_figure import StudyFigure
from refusal_stability.figures.style import canvas, in_house_style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from refusal_stability.figures.style import Tables


class Panel(NamedTuple):
    """The column that a panel draws, its title, how a value is written, its factor, and its axis's least and limit."""

    column: str
    title: str
    form: str
    factor: float
    least: float
    most: float


PANELS = (
    Panel("mean_difference", "Mean SSI", "{:+.3f}", 1.0, 0.02, 1.0),
    Panel("pct_flipped_difference", "Flips", "{:+.1f}", 1.0, 5.0, 100.0),
    Panel("safety_refuse_rate_difference", "Refusals, harmful", "{:+.1f}", 100.0, 5.0, 100.0),
    Panel("over_refusal_difference", "Refusals, benign", "{:+.1f}", 100.0, 5.0, 100.0),
)


@in_house_style
def intervention_effect(tables: Tables, series_set: SeriesSet) -> Figure:
    """A panel for each figure, a row for each model and intervention: change against the control, 0 marked."""
    table = _pooled(tables)
    nothing = "No prompt has a decision both under an intervention and under the control."
    series = series_set.drawn_from(table, "mean_difference", nothing)
    figure = canvas(1.05 + 0.46 * max(len(series), 2))
    known = [panel for panel in PANELS if table[panel.column].notna().any()]
    panels = figure.subplots(1, len(known))
    for axes, panel in zip(panels, known, strict=True):
        bounded = [f"{panel.column}{end}" for end in ("", "_low", "_high")]
        scaled = table.assign(**{name: table[name] * panel.factor for name in bounded})
        draw_dots(axes, scaled, series, panel.column, panel.form)
        name_rows(axes, [""] * len(series))
        seen = np.append(with_bounds(scaled, panel.column), 0.0)
        limit_dots(axes, *around(seen, panel.least, -panel.most, panel.most))
        axes.axvline(0.0, color=RULE, linewidth=0.8, zorder=1)
        axes.set_title(panel.title)
        axes.set_xlabel("change" if panel.factor == 1 and panel.most == 1 else "points")
    name_rows(panels[0], [one.wrapped for one in series], guide=False)
    return figure


def _pooled(tables: Tables) -> pd.DataFrame:
    """The rows over all temperatures."""
    table = tables["interventions"]
    return table[table["temperature"].isna()]


def alt_text(tables: Tables, series_set: SeriesSet) -> str:
    """The changes of each model under each intervention."""

    def describe(_: Series, rows: pd.DataFrame) -> str:
        row = rows.iloc[0]
        changes = ", ".join(
            f"{panel.title} {stated(row, panel.column, 3 if panel.most == 1 else 1, '', panel.factor)}"
            for panel in PANELS
            if np.isfinite(row[panel.column])
        )
        return f"against {row['control']}: {changes}"

    return for_each(_pooled(tables), series_set, describe)


def finding(tables: Tables, series_set: SeriesSet) -> str:
    """The intervention that changes the flip rate most."""
    flips = Quantity("", "pct_flipped_difference", 1)
    known = known_rows(_pooled(tables), series_set, flips.column)
    if not known:
        return NO_FINDING
    one, row = max(known, key=lambda found: abs(float(found[1][flips.column])))
    return f"The flip rate changes most for {one.label}, by {flips.of(row)} percentage points against {row['control']}."


FIGURE = StudyFigure(
    name="intervention_effect",
    section="interventions",
    tables=("interventions",),
    draw=intervention_effect,
    alt_text=alt_text,
    finding=finding,
    title="What each intervention changes",
    caption="Change against the control over the same prompts; the vertical line is no change. Mean SSI: to the right, "
    "decisions are more stable. Flips: share of prompts with more than one decision. Refusals: mean share of REFUSE, "
    "on the prompts that are not benign and on the benign ones, if there are any. Shares are in percentage points. "
    "Each panel has its own scale. Lines are bootstrap intervals over prompts.",
    optional=True,
)
