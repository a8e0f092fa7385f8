"""How many sampling units an interval really rests on: few where only a handful of prompts differ from the others."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from refusal_stability.measures.distinct import Floats, Ints
from refusal_stability.measures.intervals import BLOCK_CELLS, EXACT_ROWS, Statistic, weighted_means

STEP = 1e-4  # of a unit, by which an influence is measured


def effective_units(values: Floats, weights: Ints) -> Floats:
    """How many normally distributed units would give each column's variance as precisely as its own units do.

    An estimated variance has relative variance `2 / (n - 1)` for normal values, and about `(kurtosis - 1) / n` in
    general. Matching the two gives `1 + 2 n / (kurtosis - 1)`, never more than n. A column in which only a handful of
    units differ from all the others (a stable model's flips) counts as about twice that handful.

    Parameters
    ----------
    values : (D, m); NaN marks a row on which the column is not defined.
    weights : (D,) how many sampling units each row stands for.

    Returns
    -------
    (m,) at least 2, or the number of defined units where that is less; that number too where nothing varies.

    References
    ----------
    Satterthwaite (1946), doi:10.2307/3002019; the variance of a variance: Cramer (1946), section 27.4
    """
    defined = ~np.isnan(values)
    n = (weights @ defined).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        off = np.where(defined, values - weighted_means(values, weights), 0.0)
        second, fourth = (weights @ off**power / n for power in (2, 4))
        units = 1 + 2 * n / (fourth / second**2 - 1)
    varies = second > 1e-24 * np.max(np.abs(values), axis=0, initial=1e-12, where=defined) ** 2
    return np.where(varies, np.minimum(n, np.maximum(2.0, units)), n)


def effective_units_of_ratios(tops: Floats, bottoms: Floats, weights: Ints) -> Floats:
    """`effective_units` of ratios of totals: of each unit's share in a ratio's error, `top - ratio * bottom`.

    Parameters
    ----------
    tops, bottoms : (D, m); a unit whose bottom is 0 is no part of the ratio.
    weights : (D,)

    Returns
    -------
    (m,)
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        ratios = (weights @ tops) / (weights @ bottoms)
        return effective_units(np.where(bottoms > 0, tops - ratios * bottoms, np.nan), weights)


def effective_units_of_difference(values: Floats, first: Ints, second: Ints) -> float:
    """`effective_units` of the difference between two groups' means, by Welch and Satterthwaite.

    Parameters
    ----------
    values : (D,)
    first, second : (D,) how many units of each group show each value.

    Returns
    -------
    At most the size of a group whose values do not vary: nothing is known of its spread.

    References
    ----------
    Welch (1947), doi:10.1093/biomet/34.1-2.28
    """
    squares, spreads, least = 0.0, 0.0, np.inf
    for weights in (first, second):
        n = int(weights.sum())
        if n < 2:
            return float(n)
        variance = float(weights @ (values - weights @ values / n) ** 2) / n
        units = float(effective_units(values[:, None], weights)[0])
        if variance < 1e-24:
            least = min(least, float(n))
        squares += variance / n
        spreads += (variance / n) ** 2 / (units - 1)
    return min(least, 1 + squares**2 / spreads) if spreads else least


def effective_units_of(statistic: Statistic, weights: Ints) -> Floats:
    """`effective_units` of any smooth statistic of weighted rows: of each unit's influence on it.

    Parameters
    ----------
    statistic : maps weights (b, D) to values (b, m), each row by itself.
    weights : (D,) observed weights; above `EXACT_ROWS` distinct rows all units count.

    Returns
    -------
    (m,)

    References
    ----------
    Efron & Tibshirani (1993), An Introduction to the Bootstrap, ch. 21 (the empirical influence function).
    """
    whole = weights.astype(np.float64)
    own = statistic(whole[None, :])
    n_rows = len(weights)
    if n_rows > EXACT_ROWS:
        return np.full(own.shape[1], whole.sum())
    block = max(1, BLOCK_CELLS // max(1, n_rows))
    moved = [
        statistic(whole + STEP * np.eye(min(block, n_rows - start), n_rows, k=start))
        for start in range(0, n_rows, block)
    ]
    return effective_units((np.concatenate([own[:0], *moved]) - own) / STEP, weights)


def effective_units_of_totals(figure: Callable[[Floats], Floats], own: Floats, parts: Floats, weights: Ints) -> Floats:
    """`effective_units` of any smooth figure of totals: of each unit's influence on it.

    Parameters
    ----------
    figure : maps totals (b, k) to values (b, m), each row by itself.
    own : (k,) the observed totals.
    parts : (D, k) what one more of each distinct unit would add to the totals.
    weights : (D,) how many units show each row.

    Returns
    -------
    (m,)
    """
    return effective_units((figure(own + STEP * parts) - figure(own[None, :])) / STEP, weights)
