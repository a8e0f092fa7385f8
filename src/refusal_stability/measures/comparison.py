"""Do temperatures, models, interventions or categories differ? Rank tests and paired differences."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from refusal_stability.measures.distinct import Floats, Ints

# Differences of shares such as 0.8 - 0.6 and 1.0 - 0.8 are equal; binary floats would keep them apart and so undo ties.
DECIMALS = 12


@dataclass(frozen=True)
class RankTest:
    """A test's outcome; NaN where it is not defined."""

    statistic: float
    degrees_of_freedom: float
    p_value: float
    n: int


UNDEFINED = float("nan")


def friedman(values: Floats, weights: Ints) -> RankTest:
    """Friedman's test, corrected for ties, of weighted blocks.

    Parameters
    ----------
    values : (D, k) the k treatments of each distinct block, without NaN.
    weights : (D,) how many blocks each row stands for.

    Returns
    -------
    RankTest
        chi-square with k - 1 degrees of freedom and `n` blocks. Not defined for k < 2, for no block, or where every
        block ties all its treatments.

    References
    ----------
    Friedman (1937), doi:10.1080/01621459.1937.10503522
    """
    k = values.shape[1]
    n = int(weights.sum())
    if k < 2 or n == 0:
        return RankTest(UNDEFINED, UNDEFINED, UNDEFINED, n)
    ranks = stats.rankdata(np.round(values, DECIMALS), axis=1)
    sums = weights @ ranks
    correction = 1 - float(weights @ _tie_terms(ranks)) / (n * k * (k * k - 1))
    if correction <= 1e-12:
        return RankTest(UNDEFINED, float(k - 1), UNDEFINED, n)
    statistic = (12 / (n * k * (k + 1)) * float(sums @ sums) - 3 * n * (k + 1)) / correction
    return RankTest(statistic, float(k - 1), float(stats.chi2.sf(statistic, k - 1)), n)


def _tie_terms(ranks: Floats) -> Floats:
    """Sum of t^3 - t over each row's groups of t tied ranks: every member of a group adds t^2 - 1."""
    tied = (ranks[:, :, None] == ranks[:, None, :]).sum(axis=2)
    return np.asarray((tied**2 - 1).sum(axis=1), dtype=np.float64)


def kendalls_w(test: RankTest) -> float:
    """Kendall's coefficient of concordance, `W = chi2 / (n (k - 1))`, 0 (no effect) to 1 (all blocks agree).

    References
    ----------
    Kendall & Babington Smith (1939), doi:10.1214/aoms/1177732186
    """
    return test.statistic / (test.n * test.degrees_of_freedom) if test.n else UNDEFINED


def wilcoxon(differences: Floats, weights: Ints) -> RankTest:
    """Wilcoxon's signed-rank test (two-sided) of weighted paired differences; zero differences are left out.

    Parameters
    ----------
    differences : (D,) distinct differences.
    weights : (D,) how many pairs show each.

    Returns
    -------
    RankTest
        The smaller of the two signed-rank sums; `n` pairs that differ. Not defined where none do. The p value is
        scipy's: exact for few pairs, else the normal limit with its correction for ties.

    References
    ----------
    Wilcoxon (1945), doi:10.2307/3001968
    """
    long = np.round(np.repeat(differences, weights), DECIMALS)
    long = long[long != 0]
    if not len(long):
        return RankTest(UNDEFINED, UNDEFINED, UNDEFINED, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=UserWarning)  # "sample size too small for normal approximation"
        result = stats.wilcoxon(long)
    return RankTest(float(result.statistic), UNDEFINED, float(result.pvalue), len(long))


def mann_whitney(values: Floats, inside: Ints, outside: Ints) -> RankTest:
    """Mann and Whitney's U (two-sided, normal limit with ties and continuity) of some prompts against the others.

    Parameters
    ----------
    values : (D,) distinct values.
    inside, outside : (D,) how many prompts of each side show each value.

    Returns
    -------
    RankTest
        U of the inside: pairs that it wins, ties counting half. Not defined where a side is empty or all values are
        equal. `n` counts both sides.

    References
    ----------
    Mann & Whitney (1947), doi:10.1214/aoms/1177730491
    """
    levels, place = np.unique(np.round(values, DECIMALS), return_inverse=True)
    own, others = (np.bincount(place, weights=side, minlength=len(levels)) for side in (inside, outside))
    n_own, n_others = float(own.sum()), float(others.sum())
    n = n_own + n_others
    ties = own + others
    if not n_own or not n_others or (ties > 0).sum() < 2:
        return RankTest(UNDEFINED, UNDEFINED, UNDEFINED, int(n))
    won = float(own @ (np.cumsum(others) - others / 2))
    centre = n_own * n_others / 2
    spread = np.sqrt(centre / 6 * (n + 1 - float((ties**3 - ties).sum()) / (n * (n - 1))))
    distance = max(abs(won - centre) - 0.5, -0.5) / spread
    return RankTest(won, UNDEFINED, min(1.0, 2 * float(stats.norm.sf(distance))), int(n))


def kruskal_wallis(values: Floats, member: NDArray[np.bool_]) -> RankTest:
    """Kruskal and Wallis' test for categories that may overlap.

    `(n - 1) R^2` of the regression of the values' ranks on category membership, which is chi-square with as many
    degrees of freedom as membership has independent columns. Where every prompt has exactly one category it is
    Kruskal and Wallis' H, ties corrected.

    Parameters
    ----------
    values : (n,)
    member : (n, C) whether each prompt belongs to each category.

    Returns
    -------
    RankTest
        Not defined where all values are equal or membership does not vary.

    References
    ----------
    Kruskal & Wallis (1952), doi:10.1080/01621459.1952.10483441
    """
    n = len(values)
    ranks = stats.rankdata(np.round(values, DECIMALS)) - (n + 1) / 2
    total = float(ranks @ ranks)
    design = member.astype(np.float64)
    centred = design - design.mean(axis=0, keepdims=True) if n else design
    gram = centred.T @ centred
    rank = int(np.linalg.matrix_rank(gram, hermitian=True)) if n else 0
    if total == 0 or rank == 0:
        return RankTest(UNDEFINED, UNDEFINED, UNDEFINED, n)
    slope = centred.T @ ranks
    explained = float(slope @ np.linalg.pinv(gram, hermitian=True) @ slope)
    statistic = (n - 1) * explained / total
    return RankTest(statistic, float(rank), float(stats.chi2.sf(statistic, rank)), n)


def holm(p_values: Floats) -> Floats:
    """Holm's correction over a family of tests; undefined (NaN) ones are no part of the family and stay undefined.

    References
    ----------
    Holm (1979), A simple sequentially rejective multiple test procedure. https://www.jstor.org/stable/4615733
    """
    from statsmodels.stats.multitest import multipletests

    corrected = np.full(len(p_values), np.nan)
    defined = ~np.isnan(p_values)
    if defined.any():
        corrected[defined] = multipletests(p_values[defined], method="holm")[1]
    return corrected


def with_holm(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of one family, each with `p_holm` added."""
    corrected = holm(np.array([row["p_value"] for row in rows], dtype=np.float64))
    return [row | {"p_holm": float(p)} for row, p in zip(rows, corrected, strict=True)]
