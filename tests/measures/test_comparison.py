"""Rank tests and corrections, by hand and against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from refusal_stability.measures.comparison import friedman, holm, kendalls_w, kruskal_wallis, mann_whitney, wilcoxon

SHARES = st.sampled_from([0.4, 0.6, 0.8, 1.0])


def test_friedman_and_kendall_by_hand() -> None:
    # Three blocks rank three treatments 1 2 3, 1 2 3, 1 3 2: rank sums 3, 7, 8.
    # chi2 = 12 / (3 * 3 * 4) * (9 + 49 + 64) - 3 * 3 * 4 = 122 / 3 - 36 = 14 / 3; W = (14 / 3) / (3 * 2) = 7 / 9
    blocks = np.array([[0.1, 0.2, 0.3], [0.1, 0.3, 0.2]])
    test = friedman(blocks, np.array([2, 1]))
    assert (test.n, test.degrees_of_freedom) == (3, 2)
    assert test.statistic == pytest.approx(14 / 3)
    assert test.p_value == pytest.approx(np.exp(-14 / 6))  # the upper tail of chi-square with 2 degrees of freedom
    assert kendalls_w(test) == pytest.approx(7 / 9)


def test_friedman_corrects_for_ties_by_hand() -> None:
    # Ranks 1 2.5 2.5 and 1 2 3: sums 2, 4.5, 5.5. Uncorrected 12 / 24 * (4 + 20.25 + 30.25) - 24 = 3.25.
    # One tie of two: 2^3 - 2 = 6, so the correction is 1 - 6 / (2 * 3 * 8) = 7 / 8.
    test = friedman(np.array([[0.1, 0.5, 0.5], [0.1, 0.2, 0.3]]), np.array([1, 1]))
    assert test.statistic == pytest.approx(3.25 / (7 / 8))


@given(hnp.arrays(float, st.tuples(st.integers(2, 12), st.integers(3, 5)), elements=SHARES), st.data())
def test_friedman_is_scipys_on_the_blocks_written_out(blocks: np.ndarray, data: st.DataObject) -> None:
    weights = data.draw(hnp.arrays(np.int64, len(blocks), elements=st.integers(1, 4)))
    test = friedman(blocks, weights)
    if (blocks == blocks[:, :1]).all():
        assert np.isnan(test.statistic)
    else:
        peer = stats.friedmanchisquare(*np.repeat(blocks, weights, axis=0).T)
        assert test.statistic == pytest.approx(peer.statistic, abs=1e-9)
        assert test.p_value == pytest.approx(peer.pvalue, abs=1e-9)
        assert -1e-12 <= kendalls_w(test) <= 1 + 1e-12


@pytest.mark.parametrize("blocks", [np.zeros((0, 4)), np.ones((5, 1)), np.ones((5, 3))])
def test_friedman_is_undefined_without_blocks_treatments_or_differences(blocks: np.ndarray) -> None:
    test = friedman(blocks, np.ones(len(blocks), dtype=np.int64))
    assert np.isnan(test.statistic)
    assert np.isnan(test.p_value)
    assert np.isnan(kendalls_w(test))


def test_wilcoxon_by_hand() -> None:
    # Differences 1 2 3 -4 5: the negative one has rank 4, the positive ones 1 + 2 + 3 + 5 = 11; the smaller sum is 4.
    # Of the 2^5 sign patterns 7 have a rank sum of at most 4 ({}, 1, 2, 3, 4, 12, 13): p = 2 * 7 / 32.
    test = wilcoxon(np.array([1.0, 2.0, 3.0, -4.0, 5.0]), np.ones(5, dtype=np.int64))
    assert (test.statistic, test.n) == (4, 5)
    assert test.p_value == pytest.approx(14 / 32)


def test_wilcoxon_leaves_equal_pairs_out_and_sees_ties_through_rounding_errors() -> None:
    # 0.8 - 0.6 and 1.0 - 0.8 are 0.20000000000000007 and 0.19999999999999996 in binary, and one value on paper
    differences = np.array([0.8 - 0.6, 1.0 - 0.8, 0.0, -0.4])
    weights = np.array([20, 20, 900, 15])
    test = wilcoxon(differences, weights)
    assert test.n == 55
    peer = stats.wilcoxon(np.array([0.2] * 40 + [-0.4] * 15))
    assert (test.statistic, test.p_value) == (peer.statistic, pytest.approx(peer.pvalue))


def test_wilcoxon_is_undefined_where_no_pair_differs() -> None:
    assert np.isnan(wilcoxon(np.array([0.0]), np.array([9])).p_value)
    assert np.isnan(wilcoxon(np.zeros(0), np.zeros(0, dtype=np.int64)).p_value)


def test_mann_whitney_counts_the_pairs_that_the_inside_wins() -> None:
    # inside 0.9, 1.0 against outside 0.8, 0.9: wins 0.9 > 0.8, 1.0 > 0.8, 1.0 > 0.9, and half of 0.9 = 0.9
    test = mann_whitney(np.array([0.8, 0.9, 1.0]), np.array([0, 1, 1]), np.array([1, 1, 0]))
    assert (test.statistic, test.n) == (3.5, 4)


@given(st.lists(st.tuples(SHARES, st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=8))
def test_mann_whitney_is_scipys_on_the_prompts_written_out(rows: list[tuple[float, int, int]]) -> None:
    values = np.array([value for value, _, _ in rows])
    inside, outside = (np.array([row[side] for row in rows]) for side in (1, 2))
    test = mann_whitney(values, inside, outside)
    one, other = np.repeat(values, inside), np.repeat(values, outside)
    both = np.concatenate([one, other])
    if not len(one) or not len(other) or both.min() == both.max():
        assert np.isnan(test.p_value)
    else:
        peer = stats.mannwhitneyu(one, other, method="asymptotic")
        assert test.statistic == pytest.approx(peer.statistic)
        assert test.p_value == pytest.approx(peer.pvalue)


@given(st.lists(st.tuples(SHARES, st.integers(0, 3)), min_size=4, max_size=40))
def test_kruskal_wallis_is_scipys_where_categories_do_not_overlap(rows: list[tuple[float, int]]) -> None:
    values, category = np.array([v for v, _ in rows]), np.array([c for _, c in rows])
    member = category[:, None] == np.arange(4)
    test = kruskal_wallis(values, member)
    groups = [values[category == c] for c in np.unique(category)]
    if len(groups) < 2 or values.min() == values.max():
        assert np.isnan(test.p_value)
    else:
        peer = stats.kruskal(*groups)
        assert test.statistic == pytest.approx(peer.statistic, abs=1e-9)
        assert test.degrees_of_freedom == len(groups) - 1
        assert test.p_value == pytest.approx(peer.pvalue, abs=1e-9)


def test_kruskal_wallis_with_overlapping_categories_keeps_its_level() -> None:
    rng = np.random.default_rng(0)
    member = rng.random((80, 3)) < 0.4
    p_values = [kruskal_wallis(rng.choice([0.5, 0.8, 1.0], 80), member).p_value for _ in range(2000)]
    # 5 % +- 4 standard errors of sqrt(0.05 * 0.95 / 2000) = 0.0049
    assert 0.03 < np.mean(np.array(p_values) < 0.05) < 0.07


def test_kruskal_wallis_finds_a_category_that_wavers() -> None:
    values = np.array([0.5] * 10 + [1.0] * 40)
    member = np.column_stack([np.arange(50) < 12, np.arange(50) % 2 == 0])
    assert kruskal_wallis(values, member).p_value < 1e-6


def test_holm_by_hand_skips_undefined_tests() -> None:
    # 0.01 * 3, 0.02 * 2, 0.04 * 1, each at least the one before
    np.testing.assert_allclose(holm(np.array([0.04, np.nan, 0.01, 0.02])), [0.04, np.nan, 0.03, 0.04])


@settings(max_examples=50)
@given(hnp.arrays(float, st.integers(1, 8), elements=st.floats(0, 1)))
def test_holm_only_raises_p_values_and_keeps_their_order(p_values: np.ndarray) -> None:
    corrected = holm(p_values)
    assert (corrected >= p_values).all()
    assert (corrected <= 1).all()
    order = np.argsort(p_values, kind="stable")
    assert (np.diff(corrected[order]) >= 0).all()
