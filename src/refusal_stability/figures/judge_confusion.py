"""Judges against each other: which decisions of one become which of the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from refusal_stability.figures.alt_text import out_of, stated
from refusal_stability.figures.finding import NO_FINDING
from refusal_stability.figures.palette import INK
from refusal_stability.figures.panels import panel_grid
from refusal_stability.figures.series import NothingToDraw, SeriesSet, wrapped
from refusal_stability.figures.study_figure import StudyFigure
from refusal_stability.figures.style import canvas, in_house_style, percent, undrawn
from refusal_stability.records import DECISIONS
from refusal_stability.tables.columns import POOLED

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from refusal_stability.figures.style import Tables

MOST_PAIRS = 6
WHITE_FROM = 0.7  # share of a row from which white reads better than black on the map's blue


@in_house_style
def judge_confusion(tables: Tables, series_set: SeriesSet) -> Figure:
    """A heat map for each pair of judges, over the models that both judged; shades are shares of a row."""
    table = tables["judge_confusion"]
    pooled = table[(table["model"] == POOLED) & (table["judge_a"] != POOLED)]
    pairs, left_out = drawn_pairs(pooled[pooled["n_label"] > 0])
    if not pairs:
        raise NothingToDraw("No two judges decided the same response: there is nothing to compare.")
    columns = min(2, len(pairs))
    figure = canvas(0.5 + 2.3 * -(-len(pairs) // columns), 3.5 * columns)
    panels = panel_grid(figure, len(pairs), columns)
    for axes, (one, other) in zip(panels, pairs, strict=True):
        rows = pooled[(pooled["judge_a"] == one) & (pooled["judge_b"] == other)]
        with undrawn(figure):
            _panel(axes, rows, wrapped(one, 24, 1), wrapped(other, 24, 1))
        axes.set_title(_of_models(table, one, other, series_set), fontsize=8, fontweight="normal")
    said = ["responses that both judges decided, and % of the row", left_out]
    figure.supxlabel((";\n" if columns == 1 else "; ").join(part for part in said if part), fontsize=8)
    return figure


def _of_models(table: pd.DataFrame, one: str, other: str, series_set: SeriesSet) -> str:
    """The models of which both judges decided a response: those that the panel pools."""
    both = table[(table["judge_a"] == one) & (table["judge_b"] == other) & (table["n_label"] > 0)]
    names = list(dict.fromkeys(series.label for series in series_set.found_in(both)))
    return wrapped(f"{len(names)} model{'' if len(names) == 1 else 's'}: {', '.join(names)}", 44, 2)


def _panel(axes: Axes, rows: pd.DataFrame, one: str, other: str) -> None:
    import seaborn

    names = [str(d) for d in DECISIONS]
    counts = rows.pivot(index="label_a", columns="label_b", values="n_label").reindex(index=names, columns=names)
    values = counts.fillna(0).to_numpy(dtype=float)
    shares = values / np.maximum(values.sum(axis=1, keepdims=True), 1)
    texts = [
        [f"{int(n):,}\n{percent(share)}" for n, share in zip(*row, strict=True)]
        for row in zip(values, shares, strict=True)
    ]
    look = {"cmap": "Blues", "vmin": 0, "vmax": 1, "cbar": False, "annot_kws": {"fontsize": 7.5}}
    seaborn.heatmap(shares, annot=texts, fmt="", xticklabels=names, yticklabels=names, ax=axes, **look)
    for text, share in zip(axes.texts, shares.ravel(), strict=True):
        # seaborn writes in white from a share of about 0.5 on, which is hard to read there.
        text.set_color("white" if share > WHITE_FROM else INK)
    axes.tick_params(length=0, labelleft=True, labelbottom=True, rotation=0)
    for label in axes.get_yticklabels():
        label.set_verticalalignment("center")
    axes.set_xlabel(other)
    axes.set_ylabel(one)


def drawn_pairs(table: pd.DataFrame) -> tuple[list[tuple[str, str]], str]:
    """The first pairs of judges, as many as a figure has room for, and words on those left out."""
    pairs = list(dict.fromkeys(zip(table["judge_a"], table["judge_b"], strict=True)))
    return pairs[:MOST_PAIRS], out_of(min(len(pairs), MOST_PAIRS), len(pairs), "pairs of judges")


def _compared_pairs(tables: Tables) -> pd.DataFrame:
    """Pairs of judges over the models that both judged, of those that decided a response in common."""
    table = tables["judge_agreement"]
    return table[(table["model"] == POOLED) & (table["judge_a"] != POOLED) & (table["n_both"] > 0)]


def _in_words(row: pd.Series) -> str:
    agreed = stated(row, "raw_agreement", 1, "%", 100)
    return f"{row['judge_a']} and {row['judge_b']} agree on {agreed} of {row['n_both']:,} responses"


def alt_text(tables: Tables, _: SeriesSet) -> str:
    """Raw agreement and kappa of each pair of judges."""
    pairs = _compared_pairs(tables)
    said = [f"{_in_words(row)} (kappa {stated(row, 'cohens_kappa', 3)})" for _, row in pairs.iterrows()]
    left_out = drawn_pairs(pairs)[1]
    if not said:
        return "No two judges decided the same response."
    return "; ".join(said) + "." + (f" Drawn: {left_out}." if left_out else "")


def finding(tables: Tables, _: SeriesSet) -> str:
    """How often two judges agree; of several pairs, those that agree least often."""
    pairs = _compared_pairs(tables)
    if pairs.empty:
        return NO_FINDING
    those = f"Of {len(pairs)} pairs of judges, the least agreeing:" if len(pairs) > 1 else "The judges"
    return f"{those} {_in_words(pairs.sort_values('raw_agreement', kind='stable').iloc[0])}."


FIGURE = StudyFigure(
    name="judge_confusion",
    section="judges",
    tables=("judge_confusion", "judge_agreement"),
    draw=judge_confusion,
    alt_text=alt_text,
    finding=finding,
    title="Judges against each other",
    caption="What one judge decided (rows) against what the other decided (columns). A cell holds the number of "
    "responses that both decided, and its share of the row. A panel pools the models that its title names, with all "
    "their interventions, temperatures and seeds. Pairs of judges without a response in common are left out.",
    by_seaborn=True,
)
