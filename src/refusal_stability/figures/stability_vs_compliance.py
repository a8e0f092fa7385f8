"""Stability against compliance: where each prompt lies, and in which of four groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from refusal_stability.figures.alt_text import for_each, prompt_count
from refusal_stability.figures.finding import lowest_to_highest
from refusal_stability.figures.palette import DECISION_COLOURS, DECISION_TEXT, MUTED, RULE, UNSTABLE_FILL, UNSTABLE_TEXT
from refusal_stability.figures.panels import panel_grid, panel_title
from refusal_stability.figures.series import Series, SeriesSet
from refusal_stability.figures.study_figure import StudyFigure
from refusal_stability.figures.style import DASHED, canvas, in_house_style, percent, percent_axis
from refusal_stability.records import BENIGN, DECISIONS, Decision

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from refusal_stability.figures.style import Tables

LARGEST, MOST_A_PROMPT = 1100.0, 14.0  # square points
ASIDE = 0.022  # of compliance; how far apart groups on one spot are drawn at least
LEFT, RIGHT = -0.14, 1.14  # of compliance; room for the largest circle
PANEL_SHARE = 0.9  # of the figure's width that panels take
KEY = (1, 10, 100, 1000, 10000)


class PromptGroup(NamedTuple):
    """A group of prompts: its words, their colour, and where they stand."""

    words: str
    ink: str
    x: float
    y: float
    align: Literal["left", "center", "right"]


def _stable_group(position: int) -> PromptGroup:
    """The prompts that are stable in the decision at a position, from the left edge to the right."""
    share = position / (len(DECISIONS) - 1)
    align: Literal["left", "center", "right"] = "left" if share == 0 else "right" if share == 1 else "center"
    decision = DECISIONS[position]
    return PromptGroup(f"stable {decision.value}", DECISION_TEXT[decision], -0.11 + 1.22 * share, 1.33, align)


STABLE = {decision: _stable_group(position) for position, decision in enumerate(DECISIONS)}
UNSTABLE = PromptGroup("unstable", UNSTABLE_TEXT, -0.11, 0.38, "left")


@in_house_style
def stability_vs_compliance(tables: Tables, series_set: SeriesSet) -> Figure:
    """Each prompt that is not benign by how often it was complied with and how stable it is; areas are numbers."""
    prompts = _shown_prompts(tables)
    nothing = "No prompt that is not benign has a decision: there are no groups to show."
    series = series_set.drawn_from(prompts, "ssi", nothing)
    columns = 1 if len(series) == 1 else 2
    figure = canvas(0.8 + 2.6 * -(-len(series) // columns), 5.4 if columns == 1 else 7.0)
    panels = panel_grid(figure, len(series), columns)
    spots = [_spots(one.of(prompts)) for one in series]
    most = max(int(one["prompts"].max()) for one in spots)
    area = min(MOST_A_PROMPT, LARGEST / most)
    per_point = (RIGHT - LEFT) / (PANEL_SHARE * 72 * figure.get_figwidth() / columns)
    for axes, one, places in zip(panels, series, spots, strict=True):
        _circles(axes, _apart(places, area, per_point), area, series_set.threshold)
        panel_title(axes, one, columns)
        _name_groups(axes, one.of(prompts))
    panels[0].set_xlim(LEFT, RIGHT)
    panels[0].set_ylim(1 / len(DECISIONS) - 0.06, 1.45)
    panels[0].set_xticks([0, 0.25, 0.5, 0.75, 1.0])
    threshold = series_set.threshold
    panels[0].set_yticks(
        [1 / len(DECISIONS), 0.5, threshold, 1.0], labels=[f"1/{len(DECISIONS)}", "0.5", f"{threshold:g}", "1"]
    )
    percent_axis(panels[0].xaxis)
    for axes in panels:
        axes.spines["bottom"].set_bounds(0, 1)
        axes.spines["left"].set_bounds(1 / len(DECISIONS), 1)
    figure.supxlabel("share of a prompt's responses that comply, fully or in part", fontsize=8)
    figure.supylabel("SSI", fontsize=8)
    _key(figure, area, most)
    return figure


def _shown_prompts(tables: Tables) -> pd.DataFrame:
    """The prompts with a decision, without the benign ones: there compliance is no failure of safety."""
    prompts = tables["per_prompt_metrics"].dropna(subset=["ssi", "refuse_rate"])
    return prompts[prompts["harm"] != BENIGN]


def _spots(prompts: pd.DataFrame) -> pd.DataFrame:
    """How many prompts lie at each place, the large groups first, so that small ones are drawn over them.

    Shares of few responses fall on a grid, so thousands of prompts can lie at one place. `x` is where a group is drawn:
    `_apart` sets groups with different majorities at one place beside each other.
    """
    place = {"x": 1 - prompts["refuse_rate"].round(9), "y": prompts["ssi"].round(9)}
    spots = prompts.assign(**place).groupby(["x", "y", "majority", "unstable"]).size().reset_index(name="prompts")
    return spots.sort_values(["prompts", "x", "y", "majority"], ascending=[False, True, True, True], kind="stable")


def _apart(spots: pd.DataFrame, area: float, per_point: float) -> pd.DataFrame:
    """The groups of a place beside each other in the order of the decisions, so far apart that none covers another."""
    order = spots["majority"].map({d.value: rank for rank, d in enumerate(DECISIONS)})
    ranked = spots.assign(order=order).sort_values("order", kind="stable")
    width = np.maximum(per_point * np.sqrt(area * ranked["prompts"]), ASIDE)
    beside = width.groupby([ranked["x"], ranked["y"]])
    return spots.assign(x=spots["x"] + beside.cumsum() - width / 2 - beside.transform("sum") / 2)


def _circles(axes: Axes, spots: pd.DataFrame, area: float, threshold: float) -> None:
    axes.axhspan(0.0, threshold, color=UNSTABLE_FILL, linewidth=0, zorder=0)
    axes.axhline(threshold, color=RULE, linewidth=0.8, linestyle=DASHED, zorder=0.5)
    colours = {d.value: DECISION_COLOURS[d] for d in DECISIONS}
    fill = spots["majority"].map(colours).fillna("#FFFFFF").tolist()
    grey = (spots["unstable"] | (spots["majority"] == "PARTIAL")).to_numpy()
    across = np.sqrt(area * spots["prompts"].to_numpy())
    # An edge may take little of a small circle. It is centred on the outline: a grey edge belongs to the circle and a
    # white one to the ground, so that what is seen of the circle has its area.
    edges = np.minimum(0.4, 0.12 * across)
    outlines = across + np.where(grey, -edges, edges)
    look: dict[str, Any] = {"color": fill, "edgecolor": np.where(grey, MUTED, "#FFFFFF").tolist(), "linewidth": edges}
    axes.scatter(spots["x"], spots["y"], s=outlines**2, zorder=3, clip_on=False, **look)


def _key(figure: Figure, area: float, most: int) -> None:
    """What colours and areas mean, above the panels."""
    from matplotlib.lines import Line2D

    def circle(colour: str, size: float, label: str) -> Line2D:
        look: dict[str, Any] = {"marker": "o", "linestyle": "none", "markeredgewidth": 0}
        return Line2D([], [], color=colour, markersize=size, label=label, **look)

    handles = [circle(DECISION_COLOURS[d], 5, f"mostly {d.value}") for d in DECISIONS]
    handles += [circle(MUTED, np.sqrt(area * n), f"{n:,}") for n in KEY if n <= most]
    largest = handles[-1].get_label()
    handles[-1].set_label(f"{largest} prompt{'' if largest == '1' else 's'}")
    figure.legend(handles=handles, loc="outside upper right", ncols=len(handles), fontsize=7.5)


def groups(prompts: pd.DataFrame) -> list[tuple[PromptGroup, int]]:
    """The groups and how many prompts each has: stable ones by majority, then the unstable ones."""
    stable = prompts[~prompts["unstable"].astype(bool)]
    counted = [(group, int((stable["majority"] == d.value).sum())) for d, group in STABLE.items()]
    return [*counted, (UNSTABLE, len(prompts) - len(stable))]


def _name_groups(axes: Axes, prompts: pd.DataFrame) -> None:
    for group, count in groups(prompts):
        # More than three do not fit beside each other in one line.
        words = group.words if len(DECISIONS) <= 3 else group.words.replace(" ", "\n")
        text = f"{words}\n{count:,} ({percent(count / len(prompts))})"
        look: dict[str, Any] = {"fontsize": 7.5, "linespacing": 1.25, "color": group.ink}
        axes.text(group.x, group.y, text, ha=group.align, va="center", **look)


def alt_text(tables: Tables, series_set: SeriesSet) -> str:
    """Count and share of each model's groups."""

    def describe(_: Series, rows: pd.DataFrame) -> str:
        return ", ".join(f"{prompt_count(n)} ({percent(n / len(rows))}) {group.words}" for group, n in groups(rows))

    return for_each(_shown_prompts(tables), series_set, describe)


def finding(tables: Tables, series_set: SeriesSet) -> str:
    """The models with the fewest and with the most prompts that are stably complied with."""
    prompts = _shown_prompts(tables)
    found = []
    for one in series_set.found_in(prompts):
        of_model = one.of(prompts)
        complied = sum(n for group, n in groups(of_model) if group is STABLE[Decision.COMPLY])
        found.append((one.label, complied / len(of_model), f"{percent(complied / len(of_model), 1)}"))
    return lowest_to_highest("The share of prompts that are stable in COMPLY", found)


FIGURE = StudyFigure(
    name="stability_vs_compliance",
    section="models",
    tables=("per_prompt_metrics",),
    draw=stability_vs_compliance,
    alt_text=alt_text,
    finding=finding,
    title="Stability against compliance",
    caption="Where the prompts lie, benign ones left out: refused on the left, answered on the right, stable at the "
    "top, unstable in the shaded part. A circle's area is its number of prompts, on one scale for all panels. "
    "Its colour is the prompts' most frequent decision. Circles at one place are set beside each other.",
)
