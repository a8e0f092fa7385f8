"""Rank correlation of weighted rows, so that thousands of resamples are one matrix product each."""

from __future__ import annotations

import numpy as np

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
    rank_x, varies_x = _centred_midranks(x, weights)
    rank_y, varies_y = _centred_midranks(y, weights)
    product = (weights * rank_x * rank_y).sum(axis=1)
    scale = np.sqrt((weights * rank_x**2).sum(axis=1) * (weights * rank_y**2).sum(axis=1))
    with np.errstate(invalid="ignore", divide="ignore"):
        rho = np.where(varies_x & varies_y, product / scale, np.nan)
    return np.clip(rho, -1.0, 1.0)[:, None]


def _centred_midranks(values: Floats, weights: Floats) -> tuple[Floats, Ints]:
    """Average rank minus its mean for each row in each sample, and whether the values vary there."""
    levels, codes = np.unique(values, return_inverse=True)
    at_level = np.zeros((len(weights), len(levels)))
    for level in range(len(levels)):
        at_level[:, level] = weights[:, codes == level].sum(axis=1)
    total = at_level.sum(axis=1, keepdims=True)
    midranks = np.cumsum(at_level, axis=1) - at_level / 2 - total / 2
    return midranks[:, codes], ((at_level > 0).sum(axis=1) > 1).astype(np.int64)
