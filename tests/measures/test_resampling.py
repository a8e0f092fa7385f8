"""How often each distinct row is in a resample: drawn prompt by prompt, as counts, and both in one table."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from refusal_stability.measures import intervals
from refusal_stability.measures.intervals import resampled_weights

# From how many prompts on a row's count is drawn: none, only the largest row of `MIXED`, every row.
WAYS = {"prompt by prompt": 1_000, "both": 4, "as counts": 0}
MIXED = np.array([2, 20, 1, 4, 3])


def resampled(weights: NDArray[np.int64], n_resamples: int, seed: int = 0) -> NDArray[np.float64]:
    """All blocks of resampling weights in one array."""
    return np.concatenate(list(resampled_weights(weights, n_resamples, np.random.default_rng(seed))))


@pytest.fixture(params=WAYS, ids=list(WAYS))
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw all rows' counts one way."""
    monkeypatch.setattr(intervals, "FEW_PROMPTS", WAYS[request.param])


@pytest.mark.usefixtures("way")
def test_resamples_of_three_prompts_are_as_frequent_as_by_hand() -> None:
    # Prompts a, a', b; the two a's show one row. Of the 27 ordered resamples of three, 2^k of each of the C(3, k)
    # arrangements have k a's: 1 has none, 6 have one, 12 have two and 8 have three.
    by_hand = Counter(picked.count("a") for picked in product(("a", "a", "b"), repeat=3))
    assert by_hand == {0: 1, 1: 6, 2: 12, 3: 8}
    drawn = resampled(np.array([2, 1]), 27_000)
    seen = Counter(drawn[:, 0].astype(int).tolist())
    for of_a, ways in by_hand.items():
        expected = 1000 * ways
        assert abs(seen[of_a] - expected) < 4 * sqrt(expected * (1 - ways / 27))  # four standard errors


@pytest.mark.usefixtures("way")
def test_counts_follow_the_multinomial_distribution() -> None:
    # 8 prompts on 3 rows: the chance of each of the 45 possible counts is known exactly.
    weights, n_resamples = np.array([1, 5, 2]), 40_000
    total = int(weights.sum())
    drawn = Counter(map(tuple, resampled(weights, n_resamples, seed=1).astype(int).tolist()))
    possible = [(a, b, total - a - b) for a in range(total + 1) for b in range(total + 1 - a)]
    chances = stats.multinomial.pmf(possible, total, weights / total)
    likely = chances * n_resamples >= 5
    seen = np.array([drawn[counts] for counts in possible])
    assert seen.sum() == n_resamples
    pooled = [np.append(each[likely], each[~likely].sum()) for each in (seen, chances * n_resamples)]
    assert stats.chisquare(*pooled).pvalue > 0.001


@pytest.mark.usefixtures("way")
def test_means_and_covariances_are_those_of_the_multinomial() -> None:
    n_resamples, total = 50_000, int(MIXED.sum())
    drawn = resampled(MIXED, n_resamples, seed=2)
    shares = MIXED / total
    covariance = total * (np.diag(shares) - np.outer(shares, shares))
    deviations = np.sqrt(np.diag(covariance))
    assert (np.abs(drawn.mean(axis=0) - MIXED) < 4.5 * deviations / sqrt(n_resamples)).all()
    # a covariance is known to about sqrt(2 / B) of the product of the standard deviations
    error = np.abs(np.cov(drawn.T) - covariance) / np.outer(deviations, deviations)
    assert (error < 4.5 * sqrt(2 / n_resamples)).all()


@given(
    st.lists(st.one_of(st.integers(0, 5), st.integers(0, 200)), min_size=1, max_size=12).filter(any),
    st.integers(1, 60),
    st.integers(0, 2**32),
    st.sampled_from([0, 3, intervals.FEW_PROMPTS, 1_000]),
    st.sampled_from([1, 64, intervals.PROMPTS_AT_ONCE]),
    st.sampled_from([1, 40, intervals.BLOCK_CELLS]),
)
def test_every_resample_is_of_as_many_prompts_as_there_are(
    prompts: list[int], n_resamples: int, seed: int, few: int, at_once: int, cells: int
) -> None:
    weights = np.array(prompts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(intervals, "FEW_PROMPTS", few)
        patch.setattr(intervals, "PROMPTS_AT_ONCE", at_once)
        patch.setattr(intervals, "BLOCK_CELLS", cells)
        drawn = resampled(weights, n_resamples, seed)
    assert drawn.shape == (n_resamples, len(weights))
    assert drawn.dtype == np.float64
    assert (drawn >= 0).all()
    assert (drawn == np.floor(drawn)).all()
    assert (drawn.sum(axis=1) == weights.sum()).all()
    assert not drawn[:, weights == 0].any()


@pytest.mark.usefixtures("way")
def test_threads_change_no_resample(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = np.repeat(MIXED, 20)
    monkeypatch.setattr(intervals, "BLOCK_CELLS", 50_000)  # 500 resamples: threads share six blocks
    together = resampled(weights, 3_000)
    monkeypatch.setattr(intervals, "ThreadPoolExecutor", lambda threads: ThreadPoolExecutor(1))
    np.testing.assert_array_equal(resampled(weights, 3_000), together)


@pytest.mark.usefixtures("way")
def test_all_prompts_of_one_row_give_it_every_draw() -> None:
    assert (resampled(np.array([0, 7, 0]), 50) == [0, 7, 0]).all()
