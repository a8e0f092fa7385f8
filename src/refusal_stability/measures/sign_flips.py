"""Is a mean paired difference larger than chance? Against all ways to give the differences their signs."""

from __future__ import annotations

import numpy as np

from refusal_stability.measures.comparison import DECIMALS, EXACT_CELLS, PERMUTATIONS, UNDEFINED
from refusal_stability.measures.distinct import Floats, Ints

SLACK = 1e-8  # sums that are equal on paper differ by less


def sign_flip_p(differences: Floats, weights: Ints, rng: np.random.Generator) -> float:
    """The two-sided p-value of a mean paired difference, by the permutation distribution of the signs.

    If control and treatment do the same to every prompt, each difference is as likely to have the other sign. The
    p-value is the chance that such signs give a mean at least as far from 0 as the observed one.

    Parameters
    ----------
    differences : (D,) distinct differences, no NaN.
    weights : (D,) how many pairs show each.
    rng : the source of randomness, used only where signs are drawn.

    Returns
    -------
    1 where no pair differs; NaN where there is no pair.

    Notes
    -----
    All signs are enumerated, as sums, up to `EXACT_CELLS` sums a step. Otherwise `PERMUTATIONS` sets of signs are drawn
    and `p = (1 + as extreme) / (1 + drawn)`. Where all differences have one size, as with flips, it is McNemar's exact
    test.

    References
    ----------
    Fisher (1935), The Design of Experiments, section 21; Pitman (1937), doi:10.2307/2984124; McNemar (1947),
    doi:10.1007/BF02295996; Phipson & Smyth (2010), doi:10.2202/1544-6115.1585
    """
    if not weights.sum():
        return UNDEFINED
    rounded = np.asarray(np.round(np.abs(differences), DECIMALS), dtype=np.float64)
    sizes, place = np.unique(rounded, return_inverse=True)
    pairs = np.bincount(place, weights=weights).astype(np.int64)
    observed = abs(float(differences @ weights)) - SLACK
    sizes, pairs = sizes[sizes > 0], pairs[sizes > 0]
    exact = _enumerated(sizes, pairs)
    if exact is not None:
        sums, chances = exact
        return min(1.0, float(chances[np.abs(sums) >= observed].sum()))
    drawn = (2 * rng.binomial(pairs, 0.5, size=(PERMUTATIONS, len(pairs))) - pairs) @ sizes
    return (1 + int((np.abs(drawn) >= observed).sum())) / (1 + PERMUTATIONS)


def _enumerated(sizes: Floats, pairs: Ints) -> tuple[Floats, Floats] | None:
    """Every sum that signs can give and its chance; None where there are too many."""
    from scipy.stats import binom

    sums, chances = np.zeros(1), np.ones(1)
    for size, n in zip(sizes.tolist(), pairs.tolist(), strict=True):
        positive = np.arange(n + 1)
        if len(sums) * len(positive) > EXACT_CELLS:
            return None
        every = np.round(sums[:, None] + size * (2 * positive - n), DECIMALS - 2)
        weighted = chances[:, None] * binom.pmf(positive, n, 0.5)
        merged, place = np.unique(every.ravel(), return_inverse=True)
        sums = np.asarray(merged, dtype=np.float64)
        chances = np.asarray(np.bincount(place, weights=weighted.ravel()), dtype=np.float64)
    return sums, chances
