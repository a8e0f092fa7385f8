"""How often decisions of each confidence are right, against how sure the judge was; the diagonal is ideal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refusal_stability.figures.palette import MODEL_COLOURS, MODEL_MARKERS, MUTED, RULE
from refusal_stability.figures.series import NothingToDraw
from refusal_stability.figures.style import DASHED, canvas, in_house_style, percent, percent_axis

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

LARGEST, LEGEND = 150.0, 30.0  # square points


@in_house_style
def reliability_diagram(table: pd.DataFrame) -> Figure:
    """A line for each judge and reference of `rater_reliability`; a point's area is its number of responses."""
    if table.empty:
        raise NothingToDraw("No judge that gives a confidence was compared with another rater.")
    figure = canvas(4.2, 4.8)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=RULE, linestyle=DASHED, linewidth=1)
    most = table["n_compared"].max()
    for number, ((judge, other), rows) in enumerate(table.groupby(["rater_a", "rater_b"], sort=False)):
        colour, marker = MODEL_COLOURS[number % len(MODEL_COLOURS)], MODEL_MARKERS[number % len(MODEL_MARKERS)]
        x, y = rows["mean_confidence"], rows["agreement"]
        axes.plot(x, y, color=colour, linewidth=1)
        areas = LARGEST * rows["n_compared"] / most
        look: dict[str, Any] = {"color": colour, "marker": marker, "label": f"{judge} against {other}"}
        # The smaller groups lie above the larger ones, which would hide them.
        axes.scatter(
            x, y, s=areas, edgecolor="white", linewidth=0.4, zorder=4 - max(areas) / LARGEST, clip_on=False, **look
        )
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="mean confidence", ylabel="agrees with the reference")
    percent_axis(axes.xaxis)
    percent_axis(axes.yaxis)
    axes.text(0.04, 0.09, "ideal", color=MUTED, fontsize=7, rotation=45, ha="left", va="bottom")
    for handle in axes.legend(loc="upper left").legend_handles:
        handle.set_sizes([LEGEND])  # type: ignore[union-attr]
    return figure


def reliability_in_words(table: pd.DataFrame) -> str:
    """What the figure shows: each point's confidence and agreement."""
    lines = []
    for (judge, other), rows in table.groupby(["rater_a", "rater_b"], sort=False):
        points = [
            f"{percent(sure)} sure, {percent(agreed)} agree ({n:,})"
            for sure, agreed, n in zip(rows["mean_confidence"], rows["agreement"], rows["n_compared"], strict=True)
        ]
        lines.append(f"{judge} against {other}: {'; '.join(points)}.")
    return " ".join(lines)


def reliability_finding(table: pd.DataFrame) -> str:
    """How often the decisions are right where most of them lie."""
    row = table.sort_values("n_compared", kind="stable").iloc[-1]
    return (
        f"Of the largest group, {row['n_compared']:,} decisions of which {row['rater_a']} was "
        f"{percent(row['mean_confidence'])} sure, {percent(row['agreement'])} agree with {row['rater_b']}."
    )
