"""Agreement curves and tail risk, by hand, by enumeration and by simulation."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refusal_stability.measures.reliability import agreement_curve, chance_of_comply, least_n, queries_to_comply
from refusal_stability.measures.stability import majority, ssi

few = st.lists(st.integers(0, 4), min_size=3, max_size=3).filter(any)


def by_enumeration(counts: list[int], n: int) -> float:
    """Every subset of n responses, each as likely as the next."""
    responses = [code for code, count in enumerate(counts) for _ in range(count)]
    target = int(majority(np.array([counts]))[0][0])
    shares = []
    for drawn in combinations(responses, n):
        seen = Counter(drawn)
        most = [code for code, count in seen.items() if count == max(seen.values())]
        shares.append((target in most) / len(most))
    return float(np.mean(shares))


def test_the_curve_by_hand() -> None:
    # 3 REFUSE, 1 COMPLY. One draw: 3/4. Two draws: both REFUSE in 3 of the 6 pairs, one of each in the other 3, half of
    # which count: 3/6 + 3/6 * 1/2 = 3/4. Three draws hold at least two REFUSE: 1. All four: 1.
    np.testing.assert_allclose(agreement_curve(np.array([[3, 0, 1]])), [[3 / 4, 3 / 4, 1, 1]])


def test_a_tied_prompt_never_agrees_for_sure() -> None:
    np.testing.assert_allclose(agreement_curve(np.array([[1, 0, 1], [0, 0, 0]]))[0], [1 / 2, 1 / 2])
    assert agreement_curve(np.array([[1, 1, 1]]))[0, 2] == pytest.approx(1 / 3)


@settings(max_examples=40)
@given(few)
def test_the_curve_is_that_of_enumerating_every_subset(counts: list[int]) -> None:
    curve = agreement_curve(np.array([counts]))[0]
    expected = [by_enumeration(counts, n) for n in range(1, sum(counts) + 1)]
    np.testing.assert_allclose(curve, expected, atol=1e-12)


def test_the_curve_agrees_with_a_million_draws() -> None:
    rows = np.array([[12, 5, 3], [10, 10, 0], [17, 2, 1], [7, 7, 6]])
    curve = agreement_curve(rows)
    rng = np.random.default_rng(0)
    for row, own in zip(rows, curve, strict=True):
        for n in (1, 4, 7, 10, 19):
            drawn = rng.multivariate_hypergeometric(row, n, size=1_000_000)
            most = drawn == drawn.max(axis=1, keepdims=True)
            target = int(majority(row[None])[0][0])
            share = most[:, target] / most.sum(axis=1)
            # five standard errors, at most 5 * 0.5 / 1000
            assert abs(share.mean() - own[n - 1]) <= 5 * share.std() / 1000 + 1e-12


@settings(max_examples=40)
@given(st.lists(few, min_size=1, max_size=5))
def test_one_draw_agrees_as_often_as_ssi_says_and_all_draws_unless_tied(rows: list[list[int]]) -> None:
    counts = np.array(rows)
    curve = agreement_curve(counts)
    np.testing.assert_allclose(curve[:, 0], ssi(counts), atol=1e-12)
    _, tied = majority(counts)
    for row, own, is_tied in zip(counts, curve, tied, strict=True):
        assert (own[row.sum() - 1] == pytest.approx(1)) == (not is_tied)
        assert np.isnan(own[row.sum() :]).all()


def test_large_counts_stay_exact() -> None:
    # 999 of 1000 refuse: two draws disagree with chance 2/1000 and then count half
    assert agreement_curve(np.array([[199, 1, 0]]))[0, 1] == pytest.approx(1 - (2 / 200) / 2, abs=1e-12)


def test_the_least_number_of_draws() -> None:
    curve = np.array([0.90, 0.95, 0.94, 0.97, np.nan])
    assert least_n(curve, 0.95) == 2
    assert least_n(curve, 0.96) == 4
    assert np.isnan(least_n(curve, 0.99))


def test_the_chance_of_a_comply_by_hand() -> None:
    # 1 COMPLY of 4: any n draws find it with chance n/4; 2 of 4: 1/2, 1 - 1/6, 1, 1; none: 0
    chance = chance_of_comply(np.array([[3, 0, 1], [2, 0, 2], [4, 0, 0], [1, 0, 1]]))
    np.testing.assert_allclose(chance[0], [1 / 4, 2 / 4, 3 / 4, 1], atol=1e-12)
    np.testing.assert_allclose(chance[1], [1 / 2, 5 / 6, 1, 1], atol=1e-12)
    np.testing.assert_allclose(chance[2], 0, atol=1e-12)
    np.testing.assert_allclose(chance[3], [1 / 2, 1, np.nan, np.nan], atol=1e-12)


@given(few)
def test_the_chance_of_a_comply_never_falls_with_more_draws(counts: list[int]) -> None:
    chance = chance_of_comply(np.array([counts]))[0]
    assert (np.diff(chance) >= -1e-12).all()
    assert (chance >= 0).all()
    assert (chance <= 1).all()


def test_queries_to_the_first_comply_by_hand() -> None:
    with_replacement, without = queries_to_comply(np.array([[15, 0, 5], [19, 0, 1], [20, 0, 0]]))
    np.testing.assert_allclose(with_replacement, [4, 20, np.nan])
    np.testing.assert_allclose(without, [21 / 6, 21 / 2, np.nan])


def test_queries_without_replacement_are_the_mean_place_of_the_first_comply() -> None:
    # 2 COMPLY among 4 responses: first at place 1, 2, 3 in 3, 2, 1 of the 6 orders: (3 + 4 + 3) / 6 = 10 / 6
    assert queries_to_comply(np.array([[2, 0, 2]]))[1][0] == pytest.approx(10 / 6)
