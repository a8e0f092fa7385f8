"""Bootstrap intervals over prompts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from refusal_stability.measures import intervals
from refusal_stability.measures.distinct import distinct_rows
from refusal_stability.measures.effective_units import (
    effective_units,
    effective_units_of,
    effective_units_of_difference,
    effective_units_of_ratios,
)
from refusal_stability.measures.intervals import (
    bootstrap,
    bootstrap_means,
    percentile_interval,
    resampled_weights,
    tail,
    weighted_means,
    weighted_medians,
)


def test_every_resample_has_as_many_prompts_as_the_study() -> None:
    weights = np.array([5, 1, 3])
    blocks = np.concatenate(list(resampled_weights(weights, 1000, np.random.default_rng(0))))
    assert blocks.shape == (1000, 3)
    assert (blocks.sum(axis=1) == 9).all()


def test_weighted_means_leave_undefined_rows_out() -> None:
    values = np.array([[1.0, np.nan], [3.0, 10.0]])
    # (2 * 1 + 6 * 3) / 8 = 2.5; the second column rests on the second row alone
    np.testing.assert_allclose(weighted_means(values, np.array([2, 6])), [2.5, 10.0])
    assert np.isnan(weighted_means(values, np.array([[2, 0]]))[0, 1])


def test_medians_of_weighted_samples() -> None:
    values = np.array([3.0, 1.0, 2.0])
    weights = np.array([[1.0, 1.0, 1.0], [2.0, 1.0, 1.0], [0.0, 0.0, 0.0]])
    # 1 2 3 -> 2; 1 2 3 3 -> (2 + 3) / 2; nothing -> not defined
    np.testing.assert_allclose(weighted_medians(values, weights)[:, 0], [2.0, 2.5, np.nan])


@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(0, 4)), min_size=1, max_size=8))
def test_weighted_median_is_the_median_of_the_rows_written_out(rows: list[tuple[int, int]]) -> None:
    values, weights = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    written_out = np.repeat(values, weights.astype(int))
    expected = np.median(written_out) if len(written_out) else np.nan
    np.testing.assert_allclose(weighted_medians(values, weights[None, :])[0, 0], expected)


def test_the_interval_is_that_of_resampling_the_prompts_themselves() -> None:
    sample = np.random.default_rng(1).choice([0.5, 0.8, 0.95, 1.0], p=[0.1, 0.1, 0.2, 0.6], size=200)
    distinct = distinct_rows(sample[:, None])
    draws = bootstrap_means(distinct.rows, distinct.weights, 20_000, np.random.default_rng(2))
    low, high = percentile_interval(draws, 0.95)
    peer = stats.bootstrap(
        (sample,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(3)
    ).confidence_interval
    # both ends are known to about 0.0003 from 20,000 resamples
    assert low[0] == pytest.approx(peer.low, abs=1.5e-3)
    assert high[0] == pytest.approx(peer.high, abs=1.5e-3)


def test_the_spread_of_resampled_means_is_the_standard_error() -> None:
    values = np.array([[0.4], [0.9], [1.0]])
    weights = np.array([30, 20, 50])
    draws = bootstrap_means(values, weights, 20_000, np.random.default_rng(4))
    # mean 0.80; variance 0.3 * 0.16 + 0.2 * 0.01 + 0.5 * 0.04 = 0.07; standard error sqrt(0.07 / 100)
    assert draws.mean() == pytest.approx(0.80, abs=1e-3)
    assert draws.std() == pytest.approx(np.sqrt(0.07 / 100), rel=0.03)


def test_the_normal_limit_agrees_with_the_exact_resampling(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    values = np.column_stack([rng.random(400), np.where(rng.random(400) < 0.1, np.nan, rng.random(400))])
    weights = rng.integers(1, 20, 400)
    exact = bootstrap_means(values, weights, 20_000, np.random.default_rng(6))
    monkeypatch.setattr(intervals, "EXACT_ROWS", 10)
    limit = bootstrap_means(values, weights, 20_000, np.random.default_rng(6))
    np.testing.assert_allclose(limit.mean(axis=0), exact.mean(axis=0), atol=5e-4)
    np.testing.assert_allclose(np.cov(limit.T), np.cov(exact.T), rtol=0.08, atol=2e-7)


def test_no_prompts_give_an_undefined_interval() -> None:
    draws = bootstrap(lambda block: block @ np.zeros((0, 1)), np.zeros(0, dtype=np.int64), 10, np.random.default_rng(0))
    assert np.isnan(np.concatenate(percentile_interval(draws, 0.95))).all()


def test_one_prompt_gives_its_own_value_as_both_bounds() -> None:
    draws = bootstrap_means(np.array([[0.7]]), np.array([1]), 100, np.random.default_rng(0))
    assert np.concatenate(percentile_interval(draws, 0.95)).tolist() == [0.7, 0.7]


def test_undefined_draws_are_left_out_of_the_interval() -> None:
    draws = np.array([[np.nan, np.nan], [1.0, np.nan], [2.0, np.nan], [3.0, np.nan]])
    low, high = percentile_interval(draws, 0.5)
    # quartiles of 1, 2, 3
    assert (low[0], high[0]) == (1.5, 2.5)
    assert np.isnan([low[1], high[1]]).all()


@given(st.integers(0, 2**32), st.floats(0.5, 0.99))
def test_a_wider_confidence_gives_a_wider_interval_around_the_mean(seed: int, confidence: float) -> None:
    values, weights = np.array([[0.3], [0.9], [1.0]]), np.array([10, 20, 30])
    draws = bootstrap_means(values, weights, 400, np.random.default_rng(seed))
    narrow, wide = (percentile_interval(draws, level) for level in (confidence, (1 + confidence) / 2))
    assert wide[0] <= narrow[0] <= narrow[1] <= wide[1]
    assert 0.3 <= wide[0] <= wide[1] <= 1.0


def test_the_expanded_tail_by_hand() -> None:
    # 84 units: t with 83 degrees of freedom leaves 2.5 % beyond 1.98896; times sqrt(84 / 83) = 1.00601 is 2.00091,
    # beyond which a normal leaves 2.270 %
    assert tail(0.95, 84) == pytest.approx(0.02270, abs=5e-6)
    assert tail(0.95, np.inf) == pytest.approx(0.025)
    assert (tail(0.95, 1), tail(0.95, 0)) == (0, 0)


def test_the_expanded_interval_of_few_units_is_the_t_interval_where_draws_are_normal() -> None:
    # Ten units with standard deviation 1 (divisor n): resampled means have standard error sqrt(1 / 10), a t interval
    # 2.26216 * sqrt(10 / 9) * sqrt(1 / 10) = 0.75405 on either side.
    draws = stats.norm.ppf((np.arange(200_000) + 0.5) / 200_000)[:, None] / np.sqrt(10)
    low, high = percentile_interval(draws, 0.95, 10)
    assert high[0] == pytest.approx(0.75405, abs=2e-4)
    assert low[0] == pytest.approx(-0.75405, abs=2e-4)


@given(st.integers(2, 5_000), st.floats(0.5, 0.99))
def test_fewer_units_never_give_a_narrower_interval(n: int, confidence: float) -> None:
    assert 0 <= tail(confidence, n) < tail(confidence, n + 1) < tail(confidence, np.inf)


def test_two_units_give_the_range_of_the_draws() -> None:
    draws = np.array([[0.0], [0.5], [1.0]])
    np.testing.assert_allclose(np.concatenate(percentile_interval(draws, 0.95, 2)), [0, 1], atol=1e-12)


def test_a_handful_of_events_counts_as_about_twice_that_handful() -> None:
    # 3 of 300 prompts: share p = 0.01, variance pq = 0.0099, fourth moment pq (1 - 3 pq) = 0.0099 * 0.9703, so that
    # kurtosis = 0.9703 / 0.0099 = 98.0101 and 1 + 2 * 300 / 97.0101 = 7.1849
    units = effective_units(np.array([[100.0], [0.0]]), np.array([3, 297]))
    assert units[0] == pytest.approx(7.1849, abs=1e-4)


def test_effective_units_of_normal_and_even_values_are_all_of_them_and_constant_ones_too() -> None:
    normal = stats.norm.ppf((np.arange(1000) + 0.5) / 1000)
    values = np.column_stack([normal, np.arange(1000) % 2, np.full(1000, 0.7), np.where(normal > 0, normal, np.nan)])
    units = effective_units(values, np.ones(1000, dtype=np.int64))
    assert units[:3].tolist() == [1000, 1000, 1000]  # kurtosis 3 (a little less, in a sample), 1, undefined
    assert units[3] == pytest.approx(1 + 2 * 500 / (stats.kurtosis(normal[500:], fisher=False) - 1))


def test_no_rows_are_no_effective_units() -> None:
    assert effective_units(np.zeros((0, 2)), np.zeros(0, dtype=np.int64)).tolist() == [0, 0]


def test_effective_units_of_a_mean_are_those_of_the_ratio_of_its_sum_to_its_count() -> None:
    values, weights = np.array([[0.4], [0.9], [1.0]]), np.array([2, 5, 90])
    ratio = effective_units_of_ratios(values, np.ones((3, 1)), weights)
    np.testing.assert_allclose(ratio, effective_units(values, weights))
    # units without a bottom are no units of the ratio
    more = effective_units_of_ratios(
        np.vstack([values, [[0.0]]]), np.array([[1.0]] * 3 + [[0.0]]), np.array([*weights, 50])
    )
    np.testing.assert_allclose(more, ratio)


def test_effective_units_of_a_difference_are_welchs_and_never_more_than_a_group_without_spread() -> None:
    values = np.array([0.0, 1.0])
    # two groups of 10 with equal variances, kurtosis 1 each: 9 + 9 degrees of freedom, and one
    assert effective_units_of_difference(values, np.array([5, 5]), np.array([5, 5])) == pytest.approx(19)
    # 10 and 40 units: variances of the means 1/40 and 1/160: (5/160)^2 / ((4/160)^2 / 9 + (1/160)^2 / 39) = 25 / 1.8034
    assert effective_units_of_difference(values, np.array([5, 5]), np.array([20, 20])) == pytest.approx(
        14.863, abs=1e-3
    )
    assert effective_units_of_difference(values, np.array([0, 3]), np.array([20, 20])) == 3
    assert effective_units_of_difference(values, np.array([0, 1]), np.array([20, 20])) == 1


@pytest.mark.parametrize("block", [intervals.BLOCK_CELLS, 4])
def test_effective_units_of_a_statistic_rest_on_each_units_influence(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intervals, "BLOCK_CELLS", block)
    values, weights = np.array([[0.4, 1.0], [0.9, 0.0], [1.0, 3.0]]), np.array([2, 5, 90])
    means = effective_units_of(lambda block: weighted_means(values, block), weights)
    np.testing.assert_allclose(means, effective_units(values, weights), rtol=1e-4)
    ratio = effective_units_of(lambda block: (block @ values[:, :1]) / (block @ values[:, 1:]), weights)
    np.testing.assert_allclose(
        ratio, effective_units_of_ratios(values[:, :1], values[:, 1:] + 1e-300, weights), rtol=1e-3
    )


def test_each_column_has_the_tails_of_its_own_units() -> None:
    draws = np.random.default_rng(0).standard_normal((4000, 3))
    draws[::7, 2] = np.nan
    together = percentile_interval(draws, 0.95, np.array([5.0, np.inf, 30.0]))
    for i, n in enumerate((5.0, np.inf, 30.0)):
        alone = percentile_interval(draws[:, [i]], 0.95, n)
        assert (together[0][i], together[1][i]) == (alone[0][0], alone[1][0])


@given(
    st.lists(st.one_of(st.floats(-1e6, 1e6), st.just(float("nan"))), min_size=2, max_size=40),
    st.floats(0.5, 0.99),
    st.one_of(st.just(float("inf")), st.floats(2, 500)),
)
def test_the_bounds_are_numpys_quantiles_to_the_last_bit(draws: list[float], confidence: float, units: float) -> None:
    low, high = intervals.percentile_interval(np.array(draws)[:, None], confidence, units)
    known = np.array(draws)[~np.isnan(draws)]
    if not len(known):
        assert np.isnan([low[0], high[0]]).all()
        return
    each = intervals.tail(confidence, units)
    assert [low[0], high[0]] == np.quantile(known, [each, 1 - each]).tolist()


@given(st.floats(0.5, 0.999), st.floats(2, 1e6))
def test_the_tail_is_that_of_scipys_distributions(confidence: float, units: float) -> None:
    reach = np.sqrt(units / (units - 1)) * stats.t.isf((1 - confidence) / 2, units - 1)
    assert intervals.tail(confidence, units) == stats.norm.sf(reach)


def test_draws_of_no_number_of_units_have_no_interval() -> None:
    low, high = intervals.percentile_interval(np.arange(20.0)[:, None], 0.95, np.array([np.nan]))
    assert np.isnan([low, high]).all()
