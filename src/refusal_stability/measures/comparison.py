"""Do temperatures, models, interventions or categories differ? Rank tests and paired differences."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, gammaln, ndtr

from refusal_stability.measures.distinct import Floats, Ints, distinct_rows

PERMUTATIONS = 9_999  # random memberships of a category: no p value that rests on them is below 1 in 10,000
EXACT_CELLS = 1 << 18  # cells of the widest step up to which a category's memberships are enumerated instead of drawn
BLOCK_CELLS = 1 << 21  # cells of random tables held at once

MOST_EXACT_PAIRS = 50  # above which scipy takes the normal limit
FEW_PAIRS = 13  # up to so many pairs scipy enumerates all signs where ranks tie

# Differences of shares such as 0.8 - 0.6 and 1.0 - 0.8 are equal; binary floats would keep them apart and so undo ties.
DECIMALS = 12


@dataclass(frozen=True)
class RankTest:
    """A test's outcome; NaN where it is not defined. `p_from` says how a permutation test got its p-value."""

    statistic: float
    degrees_of_freedom: float
    p_value: float
    n: int
    p_from: str = ""


UNDEFINED = float("nan")
ENUMERATED, DRAWN = "all sets", "drawn sets"


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
    rounded = np.round(values, DECIMALS)
    tied = (rounded[:, :, None] == rounded[:, None, :]).sum(axis=2)
    ranks = (rounded[:, :, None] > rounded[:, None, :]).sum(axis=2) + (tied + 1) / 2
    # Centred first: of a million blocks the squares agree in so many digits that their difference would lose the rest.
    sums = weights @ (ranks - (k + 1) / 2)
    correction = 1 - float(weights @ (tied**2 - 1).sum(axis=1)) / (n * k * (k * k - 1))
    if correction <= 1e-12:
        return RankTest(UNDEFINED, float(k - 1), UNDEFINED, n)
    statistic = 12 / (n * k * (k + 1)) * float(sums @ sums) / correction
    return RankTest(statistic, float(k - 1), float(chdtrc(k - 1, statistic)), n)


def kendalls_w(test: RankTest) -> float:
    """Kendall's coefficient of concordance, `W = chi2 / (n (k - 1))`.

    Parameters
    ----------
    test : the outcome of `friedman`.

    Returns
    -------
    0 (no effect) to 1 (all blocks agree); NaN where the test is not defined.

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
        The smaller of the two signed-rank sums; `n` pairs that differ. Not defined where none do. The p value is as
        scipy has it: exact for few pairs, else the normal limit with its correction for ties.

    References
    ----------
    Wilcoxon (1945), doi:10.2307/3001968
    """
    rounded = np.round(differences, DECIMALS)
    differs = (rounded != 0) & (weights > 0)
    rounded, pairs = rounded[differs], weights[differs]
    n = int(pairs.sum())
    if not n:
        return RankTest(UNDEFINED, UNDEFINED, UNDEFINED, 0)
    if n > MOST_EXACT_PAIRS:
        return _many_pairs(rounded, pairs)
    from scipy import stats

    long = np.repeat(rounded, pairs)
    if len(long) <= FEW_PAIRS and len(np.unique(np.abs(long))) < len(long):
        return _few_tied_pairs(long)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=UserWarning)  # "sample size too small for normal approximation"
        result = stats.wilcoxon(long)
    return RankTest(float(result.statistic), UNDEFINED, float(result.pvalue), len(long))


def _many_pairs(differences: Floats, weights: Ints) -> RankTest:
    """The test in the normal limit, from how often each difference occurs; scipy ranks a million pairs one by one."""
    sizes, place = np.unique(np.abs(differences), return_inverse=True)
    ties = np.bincount(place, weights=weights, minlength=len(sizes))
    ranks = np.cumsum(ties) - (ties - 1) / 2
    n = float(ties.sum())
    whole = n * (n + 1) / 2
    positive = float((ranks[place] * weights)[differences > 0].sum())
    error = np.sqrt((n * (n + 1) * (2 * n + 1) - float((ties**3 - ties).sum()) / 2) / 24)
    p_value = 2 * float(ndtr(-abs(positive - whole / 2) / error))
    return RankTest(min(positive, whole - positive), UNDEFINED, p_value, int(n))


def _few_tied_pairs(differences: Floats) -> RankTest:
    """The test over all signs of the differences, as scipy has it, which ranks again for each: 0.8 s for 13 pairs."""
    from scipy import stats

    ranks = stats.rankdata(np.abs(differences))
    found = stats.permutation_test(
        (differences,), lambda d, axis: ((d > 0) * ranks).sum(axis=axis), permutation_type="samples", vectorized=True
    )
    positive = float(found.statistic)
    return RankTest(min(positive, ranks.sum() - positive), UNDEFINED, float(found.pvalue), len(differences))


def mann_whitney(
    values: Floats, inside: Ints, outside: Ints, rng: np.random.Generator, enumerate_sets: bool = True
) -> RankTest:
    """Mann and Whitney's U (two-sided) of some prompts against the others, by the permutation distribution.

    Under the null hypothesis every set of prompts of the inside's size is equally likely to be the inside. The p value
    is the chance that such a set's U lies at least as far from its mean as the observed one.

    Parameters
    ----------
    values : (D,) distinct values.
    inside, outside : (D,) how many prompts of each side show each value.
    rng : the source of randomness, used only where sets are drawn.
    enumerate_sets : whether to enumerate all sets where they are few. The tests of one family should all enumerate, or
        all draw: drawn p-values have a least value, enumerated ones do not.

    Returns
    -------
    RankTest
        U of the inside: the pairs that it wins, ties counting half. Not defined where a side is empty or all values are
        equal. `n` counts both sides.

    Notes
    -----
    All sets are enumerated, as counts of each value, up to `EXACT_CELLS` cells a step. Otherwise `PERMUTATIONS` sets
    are drawn and `p = (1 + as extreme) / (1 + drawn)`. The normal limit is not used: most prompts share one value (an
    SSI of 1), and the one unstable prompt of 84, alone in its category, has the p value 1/84, for which the limit gives
    2e-19.

    `scipy.stats.permutation_test` was tried and not taken. It enumerates sets of prompts, not counts of values: 5 of 84
    prompts are 31 million sets, so it draws. On the 15 categories of the study `validate` its p values are off the
    exact ones by up to 0.018, and it takes 1.2 s where this takes 0.04 s.

    References
    ----------
    Mann & Whitney (1947), doi:10.1214/aoms/1177730491; Phipson & Smyth (2010), doi:10.2202/1544-6115.1585
    """
    levels, place = np.unique(np.round(values, DECIMALS), return_inverse=True)
    own, others = (
        np.bincount(place, weights=side, minlength=len(levels)).astype(np.int64) for side in (inside, outside)
    )
    n_own, n_others = int(own.sum()), int(others.sum())
    n = n_own + n_others
    ties = own + others
    if not n_own or not n_others or (ties > 0).sum() < 2:
        return RankTest(UNDEFINED, UNDEFINED, UNDEFINED, n)
    won = float(own @ (np.cumsum(others) - others / 2))
    # Twice the midranks, less their mean: whole numbers, so that equally extreme sets compare as equal.
    scores = 2 * np.cumsum(ties) - ties - n
    if n_own > n_others:  # what the inside gains the outside loses, and the smaller side has fewer sets
        own = others
    p_value, p_from = _enumerated_p(scores, ties, own) if enumerate_sets else None, ENUMERATED
    if p_value is None:
        p_from = DRAWN
        drawn = rng.multivariate_hypergeometric(ties, int(own.sum()), size=PERMUTATIONS, method="marginals")
        extreme = np.abs(drawn @ scores) >= abs(int(own @ scores))
        p_value = (1 + int(extreme.sum())) / (1 + PERMUTATIONS)
    return RankTest(won, UNDEFINED, p_value, n, p_from)


def _enumerated_p(scores: Ints, ties: Ints, own: Ints) -> float | None:
    """The chance that a random set's total score is at least as far from 0 as the own one; None where it is expensive.

    Values are added one by one. What is carried is how many prompts the set still needs, their total score, and the
    chance of both. The commonest value comes last, where all that is left is taken.
    """
    order = np.argsort(ties, kind="stable")
    scores, ties = scores[order], ties[order]
    left, size = int(ties.sum()), int(own.sum())
    span = int(ties @ np.abs(scores)) + 1  # totals lie in (-span, span)
    needed, total, chance = np.array([size]), np.zeros(1, dtype=np.int64), np.ones(1)
    for score, tied in zip(scores[:-1].tolist(), ties[:-1].tolist(), strict=True):
        taken = np.arange(min(tied, size) + 1)
        if len(needed) * len(taken) > EXACT_CELLS:
            return None
        open_, sums = needed[:, None] - taken, total[:, None] + score * taken
        possible = (open_ >= 0) & (open_ <= left - tied)
        with np.errstate(invalid="ignore"):
            log = _log_choose(tied, taken) + _log_choose(left - tied, open_) - _log_choose(left, needed)[:, None]
        keys, place = np.unique(open_[possible] * (2 * span) + sums[possible] + span, return_inverse=True)
        chance = np.bincount(place, weights=(chance[:, None] * np.exp(log))[possible]).astype(np.float64)
        needed, total = keys // (2 * span), keys % (2 * span) - span
        left -= tied
    total = total + int(scores[-1]) * needed
    return min(1.0, float(chance[np.abs(total) >= abs(int(own[order] @ scores))].sum()))


def _log_choose(n: int | Ints, k: Ints) -> Floats:
    """log C(n, k), minus infinity or undefined where k is no size of a subset."""
    return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1), dtype=np.float64)


def kruskal_wallis(values: Floats, member: NDArray[np.bool_], rng: np.random.Generator) -> RankTest:
    """Kruskal and Wallis' test for categories that may overlap, by the permutation distribution.

    The statistic is `(n - 1) R^2` of the regression of the values' ranks on category membership. Where categories are
    large it is close to chi-square, with as many degrees of freedom as membership has independent columns. Where every
    prompt has exactly one category it is Kruskal and Wallis' H, corrected for ties.

    Parameters
    ----------
    values : (n,) one value a prompt, no NaN.
    member : (n, C) whether each prompt belongs to each category.
    rng : the source of randomness, used only where memberships are drawn.

    Returns
    -------
    RankTest
        Not defined where all values are equal or membership does not vary.

    Notes
    -----
    `PERMUTATIONS` times, the prompts' memberships are dealt out anew, each prompt's set of categories as a whole:
    `p = (1 + as extreme) / (1 + drawn)`.

    Tables of values by memberships are drawn, not orders of prompts, so the cost does not grow with the number of
    prompts. `scipy.stats.permutation_test` (pairings) shuffles prompts: 0.15 s for 876 and 12.5 s for 20,000 prompts,
    where this takes 0.04 s and 0.09 s. Its other draws move that study's p values by up to 0.008.

    References
    ----------
    Kruskal & Wallis (1952), doi:10.1080/01621459.1952.10483441
    """
    from scipy import stats

    n = len(values)
    levels, place = np.unique(np.round(values, DECIMALS), return_inverse=True)
    ties = np.bincount(place, minlength=len(levels)).astype(np.int64)
    scores = np.cumsum(ties) - (ties + n) / 2  # midranks less their mean
    total = float(ties @ scores**2)
    patterns = distinct_rows(member.astype(np.int64))
    design = patterns.rows.astype(np.float64)
    centred = design - (patterns.weights @ design) / n if n else design
    gram = centred.T @ (centred * patterns.weights[:, None])
    rank = int(np.linalg.matrix_rank(gram, hermitian=True)) if n else 0
    if total == 0 or rank == 0:
        return RankTest(UNDEFINED, UNDEFINED, UNDEFINED, n)
    inverse = np.linalg.pinv(gram, hermitian=True)

    def statistics(sums: NDArray[Any]) -> Floats:
        """(n - 1) R^2 for each row (b, patterns) of rank sums."""
        slope = sums @ centred
        return np.asarray((n - 1) * ((slope @ inverse) * slope).sum(axis=1) / total, dtype=np.float64)

    statistic = float(statistics(np.bincount(patterns.index, weights=scores[place])[None, :])[0])
    tables = stats.random_table(patterns.weights, ties)
    extreme, block = 0, max(1, BLOCK_CELLS // (len(ties) * len(patterns.weights)))
    for start in range(0, PERMUTATIONS, block):
        drawn = tables.rvs(min(block, PERMUTATIONS - start), random_state=rng)
        # sums of different order round differently: what is equal on paper must count as equal
        extreme += int((statistics(drawn @ scores) >= statistic * (1 - 1e-9)).sum())
    return RankTest(statistic, float(rank), (1 + extreme) / (1 + PERMUTATIONS), n, DRAWN)


def holm(p_values: Floats) -> Floats:
    """Holm's correction over a family of tests.

    Parameters
    ----------
    p_values : (m,) NaN where a test is not defined; such tests are not part of the family.

    Returns
    -------
    (m,) corrected p values, at most 1; NaN where the test is not defined.

    References
    ----------
    Holm (1979), A simple sequentially rejective multiple test procedure. https://www.jstor.org/stable/4615733
    """
    corrected = np.full(len(p_values), np.nan)
    # The least first; NaN sorts last.
    order = np.argsort(p_values)[: np.count_nonzero(~np.isnan(p_values))]
    stepped = p_values[order] * np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return corrected


def with_holm(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of one family of tests with Holm's correction.

    Parameters
    ----------
    rows : each with `p_value`.

    Returns
    -------
    The same rows, each with `p_holm` added.
    """
    corrected = holm(np.array([row["p_value"] for row in rows], dtype=np.float64))
    return [row | {"p_holm": float(p)} for row, p in zip(rows, corrected, strict=True)]
