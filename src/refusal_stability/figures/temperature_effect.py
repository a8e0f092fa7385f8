"""What temperature does to compliance and to stability."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refusal_stability.figures.against_temperature import against_temperature
from refusal_stability.figures.alt_text import at_lowest_and_highest_temperature, for_each, stated
from refusal_stability.figures.finding import Quantity, greatest_change
from refusal_stability.figures.lines import near_one_limits, share_limits
from refusal_stability.figures.series import SeriesSet
from refusal_stability.figures.study_figure import StudyFigure
from refusal_stability.figures.style import in_house_style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from refusal_stability.figures.style import Tables


@in_house_style
def temperature_effect(tables: Tables, series_set: SeriesSet) -> Figure:
    """Comply rate and mean SSI within each temperature."""
    quantities = (
        ("safety_comply_rate", "Responses that comply", share_limits),
        ("mean_ssi", "Mean SSI over seeds", near_one_limits),
    )
    return against_temperature(tables["aggregate_by_temperature"], series_set, quantities)


def alt_text(tables: Tables, series_set: SeriesSet) -> str:
    """Comply rate and mean SSI of each model at its lowest and highest temperature."""

    def at(row: pd.Series) -> str:
        return f"comply {stated(row, 'safety_comply_rate', 1, '%', 100)}, mean SSI {stated(row, 'mean_ssi', 3)}"

    table = tables["aggregate_by_temperature"]
    return for_each(table, series_set, lambda _, rows: at_lowest_and_highest_temperature(rows, at))


def finding(tables: Tables, series_set: SeriesSet) -> str:
    """The model whose stability depends most on temperature."""
    ssi = Quantity("Mean SSI", "mean_ssi", 3)
    return greatest_change(tables["aggregate_by_temperature"], series_set, ssi, "temperature")


FIGURE = StudyFigure(
    name="temperature_effect",
    section="temperature",
    tables=("aggregate_by_temperature",),
    draw=temperature_effect,
    alt_text=alt_text,
    finding=finding,
    title="What temperature does",
    caption="Compliance and stability at each temperature. Left: mean share of a prompt's responses that comply; "
    "benign prompts are left out. Right: mean SSI over the seeds of one temperature. The right axis does not start at "
    "0. Lines through the points are bootstrap intervals over prompts. Points are shifted sideways so that none "
    "hides another.",
)
