"""Agreement between judges, by hand and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics

from refusal_stability.measures import agreement

# 10 responses: 4 both REFUSE, 2 both COMPLY, 1 both PARTIAL, 2 REFUSE against COMPLY, 1 PARTIAL against REFUSE
MATRIX = np.array([[4, 0, 2], [1, 1, 0], [0, 0, 2]])

decisions = st.lists(st.tuples(st.integers(-1, 2), st.integers(-1, 2)), min_size=1, max_size=40)


def test_agreement_and_kappa_by_hand() -> None:
    # agreement 7/10; chance (6 * 5 + 2 * 1 + 2 * 4) / 100 = 0.40; kappa (0.7 - 0.4) / 0.6 = 0.5
    assert agreement.raw_agreement(MATRIX) == 0.7
    assert agreement.cohens_kappa(MATRIX) == pytest.approx(0.5)


def test_precision_recall_and_f1_by_hand() -> None:
    precision, recall, f1 = agreement.precision_recall_f1(MATRIX)
    np.testing.assert_allclose(precision, [4 / 6, 1 / 2, 2 / 2, (4 / 6 + 1 / 2 + 1) / 3])
    np.testing.assert_allclose(recall, [4 / 5, 1 / 1, 2 / 4, (4 / 5 + 1 + 1 / 2) / 3])
    np.testing.assert_allclose(f1[:3], [8 / 11, 2 / 3, 4 / 6])
    assert f1[3] == pytest.approx((8 / 11 + 2 / 3 + 4 / 6) / 3)


@given(decisions)
def test_everything_is_scikit_learns(rows: list[tuple[int, int]]) -> None:
    first, second = (np.array(column, dtype=np.int8) for column in zip(*rows, strict=True))
    matrix = agreement.confusion(first, second)
    both = (first >= 0) & (second >= 0)
    if not both.any():
        assert np.isnan(agreement.raw_agreement(matrix))
        assert np.isnan(agreement.cohens_kappa(matrix))
        return
    a, b = first[both], second[both]
    np.testing.assert_array_equal(matrix, metrics.confusion_matrix(a, b, labels=[0, 1, 2]))
    assert agreement.raw_agreement(matrix) == pytest.approx(metrics.accuracy_score(b, a))
    if len(set(a) | set(b)) > 1:
        assert agreement.cohens_kappa(matrix) == pytest.approx(metrics.cohen_kappa_score(a, b))
    else:
        assert np.isnan(agreement.cohens_kappa(matrix))
    used = sorted(set(a) | set(b))
    peer = metrics.precision_recall_fscore_support(b, a, labels=used, zero_division=0)
    precision, recall, f1 = agreement.precision_recall_f1(matrix)
    np.testing.assert_allclose(np.nan_to_num(precision[used]), peer[0])
    np.testing.assert_allclose(np.nan_to_num(recall[used]), peer[1])
    np.testing.assert_allclose(f1[used], peer[2])
    macro = metrics.precision_recall_fscore_support(b, a, labels=used, average="macro", zero_division=0)
    np.testing.assert_allclose([precision[3], recall[3], f1[3]], macro[:3])


def test_alpha_of_krippendorffs_own_example() -> None:
    # "Computing Krippendorff's Alpha-Reliability" (2011), part C: four observers, twelve units, nominal: 0.743
    blank = 0
    observers = np.array(
        [
            [1, 2, 3, 3, 2, 1, 4, 1, 2, blank, blank, blank],
            [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, blank, 3],
            [blank, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, blank],
            [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, blank],
        ]
    )
    counts = np.stack([(observers == c).sum(axis=0) for c in range(1, 6)], axis=1)
    assert agreement.krippendorff_alpha(agreement.alpha_parts(counts).sum(axis=0)) == pytest.approx(0.743, abs=5e-4)


def test_alpha_by_hand() -> None:
    # Two judges, three units: R R, R C, C C. Coincidences: each of the 3 R and 3 C. D_o = 2 (one unit, two ordered
    # pairs); chance: 6^2 - 3^2 - 3^2 = 18; alpha = 1 - (6 - 1) * 2 / 18 = 4 / 9.
    counts = np.array([[2, 0, 0], [1, 0, 1], [0, 0, 2]])
    assert agreement.krippendorff_alpha(agreement.alpha_parts(counts).sum(axis=0)) == pytest.approx(4 / 9)


def test_a_unit_that_one_judge_decided_says_nothing() -> None:
    counts = np.array([[2, 0, 0], [1, 0, 1], [0, 0, 2]])
    more = np.vstack([counts, [[1, 0, 0], [0, 0, 0]]])
    assert agreement.krippendorff_alpha(agreement.alpha_parts(more).sum(axis=0)) == agreement.krippendorff_alpha(
        agreement.alpha_parts(counts).sum(axis=0)
    )


@pytest.mark.parametrize("counts", [[[2, 0, 0], [3, 0, 0]], [[1, 0, 0]], [[0, 0, 0]]])
def test_alpha_is_undefined_where_nothing_could_disagree(counts: list[list[int]]) -> None:
    assert np.isnan(agreement.krippendorff_alpha(agreement.alpha_parts(np.array(counts)).sum(axis=0)))


@given(
    hnp.arrays(np.int64, st.tuples(st.integers(1, 20), st.just(3)), elements=st.integers(0, 4)),
    st.permutations([0, 1, 2]),
)
def test_renaming_decisions_changes_no_agreement(counts: np.ndarray, order: list[int]) -> None:
    own, renamed = (
        agreement.krippendorff_alpha(agreement.alpha_parts(c).sum(axis=0)) for c in (counts, counts[:, order])
    )
    np.testing.assert_allclose(renamed, own)
    np.testing.assert_allclose(agreement.cohens_kappa(MATRIX[np.ix_(order, order)]), agreement.cohens_kappa(MATRIX))


def test_resampling_the_confusion_matrix_is_resampling_the_responses() -> None:
    rng = np.random.default_rng(0)
    drawn = agreement.resampled_confusions(MATRIX * 10, 20_000, rng)
    assert (drawn.sum(axis=(1, 2)) == 100).all()
    # the share of agreement has standard error sqrt(0.7 * 0.3 / 100)
    assert agreement.raw_agreement(drawn).mean() == pytest.approx(0.7, abs=2e-3)
    assert agreement.raw_agreement(drawn).std() == pytest.approx(np.sqrt(0.21 / 100), rel=0.03)


def test_resampled_alpha_lies_around_alpha() -> None:
    counts, weights = np.array([[2, 0, 0], [1, 0, 1], [0, 0, 2]]), np.array([40, 10, 50])
    own = agreement.krippendorff_alpha(weights @ agreement.alpha_parts(counts))
    drawn = agreement.resampled_alpha(counts, weights, 5000, np.random.default_rng(1))
    assert drawn.shape == (5000, 1)
    assert np.mean(drawn) == pytest.approx(own, abs=0.01)
    assert np.quantile(drawn, 0.025) < own < np.quantile(drawn, 0.975)
