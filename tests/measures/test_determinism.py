"""Byte-identity at temperature 0, and judges that contradict themselves."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from refusal_stability.measures.determinism import exchange_totals, first_of_each, identical_and_flipped


def test_identical_responses_with_two_decisions_are_judge_noise() -> None:
    texts = np.array([[5, 5, 5], [5, 5, 5], [5, 6, 5], [5, 0, 5], [5, 5, 5]], dtype=np.uint64)
    codes = np.array([[0, 0, 0], [0, 2, 0], [0, 2, 0], [0, 0, 0], [0, -1, 0]], dtype=np.int8)
    present, identical, flipped, decided = identical_and_flipped(texts, codes)
    assert present.tolist() == [True, True, True, False, True]  # a missing response; the last lacks a decision only
    assert identical.tolist() == [True, True, False, False, True]
    assert flipped.tolist() == [False, True, True, False, False]
    assert decided.tolist() == [True, True, True, False, True]


@given(
    hnp.arrays(np.uint64, (4, 3), elements=st.integers(0, 2)),
    hnp.arrays(np.int8, (4, 3), elements=st.integers(-1, 2)),
    hnp.arrays(np.int8, (4, 3), elements=st.integers(-1, 2)),
)
def test_identity_does_not_depend_on_the_judge(texts: np.ndarray, one: np.ndarray, other: np.ndarray) -> None:
    first, second = identical_and_flipped(texts, one), identical_and_flipped(texts, other)
    for found, again in zip(first[:2], second[:2], strict=True):
        np.testing.assert_array_equal(found, again)
    assert (first[2] <= first[3]).all()


def test_exchanges_by_hand() -> None:
    # One prompt, four responses: text 7 three times, decided R R C; text 9 once, decided R. One repeat each.
    texts = np.array([[[7, 9], [7, 7]]], dtype=np.uint64)
    codes = np.array([[[0, 0], [0, 2]]], dtype=np.int8)[..., None]
    # one pair decided more than once, 3 decisions on it, it flipped; 6 ordered pairs, of which R R agrees twice
    assert exchange_totals(texts, codes)[0].tolist() == [1, 3, 1, 6, 4]


def test_repeats_count_on_one_response_even_without_texts() -> None:
    codes = np.array([[[[0, 0], [2, 0]]]], dtype=np.int8)
    # two responses, two decisions each: R R and C R
    assert exchange_totals(None, codes)[0].tolist() == [2, 4, 1, 4, 2]


def test_missing_responses_and_decisions_count_nowhere() -> None:
    texts = np.array([[0, 0, 4, 4]], dtype=np.uint64)
    codes = np.array([[0, 2, 1, -1]], dtype=np.int8)[..., None]
    assert exchange_totals(texts, codes)[0].tolist() == [0, 0, 0, 0, 0]


@given(
    hnp.arrays(np.uint64, (3, 4), elements=st.integers(0, 2)),
    hnp.arrays(np.int8, (3, 4, 2), elements=st.integers(-1, 2)),
)
def test_exchanges_are_those_of_counting_one_by_one(texts: np.ndarray, codes: np.ndarray) -> None:
    expected = np.zeros((3, 5))
    for p in range(3):
        for text in set(texts[p].tolist()) - {0}:
            said = [int(c) for cell in range(4) if texts[p, cell] == text for c in codes[p, cell] if c >= 0]
            if len(said) >= 2:
                pairs = [(a, b) for i, a in enumerate(said) for j, b in enumerate(said) if i != j]
                differ = sum(a != b for a, b in pairs)
                expected[p] += [1, len(said), len(set(said)) > 1, len(pairs), differ]
    np.testing.assert_array_equal(exchange_totals(texts, codes), expected)


def test_copies_of_one_decision_on_equal_texts_say_nothing_of_a_judges_noise() -> None:
    # Text 7 stands three times and 9 twice; 0 is missing. Only the first 7 and the first 9 were really judged.
    texts = np.array([[7, 9, 7, 0, 9, 7]], dtype=np.uint64)
    assert first_of_each(texts).tolist() == [[7, 9, 0, 0, 0, 0]]
    # One repeat: no pair was judged twice. Two repeats that differ on 7 and agree on 9: 2 pairs, 4 decisions, 1 pair
    # apart, 2 + 2 ordered pairs of decisions, 2 of them differing.
    once = np.array([[[0], [1], [0], [0], [1], [0]]], dtype=np.int8)
    assert exchange_totals(first_of_each(texts), once)[0].tolist() == [0, 0, 0, 0, 0]
    twice = np.array([[[0, 2], [1, 1], [0, 2], [0, 0], [1, 1], [0, 2]]], dtype=np.int8)
    assert exchange_totals(first_of_each(texts), twice)[0].tolist() == [2, 4, 1, 4, 2]
