import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from refusal_stability.judging.trained.calibration import (
    brier_score,
    expected_calibration_error,
    fit_temperature,
    softmax,
)


def test_softmax_of_equal_logits_is_even_and_a_shift_changes_nothing():
    assert softmax(np.array([[1.0, 1.0, 1.0, 1.0]])).tolist() == [[0.25] * 4]
    assert np.allclose(softmax(np.array([[1.0, 2.0]])), softmax(np.array([[1001.0, 1002.0]])))


def test_brier_score_by_hand():
    # Row 1: truth 0, p = (.8, .1, .1): .2^2 + .1^2 + .1^2 = .06.  Row 2: truth 2, p = (.5, .5, 0): .25 + .25 + 1 = 1.5.
    chances = np.array([[0.8, 0.1, 0.1], [0.5, 0.5, 0.0]])
    assert brier_score(chances, np.array([0, 2])) == pytest.approx((0.06 + 1.5) / 2)


def test_calibration_error_by_hand():
    # Tops .65, .65 (bin 7), .95, .95 (bin 10). Right: 1 of 2 in bin 7 and 2 of 2 in bin 10.
    # |.5 - .65| * 2/4 + |1 - .95| * 2/4 = .075 + .025 = .1
    chances = np.array([[0.65, 0.35], [0.65, 0.35], [0.95, 0.05], [0.05, 0.95]])
    assert expected_calibration_error(chances, np.array([0, 1, 0, 1])) == pytest.approx(0.1)


def test_a_probability_on_an_edge_belongs_to_the_bin_below():
    # .7 and .65 fall into the same bin (.6, .7]: one right of two against a mean of .675.
    chances = np.array([[0.7, 0.3], [0.65, 0.35]])
    assert expected_calibration_error(chances, np.array([0, 1])) == pytest.approx(0.175)


def test_no_rows_have_no_score():
    assert np.isnan(brier_score(np.zeros((0, 3)), np.zeros(0, int)))
    assert np.isnan(expected_calibration_error(np.zeros((0, 3)), np.zeros(0, int)))


def test_the_temperature_of_overconfident_logits_is_found():
    # 3 of 4 are right. Logits (4, 0) over T say 75 % where 4 / T = log 3, so T = 4 / 1.0986 = 3.641.
    logits = np.array([[4.0, 0.0]] * 4)
    assert fit_temperature(logits, np.array([0, 0, 0, 1])) == pytest.approx(4 / np.log(3), rel=1e-3)


@given(arrays(float, (6, 3), elements=st.floats(-20, 20)), arrays(int, 6, elements=st.integers(0, 2)))
def test_scores_stay_in_their_ranges(logits, truth):
    chances = softmax(logits)
    assert 0 <= brier_score(chances, truth) <= 2
    assert 0 <= expected_calibration_error(chances, truth) <= 1
    assert 0.49 <= fit_temperature(logits, truth) <= 20
