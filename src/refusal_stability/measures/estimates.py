"""Numbers with their bounds: `estimates` gives the columns of every metric table that have intervals."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refusal_stability.measures.distinct import Floats, Ints
from refusal_stability.measures.effective_units import effective_units
from refusal_stability.measures.intervals import (
    EXACT_ROWS,
    Statistic,
    bootstrap,
    bootstrap_means,
    bootstrap_totals,
    percentile_interval,
    resampled_weights,
    weighted_means,
)
from refusal_stability.measures.unseen import with_the_unseen

Row = dict[str, Any]
DECIMALS = 12  # of a difference of shares that counts: 0.8 - 0.6 and 1.0 - 0.8 are equal
MOST_KEPT = 1 << 28  # bytes of resamples kept for the next table; older ones are drawn again, and come out the same


@dataclass(frozen=True)
class Resampling:
    """How intervals are drawn: `rng(name, ...)` gives the generator that belongs to one table or scope.

    A generator of its own for every name keeps an interval the same when another table, model or option is added.
    """

    n_resamples: int
    confidence: float
    rng: Callable[..., np.random.Generator]
    kept: dict[tuple[object, ...], list[NDArray[np.uint32]]] = field(default_factory=dict, compare=False, repr=False)
    lock: AbstractContextManager[Any] = field(default_factory=Lock, compare=False, repr=False)

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
        with self.lock:
            blocks = self.kept.get(key)
        if blocks is None:
            drawn = resampled_weights(weights, self.n_resamples, self.rng(*scope))
            blocks = [block.astype(np.uint32) for block in drawn]
            with self.lock:
                self.kept[key] = blocks
                while len(self.kept) > 1 and sum(b.nbytes for kept in self.kept.values() for b in kept) > MOST_KEPT:
                    del self.kept[next(iter(self.kept))]
        return np.concatenate([statistic(block.astype(np.float64)) for block in blocks])


@dataclass(frozen=True)
class Scope:
    """What is resampled, and by which random numbers.

    Attributes
    ----------
    resampling : how intervals are drawn.
    weights : (D,) how many sampling units each distinct row stands for.
    name : what the random generator is named for.
    shared : whether every table that names this scope gets the same resamples, so that its figures vary together.
    rng : a generator to go on with instead of the one named; None for a new one.
    """

    resampling: Resampling
    weights: Ints
    name: tuple[object, ...] = ()
    shared: bool = False
    rng: np.random.Generator | None = None

    def generator(self) -> np.random.Generator:
        """The scope's random numbers.

        Returns
        -------
        numpy.random.Generator
        """
        return self.rng or self.resampling.rng(*self.name)


@dataclass(frozen=True)
class Drawn:
    """Figures that were drawn already: (m,) or (1, m) observed, (B, m) on resamples, and their effective units."""

    own: Floats
    draws: Floats
    units: Floats | float


@dataclass(frozen=True)
class OfWeights:
    """Figures of resampling weights: `figure` maps (b, D) to (b, m); `units` are effective units, (m,) or for all."""

    figure: Statistic
    units: Floats | float

    def drawn(self, scope: Scope) -> Drawn:
        """The figures on a scope's resamples.

        Parameters
        ----------
        scope : what is resampled.

        Returns
        -------
        Drawn
        """
        weights, resampling = scope.weights, scope.resampling
        if scope.shared:
            draws = resampling.draw(self.figure, weights, *scope.name)
        else:
            draws = bootstrap(self.figure, weights, resampling.n_resamples, scope.generator())
        return Drawn(self.figure(weights[None, :].astype(np.float64)), draws, self.units)


@dataclass(frozen=True)
class OfTotals:
    """Figures of column totals: of `parts` (D, k), `figure` maps totals (b, k) to (b, m); `units` as in `OfWeights`."""

    parts: Floats
    figure: Callable[[Floats], Floats]
    units: Floats | float

    def drawn(self, scope: Scope) -> Drawn:
        """The figures on a scope's resamples.

        Parameters
        ----------
        scope : what is resampled; never shared.

        Returns
        -------
        Drawn
        """
        weights = scope.weights
        totals = bootstrap_totals(self.parts, weights, scope.resampling.n_resamples, scope.generator())
        return Drawn(self.figure(weights[None, :] @ self.parts), self.figure(totals), self.units)


@dataclass(frozen=True)
class OfEachColumn:
    """Means of columns (D, m) whose random numbers their own values decide: equal ones get equal intervals anywhere.

    NaN marks a unit that a column leaves out. Values count to `DECIMALS`.
    """

    values: Floats

    def drawn(self, scope: Scope) -> Drawn:
        """The means on resamples of each column's own units.

        Parameters
        ----------
        scope : what is resampled; its name plays no part.

        Returns
        -------
        Drawn
        """
        values, resampling = np.round(self.values, DECIMALS) + 0.0, scope.resampling
        draws = np.full((resampling.n_resamples, values.shape[1]), np.nan)
        for i, column in enumerate(values.T):
            known = ~np.isnan(column)
            levels, place = np.unique(column[known], return_inverse=True)
            weights = np.bincount(place, weights=scope.weights[known], minlength=len(levels)).astype(np.int64)
            # the two directions of one difference are one quantity
            mirrored = (-levels[::-1] + 0.0, weights[::-1])
            sign, (levels, weights) = min(
                (1, (levels, weights)), (-1, mirrored), key=lambda side: (side[1][0].tolist(), side[1][1].tolist())
            )
            name = hashlib.sha256(levels.tobytes() + weights.tobytes()).hexdigest()
            rng = resampling.rng("values", name)
            draws[:, i] = sign * bootstrap_means(levels[:, None], weights, resampling.n_resamples, rng)[:, 0]
        return Drawn(weighted_means(values, scope.weights), draws, effective_units(values, scope.weights))


def estimates(
    columns: Sequence[str],
    values: Floats | OfWeights | OfTotals | OfEachColumn | Drawn,
    scope: Scope,
    own: NDArray[Any] | None = None,
    fixed: Collection[str] = (),
) -> Row:
    """Estimates with the bounds of their bootstrap intervals.

    Parameters
    ----------
    columns : m names.
    values : what to estimate. An array (D, m) is averaged over the rows where it is not NaN.
    scope : what is resampled, and by which random numbers.
    own : (m,) observed figures, where they are known more exactly than from `values`.
    fixed : columns whose value follows from the number of responses; their interval may have no width.

    Returns
    -------
    `<name>`, `<name>_low` and `<name>_high` of each name; NaN where they are not defined.
    """
    found = values if isinstance(values, Drawn) else _drawn(values, scope)
    values_seen = np.ravel(found.own if own is None else own)
    confidence = scope.resampling.confidence
    low, high = percentile_interval(found.draws, confidence, found.units)
    units = np.broadcast_to(np.asarray(found.units, dtype=np.float64), low.shape)
    low, high = with_the_unseen(columns, values_seen, low, high, units, confidence, fixed)
    row: Row = {}
    for i, (name, value) in enumerate(zip(columns, values_seen, strict=True)):
        row |= {name: float(value), f"{name}_low": float(low[i]), f"{name}_high": float(high[i])}
    return row


def _drawn(values: Floats | OfWeights | OfTotals | OfEachColumn, scope: Scope) -> Drawn:
    if not isinstance(values, np.ndarray):
        return values.drawn(scope)
    weights, resampling = scope.weights, scope.resampling
    if scope.shared and len(weights) <= EXACT_ROWS:
        draws = resampling.draw(lambda block: weighted_means(values, block), weights, *scope.name)
    else:
        draws = bootstrap_means(values, weights, resampling.n_resamples, scope.generator())
    return Drawn(weighted_means(values, weights), draws, effective_units(values, weights))


def renamed(row: Row, source: str, column: str) -> Row:
    """One estimate of several under another name.

    Parameters
    ----------
    row : as `estimates` returns it.
    source, column : the name there, and the name to give it.

    Returns
    -------
    `<column>`, `<column>_low` and `<column>_high`.
    """
    return {f"{column}{end}": row[f"{source}{end}"] for end in ("", "_low", "_high")}
