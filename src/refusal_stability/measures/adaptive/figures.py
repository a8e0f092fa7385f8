"""The figures that are means over prompts, computed for single prompts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from refusal_stability.measures.distinct import Floats, Ints
from refusal_stability.measures.stability import (
    K,
    below,
    flips,
    rates,
    ssi,
    ssi_entropy,
    ssi_entropy_observed,
    ssi_pairwise,
)
from refusal_stability.records import DECISIONS


@dataclass(frozen=True)
class Figure:
    """A figure that is a mean over prompts.

    Attributes
    ----------
    column : its metric column.
    temperature : within which it is taken; NaN for the whole grid.
    low, high : its range.
    threshold : of a share of unstable prompts; NaN for the rule's.
    between : the lower and the higher temperature of a difference; empty for other figures.
    """

    column: str
    temperature: float
    low: float
    high: float
    threshold: float = np.nan
    between: tuple[float, ...] = ()

    @property
    def is_share(self) -> bool:
        """Whether it is a percentage of prompts."""
        return self.column.startswith("pct_")


def _percent(event: NDArray[np.bool_], counts: Ints) -> Floats:
    return np.where(counts.sum(axis=-1) > 0, 100.0 * event, np.nan)


def _rate(code: int, counts: Ints, threshold: float) -> Floats:
    return np.asarray(rates(counts)[..., code])


# column -> per-prompt values of counts (..., K) at a threshold
MEASURES: dict[str, Callable[[Ints, float], Floats]] = {
    "mean_ssi": lambda counts, _: ssi(counts),
    "mean_ssi_pairwise": lambda counts, _: ssi_pairwise(counts),
    "mean_ssi_entropy": lambda counts, _: ssi_entropy(counts),
    "mean_ssi_entropy_observed": lambda counts, _: ssi_entropy_observed(counts),
    "pct_flipped": lambda counts, _: _percent(flips(counts), counts),
    "pct_unstable": lambda counts, threshold: _percent(below(ssi(counts), threshold), counts),
    **{f"mean_{decision.word}_rate": partial(_rate, code) for code, decision in enumerate(DECISIONS)},
}
DIFFERENCES = {"mean_difference": ssi, "mean_ssi_pairwise_difference": ssi_pairwise}
SIDES = {"mean_difference": "mean_ssi", "mean_ssi_pairwise_difference": "mean_ssi_pairwise"}


def _figure(column: str, temperature: float = np.nan, threshold: float = np.nan) -> Figure:
    high = 100.0 if column.startswith("pct_") else 1.0
    return Figure(column, temperature, 1 / K if column == "mean_ssi" else 0.0, high, threshold)


def figures_of(temperatures: Sequence[float]) -> list[Figure]:
    """The figures that replays report.

    Parameters
    ----------
    temperatures : T of them.

    Returns
    -------
    list of Figure
        Over the whole grid (temperature NaN), SSI within each temperature, and its change from the lowest to the
        highest, where there are two.
    """
    pooled = [_figure(name) for name in MEASURES if "entropy" not in name]
    if len(temperatures) == 1:
        return pooled
    within = [_figure("mean_ssi", temperature) for temperature in temperatures]
    change = Figure("mean_difference", np.nan, -1.0, 1.0, between=(min(temperatures), max(temperatures)))
    return [*pooled, *within, change]


def every_figure(temperatures: Sequence[float], thresholds: Sequence[float]) -> list[Figure]:
    """The figures of the metric tables.

    Parameters
    ----------
    temperatures : T of them.
    thresholds : at which the share of unstable prompts is also taken.

    Returns
    -------
    list of Figure
        Each measure over the whole grid and within each temperature, and the differences between temperatures, the
        first of a pair taken from the second.
    """
    figures = [_figure(name, scope) for scope in (np.nan, *temperatures) for name in MEASURES]
    figures += [_figure("pct_unstable", threshold=threshold) for threshold in thresholds]
    pairs = combinations(temperatures, 2)
    return figures + [Figure(name, np.nan, -1.0, 1.0, between=pair) for pair in pairs for name in DIFFERENCES]


def prompt_figures(
    counts: Ints, temperatures: Sequence[float], threshold: float, figures: Sequence[Figure] | None = None
) -> Floats:
    """Each figure of single prompts, whose mean over prompts is the figure.

    Parameters
    ----------
    counts : (..., T, K)
    temperatures : T of them.
    threshold : below which a prompt is unstable.
    figures : F of them; None for `figures_of`.

    Returns
    -------
    (..., F); NaN where a prompt has no decision.
    """
    pooled, at = counts.sum(axis=-2), list(temperatures).index
    columns = []
    for figure in figures_of(temperatures) if figures is None else figures:
        if figure.between:
            lower, higher = (counts[..., at(temperature), :] for temperature in figure.between)
            columns.append(DIFFERENCES[figure.column](higher) - DIFFERENCES[figure.column](lower))
        else:
            scope = pooled if np.isnan(figure.temperature) else counts[..., at(figure.temperature), :]
            level = threshold if np.isnan(figure.threshold) else figure.threshold
            columns.append(MEASURES[figure.column](scope, level))
    return np.stack(columns, axis=-1)
