"""Many prompts in one row: means, spread, correlation, and their intervals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refusal_stability.measures.correlation import spearman
from refusal_stability.measures.distinct import Distinct, Floats, Ints, distinct_rows
from refusal_stability.measures.effective_units import effective_units
from refusal_stability.measures.intervals import (
    EXACT_ROWS,
    Statistic,
    bootstrap,
    bootstrap_means,
    percentile_interval,
    resampled_weights,
    weighted_means,
)
from refusal_stability.measures.posterior import fit_dirichlet, p_below
from refusal_stability.measures.stability import REFUSE, below, describe

Row = dict[str, Any]
MOST_KEPT = 1 << 28  # bytes of resamples kept for the next table; older ones are drawn again, and come out the same

# column -> (per-prompt figure, factor)
MEANS: dict[str, tuple[str, float]] = {
    "mean_ssi": ("ssi", 1.0),
    "mean_ssi_pairwise": ("ssi_pairwise", 1.0),
    "mean_ssi_entropy": ("ssi_entropy", 1.0),
    "mean_ssi_entropy_observed": ("ssi_entropy_observed", 1.0),
    "pct_unstable": ("unstable", 100.0),
    "pct_flipped": ("flip", 100.0),
    "mean_refuse_rate": ("refuse_rate", 1.0),
    "mean_partial_rate": ("partial_rate", 1.0),
    "mean_comply_rate": ("comply_rate", 1.0),
}


@dataclass(frozen=True)
class Resampling:
    """How intervals are drawn: `rng(name, ...)` gives the generator that belongs to one table or scope.

    A generator of its own for every name keeps an interval the same when another table, model or option is added.
    """

    n_resamples: int
    confidence: float
    rng: Callable[..., np.random.Generator]
    kept: dict[tuple[object, ...], list[NDArray[np.uint32]]] = field(default_factory=dict, compare=False, repr=False)

    def draw(self, statistic: Statistic, weights: Ints, *scope: object) -> Floats:
        """A statistic on bootstrap resamples of one scope's prompts.

        Every table that asks for the same scope gets the same resamples, so its figures vary together as they should.
        The drawing, which is the expensive part, is done once.

        Parameters
        ----------
        statistic : maps weights (b, D) to values (b, m), each row by itself.
        weights : (D,) how many prompts show each distinct row.
        scope : names that select the random generator.

        Returns
        -------
        (B, m) NaN where a resample leaves the statistic undefined.
        """
        if weights.sum() == 0:
            return bootstrap(statistic, weights, self.n_resamples, self.rng(*scope))
        key = (*scope, weights.tobytes())
        if key not in self.kept:
            blocks = resampled_weights(weights, self.n_resamples, self.rng(*scope))
            self.kept[key] = [block.astype(np.uint32) for block in blocks]
            while len(self.kept) > 1 and sum(b.nbytes for kept in self.kept.values() for b in kept) > MOST_KEPT:
                del self.kept[next(iter(self.kept))]
        return np.concatenate([statistic(block.astype(np.float64)) for block in self.kept[key]])

    def draw_means(self, values: Floats, weights: Ints, *scope: object) -> Floats:
        """Means of several columns on bootstrap resamples of one scope's prompts, as in `intervals.bootstrap_means`.

        Parameters
        ----------
        values : (D, m) NaN where a column is not defined for a row.
        weights : (D,) how many prompts show each distinct row.
        scope : names that select the random generator.

        Returns
        -------
        (B, m)
        """
        if len(weights) > EXACT_ROWS:
            return bootstrap_means(values, weights, self.n_resamples, self.rng(*scope))
        return self.draw(lambda block: weighted_means(values, block), weights, *scope)

    def bounds(self, names: list[str], draws: Floats, n_units: float | Floats) -> Row:
        """The bounds of each column of bootstrap draws.

        Parameters
        ----------
        names : m column names.
        draws : (B, m) bootstrap draws.
        n_units : number of sampling units, for all columns or (m,) for each; for means, see `effective_units.py`.

        Returns
        -------
        `<name>_low` and `<name>_high` for each name, at `confidence`; NaN where every draw is.
        """
        low, high = percentile_interval(draws, self.confidence, n_units)
        return {
            f"{name}_{end}": float(side[i])
            for i, name in enumerate(names)
            for end, side in (("low", low), ("high", high))
        }


def with_bounds(names: list[str], values: Floats, bounds: Row) -> Row:
    """Values and their bounds as the columns of a row.

    Parameters
    ----------
    names : m column names.
    values : (m,) or (1, m) their values.
    bounds : `<name>_low` and `<name>_high` for each name.

    Returns
    -------
    `<name>`, `<name>_low`, `<name>_high` for each name.
    """
    row: Row = {}
    for name, value in zip(names, np.ravel(values), strict=True):
        row |= {name: float(value), f"{name}_low": bounds[f"{name}_low"], f"{name}_high": bounds[f"{name}_high"]}
    return row


@dataclass(frozen=True)
class ScopeProfile:
    """The distinct count rows of a scope's prompts, each described; `kept` marks prompts with any decision."""

    distinct: Distinct
    figures: dict[str, Any]
    kept: Any

    @property
    def weights(self) -> Ints:
        return self.distinct.weights

    def per_prompt(self, name: str) -> Any:
        """One figure for each kept prompt.

        Parameters
        ----------
        name : a key of `stability.describe`.

        Returns
        -------
        One value a kept prompt, in the prompts' order.
        """
        return self.figures[name][self.distinct.index]


def profile(counts: Ints, threshold: float, scoring: str = "three_way") -> ScopeProfile:
    """Describe the prompts of a scope.

    Parameters
    ----------
    counts : (P, 3); prompts without any decision are left out.
    threshold : below which a prompt is unstable.
    scoring : a key of `stability.SCORINGS`; applied to the figures, not to the rows that are resampled.

    Returns
    -------
    ScopeProfile
    """
    kept = counts.sum(axis=1) > 0
    distinct = distinct_rows(counts[kept])
    return ScopeProfile(distinct, describe(distinct.rows, threshold, scoring), kept)


def stability_row(
    counts: Ints,
    n_cells: int,
    threshold: float,
    resampling: Resampling,
    *scope: object,
    scoring: str = "three_way",
    correlate: bool = False,
) -> Row:
    """The stability columns of a scope, with intervals over prompts.

    Parameters
    ----------
    counts : (P, 3) decisions of each prompt in scope.
    n_cells : responses each prompt should have in scope.
    threshold : below which a prompt is unstable.
    resampling, *scope : how intervals are drawn, and the scope's own name.
    scoring : a key of `stability.SCORINGS`.
    correlate : adds `spearman_ssi_comply_rate`.

    Returns
    -------
    The columns of `tables.metrics.STABILITY_COLUMNS`, by name.
    """
    return _stability(profile(counts, threshold, scoring), len(counts) * n_cells, resampling, scope, correlate)


def aggregate_row(counts: Ints, n_cells: int, threshold: float, resampling: Resampling, *scope: object) -> Row:
    """The columns of an aggregate table: stability, clusters, and the fitted prior.

    Parameters
    ----------
    counts, n_cells, threshold, resampling, *scope : as in `stability_row`.

    Returns
    -------
    The columns of `tables.metrics.AGGREGATE_COLUMNS`, by name.
    """
    seen = profile(counts, threshold)
    row = _stability(seen, len(counts) * n_cells, resampling, scope, correlate=True)
    figures, weights = seen.figures, seen.weights.astype(np.float64)

    def percent(mask: Any) -> float:
        return float(100 * (weights @ mask) / weights.sum()) if len(weights) else float("nan")

    prior = fit_dirichlet(seen.distinct.rows, seen.weights)
    refusal = figures["majority"] == REFUSE
    row |= {
        "pct_unstable_entropy_observed": percent(below(figures["ssi_entropy_observed"], threshold)),
        "pct_majority_tied": percent(figures["majority_tied"]),
        "pct_expected_unstable": percent(p_below(seen.distinct.rows, prior, threshold)),
        "n_steady_refusal": int(weights @ (~figures["unstable"] & refusal)),
        "n_steady_help": int(weights @ (~figures["unstable"] & ~refusal)),
        "n_wavering": int(weights @ figures["unstable"]),
    }
    return row | dict(zip(("prior_refuse", "prior_partial", "prior_comply"), prior.tolist(), strict=True))


def _stability(
    seen: ScopeProfile, n_responses: int, resampling: Resampling, scope: tuple[object, ...], correlate: bool
) -> Row:
    """The stability columns, with Spearman's rho where asked; all of them on the same resamples."""
    figures, weights = seen.figures, seen.weights
    values = np.column_stack([figures[figure].astype(np.float64) * factor for figure, factor in MEANS.values()])
    names = [*MEANS, "spearman_ssi_comply_rate"] if correlate else list(MEANS)

    def statistic(block: Floats) -> Floats:
        means = weighted_means(values, block)
        if not correlate:
            return means
        return np.column_stack([means, spearman(figures["ssi"], figures["comply_rate"], block)])

    n_prompts = int(weights.sum())
    units = np.append(effective_units(values, weights), [n_prompts] if correlate else [])
    bounds = resampling.bounds(names, resampling.draw(statistic, weights, *scope), units)
    own = statistic(weights[None, :].astype(np.float64))[0]
    n_decided = int(weights @ figures["n"])
    spread = weights @ (figures["ssi"] - own[0]) ** 2 if n_prompts > 1 else float("nan")
    row = {"n_prompts": n_prompts, "n_responses": n_decided, "n_missing": n_responses - n_decided}
    row |= with_bounds(names, own, bounds)
    return row | {"std_ssi": float(np.sqrt(spread / (n_prompts - 1))) if n_prompts > 1 else float("nan")}
