"""Further figures: samples, categories, sources of variance, judges, and the prompts that waver most."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refusal_stability.figures.alt_text import drawn_categories, drawn_pairs
from refusal_stability.figures.lines import draw_lines, near_one_limits, with_bounds
from refusal_stability.figures.palette import DECISION_COLOURS, DECISION_INK, INK, MUTED, RULE
from refusal_stability.figures.series import Cast, NothingToDraw, Series, wrapped
from refusal_stability.figures.stability import draw_dot, panel_grid, panel_title
from refusal_stability.figures.style import (
    PAGE_WIDTH,
    canvas,
    draw_intervals,
    in_house_style,
    name_rows,
    percent,
    percent_axis,
)
from refusal_stability.records import DECISIONS, Decision

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from refusal_stability.figures.style import Tables

ALL = "*"
CELL_GAP = 0.7  # between temperatures, in cells
LEAST_LETTER = 5.0  # points
MOST_SEEDS = 8
MISSING_CELL: dict[str, Any] = {"facecolor": "white", "edgecolor": RULE, "hatch": "//////", "linewidth": 0.5}
COMPONENTS = {
    "prompt": "Prompt",
    "temperature": "Temperature",
    "numerical": "Seed (T = 0)",
    "sampling": "Seed (T > 0)",
    "judge": "Judge repeats",
}


@in_house_style
def sample_size(tables: Tables, cast: Cast) -> Figure:
    """The exact chance that n responses have their prompt's majority, pooled over temperatures."""
    table = tables["sample_size"]
    pooled = table[table["temperature"].isna()]
    series = cast.drawn_from(pooled, "majority_agreement", "No prompt has two decisions: there is no curve to draw.")
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


@in_house_style
def category_stability(tables: Tables, cast: Cast) -> Figure:
    """Mean SSI of each harm category with its interval, a panel for each model; small categories hollow."""
    table = tables["categories"].dropna(subset=["mean_ssi"])
    names, left_out = drawn_categories(table)
    series = cast.drawn_from(table, "mean_ssi", "No category has a decision: there is nothing to compare.")
    figure = canvas((0.75 + 0.22 * len(names)) * -(-len(series) // 2) + 0.4)
    panels = panel_grid(figure, len(series), min(2, len(series)))
    for axes, one in zip(panels, series, strict=True):
        _category_panel(axes, one, one.of(table).set_index("category"), names)
        panel_title(axes, one, 2)
    name_rows(panels[0], [wrapped(name.replace("_", " ").replace(",", ", "), 30, 1) for name in names], guide=False)
    low = float(np.nanmin(with_bounds(table, "mean_ssi")))
    panels[0].set_xlim(1 - 1.08 * max(1 - low, 0.05), 1 + 0.04 * max(1 - low, 0.05))
    figure.supxlabel(f"mean SSI (hollow: fewer than 20 prompts{left_out and f'; {left_out}'})", fontsize=8)
    return figure


def _category_panel(axes: Axes, one: Series, rows: pd.DataFrame, names: list[str]) -> None:
    axes.grid(axis="x")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    for place, name in enumerate(names):
        if name in rows.index:
            row = rows.loc[name]
            draw_intervals(axes, [place], [row["mean_ssi_low"]], [row["mean_ssi_high"]], one.colour, upright=False)
            fill = "white" if row["small"] else one.colour
            axes.plot([row["mean_ssi"]], [place], marker=one.marker, color=one.colour, markerfacecolor=fill, zorder=3)


@in_house_style
def decomposition(tables: Tables, cast: Cast) -> Figure:
    """The share of a decision's variance that each source adds, with its interval; a panel for each source."""
    table = tables["decomposition"].dropna(subset=["share"])
    series = cast.drawn_from(table, "share", "No variance can be split: there is nothing to show.")
    sources = [name for name in COMPONENTS if name in set(table["component"])]
    figure = canvas(0.95 + 0.46 * max(len(series), 2))
    panels = figure.subplots(1, len(sources), sharex=True, squeeze=False)[0]
    for axes, source in zip(panels, sources, strict=True):
        of_source = table[table["component"] == source]
        for place, one in enumerate(series):
            for _, row in one.of(of_source).iterrows():
                draw_dot(axes, place, one, row, "share", "{:.1%}")
        name_rows(axes, [""] * len(series))
        axes.axvline(0, color=RULE, linewidth=0.7, zorder=0.6)
        axes.set_title(COMPONENTS[source])
    name_rows(panels[0], [one.wrapped for one in series], guide=False)
    seen = with_bounds(table[table["component"].isin(sources)], "share")
    low, high = float(np.nanmin(np.append(seen, 0.0))), float(np.nanmax(np.append(seen, 0.05)))
    panels[0].set_xlim(low - 0.12 * (high - low), high + 0.15 * (high - low))
    percent_axis(panels[0].xaxis)
    figure.supxlabel("share of the variance of a decision", fontsize=8)
    return figure


@in_house_style
def judge_confusion(tables: Tables, cast: Cast) -> Figure:
    """What one judge says against another, over all models; each row adds up to 100 %."""
    table = tables["judge_confusion"]
    pooled = table[(table["model"] == ALL) & (table["judge_a"] != ALL)]
    pairs, left_out = drawn_pairs(pooled[pooled["n_label"] > 0])
    if not pairs:
        raise NothingToDraw("No two judges decided the same response: there is nothing to compare.")
    columns = min(2, len(pairs))
    figure = canvas(0.3 + 2.3 * -(-len(pairs) // columns), 3.5 * columns)
    panels = panel_grid(figure, len(pairs), columns)
    for axes, (one, other) in zip(panels, pairs, strict=True):
        rows = pooled[(pooled["judge_a"] == one) & (pooled["judge_b"] == other)]
        _confusion_panel(axes, rows, wrapped(one, 24, 1), wrapped(other, 24, 1))
    if left_out:
        figure.supxlabel(left_out, fontsize=8)
    return figure


def _confusion_panel(axes: Axes, rows: pd.DataFrame, one: str, other: str) -> None:
    names = [str(d) for d in DECISIONS]
    counts = rows.pivot(index="label_a", columns="label_b", values="n_label").reindex(index=names, columns=names)
    values = counts.fillna(0).to_numpy(dtype=float)
    shares = values / np.maximum(values.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), share in np.ndenumerate(shares):
        text = f"{int(values[row, column]):,}\n{percent(share)}"
        axes.text(column, row, text, ha="center", va="center", color="white" if share > 0.55 else INK, fontsize=7.5)
    axes.set_xticks(range(3), labels=names)
    axes.set_yticks(range(3), labels=names)
    axes.tick_params(length=0, labelleft=True)
    axes.set_xlabel(other)
    axes.set_ylabel(one)
    for spine in axes.spines.values():
        spine.set_visible(False)


@in_house_style
def decision_heatmap(tables: Tables, cast: Cast) -> Figure:
    """Every single decision on the prompts that waver most: a row for each, a cell for each temperature and seed."""
    cells, prompts = tables["least_stable_decisions"], tables["per_prompt_metrics"]
    series = cast.drawn_from(cells, "decision", "No prompt got more than one decision.")
    columns = 1 if len(series) <= 2 else 2
    most = max(one.of(cells)["prompt_id"].nunique() for one in series)
    figure = canvas((0.7 + 0.19 * most) * -(-len(series) // columns) + 0.45)
    grid = figure.subplots(-(-len(series) // columns), columns, squeeze=False)
    for axes, one in zip(grid.flat, series, strict=False):
        rows = one.of(cells)
        _decision_cells(axes, rows, columns, most)
        shown, flipped = rows["prompt_id"].nunique(), int(one.of(prompts)["flip"].sum())
        axes.set_title(f"{wrapped(one.label, 60 // columns, 2)} ({shown:,} of {flipped:,})", color=one.colour)
    for spare in list(grid.flat)[len(series) :]:
        spare.set_visible(False)
    seeds = [str(seed) for seed in sorted(cells["seed"].unique())]
    named = ", ".join(seeds if len(seeds) <= MOST_SEEDS else [*seeds[:2], "...", seeds[-1]])
    figure.supxlabel(f"temperature; within each, seeds {named} (in brackets: of how many that flip)", fontsize=8)
    _decision_key(figure, bool((cells["decision"] == "").any()))
    return figure


def _decision_key(figure: Figure, some_missing: bool) -> None:
    from matplotlib.patches import Patch

    patches = [Patch(facecolor=colour, label=f"{d.value[0]}  {d.value}") for d, colour in DECISION_COLOURS.items()]
    if some_missing:
        patches.append(Patch(**MISSING_CELL, label="no decision"))
    figure.legend(handles=patches, loc="outside upper right", ncols=len(patches), handlelength=1, handleheight=1)


def _decision_cells(axes: Axes, rows: pd.DataFrame, columns: int, most: int) -> None:
    """A cell for each decision, coloured, and with its first letter where that can be read."""
    chosen, temperatures, seeds = (list(dict.fromkeys(rows[name])) for name in ("prompt_id", "temperature", "seed"))
    temperatures, seeds = sorted(temperatures), sorted(seeds)
    step = len(seeds) + CELL_GAP
    wide = step * len(temperatures) - CELL_GAP
    size = min(7.0, 0.8 * 72 * (PAGE_WIDTH / columns - 1.1) / wide)
    down = rows["prompt_id"].map(chosen.index).to_numpy()
    across = (rows["temperature"].map(temperatures.index) * step + rows["seed"].map(seeds.index)).to_numpy()
    for decision in ("", *DECISIONS):
        here = rows["decision"].to_numpy() == str(decision)
        look = {"color": DECISION_COLOURS[decision], "linewidth": 0} if isinstance(decision, Decision) else MISSING_CELL
        axes.barh(down[here], 0.92, 0.86, across[here] + 0.04, **look)
        if isinstance(decision, Decision) and size >= LEAST_LETTER:
            for x, y in zip(across[here] + 0.5, down[here], strict=True):
                letter: dict[str, Any] = {"ha": "center", "va": "center_baseline", "color": DECISION_INK[decision]}
                axes.text(x, y, decision.value[0], fontsize=size, **letter)
    middles = [turn * step + len(seeds) / 2 for turn in range(len(temperatures))]
    axes.set_xticks(middles, [f"{t:g}" for t in temperatures])
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(-0.1, wide + 0.1)
    name_rows(axes, [prompt[:10] for prompt in chosen], guide=False)
    axes.set_ylim(most - 0.5, -0.5)  # rows of one height in every panel
    axes.tick_params(axis="y", labelsize=7, labelcolor=MUTED)
    axes.spines["bottom"].set_visible(False)
