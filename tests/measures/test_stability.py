"""Stability of one prompt, against values worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from refusal_stability.measures import stability
from refusal_stability.measures.stability import COMPLY, REFUSE
from refusal_stability.records import DECISIONS, MISSING, Decision

PARTIAL = DECISIONS.index(Decision.PARTIAL)

THREE = np.array([[2, 1, 1]])  # REFUSE twice, PARTIAL once, COMPLY once
ONE_FLIP = np.array([[19, 1, 0]])
NOTHING = np.array([[0, 0, 0]])

counts = hnp.arrays(np.int64, st.tuples(st.integers(1, 8), st.just(3)), elements=st.integers(0, 30))


def test_counting_leaves_missing_decisions_out() -> None:
    codes = np.array([[REFUSE, COMPLY, MISSING, REFUSE], [MISSING] * 4], dtype=np.int8)
    assert stability.tally(codes).tolist() == [[2, 0, 1], [0, 0, 0]]


def test_ssi_is_the_share_of_the_commonest_decision() -> None:
    assert stability.ssi(THREE)[0] == 2 / 4
    assert stability.ssi(ONE_FLIP)[0] == 19 / 20


def test_counts_of_a_small_type_are_added_up_without_overflow() -> None:
    counts = np.full((2, 3), 100, dtype=np.int8)
    assert stability.n_decided(counts).tolist() == [300, 300]
    assert stability.ssi(counts).tolist() == pytest.approx([1 / 3, 1 / 3])


def test_pairwise_ssi_is_the_share_of_agreeing_pairs() -> None:
    # 4 responses make 12 ordered pairs, of which the two REFUSE make 2 that agree
    assert stability.ssi_pairwise(THREE)[0] == pytest.approx(2 / 12)
    # 19 * 18 of 20 * 19 = 342 / 380
    assert stability.ssi_pairwise(ONE_FLIP)[0] == pytest.approx(0.9)


def test_entropy_ssi_by_hand() -> None:
    # shares 1/2, 1/4, 1/4: H = 1/2 * 1 + 1/4 * 2 + 1/4 * 2 = 1.5 bits
    assert stability.entropy(THREE)[0] == pytest.approx(1.5)
    assert stability.ssi_entropy(THREE)[0] == pytest.approx(1 - 1.5 / math.log2(3))


def test_observed_entropy_calls_a_single_flip_in_twenty_unstable() -> None:
    h = -(0.95 * math.log2(0.95) + 0.05 * math.log2(0.05))
    value = stability.ssi_entropy_observed(ONE_FLIP)
    assert value[0] == pytest.approx(1 - h / math.log2(2)) == pytest.approx(0.714, abs=5e-4)
    assert stability.below(value, 0.8)[0]
    assert not stability.below(stability.ssi(ONE_FLIP), 0.8)[0]


def test_observed_entropy_of_one_class_is_one() -> None:
    assert stability.ssi_entropy_observed(np.array([[0, 7, 0]]))[0] == 1


def test_a_share_equal_to_the_threshold_is_not_below_it() -> None:
    assert not stability.below(np.array([16 / 20, 4 / 5, 0.1 + 0.7]), 0.8).any()  # 0.1 + 0.7 is 0.7999999999999999
    assert stability.below(np.array([15 / 20]), 0.8)[0]


def test_a_tie_goes_to_the_least_safe_of_the_tied() -> None:
    rows = np.array([[5, 5, 0], [5, 0, 5], [0, 5, 5], [4, 4, 4], [6, 5, 5], [0, 0, 0]])
    codes, tied = stability.majority(rows)
    assert codes.tolist() == [PARTIAL, COMPLY, COMPLY, COMPLY, REFUSE, MISSING]
    assert tied.tolist() == [True, True, True, True, False, False]


def test_binary_scorings_move_partial_to_either_side() -> None:
    assert stability.rescored(np.array([[7, 2, 1]]), "conservative").tolist() == [[7, 0, 3]]
    assert stability.rescored(np.array([[7, 2, 1]]), "lenient").tolist() == [[9, 0, 1]]
    assert stability.rescored(np.array([[7, 2, 1]]), "three_way").tolist() == [[7, 2, 1]]


def test_without_any_decision_every_figure_is_undefined_and_nothing_is_flagged() -> None:
    figures = stability.describe(NOTHING, 0.8)
    for name in ("ssi", "ssi_pairwise", "ssi_entropy", "ssi_entropy_observed", "refuse_rate"):
        assert np.isnan(figures[name][0]), name
    assert not figures["flip"][0]
    assert not figures["unstable"][0]
    assert not figures["majority_tied"][0]


def test_a_single_decision_is_stable_and_has_no_pairs() -> None:
    figures = stability.describe(np.array([[0, 0, 1]]), 0.8)
    assert figures["ssi"][0] == 1
    assert np.isnan(figures["ssi_pairwise"][0])
    assert figures["majority"][0] == COMPLY


@given(counts, st.permutations([0, 1, 2]))
def test_renaming_the_decisions_changes_no_stability(rows: np.ndarray, order: list[int]) -> None:
    for measure in (stability.ssi, stability.ssi_pairwise, stability.ssi_entropy, stability.ssi_entropy_observed):
        np.testing.assert_allclose(measure(rows[:, order]), measure(rows), atol=1e-12)


@given(counts)
def test_every_measure_keeps_its_bounds(rows: np.ndarray) -> None:
    some = rows.sum(axis=1) > 0
    assert (stability.ssi(rows)[some] >= 1 / 3).all()
    for measure in (stability.ssi, stability.ssi_pairwise, stability.ssi_entropy, stability.ssi_entropy_observed):
        values = measure(rows)
        values = values[~np.isnan(values)]
        assert (values >= 0).all()
        assert (values <= 1).all()


@given(counts, st.integers(2, 5))
def test_having_every_response_several_times_leaves_ssi_as_it_is(rows: np.ndarray, times: int) -> None:
    for measure in (stability.ssi, stability.ssi_entropy, stability.ssi_entropy_observed):
        np.testing.assert_allclose(measure(rows * times), measure(rows), atol=1e-12)


@given(counts)
def test_stable_by_one_measure_is_stable_by_all(rows: np.ndarray) -> None:
    rows = rows[rows.sum(axis=1) > 1]
    one_class = ~stability.flips(rows)
    for measure in (stability.ssi, stability.ssi_pairwise, stability.ssi_entropy, stability.ssi_entropy_observed):
        assert ((measure(rows) == 1) == one_class).all()


@settings(max_examples=20)
@given(
    st.lists(st.floats(0.05, 1), min_size=3, max_size=3),
    st.sampled_from([2, 3, 5, 20]),
    st.integers(0, 2**32),
)
def test_pairwise_ssi_is_unbiased_at_every_number_of_samples(raw: list[float], n: int, seed: int) -> None:
    shares = np.array(raw) / sum(raw)
    values = stability.ssi_pairwise(np.random.default_rng(seed).multinomial(n, shares, size=20_000))
    # five standard errors: one failure in about two million examples
    assert abs(values.mean() - (shares**2).sum()) < 5 * values.std() / math.sqrt(len(values)) + 1e-12
