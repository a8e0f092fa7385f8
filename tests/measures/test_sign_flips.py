"""The sign-flip test against hand-worked cases, brute force over all signs, and McNemar's exact test."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from refusal_stability.measures import sign_flips
from refusal_stability.measures.sign_flips import sign_flip_p


def p_of(values: list[float], seed: int = 0) -> float:
    levels, weights = np.unique(np.array(values, dtype=float), return_counts=True)
    return sign_flip_p(levels, weights, np.random.default_rng(seed))


def test_by_hand() -> None:
    assert p_of([0.5, 0.5, 0.5]) == pytest.approx(2 / 8)  # only all + and all - are as far from 0
    assert p_of([0.3, 0.1]) == pytest.approx(2 / 4)  # + + and - -; 0.3 - 0.1 is nearer to 0
    assert p_of([0.2, -0.2]) == pytest.approx(1)
    assert p_of([0.2, 0.2, 0.0, 0.0, 0.0]) == pytest.approx(2 / 4)  # pairs that do not differ change nothing


def test_nothing_that_differs_is_no_evidence_and_no_pair_is_no_test() -> None:
    assert p_of([0.0] * 7) == 1
    assert np.isnan(p_of([]))


@given(st.lists(st.integers(-12, 12), min_size=1, max_size=9))
@settings(max_examples=60, deadline=None)
def test_it_is_the_share_of_all_signs(twelfths: list[int]) -> None:
    sums = [
        abs(sum(sign * value for sign, value in zip(signs, twelfths, strict=True)))
        for signs in product((-1, 1), repeat=len(twelfths))
    ]
    expected = np.mean(np.array(sums) >= abs(sum(twelfths)))
    assert p_of([value / 12 for value in twelfths]) == pytest.approx(expected)


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30))
@settings(deadline=None)
def test_of_differences_of_one_size_it_is_mcnemars_exact_test(more: int, fewer: int, same: int) -> None:
    if more + fewer + same == 0:
        return
    expected = stats.binomtest(more, more + fewer).pvalue if more + fewer else 1.0
    assert p_of([100.0] * more + [-100.0] * fewer + [0.0] * same) == pytest.approx(expected)


def test_drawn_signs_agree_with_scipys_and_never_reach_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    values = rng.normal(0.3, 1, 40)
    drawn = p_of(values.tolist())  # 40 sizes: more sums than are enumerated
    peer = stats.permutation_test(
        (values,), np.sum, permutation_type="samples", n_resamples=9_999, rng=np.random.default_rng(1)
    )
    assert drawn == pytest.approx(peer.pvalue, abs=0.02)
    assert p_of((values + 9).tolist()) == pytest.approx(1 / 10_000)
    few = values[:12].tolist()
    exact = p_of(few)
    monkeypatch.setattr(sign_flips, "EXACT_CELLS", 1)
    assert p_of(few) == pytest.approx(exact, abs=0.02)
