"""Intervals of estimated means that have limits, and of their differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from refusal_stability.measures.adaptive.estimate_intervals import (
    Estimate,
    Uncertain,
    interval,
    interval_of_difference,
)

SHARE, VARIANCE = st.floats(0, 1), st.floats(0, 0.05)
SIZE = st.integers(2, 1000)


def of_values(values: np.ndarray, of_predictions: float = 0.0) -> Uncertain:
    n = len(values)
    return Uncertain(float(values.mean()), float(values.var(ddof=1)) / n, of_predictions, n - 1.0, n)


@pytest.mark.parametrize(("events", "n"), [(12, 50), (1, 84), (40, 50), (3, 5)])
def test_a_share_of_full_grids_has_jeffreys_interval(events: int, n: int) -> None:
    found = interval(of_values(np.arange(n) < events), 0.95, 0.0, 1.0)
    assert found.value == pytest.approx(events / n)
    assert found.low == pytest.approx(beta.ppf(0.025, events + 0.5, n - events + 0.5))
    assert found.high == pytest.approx(beta.ppf(0.975, events + 0.5, n - events + 0.5))


def test_what_never_happened_is_not_excluded() -> None:
    # 84 prompts without an event: 0 to the upper end of Jeffreys' interval, 2.93 %
    found = interval(Uncertain(0.0, 0.0, 0.0, 83.0, 84), 0.95, 0.0, 100.0)
    assert (found.value, found.low) == (0.0, 0.0)
    assert found.high == pytest.approx(100 * beta.isf(0.025, 0.5, 84.5))
    always = interval(Uncertain(1.0, 0.0, 0.0, 83.0, 84), 0.95, 1 / 3, 1.0)
    assert (always.value, always.high) == (1.0, 1.0)
    assert always.low == pytest.approx(1 - 2 / 3 * found.high / 100)


def test_the_variance_of_predictions_is_added_by_hand() -> None:
    # 10 of 100 prompts; half a prompt at each limit makes 10.5 of 101
    mean = 10.5 / 101
    variance = mean * (1 - mean) / 102 + 0.0025
    size = mean * (1 - mean) / variance - 1
    found = interval(Uncertain(0.1, 0.1 * 0.9 / 99, 0.0025, 50.0, 100), 0.95, 0.0, 1.0)
    assert found.low == pytest.approx(beta.ppf(0.025, mean * size, (1 - mean) * size))
    assert found.high == pytest.approx(beta.ppf(0.975, mean * size, (1 - mean) * size))
    # more than any share can vary: nothing is excluded
    found = interval(Uncertain(0.4, 0.01, 1.0, 9.0, 10), 0.95, 0.0, 1.0)
    assert found.ends == pytest.approx((0.4, 0.0, 1.0), abs=1e-6)
    assert all(map(math.isnan, interval(Uncertain(math.nan, math.nan, math.nan, 1.0, 1), 0.95, 0, 1).ends))


def test_it_is_close_to_the_bayesian_bootstrap_that_it_stands_for() -> None:
    rng = np.random.default_rng(0)
    values = 1 - 0.65 * rng.random(84) ** 4 * (rng.random(84) < 0.6)  # skewed, as SSI is
    weights = rng.dirichlet([1.0] * 84 + [0.5, 0.5], size=40_000)
    drawn = weights @ np.append(values, [1 / 3, 1.0])
    found = interval(of_values(values), 0.95, 1 / 3, 1.0)
    ends = np.quantile(drawn, [0.025, 0.975])
    assert (found.low, found.high) == pytest.approx(tuple(ends), abs=0.05 * (ends[1] - ends[0]))
    # a t interval would be symmetric
    assert found.value - found.low > 1.15 * (found.high - found.value)


@given(SHARE, VARIANCE, VARIANCE, SIZE, st.floats(-5, 5), st.floats(0.1, 100))
def test_an_interval_keeps_to_the_range_and_moves_with_it(
    share: float, prompts: float, predictions: float, n: int, low: float, span: float
) -> None:
    one = interval(Uncertain(share, prompts, predictions, n - 1.0, n), 0.95, 0.0, 1.0)
    assert 0 <= one.low <= one.value <= one.high <= 1
    wide = Uncertain(low + span * share, prompts * span**2, predictions * span**2, n - 1.0, n)
    moved = interval(wide, 0.95, low, low + span)
    assert moved.ends == pytest.approx([low + span * end for end in one.ends], abs=1e-6 * span + 1e-9)


@given(SHARE, VARIANCE, VARIANCE, SIZE)
def test_an_interval_of_the_opposite_share_is_the_mirror_image(
    share: float, prompts: float, predictions: float, n: int
) -> None:
    one, other = (
        interval(Uncertain(value, prompts, predictions, n - 1.0, n), 0.95, 0.0, 1.0) for value in (share, 1 - share)
    )
    assert (1 - other.high, 1 - other.low) == pytest.approx((one.low, one.high), abs=1e-6)


def test_a_difference_of_independent_shares_as_published() -> None:
    # Newcombe (1998), 56 of 70 against 48 of 80, from Wilson's intervals: 0.0524 to 0.3339
    second = (Uncertain(0.8, 0.8 * 0.2 / 70, 0.0, 69.0, 70), Estimate(0.8, 0.6918, 0.8769))
    first = (Uncertain(0.6, 0.6 * 0.4 / 80, 0.0, 79.0, 80), Estimate(0.6, 0.4904, 0.7003))
    apart = Uncertain(0.2, second[0].variance + first[0].variance, 0.0, 140.0, 150)
    found = interval_of_difference(apart, second, first)
    assert found.ends == pytest.approx((0.2, 0.0524, 0.3339), abs=2e-4)


@given(st.floats(-1, 1), st.floats(0, 1), st.floats(0, 1))
def test_a_difference_with_symmetric_arms_has_the_paired_standard_error(
    shared: float, one: float, other: float
) -> None:
    sides = [
        (Uncertain(0.5, error**2, 0.0, 99.0, 100), Estimate(0.5, 0.5 - 2 * error, 0.5 + 2 * error))
        for error in (one, other)
    ]
    variance = max(one**2 + other**2 - 2 * shared * one * other, 0.0)
    found = interval_of_difference(Uncertain(0.0, variance, 0.0, 99.0, 100), sides[0], sides[1])
    assert found.ends == pytest.approx((0.0, -2 * math.sqrt(variance), 2 * math.sqrt(variance)), abs=1e-6)


def test_a_difference_turns_round_with_its_sides() -> None:
    sides = [
        (Uncertain(0.9, 0.001, 0.001, 99.0, 100), Estimate(0.9, 0.78, 0.95)),
        (Uncertain(0.7, 0.002, 0.001, 99.0, 100), Estimate(0.7, 0.60, 0.79)),
    ]
    apart = Uncertain(0.2, 0.003, 0.0, 99.0, 100)
    found = interval_of_difference(apart, sides[0], sides[1])
    back = interval_of_difference(Uncertain(-0.2, 0.003, 0.0, 99.0, 100), sides[1], sides[0])
    assert (-back.value, -back.high, -back.low) == pytest.approx(found.ends)
    # correlation (0.002 + 0.003 - 0.003) / (2 sqrt(6e-6)) = 0.408
    shared = 0.002 / (2 * math.sqrt(0.002 * 0.003))
    assert found.low == pytest.approx(0.2 - math.sqrt(0.12**2 + 0.09**2 - 2 * shared * 0.12 * 0.09))
    assert found.high == pytest.approx(0.2 + math.sqrt(0.05**2 + 0.10**2 - 2 * shared * 0.05 * 0.10))
