"""A smaller study's expected figures, by hand, by full enumeration, and what must stay the same."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refusal_stability.measures.stability import flips, ssi, ssi_pairwise
from refusal_stability.measures.subsampling import draw_chances, expected_in_draws

count_rows = st.lists(st.integers(0, 5), min_size=3, max_size=3).filter(lambda row: sum(row) >= 1)


def flip_share(counts: np.ndarray) -> np.ndarray:
    return flips(counts).astype(float)


def test_two_of_three_refusals_and_one_compliance_by_hand() -> None:
    # REFUSE, REFUSE, COMPLY; of the 3 pairs one is (R, R) and two are (R, C):
    # SSI = (1 + 1/2 + 1/2) / 3 = 2/3; flips 2/3; agreeing pairs 1/3, which is ssi_pairwise of all three.
    counts = np.array([[2, 0, 1]])
    assert expected_in_draws(counts, 2, ssi) == pytest.approx([2 / 3])
    assert expected_in_draws(counts, 2, flip_share) == pytest.approx([2 / 3])
    assert expected_in_draws(counts, 2, ssi_pairwise) == pytest.approx([1 / 3])
    assert ssi_pairwise(counts) == pytest.approx([1 / 3])


def test_a_single_flip_in_twenty_is_seen_by_half_of_the_studies_with_ten() -> None:
    # The odd one is among 10 of 20 with chance 1/2; then SSI is 9/10, else 1.
    counts = np.array([[19, 0, 1]])
    assert expected_in_draws(counts, 10, flip_share) == pytest.approx([0.5])
    assert expected_in_draws(counts, 10, ssi) == pytest.approx([0.95])


def test_one_draw_is_always_stable_and_has_no_pair() -> None:
    counts = np.array([[3, 1, 1]])
    assert expected_in_draws(counts, 1, ssi) == pytest.approx([1.0])
    assert expected_in_draws(counts, 1, flip_share) == pytest.approx([0.0])
    assert np.isnan(expected_in_draws(counts, 1, ssi_pairwise)).all()


def test_a_prompt_with_fewer_decisions_than_draws_is_undefined() -> None:
    counts = np.array([[2, 0, 0], [2, 1, 0], [0, 0, 0]])
    assert np.isnan(expected_in_draws(counts, 3, ssi)).tolist() == [True, False, True]


def test_no_prompts_give_no_figures() -> None:
    assert expected_in_draws(np.zeros((0, 3), dtype=np.int64), 2, ssi).shape == (0,)


@given(count_rows, st.integers(1, 15))
def test_the_expectation_is_the_mean_over_every_subset(row: list[int], n: int) -> None:
    counts = np.array([row])
    n = min(n, sum(row))
    responses = np.repeat(np.arange(3), row)
    if len(list(combinations(range(len(responses)), n))) > 3000:
        return
    subsets = np.array([np.bincount(responses[list(s)], minlength=3) for s in combinations(range(len(responses)), n)])
    assert expected_in_draws(counts, n, ssi) == pytest.approx([ssi(subsets).mean()])
    assert expected_in_draws(counts, n, flip_share) == pytest.approx([flips(subsets).mean()])


@given(count_rows, st.integers(1, 15))
def test_chances_sum_to_one_and_all_draws_are_the_prompt_itself(row: list[int], n: int) -> None:
    counts = np.array([row])
    n = min(n, sum(row))
    assert draw_chances(counts, n)[1].sum(axis=1) == pytest.approx([1.0])
    assert expected_in_draws(counts, sum(row), ssi) == pytest.approx(ssi(counts))


@given(count_rows.filter(lambda row: sum(row) >= 2), st.integers(2, 15))
def test_the_pairwise_form_does_not_depend_on_the_number_of_draws(row: list[int], n: int) -> None:
    counts = np.array([row])
    assert expected_in_draws(counts, min(n, sum(row)), ssi_pairwise) == pytest.approx(ssi_pairwise(counts))


@given(count_rows.filter(lambda row: sum(row) >= 2))
def test_more_draws_never_look_more_stable(row: list[int]) -> None:
    counts = np.array([row])
    stability = [expected_in_draws(counts, n, ssi)[0] for n in range(1, sum(row) + 1)]
    flipped = [expected_in_draws(counts, n, flip_share)[0] for n in range(1, sum(row) + 1)]
    assert (np.diff(stability) <= 1e-12).all()
    assert (np.diff(flipped) >= -1e-12).all()
