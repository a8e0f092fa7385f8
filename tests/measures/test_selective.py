from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from refusal_stability.measures.selective import (
    at_threshold,
    effective_responses,
    lowest_threshold,
    risk_and_coverage,
    wilson_low,
)

NAN = float("nan")


def curve_of(confidence, right, weights=None, prompts=None):
    weights = np.ones(len(right)) if weights is None else np.array(weights, dtype=float)
    prompts = np.arange(len(right)) if prompts is None else np.array(prompts)
    return risk_and_coverage(np.array(confidence, dtype=float), np.array(right), weights, prompts)


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
    curve = risk_and_coverage(confidence, right, weights, np.arange(len(right)))
    for threshold in (0, 0.2, 0.5, 0.505, 0.9, 1):
        kept, entry = confidence >= threshold, at_threshold(curve, threshold)
        if not kept.any():
            assert entry is None
            continue
        assert curve.coverage[entry] == pytest.approx(weights[kept].sum() / weights.sum())
        assert curve.accuracy[entry] == pytest.approx(np.average(right[kept], weights=weights[kept]))
        assert curve.accuracy_low[entry] <= curve.accuracy[entry]


def test_responses_of_a_prompt_that_err_together_count_as_one():
    # Ten prompts of five responses, three prompts wrong throughout: ten responses' worth. Wrong evenly: more than ten.
    together, evenly = np.repeat(np.arange(10) >= 3, 5), np.tile([True, True, True, True, False], 10)
    prompts = np.repeat(np.arange(10), 5)
    counted = [effective_responses(np.ones(50), right.astype(float), prompts)[-1] for right in (together, evenly)]
    # Together: squares 7 (5 - 3.5)^2 + 3 (0 - 3.5)^2 = 52.5, times 10/9, over 50^2; .7 * .3 / .0233 = 9,
    # and never fewer than the ten prompts. Evenly: each prompt has just the mean, so nothing varies between prompts.
    assert counted == [pytest.approx(10), pytest.approx(50)]
    # Totals 1 and 2 of 2, 0 of 2: deviations 0, 1 and -1 over 6^2, times 3/2; .5 * .5 / (3 / 36) = 3.
    some = effective_responses(np.ones(6), np.array([1.0, 0, 1, 1, 0, 0]), np.repeat(np.arange(3), 2))
    assert some[-1] == pytest.approx(3)
    assert some[1] == pytest.approx(1)  # one prompt, however its responses differ
    assert curve_of([0.9] * 50, together, prompts=prompts).accuracy_low < curve_of([0.9] * 50, together).accuracy_low


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans(), st.integers(1, 4)), min_size=1, max_size=30))
def test_effective_responses_are_those_of_prompts_added_up_one_by_one(rows):
    prompts, right, weights = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    found = effective_responses(weights, weights * right, prompts.astype(int))
    for n in range(1, len(rows) + 1):
        p, r, w = prompts[:n], right[:n], weights[:n]
        by_prompt = np.array([w[p == one].sum() for one in np.unique(p)])
        fewest, most = w.sum() ** 2 / (by_prompt**2).sum(), w.sum() ** 2 / (w**2).sum()
        share = np.average(r, weights=w)
        off = np.array([(w * (r - share))[p == one].sum() for one in np.unique(p)])
        expected = fewest
        if 0 < share < 1 and len(off) > 1:
            variance = max((off**2).sum(), 1e-12) * len(off) / (len(off) - 1) / w.sum() ** 2
            expected = np.clip(share * (1 - share) / variance, fewest, most)
        assert found[n - 1] == pytest.approx(expected, rel=1e-6)
