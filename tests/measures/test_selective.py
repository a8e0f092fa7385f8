from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from refusal_stability.measures.selective import at_threshold, lowest_threshold, risk_and_coverage, wilson_low

NAN = float("nan")


def curve_of(confidence, right, weights=None):
    weights = np.ones(len(right)) if weights is None else np.array(weights, dtype=float)
    return risk_and_coverage(np.array(confidence, dtype=float), np.array(right), weights)


def test_risk_and_coverage_by_hand():
    # By confidence: .9 right, .8 right and wrong together, .5 wrong; one response is never decided.
    curve = curve_of([0.8, 0.5, 0.9, NAN, 0.8], [1, 0, 1, 1, 0])
    assert curve.threshold.tolist() == [0.9, 0.8, 0.5]
    assert curve.coverage.tolist() == [1 / 5, 3 / 5, 4 / 5]
    assert curve.accuracy.tolist() == pytest.approx([1, 2 / 3, 1 / 2])


def test_a_weight_stands_for_as_many_responses():
    curve = curve_of([0.9, 0.8], [1, 0], [3, 1])
    assert curve.coverage.tolist() == [0.75, 1]
    assert curve.accuracy.tolist() == [1, 0.75]


def test_the_lower_bound_is_wilsons():
    expected = [proportion_confint(k, 40, alpha=0.1, method="wilson")[0] for k in (0, 30, 40)]
    found = wilson_low(np.array([0, 30, 40]) / 40, np.full(3, 40.0), 0.95)
    assert found == pytest.approx(expected)


def test_unequal_weights_leave_less_certainty():
    even, uneven = (curve_of([0.9] * 4, [1, 1, 1, 0], w).accuracy_low[0] for w in ([1, 1, 1, 1], [1, 1, 4, 2]))
    assert uneven < even


def test_the_lowest_threshold_is_the_one_that_decides_most():
    confidence = np.linspace(1, 0.5, 400)
    right = np.arange(400) < 380
    curve = curve_of(confidence, right)
    entry = lowest_threshold(curve, 0.95)
    assert curve.accuracy_low[entry] >= 0.95
    assert (curve.accuracy_low[entry + 1 :] < 0.95).all()
    assert lowest_threshold(curve, 0.9999) is None
    assert lowest_threshold(curve_of([NAN], [1]), 0.5) is None


@given(st.lists(st.tuples(st.sampled_from([0.2, 0.5, 0.51, 0.9, NAN]), st.booleans(), st.integers(1, 5)), max_size=30))
def test_every_entry_is_what_a_threshold_leaves(rows):
    confidence, right, weights = (
        (np.array(column, dtype=float) for column in zip(*rows, strict=True)) if rows else [np.zeros(0)] * 3
    )
    curve = risk_and_coverage(confidence, right, weights)
    for threshold in (0, 0.2, 0.5, 0.505, 0.9, 1):
        kept, entry = confidence >= threshold, at_threshold(curve, threshold)
        if not kept.any():
            assert entry is None
            continue
        assert curve.coverage[entry] == pytest.approx(weights[kept].sum() / weights.sum())
        assert curve.accuracy[entry] == pytest.approx(np.average(right[kept], weights=weights[kept]))
        assert curve.accuracy_low[entry] <= curve.accuracy[entry]
