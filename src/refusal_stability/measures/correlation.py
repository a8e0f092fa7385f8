"""Rank correlation of weighted rows, so that thousands of resamples are one matrix product each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from refusal_stability.measures.distinct import Floats, Ints


def spearman(x: Floats, y: Floats, weights: Floats) -> Floats:
    """Spearman's rho (tied ranks averaged) of each weighted sample.

    Parameters
    ----------
    x, y : (D,) values, no NaN.
    weights : (b, D) how often each row counts, one sample a line.

    Returns
    -------
    (b, 1) in [-1, 1]; NaN where x or y does not vary in the sample.

    References
    ----------
    Spearman (1904), The proof and measurement of association between two things. doi:10.2307/1412159
    """
    x_levels, y_levels = (_levels(values, weights) for values in (x, y))
    rank_x, rank_y = x_levels.midranks[:, x_levels.codes], y_levels.midranks[:, y_levels.codes]
    product = np.einsum("bd,bd,bd->b", weights, rank_x, rank_y)
    scale = np.sqrt(x_levels.spread * y_levels.spread)
    with np.errstate(invalid="ignore", divide="ignore"):
        rho = np.where(x_levels.varies & y_levels.varies, product / scale, np.nan)
    return np.clip(rho, -1.0, 1.0)[:, None]


@dataclass(frozen=True)
class _Levels:
    """The L distinct values of x or y in each of b samples.

    Attributes
    ----------
    codes : (D,) the level of each row.
    midranks : (b, L) the average rank of a level's rows, less the mean rank.
    spread : (b,) the sum of all rows' squared ranks.
    varies : (b,) whether a sample has more than one level.
    """

    codes: Ints
    midranks: Floats
    spread: Floats
    varies: NDArray[np.bool_]


def _levels(values: Floats, weights: Floats) -> _Levels:
    levels, codes = np.unique(values, return_inverse=True)
    at_level = weights @ (codes[:, None] == np.arange(len(levels))).astype(np.float64)
    total = at_level.sum(axis=1, keepdims=True)
    midranks = np.cumsum(at_level, axis=1) - at_level / 2 - total / 2
    spread = np.einsum("bl,bl,bl->b", at_level, midranks, midranks)
    return _Levels(codes.astype(np.int64), midranks, spread, (at_level > 0).sum(axis=1) > 1)
