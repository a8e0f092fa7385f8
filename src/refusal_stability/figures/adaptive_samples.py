"""How many samples each prompt took in a study sampled in rounds, by verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from refusal_stability.figures.alt_text import for_each
from refusal_stability.figures.finding import known_rows, lowest_to_highest
from refusal_stability.figures.palette import FAINT, INK
from refusal_stability.figures.panels import panel_grid, panel_title
from refusal_stability.figures.series import Series, SeriesSet
from refusal_stability.figures.study_figure import StudyFigure
from refusal_stability.figures.style import canvas, in_house_style, note

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from refusal_stability.figures.style import Tables

VERDICTS = ("stable", "unstable", "undecided")
HATCHES = {"unstable": "//////////", "undecided": "......"}


@in_house_style
def adaptive_samples(tables: Tables, series_set: SeriesSet) -> Figure:
    """A histogram of samples spent for each model, stacked by verdict."""
    prompts, spent = tables["adaptive_prompts"], tables["adaptive"]
    series = series_set.drawn_from(prompts, "n_spent", "No prompt was decided in rounds.")
    columns = 1 if len(series) <= 2 else 2
    figure = canvas(0.6 + 1.7 * -(-len(series) // columns))
    panels = panel_grid(figure, len(series), columns)
    most = int(prompts["n_spent"].max())
    highest = max([_bars(axes, one, one.of(prompts), most) for axes, one in zip(panels, series, strict=True)])
    for axes, one in zip(panels, series, strict=True):
        panel_title(axes, one, columns)
        row = one.of(spent).iloc[0]
        text = f"{row['n_samples']:,} of {row['n_grid']:,} samples\n{row['pct_saved']:.0f}% saved"
        note(axes, 0.5, 0.96, text, va="top", ha="center", fontsize=7.5, color=INK, transform=axes.transAxes)
    panels[0].set_ylim(0, 1.45 * highest)
    panels[0].set_xlim(0, most + 1)
    figure.supylabel("prompts", fontsize=8)
    figure.supxlabel("samples taken (plain: stable, hatched: unstable, dotted: undecided)", fontsize=8)
    return figure


def _bars(axes: Axes, one: Series, prompts: pd.DataFrame, most: int) -> float:
    """Draw the stacked bars; returns the height of the highest."""
    below = np.zeros(most + 1)
    for verdict in VERDICTS:
        counts = np.bincount(prompts.loc[prompts["verdict"] == verdict, "n_spent"], minlength=most + 1)
        axes.bar(
            np.arange(most + 1),
            counts,
            bottom=below,
            width=0.82,
            color=one.colour if verdict == "stable" else "white",
            edgecolor=one.colour,
            hatch=HATCHES.get(verdict),
            linewidth=0.6,
        )
        below += counts
    axes.grid(axis="y", color=FAINT)
    return float(below.max())


def alt_text(tables: Tables, series_set: SeriesSet) -> str:
    """Samples spent, and prompts by verdict, of each model."""
    return for_each(
        tables["adaptive"],
        series_set,
        lambda one, rows: (
            f"{rows.iloc[0]['n_samples']:,} of {rows.iloc[0]['n_grid']:,} samples; "
            + ", ".join(
                f"{int((one.of(tables['adaptive_prompts'])['verdict'] == verdict).sum()):,} {verdict}"
                for verdict in VERDICTS
            )
        ),
    )


def finding(tables: Tables, series_set: SeriesSet) -> str:
    """The models that saved the fewest and the most samples."""
    known = known_rows(tables["adaptive"], series_set, "pct_saved")
    saved = [(one.label, float(row["pct_saved"]), f"{row['pct_saved']:.1f}%") for one, row in known]
    return lowest_to_highest("The share of samples saved", saved)


FIGURE = StudyFigure(
    name="adaptive_samples",
    section="rounds",
    tables=("adaptive_prompts", "adaptive"),
    draw=adaptive_samples,
    alt_text=alt_text,
    finding=finding,
    title="Samples that each prompt took",
    caption="Prompts by the number of samples that were taken. Plain bars are prompts that the rule calls stable, "
    "hatched ones unstable, dotted ones undecided. Prompts at the right end were audited or took the whole grid.",
    optional=True,
)
