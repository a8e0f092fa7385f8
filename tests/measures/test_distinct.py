"""Distinct rows stand for the table they came from."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from refusal_stability.measures.distinct import distinct_rows

tables = st.one_of(
    hnp.arrays(np.int64, st.tuples(st.integers(0, 40), st.integers(1, 4)), elements=st.integers(-3, 3)),
    hnp.arrays(np.int64, st.tuples(st.integers(1, 20), st.integers(1, 3)), elements=st.integers(-(2**62), 2**62)),
    hnp.arrays(
        np.float64, st.tuples(st.integers(1, 30), st.integers(1, 3)), elements=st.sampled_from([0.1, 0.5, np.nan])
    ),
)


@given(tables)
def test_the_rows_and_index_give_the_table_again(table: np.ndarray) -> None:
    distinct = distinct_rows(table)
    np.testing.assert_array_equal(distinct.rows[distinct.index], table)
    assert distinct.weights.sum() == len(table)
    np.testing.assert_array_equal(np.bincount(distinct.index, minlength=len(distinct.weights)), distinct.weights)


@given(tables)
def test_rows_and_weights_are_those_of_numpy(table: np.ndarray) -> None:
    rows, weights = np.unique(table, axis=0, return_counts=True, equal_nan=True)
    distinct = distinct_rows(table)
    if not np.isnan(table.astype(float)).any():  # numpy's row-wise unique keeps NaN rows apart
        np.testing.assert_array_equal(distinct.rows, rows)
        np.testing.assert_array_equal(distinct.weights, weights)


def test_many_possible_keys_are_sorted_instead_of_counted() -> None:
    table = np.array([[10**12, 1], [5, 2], [10**12, 1], [-(10**12), 7]])
    distinct = distinct_rows(table)
    assert distinct.rows.tolist() == [[-(10**12), 7], [5, 2], [10**12, 1]]
    assert distinct.weights.tolist() == [1, 1, 2]
    assert distinct.index.tolist() == [2, 1, 2, 0]


def test_a_column_alone_is_not_a_table() -> None:
    with pytest.raises(ValueError, match="table of rows"):
        distinct_rows(np.arange(3))
