"""How stable the prompts are: the share of prompts at each SSI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refusal_stability.figures.alt_text import for_each, prompt_count, stated
from refusal_stability.figures.finding import Quantity, range_of
from refusal_stability.figures.palette import INK, RULE, UNSTABLE_FILL
from refusal_stability.figures.panels import panel_grid, panel_title
from refusal_stability.figures.series import Series, SeriesSet
from refusal_stability.figures.study_figure import StudyFigure
from refusal_stability.figures.style import DASHED, canvas, in_house_style, note, percent, percent_axis
from refusal_stability.records import DECISIONS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from refusal_stability.figures.style import Tables

BIN = 0.05


@in_house_style
def ssi_distribution(tables: Tables, series_set: SeriesSet) -> Figure:
    """A histogram for each model; unstable prompts in grey, on a shaded ground."""
    prompts = tables["per_prompt_metrics"].dropna(subset=["ssi"])
    series = series_set.drawn_from(prompts, "ssi", "No prompt has a decision: there is no SSI to show.")
    columns = 1 if len(series) <= 2 else 2
    figure = canvas(0.6 + 1.8 * -(-len(series) // columns))
    panels = panel_grid(figure, len(series), columns)
    highest = 0.0
    for axes, one in zip(panels, series, strict=True):
        highest = max(highest, _bars(axes, one, one.of(prompts), series_set.threshold))
        panel_title(axes, one, columns)
        _summary(axes, one.of(tables["aggregate_by_model"]))
    panels[0].set_ylim(0, 1.18 * highest)
    panels[0].set_yticks([tick for tick in panels[0].get_yticks() if tick <= 1])
    percent_axis(panels[0].yaxis)
    panels[0].set_xlim(1 / len(DECISIONS) - 0.02, 1.04)
    labels = [f"1/{len(DECISIONS)}", "0.5", "0.6", "0.7", "0.8", "0.9", "1"]
    panels[0].set_xticks([1 / len(DECISIONS), *np.arange(5, 11) / 10], labels=labels)
    figure.supylabel("share of prompts", fontsize=8)
    label = "SSI: share of a prompt's responses that agree with its most frequent decision"
    figure.supxlabel(f"{label}\n(grey: unstable, below {series_set.threshold:g})", fontsize=8)
    return figure


def _bars(axes: Axes, one: Series, prompts: pd.DataFrame, threshold: float) -> float:
    """Draw the bars, each with its share above it; returns the height of the highest."""
    import seaborn
    from matplotlib.patheffects import withStroke

    axes.axvspan(0.0, threshold, color=UNSTABLE_FILL, linewidth=0, zorder=0)
    axes.axvline(threshold, color=RULE, linewidth=0.8, linestyle=DASHED, zorder=0.5)
    seaborn.histplot(
        prompts,
        x="ssi",
        hue="unstable",
        hue_order=[False, True],
        palette={False: one.colour, True: RULE},
        multiple="stack",
        stat="probability",
        # Bins are centred on multiples of 1/20, so that SSI = 1 and the usual threshold have a bar of their own.
        bins=list(np.arange(0.325, 1.05, BIN)),
        shrink=0.82,
        linewidth=0,
        alpha=1.0,
        legend=False,
        ax=axes,
    )
    axes.set(xlabel="", ylabel="")
    tops: dict[float, float] = {}
    for bar in [patch for bars in axes.containers for patch in bars]:
        if bar.get_height() == 0:
            bar.remove()
            continue
        middle = round(bar.get_x() + bar.get_width() / 2, 3)
        tops[middle] = max(tops.get(middle, 0.0), bar.get_y() + bar.get_height())
    for middle, top in tops.items():
        place: dict[str, Any] = {"xytext": (0, 1.5), "textcoords": "offset points", "ha": "center", "va": "bottom"}
        place["path_effects"] = [withStroke(linewidth=1.5, foreground="white")]  # over the line of the threshold
        axes.annotate(percent(top), (middle, top), fontsize=8 if middle > 0.99 else 5.5, **place)
    return max(tops.values(), default=0.0)


def _summary(axes: Axes, model: pd.DataFrame) -> None:
    for _, row in model.iterrows():
        text = (
            f"mean SSI {stated(row, 'mean_ssi', 3)}\nunstable {stated(row, 'pct_unstable', 1, '%')}\n"
            f"{prompt_count(row['n_prompts'])}"
        )
        note(axes, 0.02, 0.97, text, va="top", linespacing=1.4, fontsize=7.5, color=INK, transform=axes.transAxes)


def alt_text(tables: Tables, series_set: SeriesSet) -> str:
    """Mean SSI and unstable share of each model."""
    return for_each(
        tables["aggregate_by_model"],
        series_set,
        lambda _, rows: (
            f"mean SSI {stated(rows.iloc[0], 'mean_ssi', 3)}, "
            f"unstable {stated(rows.iloc[0], 'pct_unstable', 1, '%')}, {prompt_count(rows.iloc[0]['n_prompts'])}"
        ),
    )


def finding(tables: Tables, series_set: SeriesSet) -> str:
    """The models with the fewest and with the most unstable prompts."""
    unstable = Quantity("The share of unstable prompts", "pct_unstable", 1, "%")
    return range_of(tables["aggregate_by_model"], series_set, unstable)


FIGURE = StudyFigure(
    name="ssi_distribution",
    section="models",
    tables=("per_prompt_metrics", "aggregate_by_model"),
    draw=ssi_distribution,
    alt_text=alt_text,
    finding=finding,
    title="How stable the prompts are",
    caption="The share of prompts at each Safety Stability Index (SSI). SSI is the share of a prompt's responses that "
    "agree with its most frequent decision, over all temperatures and seeds. Grey bars on the shaded ground "
    "are unstable prompts. Brackets hold bootstrap intervals over prompts.",
    by_seaborn=True,
)
