"""Agreement between judges, by hand and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics

from refusal_stability.measures import agreement
from refusal_stability.measures.decision_arrays import DecisionArrays, Group
from refusal_stability.measures.estimates import Resampling
from refusal_stability.measures.tables.judges import agreements
from refusal_stability.measures.tables.settings import Settings

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
    matrix = agreement.confusion(first, second).sum(axis=0)
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


def test_a_confusion_matrix_of_each_prompt() -> None:
    first = np.array([[[0, 1], [2, -1]], [[0, 0], [0, 0]], [[-1, -1], [-1, 2]]], dtype=np.int8)
    second = np.array([[[0, 2], [2, 0]], [[0, 1], [0, 0]], [[1, 1], [1, -1]]], dtype=np.int8)
    found = agreement.confusion(first, second)
    assert found.tolist() == [
        [[1, 0, 0], [0, 0, 1], [0, 0, 1]],
        [[3, 1, 0], [0, 0, 0], [0, 0, 0]],
        [[0, 0, 0], [0, 0, 0], [0, 0, 0]],
    ]


def judged_twice(rng: np.random.Generator, n: int) -> np.ndarray:
    """Two judges' decisions (2, n, 1, 8) on planted prompts that they both err on more or less often."""
    share, error = rng.beta(0.6, 0.4, n), rng.beta(0.6, 2.4, n)
    first = rng.random((n, 8)) < share[:, None]
    return 2 * np.stack([first, first ^ (rng.random((n, 8)) < error[:, None])]).astype(np.int8)[:, :, None]


def agreement_rows(first: np.ndarray, second: np.ndarray, seed: int = 0) -> dict[str, float]:
    resampling = Resampling(400, 0.95, lambda *_: np.random.default_rng(seed))
    group = Group("m", "none", {"a": first[..., None], "b": second[..., None]}, "a", None)
    ids = np.array([f"p{i}" for i in range(len(first))], dtype=object)
    study = DecisionArrays(ids, np.full(len(first), "", dtype=object), (0.0,), tuple(range(8)), (group,), {})
    (row,) = agreements(study, Settings(0.8, (0.8,), resampling))["judge_agreement"]
    return row


def test_kappas_interval_covers_other_prompts_and_one_over_responses_would_not() -> None:
    rng = np.random.default_rng(5)
    a, b = judged_twice(rng, 100_000)
    truth = float(agreement.cohens_kappa(agreement.confusion(a, b).sum(axis=0)))
    covered, widths, plain = [], [], []
    for study in range(300):
        row = agreement_rows(*judged_twice(rng, 60), seed=study)
        covered.append(row["cohens_kappa_low"] <= truth <= row["cohens_kappa_high"])
        widths.append(row["cohens_kappa_high"] - row["cohens_kappa_low"])
        plain.append((row["n_prompts"], row["n_both"]))
    # 95 % is promised; three standard errors of 300 studies are 3.8 points
    assert 0.912 <= np.mean(covered) <= 0.988
    assert set(plain) == {(60, 480)}
    # Taken for 480 prompts of their own, the same responses give intervals that are far too narrow.
    a, b = judged_twice(rng, 60)
    alone = agreement_rows(a.reshape(-1, 1, 1), b.reshape(-1, 1, 1))
    assert alone["cohens_kappa_high"] - alone["cohens_kappa_low"] < 0.8 * np.mean(widths)
