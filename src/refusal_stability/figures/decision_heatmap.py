"""Every decision on the least stable prompts."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from refusal_stability.figures.alt_text import for_each, prompt_count
from refusal_stability.figures.finding import lowest_to_highest
from refusal_stability.figures.palette import DECISION_COLOURS, DECISION_INK, MUTED, RULE
from refusal_stability.figures.series import Series, SeriesSet, wrapped
from refusal_stability.figures.study_figure import StudyFigure
from refusal_stability.figures.style import PAGE_WIDTH, canvas, in_house_style, undrawn
from refusal_stability.records import DECISIONS
from refusal_stability.tables.layout import plain_line

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from refusal_stability.figures.style import Tables

LEAST_LETTER = 5.0  # points
LONGEST_NAME = 40
NAME_WIDTH = 2.6  # inches that the longest name takes
ID_LENGTH = 10
MOST_SEEDS = 8
MOST_WORST = 3
MISSING_CELL: dict[str, Any] = {"facecolor": "white", "edgecolor": RULE, "hatch": "//////", "linewidth": 0.5}


@in_house_style
def decision_heatmap(tables: Tables, series_set: SeriesSet) -> Figure:
    """A panel for each model; a row for each of its least stable prompts, a cell for each temperature and seed."""
    cells, prompts = tables["least_stable_decisions"], tables["per_prompt_metrics"]
    series = series_set.drawn_from(cells, "decision", "No prompt got more than one decision.")
    columns = 1 if len(series) <= 2 else 2
    most = max(one.of(cells)["prompt_id"].nunique() for one in series)
    figure = canvas((0.7 + 0.19 * most) * -(-len(series) // columns) + 0.45)
    grid = figure.subplots(-(-len(series) // columns), columns, squeeze=False)
    panels = list(zip(grid.flat, [one.of(cells) for one in series], strict=False))
    grids = []
    with undrawn(figure):
        for axes, rows in panels:
            names = prompt_names(series_set, rows["prompt_id"], LONGEST_NAME // columns, drawable)
            grids.append(_cells(axes, rows, most, names))
    for (axes, rows), decisions, one in zip(panels, grids, series, strict=True):
        _letters(axes, decisions, columns)
        drawn, flipped = rows["prompt_id"].nunique(), int(one.of(prompts)["flip"].sum())
        axes.set_title(f"{wrapped(one.label, 60 // columns, 2)} ({drawn:,} of {flipped:,})", color=one.colour)
    for spare in list(grid.flat)[len(series) :]:
        spare.set_visible(False)
    seeds = [str(seed) for seed in sorted(cells["seed"].unique())]
    named = ", ".join(seeds if len(seeds) <= MOST_SEEDS else [*seeds[:2], "...", seeds[-1]])
    figure.supxlabel(f"temperature; within each, seeds {named} (in brackets: drawn, of all that flip)", fontsize=8)
    _key(figure, bool((cells["decision"] == "").any()))
    return figure


def _key(figure: Figure, some_missing: bool) -> None:
    from matplotlib.patches import Patch

    patches = [Patch(facecolor=colour, label=f"{d.value[0]}  {d.value}") for d, colour in DECISION_COLOURS.items()]
    if some_missing:
        patches.append(Patch(**MISSING_CELL, label="missing"))
    figure.legend(handles=patches, loc="outside upper right", ncols=len(patches), handlelength=1, handleheight=1)


def prompt_names(
    series_set: SeriesSet, prompt_ids: pd.Series, width: int, readable: Callable[[str], bool] = bool
) -> dict[str, str]:
    """What each prompt is called: the start of its text; of its id where two start alike or it is not readable."""
    names = {}
    for prompt in dict.fromkeys(prompt_ids):
        text = plain_line(series_set.texts.get(prompt, ""))
        names[prompt] = text if len(text) <= width else f"{text[: width - 1].rstrip()}…"
    used = Counter(names.values())
    return {
        prompt: name if used[name] == 1 and readable(name) else plain_line(prompt)[:ID_LENGTH]
        for prompt, name in names.items()
    }


def drawable(text: str) -> bool:
    """Whether the figures' fonts have every letter of a text, which is not written from right to left."""
    import matplotlib

    known = letters(*matplotlib.rcParams["font.family"])
    return bool(text) and all(ord(c) in known and unicodedata.bidirectional(c) not in ("R", "AL") for c in text)


@cache
def letters(*families: str) -> frozenset[int]:
    """The letters of fonts, as code points."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    return frozenset().union(*(get_font(findfont(FontProperties(family=[name]))).get_charmap() for name in families))


def _cells(axes: Axes, rows: pd.DataFrame, most: int, names: dict[str, str]) -> NDArray[np.object_]:
    """Draw a cell for each response and return the decisions, by prompt and place.

    What was not sampled stays blank, and so does the place between two temperatures.
    """
    import seaborn
    from matplotlib.colors import ListedColormap

    prompts, seeds = list(dict.fromkeys(rows["prompt_id"])), sorted(rows["seed"].unique())
    temperatures = sorted(rows["temperature"].unique())
    places = [(t, seed) for t in temperatures for seed in (*seeds, None)][:-1]
    table = rows.pivot(index="prompt_id", columns=["temperature", "seed"], values="decision")
    decisions = table.reindex(index=prompts, columns=places).to_numpy(dtype=object)
    codes = np.full(decisions.shape, np.nan)
    for code, decision in enumerate(DECISIONS):
        codes[decisions == str(decision)] = code
    look = {"linewidths": 0.9, "cbar": False, "yticklabels": [names[prompt] for prompt in prompts]}
    colours = ListedColormap([DECISION_COLOURS[d] for d in DECISIONS])
    seaborn.heatmap(codes, cmap=colours, vmin=0, vmax=len(DECISIONS) - 1, ax=axes, **look)
    missing = np.argwhere(decisions == "")
    axes.barh(missing[:, 0] + 0.5, 0.92, 0.86, missing[:, 1] + 0.04, **MISSING_CELL)
    middles = [turn * (len(seeds) + 1) + len(seeds) / 2 for turn in range(len(temperatures))]
    axes.set_xticks(middles, [f"{t:g}" for t in temperatures])
    axes.tick_params(length=0, rotation=0)
    axes.tick_params(axis="y", labelsize=7, labelcolor=MUTED)
    axes.set_xlim(-0.1, len(places) + 0.1)
    axes.set_ylim(most, 0)  # rows of one height in every panel
    return decisions


def _letters(axes: Axes, decisions: NDArray[np.object_], columns: int) -> None:
    """Write the first letter of each decision into its cell, where the cell is wide enough."""
    size = min(7.0, 0.8 * 72 * (PAGE_WIDTH - NAME_WIDTH) / columns / decisions.shape[1])
    for decision in DECISIONS if size >= LEAST_LETTER else ():
        look: dict[str, Any] = {"ha": "center", "va": "center_baseline", "color": DECISION_INK[decision]}
        look["in_layout"] = (
            False  # A letter stays in its cell: to measure each would take a third of the layout's time.
        )
        for row, column in np.argwhere(decisions == str(decision)):
            axes.text(column + 0.5, row + 0.5, decision.value[0], fontsize=size, **look)


def alt_text(tables: Tables, series_set: SeriesSet) -> str:
    """How many prompts of each model flip, and the decisions on the least stable of them."""

    def describe(one: Series, rows: pd.DataFrame) -> str:
        said = f"{int(rows['flip'].sum()):,} of {prompt_count(len(rows))} got more than one decision"
        order = list(dict.fromkeys(one.of(tables["least_stable_decisions"])["prompt_id"]))[:MOST_WORST]
        names = prompt_names(series_set, one.of(tables["least_stable_decisions"])["prompt_id"], LONGEST_NAME)
        worst = [_one_prompt(row, names) for _, row in rows.set_index("prompt_id", drop=False).loc[order].iterrows()]
        return f"{said}, the least stable {', '.join(worst)}" if worst else said

    return for_each(tables["per_prompt_metrics"], series_set, describe)


def _one_prompt(row: pd.Series, names: dict[str, str]) -> str:
    counts = " ".join(f"{row[f'n_{d.word}']} {d.value}" for d in DECISIONS if row[f"n_{d.word}"])
    return f"{names[row['prompt_id']]} (SSI {row['ssi']:.2f}: {counts})"


def finding(tables: Tables, series_set: SeriesSet) -> str:
    """The models with the fewest and with the most prompts that flip."""
    prompts, found = tables["per_prompt_metrics"].dropna(subset=["ssi"]), []
    for one in series_set.found_in(prompts):
        flips = one.of(prompts)["flip"].astype(bool)
        found.append((one.label, flips.mean(), f"{flips.sum():,} of {len(flips):,}"))
    return lowest_to_highest("The number of prompts with more than one decision", found)


FIGURE = StudyFigure(
    name="decision_heatmap",
    section="prompts",
    tables=("least_stable_decisions", "per_prompt_metrics"),
    draw=decision_heatmap,
    alt_text=alt_text,
    finding=finding,
    title="The least stable prompts",
    caption="Every decision on the prompts that flip most. A row is a prompt, the least stable first, named by the "
    "start of its text, or of its id where two start alike. A cell is one response, coloured by decision and marked "
    "with its first letter. Gaps separate temperatures. Hatched cells are missing; blank cells were not sampled.",
    by_seaborn=True,
)
