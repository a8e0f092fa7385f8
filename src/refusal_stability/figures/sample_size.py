"""How many responses are enough to find a prompt's majority."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refusal_stability.figures.alt_text import for_each, stated
from refusal_stability.figures.finding import Quantity, range_of
from refusal_stability.figures.lines import draw_lines, near_one_limits, with_bounds
from refusal_stability.figures.series import SeriesSet
from refusal_stability.figures.study_figure import StudyFigure
from refusal_stability.figures.style import canvas, in_house_style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from refusal_stability.figures.style import Tables


FEW = 5  # responses that a finding is about


@in_house_style
def sample_size(tables: Tables, series_set: SeriesSet) -> Figure:
    """The exact chance that n responses have their prompt's majority, pooled over temperatures."""
    table = tables["sample_size"]
    pooled = table[table["temperature"].isna()]
    nothing = "No prompt has two decisions: there is no curve to draw."
    series = series_set.drawn_from(pooled, "majority_agreement", nothing)
    figure = canvas(max(2.8, 0.9 + 0.3 * len(series)), 5.6)
    axes = figure.subplots()
    most = int(pooled["n_draws"].max())
    axes.set_xlim(0.5, most + 0.5)
    axes.set_xticks(sorted({1, *range(5, most + 1, 5), most}) if most > 5 else range(1, most + 1))
    near_one_limits(axes, with_bounds(pooled, "majority_agreement"))
    axes.grid(axis="y")
    draw_lines(axes, pooled, series, "n_draws", "majority_agreement")
    axes.set_xlabel("responses drawn per prompt")
    axes.set_ylabel("agreement with the majority")
    return figure


def alt_text(tables: Tables, series_set: SeriesSet) -> str:
    """How often one and five responses have their prompt's majority, for each model."""
    table = tables["sample_size"]
    pooled = table[table["temperature"].isna() & table["n_draws"].isin([1, 5])]
    return for_each(
        pooled,
        series_set,
        lambda _, rows: ", ".join(
            f"{stated(row, 'majority_agreement', 3)} with {row['n_draws']}" for _, row in rows.iterrows()
        ),
    )


def finding(tables: Tables, series_set: SeriesSet) -> str:
    """The models whose majorities a few responses find least and most often."""
    table = tables["sample_size"]
    pooled = table[table["temperature"].isna() & (table["n_draws"] <= FEW)]
    few = pooled[pooled["n_draws"] == pooled["n_draws"].max()]
    agreement = Quantity("Agreement with the majority", "majority_agreement", 3)
    return range_of(few, series_set, agreement, f" at {few['n_draws'].max()} responses per prompt" if len(few) else "")


FIGURE = StudyFigure(
    name="sample_size",
    section="samples",
    tables=("sample_size",),
    draw=sample_size,
    alt_text=alt_text,
    finding=finding,
    title="How many responses are enough",
    caption="How often the majority of a few responses is the majority of all of the prompt's responses. The curve "
    "ends at 1 by construction, except for ties: look at how fast it rises. Ties count as guesses. A point rests on "
    "the prompts with that many responses, and a curve ends where these are fewer than half. Bands are bootstrap "
    "intervals over prompts. The axis does not start at 0.",
)
