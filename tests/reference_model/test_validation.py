"""The validation formulas against hand calculations and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refusal_stability.records import StudyError
from refusal_stability.reference_model.validation import (
    ValidationResult,
    against_planted,
    expected_ssi,
    expected_total_variation,
    total_variation,
    validation_page,
)


def test_total_variation_by_hand() -> None:
    # Measured 6/10, 3/10, 1/10 beside 0.5, 0.5, 0: (0.1 + 0.2 + 0.1) / 2 = 0.2
    found = total_variation(np.array([[6, 3, 1], [0, 0, 4]]), np.array([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]]))
    assert found == pytest.approx([0.2, 1.0])


def test_expected_ssi_by_hand() -> None:
    # n = 2, shares 1/2, 1/2, 0: both alike with chance 1/2 (share 1), else 1/2: 0.75. n = 2, thirds: alike with chance
    # 1/3: 1/3 + 2/3 * 1/2 = 2/3. A certain decision: 1. n = 1: always 1.
    shares = np.array([[0.5, 0.5, 0], [1 / 3, 1 / 3, 1 / 3], [0, 1, 0], [0.2, 0.3, 0.5]])
    assert expected_ssi(shares, np.array([2, 2, 7, 1])) == pytest.approx([0.75, 2 / 3, 1.0, 1.0])


def test_expected_total_variation_by_hand() -> None:
    # n = 1, shares 1/2, 1/2, 0: always |1 - 1/2| and |0 - 1/2|, half their sum is 1/2. n = 2: the shares are exact
    # with chance 1/2, else off by 1/2: 1/4. A certain decision is never off.
    shares = np.array([[0.5, 0.5, 0], [0.5, 0.5, 0], [0, 0, 1]])
    assert expected_total_variation(shares, np.array([1, 2, 9])) == pytest.approx([0.5, 0.25, 0.0])


@pytest.mark.parametrize("shares", [[0.5, 0.2, 0.3], [0.9, 0.05, 0.05], [0.35, 0.35, 0.3]])
def test_both_expectations_agree_with_simulation(shares: list[float]) -> None:
    n, draws = 37, 40_000
    rows = np.array([shares])
    counts = np.random.default_rng(3).multinomial(n, shares, size=draws)
    simulated = total_variation(counts, np.repeat(rows, draws, axis=0))
    assert expected_total_variation(rows, np.array([n]))[0] == pytest.approx(simulated.mean(), abs=0.002)
    assert expected_ssi(rows, np.array([n]))[0] == pytest.approx((counts.max(axis=1) / n).mean(), abs=0.002)


@settings(deadline=None)
@given(
    st.tuples(*[st.integers(0, 20)] * 3).filter(lambda row: sum(row) > 0),
    st.tuples(*[st.integers(0, 20)] * 3).filter(lambda row: sum(row) > 0),
    st.integers(1, 30),
)
def test_bounds_and_symmetry(counts: tuple[int, ...], planted: tuple[int, ...], n: int) -> None:
    shares = np.array([planted]) / sum(planted)
    distance = total_variation(np.array([counts]), shares)[0]
    assert -1e-12 <= distance <= 1 + 1e-12
    assert total_variation(np.array([planted]), shares)[0] == pytest.approx(0, abs=1e-12)
    ssi = expected_ssi(shares, np.array([n]))[0]
    # The mean of a maximum is at least the maximum of the means.
    assert shares.max() - 1e-9 <= ssi <= 1 + 1e-9
    assert expected_ssi(shares[:, ::-1], np.array([n]))[0] == pytest.approx(ssi)
    assert 0 <= expected_total_variation(shares, np.array([n]))[0] <= 1


def test_a_result_counts_unlabelled_responses_and_expects_as_many_draws_as_there_are_labels() -> None:
    # Prompt 1: 2 of 2 labelled, one each; prompt 2: 1 of 2. Unlabelled 1/4. Total variation (0 + 1/2) / 2. Floor: n = 2
    # 1/4, n = 1 1/2. Expected SSI: 3/4 and 1; measured 1/2 and 1.
    shares = np.array([[0.5, 0.5, 0], [0.5, 0.5, 0]])
    found = against_planted("m", "judge", np.array([[1, 1, 0], [1, 0, 0]]), shares, responses=4)
    assert found == ValidationResult("m", "judge", 4, 0.25, 0, 0.25, 0.375, 0.875, 0.75)
    assert not found.passed


def test_a_prompt_without_a_label_is_in_no_mean_and_fails_the_validation() -> None:
    shares = np.array([[1.0, 0, 0], [0, 1.0, 0]])
    found = against_planted("m", "judge", np.array([[2, 0, 0], [0, 0, 0]]), shares, responses=4)
    assert found == ValidationResult("m", "judge", 4, 0.5, 1, 0.0, 0.0, 1.0, 1.0)
    assert not found.passed
    with pytest.raises(StudyError, match="m: judge labels none"):
        against_planted("m", "judge", np.zeros((2, 3), dtype=int), shares, responses=4)


@pytest.mark.parametrize(
    ("variation", "measured", "passed"), [(0.10, 0.84, True), (0.101, 0.80, False), (0.05, 0.85, False)]
)
def test_a_result_passes_up_to_both_limits(variation: float, measured: float, passed: bool) -> None:
    result = ValidationResult("m", "grammar", 84, 0.0, 0, variation, 0.01, 0.80, measured)
    assert result.passed is passed
    assert ("| passed |" in validation_page([result], 200)) is passed
