"""How stable decisions are when nothing but the seed changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refusal_stability.figures.against_temperature import against_temperature
from refusal_stability.figures.alt_text import at_lowest_and_highest_temperature, for_each, stated
from refusal_stability.figures.finding import Quantity, greatest_change
from refusal_stability.figures.lines import near_one_limits, percent_limits
from refusal_stability.figures.series import SeriesSet
from refusal_stability.figures.study_figure import StudyFigure
from refusal_stability.figures.style import in_house_style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from refusal_stability.figures.style import Tables


@in_house_style
def within_temperature_stability(tables: Tables, series_set: SeriesSet) -> Figure:
    """Chance that two samples agree and share of unstable prompts within each temperature."""
    quantities = (
        ("mean_ssi_pairwise", "Chance that two samples agree", near_one_limits),
        ("pct_unstable", "Unstable prompts", percent_limits),
    )
    return against_temperature(tables["aggregate_by_temperature"], series_set, quantities)


def alt_text(tables: Tables, series_set: SeriesSet) -> str:
    """Agreement of two samples and unstable share of each model at its lowest and highest temperature."""

    def at(row: pd.Series) -> str:
        agree, unstable = stated(row, "mean_ssi_pairwise", 3), stated(row, "pct_unstable", 1, "%")
        return f"two samples agree {agree}, unstable {unstable}"

    table = tables["aggregate_by_temperature"]
    return for_each(table, series_set, lambda _, rows: at_lowest_and_highest_temperature(rows, at))


def finding(tables: Tables, series_set: SeriesSet) -> str:
    """The model whose unstable share depends most on temperature."""
    unstable = Quantity("The share of unstable prompts", "pct_unstable", 1, "%")
    return greatest_change(tables["aggregate_by_temperature"], series_set, unstable, "temperature")


FIGURE = StudyFigure(
    name="within_temperature_stability",
    section="temperature",
    tables=("aggregate_by_temperature",),
    draw=within_temperature_stability,
    alt_text=alt_text,
    finding=finding,
    title="Stability within a temperature",
    caption="How stable decisions are when only the seed changes. Left: the chance that two responses to one prompt "
    "at one temperature get the same decision. Right: unstable prompts over the seeds of one temperature. The left "
    "axis does not start at 0. Lines through the points are bootstrap intervals over prompts.",
)
