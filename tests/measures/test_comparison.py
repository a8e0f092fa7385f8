"""Rank tests and corrections, by hand and against scipy."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from refusal_stability.measures import comparison
from refusal_stability.measures.comparison import (
    DRAWN,
    ENUMERATED,
    friedman,
    holm,
    kendalls_w,
    kruskal_wallis,
    mann_whitney,
    wilcoxon,
)
from refusal_stability.measures.distinct import distinct_rows

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


def test_friedman_of_very_many_blocks_keeps_its_digits() -> None:
    # Two treatments, one block more that ranks them 1 2 than 2 1: rank sums differ by 1, so that
    # chi2 = 12 / (n * 2 * 3) * 2 * (1 / 2)^2 = 1 / n.
    half = 4 * 10**15
    test = friedman(np.array([[0.1, 0.2], [0.2, 0.1]]), np.array([half + 1, half]))
    assert test.statistic == pytest.approx(1 / (2 * half + 1), rel=1e-6)


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


@given(st.lists(st.integers(-6, 6).filter(bool), min_size=1, max_size=8))
@settings(max_examples=40)
@example([1, 1, -1, 2, 2, 2, 3, 4, 4, 5, -6, 6, -6])
@example([1, 1, -1, 2, 2, 2, 3, 4, 4, 5, -6, 6, -6, 6])
def test_wilcoxon_is_scipys_where_few_pairs_tie(twelfths: list[int]) -> None:
    differences = np.array(twelfths) / 12
    test = wilcoxon(differences, np.ones(len(differences), dtype=np.int64))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=UserWarning)
        peer = stats.wilcoxon(np.round(differences, 12))
    assert (test.statistic, test.p_value, test.n) == (peer.statistic, peer.pvalue, len(differences))


@given(
    st.lists(st.tuples(st.integers(-12, 12), st.integers(0, 40)), min_size=1, max_size=12).filter(
        lambda rows: sum(pairs for difference, pairs in rows if difference) > 50
    )
)
def test_wilcoxon_of_many_pairs_is_scipys_on_the_pairs_written_out(rows: list[tuple[int, int]]) -> None:
    twelfths, pairs = map(np.array, zip(*rows, strict=True))
    found = wilcoxon(twelfths / 12, pairs)
    long = np.repeat(twelfths, pairs)
    peer = stats.wilcoxon(long[long != 0])
    assert found.n == np.count_nonzero(long)
    assert found.statistic == peer.statistic
    assert found.p_value == pytest.approx(peer.pvalue, rel=1e-12, abs=1e-300)


def test_wilcoxon_is_undefined_where_no_pair_differs() -> None:
    assert np.isnan(wilcoxon(np.array([0.0]), np.array([9])).p_value)
    assert np.isnan(wilcoxon(np.zeros(0), np.zeros(0, dtype=np.int64)).p_value)


def generator() -> np.random.Generator:
    return np.random.default_rng(0)


def test_mann_whitney_counts_the_pairs_that_the_inside_wins() -> None:
    # inside 0.9, 1.0 against outside 0.8, 0.9: wins 0.9 > 0.8, 1.0 > 0.8, 1.0 > 0.9, and half of 0.9 = 0.9
    test = mann_whitney(np.array([0.8, 0.9, 1.0]), np.array([0, 1, 1]), np.array([1, 1, 0]), generator())
    assert (test.statistic, test.n) == (3.5, 4)
    # Of the 6 pairs of prompts (0.8, 0.9, 0.9, 1.0) only 0.9 with 1.0, twice, and 0.8 with 0.9, twice, are as far
    # from the mean; 0.9 with 0.9 and 0.8 with 1.0 lie on it.
    assert test.p_value == pytest.approx(4 / 6)


def test_one_unstable_prompt_alone_in_its_category_is_a_chance_of_one_in_84() -> None:
    # Each of the 84 prompts is as likely to be the one in the category; one of them is the unstable one.
    test = mann_whitney(np.array([0.6, 1.0]), np.array([1, 0]), np.array([0, 83]), generator())
    assert test.p_value == pytest.approx(1 / 84, rel=1e-12)
    # The same seen from the other side
    assert mann_whitney(np.array([0.6, 1.0]), np.array([0, 83]), np.array([1, 0]), generator()).p_value == test.p_value
    # Two unstable prompts make up a category of two: one of 84 * 83 / 2 pairs
    both = mann_whitney(np.array([0.6, 1.0]), np.array([2, 0]), np.array([0, 82]), generator())
    assert both.p_value == pytest.approx(2 / (84 * 83), rel=1e-12)


def test_kruskal_wallis_on_one_unstable_prompt_alone_in_its_category_agrees() -> None:
    member = np.column_stack([np.arange(84) == 0, np.arange(84) > 0])
    test = kruskal_wallis(np.where(np.arange(84) == 0, 0.6, 1.0), member, generator())
    # 1/84 from 9,999 draws: standard error 0.00108
    assert test.p_value == pytest.approx(1 / 84, abs=0.0045)


@settings(max_examples=40)
@given(st.lists(st.tuples(SHARES, st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=8))
def test_mann_whitney_is_scipys_permutation_test_on_the_prompts_written_out(
    rows: list[tuple[float, int, int]],
) -> None:
    values = np.array([value for value, _, _ in rows])
    inside, outside = (np.array([row[side] for row in rows]) for side in (1, 2))
    test = mann_whitney(values, inside, outside, generator())
    one, other = np.repeat(values, inside), np.repeat(values, outside)
    both = np.concatenate([one, other])
    if not len(one) or not len(other) or both.min() == both.max():
        assert np.isnan(test.p_value)
        return
    assert test.statistic == pytest.approx(stats.mannwhitneyu(one, other, method="asymptotic").statistic)
    assume(min(len(one), len(other)) > 1)  # scipy's permutation test takes no smaller side
    centre, ranks = len(one) * (len(both) + 1) / 2, stats.rankdata(both)

    def distance(own: np.ndarray, rest: np.ndarray, axis: int) -> np.ndarray:
        return np.abs(own.sum(axis=axis) - centre)

    peer = stats.permutation_test(
        (ranks[: len(one)], ranks[len(one) :]),
        distance,
        alternative="greater",
        n_resamples=4_000,
        rng=np.random.default_rng(1),
        vectorized=True,
    )
    # exact where scipy enumerates as well (up to 4,000 sets), else to 5 standard errors of its draws
    assert test.p_value == pytest.approx(peer.pvalue, abs=1e-9 if len(peer.null_distribution) < 4_000 else 0.04)


def test_mann_whitney_without_ties_is_scipys_exact_test() -> None:
    values = np.arange(12.0)
    inside = np.isin(values, [0, 1, 3, 4, 8]).astype(np.int64)
    peer = stats.mannwhitneyu(values[inside == 1], values[inside == 0], method="exact")
    assert mann_whitney(values, inside, 1 - inside, generator()).p_value == pytest.approx(peer.pvalue, rel=1e-12)


def test_drawn_and_enumerated_sets_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    values, inside, outside = np.array([0.5, 0.7, 0.9, 1.0]), np.array([3, 1, 2, 10]), np.array([4, 6, 20, 90])
    exact = mann_whitney(values, inside, outside, generator()).p_value
    assert 0.005 < exact < 0.2
    drawn = mann_whitney(values, inside, outside, generator(), enumerate_sets=False).p_value
    monkeypatch.setattr(comparison, "EXACT_CELLS", 0)
    assert mann_whitney(values, inside, outside, generator()).p_value == drawn
    assert drawn == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 9_999))


def test_large_sides_come_near_scipys_normal_limit() -> None:
    values, inside, outside = np.array([0.5, 0.8, 1.0]), np.array([75, 65, 260]), np.array([160, 160, 680])
    one, other = np.repeat(values, inside), np.repeat(values, outside)
    limit = stats.mannwhitneyu(one, other, method="asymptotic").pvalue
    exact = mann_whitney(values, inside, outside, generator())
    drawn = mann_whitney(values, inside, outside, generator(), enumerate_sets=False)
    assert (exact.p_value, exact.p_from) == (pytest.approx(limit, abs=1e-3), ENUMERATED)
    # standard error of the drawn p value at most 0.005
    assert (drawn.p_value, drawn.p_from) == (pytest.approx(limit, abs=0.02), DRAWN)


@given(st.lists(st.tuples(SHARES, st.integers(0, 3)), min_size=4, max_size=40))
def test_kruskal_wallis_statistic_is_scipys_where_categories_do_not_overlap(rows: list[tuple[float, int]]) -> None:
    values, category = np.array([v for v, _ in rows]), np.array([c for _, c in rows])
    member = category[:, None] == np.arange(4)
    test = kruskal_wallis(values, member, generator())
    groups = [values[category == c] for c in np.unique(category)]
    if len(groups) < 2 or values.min() == values.max():
        assert np.isnan(test.p_value)
    else:
        assert test.statistic == pytest.approx(stats.kruskal(*groups).statistic, abs=1e-9)
        assert test.degrees_of_freedom == len(groups) - 1


def test_kruskal_wallis_of_large_categories_is_near_scipys() -> None:
    rng = np.random.default_rng(5)
    values, category = rng.choice([0.5, 0.8, 1.0], 1200), rng.integers(0, 3, 1200)
    member = category[:, None] == np.arange(3)
    limit = stats.kruskal(*(values[category == c] for c in range(3))).pvalue
    assert kruskal_wallis(values, member, generator()).p_value == pytest.approx(limit, abs=0.02)


def test_kruskal_wallis_is_the_permutation_of_whole_memberships() -> None:
    rng = np.random.default_rng(3)
    values = rng.choice([0.6, 0.9, 1.0], 30, p=[0.2, 0.1, 0.7])
    member = rng.random((30, 3)) < 0.3
    test = kruskal_wallis(values, member, generator())
    design = np.column_stack([np.ones(30), member])
    ranks = stats.rankdata(values)

    def explained(order: np.ndarray) -> float:
        fitted = design @ np.linalg.lstsq(design, ranks[order], rcond=None)[0]
        return float(((fitted - ranks.mean()) ** 2).sum())

    observed = explained(np.arange(30))
    extreme = np.mean([explained(rng.permutation(30)) >= observed - 1e-9 for _ in range(3000)])
    assert test.p_value == pytest.approx(extreme, abs=4 * np.sqrt(extreme * (1 - extreme) / 3000) + 0.02)


def test_tests_of_many_categories_keep_their_familywise_level_on_stable_prompts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # 84 prompts in 14 categories of 1 to 18, 6 % of prompts off the dominating value, no category special. The normal
    # limit called one of them different in far more than 5 % of such studies.
    monkeypatch.setattr(comparison, "PERMUTATIONS", 499)  # valid with any number of draws, and quicker
    rng = np.random.default_rng(0)
    category = np.repeat(np.arange(14), [1, 1, 2, 2, 3, 3, 4, 5, 6, 7, 8, 10, 14, 18])
    studies, whole, families = 250, 0, 0
    for _ in range(studies):
        values = rng.choice([0.4, 0.6, 0.8, 1.0], 84, p=[0.01, 0.02, 0.03, 0.94])
        distinct = distinct_rows(np.column_stack([values, category]))
        levels, own = distinct.rows.T
        tests = [
            mann_whitney(levels, (own == c) * distinct.weights, (own != c) * distinct.weights, rng) for c in range(14)
        ]
        families += bool(np.nanmin(holm(np.array([test.p_value for test in tests])), initial=1.0) < 0.05)
        whole += bool(kruskal_wallis(values, category[:, None] == np.arange(14), rng).p_value < 0.05)
    most = stats.binom.isf(0.001, studies, 0.05)  # 24; more would be a chance of one in a thousand at 5 %
    assert families <= most
    assert whole <= most


def test_kruskal_wallis_with_overlapping_categories_keeps_its_level() -> None:
    rng = np.random.default_rng(0)
    member = rng.random((80, 3)) < 0.4
    p_values = [kruskal_wallis(rng.choice([0.5, 0.8, 1.0], 80), member, rng).p_value for _ in range(300)]
    # 5 % +- 3 standard errors of sqrt(0.05 * 0.95 / 300) = 0.0126
    assert 0.012 < np.mean(np.array(p_values) < 0.05) < 0.088


def test_kruskal_wallis_finds_a_category_that_wavers() -> None:
    values = np.array([0.5] * 10 + [1.0] * 40)
    member = np.column_stack([np.arange(50) < 12, np.arange(50) % 2 == 0])
    assert kruskal_wallis(values, member, generator()).p_value == 1 / 10_000  # none of the draws comes near


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
