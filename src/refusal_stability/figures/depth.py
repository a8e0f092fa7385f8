"""Further figures: samples, categories, sources of variance, judges, and the prompts that waver most."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from refusal_stability.figures.cast import Cast, NothingToDraw, Series, wrapped
from refusal_stability.figures.house import canvas, draw_intervals, in_house_style, name_rows, percent, percent_axis
from refusal_stability.figures.lines import draw_lines, near_one_limits, with_bounds
from refusal_stability.figures.palette import DECISION_COLOURS, INK, MUTED, RULE
from refusal_stability.figures.stability import draw_dot, panel_grid, panel_title
from refusal_stability.records import DECISIONS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from refusal_stability.figures.house import Tables

ALL = "*"
MOST_PROMPTS = 10
MOST_PAIRS = 4
MOST_CATEGORIES = 24
COMPONENTS = {
    "prompt": "Prompt",
    "temperature": "Temperature",
    "numerical": "Seed, at T = 0",
    "sampling": "Seed, at T > 0",
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
    series = cast.drawn_from(table, "mean_ssi", "No category has a decision: there is nothing to compare.")
    names = list(dict.fromkeys(table["category"]))[:MOST_CATEGORIES]
    figure = canvas((0.75 + 0.22 * len(names)) * -(-len(series) // 2) + 0.4)
    panels = panel_grid(figure, len(series), min(2, len(series)))
    for axes, one in zip(panels, series, strict=True):
        _category_panel(axes, one, one.of(table).set_index("category"), names)
        panel_title(axes, one, 2)
    name_rows(panels[0], [wrapped(name.replace("_", " ").replace(",", ", "), 30, 1) for name in names], guide=False)
    low = float(np.nanmin(with_bounds(table, "mean_ssi")))
    panels[0].set_xlim(1 - 1.08 * max(1 - low, 0.05), 1 + 0.04 * max(1 - low, 0.05))
    figure.supxlabel("mean SSI (hollow: fewer than 20 prompts)", fontsize=8)
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
    common = pooled[pooled["n_label"] > 0]
    pairs = list(dict.fromkeys(zip(common["judge_a"], common["judge_b"], strict=True)))[:MOST_PAIRS]
    if not pairs:
        raise NothingToDraw("No two judges decided the same response: there is nothing to compare.")
    columns = min(2, len(pairs))
    figure = canvas(0.3 + 2.3 * -(-len(pairs) // columns), 3.5 * columns)
    panels = panel_grid(figure, len(pairs), columns)
    for axes, (one, other) in zip(panels, pairs, strict=True):
        rows = pooled[(pooled["judge_a"] == one) & (pooled["judge_b"] == other)]
        _confusion_panel(axes, rows, wrapped(one, 24, 1), wrapped(other, 24, 1))
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
    """The decisions of each model's most unstable prompts, a cell a response, sorted within each temperature."""
    per_prompt = tables["per_prompt_metrics"]
    flipped = per_prompt[per_prompt["flip"]]
    flipped = flipped.sort_values(["ssi", "n", "prompt_id"], ascending=[True, False, True], kind="stable")
    series = cast.drawn_from(flipped, "ssi", "No prompt got more than one decision.")
    columns = min(2, len(series))
    figure = canvas((0.75 + 0.19 * MOST_PROMPTS) * -(-len(series) // columns) + 0.3)
    grid = figure.subplots(-(-len(series) // columns), columns, squeeze=False)
    for axes, one in zip(grid.flat, series, strict=False):
        chosen = one.of(flipped)["prompt_id"].tolist()[:MOST_PROMPTS]
        _decision_cells(axes, one.of(tables["per_prompt_temperature"]), chosen)
        panel_title(axes, one, columns)
    for spare in list(grid.flat)[len(series) :]:
        spare.set_visible(False)
    figure.supxlabel("responses at each temperature, sorted by decision (white: none)", fontsize=8)
    _key_below(figure)
    return figure


def _key_below(figure: Figure) -> None:
    from matplotlib.patches import Patch

    patches = [Patch(facecolor=colour, label=decision.value) for decision, colour in DECISION_COLOURS.items()]
    figure.legend(handles=patches, loc="outside upper right", ncols=3, handlelength=1, handleheight=1)


def _decision_cells(axes: Axes, rows: pd.DataFrame, chosen: list[str]) -> None:
    counts = ["n_refuse", "n_partial", "n_comply"]
    temperatures = sorted(rows["temperature"].unique())
    width = int((rows[counts].sum(axis=1) + rows["n_missing"]).max())
    found = rows.set_index(["prompt_id", "temperature"])[counts]
    for place, prompt in enumerate(chosen):
        for turn, temperature in enumerate(temperatures):
            if (prompt, temperature) in found.index:
                start = turn * (width + 0.6)
                for decision, n in zip(DECISIONS, found.loc[(prompt, temperature)], strict=True):
                    axes.barh(place, n, 0.84, start, color=DECISION_COLOURS[decision], linewidth=0)
                    start += n
    axes.set_xticks([t * (width + 0.6) + width / 2 for t in range(len(temperatures))], [f"{t:g}" for t in temperatures])
    axes.set_xlim(-0.1, len(temperatures) * (width + 0.6))
    name_rows(axes, [prompt[:10] for prompt in chosen], guide=False)
    axes.tick_params(axis="y", labelsize=7, labelcolor=MUTED)
    axes.spines["bottom"].set_visible(False)
