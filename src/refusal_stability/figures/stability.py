"""How stable: the distribution of SSI, flip rates, stability against compliance, the choice of threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refusal_stability.figures.alt_text import estimate
from refusal_stability.figures.lines import draw_lines, percent_limits, with_bounds
from refusal_stability.figures.palette import CLUSTERS, DECISION_COLOURS, INK, MUTED, RULE, UNSTABLE_FILL
from refusal_stability.figures.series import Cast, Series, wrapped
from refusal_stability.figures.style import (
    canvas,
    draw_intervals,
    in_house_style,
    name_rows,
    note,
    percent,
    percent_axis,
    temperature_axis,
)
from refusal_stability.records import DECISIONS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from refusal_stability.figures.style import Tables

BIN = 0.05
DASHED = (0, (2, 2))


def panel_grid(figure: Figure, n: int, columns: int) -> list[Axes]:
    """`n` panels with shared axes in rows of `columns`; the lowest panel of each column has its x axis labelled."""
    grid = figure.subplots(-(-n // columns), columns, squeeze=False, sharex=True, sharey=True)
    for spare in grid.flat[n:]:
        spare.set_visible(False)
    panels = list(grid.flat[:n])
    for lowest in panels[-columns:]:
        lowest.tick_params(labelbottom=True)
    return panels


def panel_title(axes: Axes, one: Series, columns: int) -> None:
    """Name a panel after its model."""
    axes.set_title(wrapped(one.label, 70 // columns, 2), color=one.colour)


@in_house_style
def ssi_distribution(tables: Tables, cast: Cast) -> Figure:
    """Share of prompts at each SSI, a panel for each model; unstable prompts hatched."""
    prompts = tables["per_prompt_metrics"].dropna(subset=["ssi"])
    series = cast.drawn_from(prompts, "ssi", "No prompt has a decision: there is no SSI to show.")
    columns = 1 if len(series) <= 2 else 2
    figure = canvas(0.6 + 1.6 * -(-len(series) // columns))
    panels = panel_grid(figure, len(series), columns)
    highest = 0.0
    for axes, one in zip(panels, series, strict=True):
        highest = max(highest, _ssi_bars(axes, one, one.of(prompts), cast.threshold))
        panel_title(axes, one, columns)
        _ssi_summary(axes, one.of(tables["aggregate_by_model"]))
    panels[0].set_ylim(0, 1.18 * highest)
    percent_axis(panels[0].yaxis)
    panels[0].set_xlim(0.31, 1.04)
    panels[0].set_xticks([1 / 3, *np.arange(5, 11) / 10], labels=["1/3", "0.5", "0.6", "0.7", "0.8", "0.9", "1"])
    figure.supylabel("share of prompts", fontsize=8)
    label = "SSI: share of a prompt's responses that agree with its commonest decision"
    figure.supxlabel(f"{label} (hatched: unstable, below {cast.threshold:g})", fontsize=8)
    return figure


def _ssi_bars(axes: Axes, one: Series, prompts: pd.DataFrame, threshold: float) -> float:
    """Draw the bars and return the highest."""
    # Bins are centred on multiples of 1/20, so that SSI = 1 and the usual threshold have a bar of their own.
    bins = np.arange(0.325, 1.05, BIN)
    centres = bins[:-1] + BIN / 2
    unstable = prompts["unstable"].to_numpy(dtype=bool)
    ssi = prompts["ssi"].to_numpy()
    shaky = np.histogram(ssi[unstable], bins)[0] / ssi.size
    steady = np.histogram(ssi[~unstable], bins)[0] / ssi.size
    for heights, start, fill in ((shaky, 0 * shaky, "white"), (steady, shaky, one.colour)):
        here = heights > 0
        axes.bar(
            centres[here],
            heights[here],
            BIN * 0.82,
            bottom=start[here],
            color=fill,
            edgecolor=one.colour,
            hatch="/////" if fill == "white" else None,
            linewidth=0.8,
        )
    axes.axvline(threshold, color=RULE, linewidth=0.8, linestyle=DASHED, zorder=0.5)
    top = float(shaky[-1] + steady[-1])
    axes.annotate(percent(top), (centres[-1], top), xytext=(0, 2), textcoords="offset points", ha="center", va="bottom")
    return float((shaky + steady).max())


def _ssi_summary(axes: Axes, model: pd.DataFrame) -> None:
    for _, row in model.iterrows():
        text = (
            f"mean SSI {estimate(row, 'mean_ssi', 3)}\nunstable {estimate(row, 'pct_unstable', 1, '%')}\n"
            f"{row['n_prompts']:,} prompts"
        )
        note(axes, 0.02, 0.97, text, va="top", linespacing=1.4, fontsize=7.5, color=INK, transform=axes.transAxes)


@in_house_style
def flip_rate(tables: Tables, cast: Cast) -> Figure:
    """Prompts with more than one decision: over all configurations, and over seeds alone at each temperature."""
    table = tables["aggregate_by_model"]
    series = cast.drawn_from(table, "pct_flipped", "No model has a decision: there is no flip rate to show.")
    figure = canvas(max(2.5, 0.95 + 0.36 * len(series)))
    left, right = figure.subplots(1, 2, width_ratios=(1, 1))
    for row, one in enumerate(series):
        draw_dot(left, row, one, one.of(table).iloc[0], "pct_flipped", "{:.1f}%")
    name_rows(left, [one.wrapped for one in series])
    highest = np.nanmax(np.append(with_bounds(table, "pct_flipped"), 0.0))
    left.set_xlim(0, min(104.0, max(5.0, 1.15 * highest)))
    left.xaxis.set_major_formatter("{x:.0f}%")
    left.set_title("All configurations")
    left.set_xlabel("prompts with more than one decision")
    _flips_within(right, tables["aggregate_by_temperature"], cast)
    return figure


def draw_dot(axes: Axes, row: int, one: Series, value: pd.Series, column: str, form: str) -> None:
    """One model's figure with its interval in a row of a dot chart, its value written above."""
    x = value[column]
    draw_intervals(axes, [row], [value[f"{column}_low"]], [value[f"{column}_high"]], one.colour, upright=False)
    axes.plot([x], [row], color=one.colour, marker=one.marker, linestyle="none", zorder=3)
    if np.isfinite(x):
        place: dict[str, Any] = {"xytext": (0, 5), "textcoords": "offset points", "ha": "center", "va": "bottom"}
        ground = {"facecolor": "white", "linewidth": 0, "pad": 0.4}
        axes.annotate(form.format(x), (x, row), fontsize=7, bbox=ground, zorder=2, **place)


def _flips_within(axes: Axes, table: pd.DataFrame, cast: Cast) -> None:
    axes.set_title("Seeds alone, at one temperature")
    if table.empty:
        return
    temperature_axis(axes, sorted(table["temperature"].unique()))
    percent_limits(axes, with_bounds(table, "pct_flipped"))
    axes.grid(axis="y")
    draw_lines(axes, table, cast.found_in(table), "temperature", "pct_flipped")


@in_house_style
def stability_vs_compliance(tables: Tables, cast: Cast) -> Figure:
    """Every prompt by how often it was complied with and how stable it is, with the three clusters marked."""
    prompts = tables["per_prompt_metrics"].dropna(subset=["ssi", "refuse_rate"])
    series = cast.drawn_from(prompts, "ssi", "No prompt has a decision: there are no clusters to show.")
    columns = 1 if len(series) == 1 else 2
    figure = canvas(0.5 + 2.4 * -(-len(series) // columns), 5.4 if columns == 1 else 7.0)
    panels = panel_grid(figure, len(series), columns)
    for axes, one in zip(panels, series, strict=True):
        _bubbles(axes, one.of(prompts), cast.threshold)
        panel_title(axes, one, columns)
        for _, row in one.of(tables["aggregate_by_model"]).iterrows():
            _name_clusters(axes, row)
    panels[0].set_xlim(-0.09, 1.09)
    panels[0].set_ylim(0.27, 1.27)
    panels[0].set_xticks([0, 0.25, 0.5, 0.75, 1.0])
    panels[0].set_yticks([1 / 3, 0.5, cast.threshold, 1.0], labels=["1/3", "0.5", f"{cast.threshold:g}", "1"])
    percent_axis(panels[0].xaxis)
    figure.supxlabel("a prompt's responses that comply, fully or in part (yellow: commonest is PARTIAL)", fontsize=8)
    figure.supylabel("SSI", fontsize=8)
    return figure


def _bubbles(axes: Axes, prompts: pd.DataFrame, threshold: float) -> None:
    axes.axhspan(0.0, threshold, color=UNSTABLE_FILL, linewidth=0, zorder=0)
    axes.axhline(threshold, color=RULE, linewidth=0.8, linestyle=DASHED, zorder=0.5)
    # Prompts sit on a grid of shares, so that thousands fall on one point: the area shows how many. The large ones
    # are drawn first, so that a smaller one on the same point stays in sight.
    place = {"x": 1 - prompts["refuse_rate"].round(9), "y": prompts["ssi"].round(9)}
    spots = prompts.assign(**place).groupby(["x", "y", "majority", "unstable"]).size().reset_index(name="prompts")
    spots = spots.sort_values(["prompts", "x", "y", "majority"], ascending=False, kind="stable")
    colours = {d.value: DECISION_COLOURS[d] for d in DECISIONS}
    fill = np.where(spots["unstable"], "#FFFFFF", spots["majority"].map(colours).fillna("#FFFFFF"))
    edge = np.where(spots["unstable"] | (spots["majority"] == "PARTIAL"), MUTED, "#FFFFFF")
    area = 14 + 200 * spots["prompts"] / max(spots["prompts"].max(), 25)
    axes.scatter(spots["x"], spots["y"], s=area, color=fill.tolist(), edgecolor=edge.tolist(), linewidth=0.7, zorder=3)


def _name_clusters(axes: Axes, row: pd.Series) -> None:
    total = sum(row[cluster.count] for cluster in CLUSTERS)
    for cluster in CLUSTERS:
        share = row[cluster.count] / total if total else np.nan
        text = f"{cluster.words}\n{row[cluster.count]:,} ({percent(share)})"
        settings: dict[str, Any] = {"fontsize": 7.5, "linespacing": 1.25, "color": cluster.ink}
        axes.text(cluster.x, cluster.y, text, ha=cluster.align, va="center", **settings)


@in_house_style
def threshold_sensitivity(tables: Tables, cast: Cast) -> Figure:
    """Share of prompts called unstable under each threshold."""
    table = tables["threshold_sensitivity"]
    series = cast.drawn_from(table, "pct_unstable", "No model has a decision: there is no threshold to vary.")
    figure = canvas(max(2.6, 0.9 + 0.3 * len(series)), 5.2)
    axes = figure.subplots()
    thresholds = sorted(table["threshold"].unique())
    pad = 0.06 * max(thresholds[-1] - thresholds[0], 0.1)
    axes.set_xlim(thresholds[0] - pad, thresholds[-1] + pad)
    axes.set_xticks(thresholds, labels=[f"{t:g}" for t in thresholds])
    percent_limits(axes, with_bounds(table, "pct_unstable"))
    axes.grid(axis="y")
    axes.axvline(cast.threshold, color=RULE, linewidth=0.8, linestyle=DASHED, zorder=0.5)
    draw_lines(axes, table, series, "threshold", "pct_unstable")
    axes.set_xlabel("threshold below which a prompt is called unstable (dashed: the study's)")
    axes.set_ylabel("unstable prompts")
    return figure
