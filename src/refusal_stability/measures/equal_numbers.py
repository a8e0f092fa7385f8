"""Per-prompt figures of two sides brought to an equal number of samples, because some figures depend on that number."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from refusal_stability.measures.distinct import Floats, Ints, distinct_rows
from refusal_stability.measures.reliability import compositions
from refusal_stability.measures.stability import describe

EXACT_SAMPLES = 60  # up to so many samples every outcome is weighed; beyond, `DRAWS` draws stand for them
DRAWS = 200


def figures_at(counts: Ints, n: Ints, names: list[str], threshold: float, rng: np.random.Generator) -> Floats:
    """Each prompt's expected figures over n of its samples, drawn without replacement.

    Parameters
    ----------
    counts : (P, K) decisions.
    n : (P,) how many of them to draw, from 1 to all.
    names : figures of `stability.describe`.
    threshold : below which a prompt is unstable.
    rng : the source of randomness, used only where more than `EXACT_SAMPLES` are drawn of a still larger number.

    Returns
    -------
    (P, len(names)) exact up to `EXACT_SAMPLES`; otherwise the mean of `DRAWS` draws. NaN where not defined.
    """
    distinct = distinct_rows(np.column_stack([counts, n]))
    rows, wanted = distinct.rows[:, :-1], distinct.rows[:, -1]
    found = _described(rows, names, threshold)
    for size in np.unique(wanted[wanted < rows.sum(axis=1)]).tolist():
        some = np.flatnonzero((wanted == size) & (rows.sum(axis=1) > size))
        if size > EXACT_SAMPLES:
            drawn = np.stack([rng.multivariate_hypergeometric(rows[i], size, size=DRAWS) for i in some])
            flat = _described(drawn.reshape(-1, counts.shape[1]), names, threshold)
            found[some] = flat.reshape(len(some), DRAWS, -1).mean(axis=1)
            continue
        outcomes = compositions(size)
        values = _described(outcomes, names, threshold)
        for i in some:
            possible = (outcomes <= rows[i]).all(axis=1)
            log = _log_choose(rows[i], outcomes[possible]).sum(axis=1) - _log_choose(
                np.asarray(rows[i].sum()), np.asarray(size)
            )
            found[i] = np.exp(log) @ values[possible]
    return found[distinct.index]


def thinned(counts: Ints, n: Ints, rng: np.random.Generator) -> Ints:
    """One random draw of n of each prompt's decisions, without replacement.

    Parameters
    ----------
    counts : (P, K)
    n : (P,) from 0 to all.
    rng : the source of randomness.

    Returns
    -------
    (P, K)
    """
    left, wanted = counts.sum(axis=1), n.copy()
    drawn = np.zeros_like(counts)
    for k in range(counts.shape[1] - 1):
        left = left - counts[:, k]
        drawn[:, k] = rng.hypergeometric(counts[:, k], left, wanted)
        wanted = wanted - drawn[:, k]
    drawn[:, -1] = wanted
    return drawn


def _described(counts: Ints, names: list[str], threshold: float) -> Floats:
    figures = describe(counts, threshold)
    return np.column_stack([np.asarray(figures[name], dtype=np.float64) for name in names])


def _log_choose(n: NDArray[Any], k: NDArray[Any]) -> Floats:
    return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1), dtype=np.float64)
