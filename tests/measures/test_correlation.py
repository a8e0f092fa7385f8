"""Spearman's rho of weighted samples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from refusal_stability.measures.correlation import spearman


def test_rho_by_hand() -> None:
    # ranks of x: 1 2 3 4, of y: 2 1 4 3; d = 1 1 1 1; rho = 1 - 6 * 4 / (4 * 15) = 0.6
    x, y = np.array([1.0, 2.0, 3.0, 4.0]), np.array([20.0, 10.0, 40.0, 30.0])
    assert spearman(x, y, np.ones((1, 4)))[0, 0] == pytest.approx(0.6)


rows = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 3)), min_size=2, max_size=12)


@given(rows)
def test_rho_is_scipys_on_the_rows_written_out(table: list[tuple[int, int, int]]) -> None:
    x, y, weights = (np.array(column, dtype=float) for column in zip(*table, strict=True))
    long_x, long_y = (np.repeat(v, weights.astype(int)) for v in (x, y))
    value = spearman(x, y, weights[None, :])[0, 0]
    if len(np.unique(long_x)) < 2 or len(np.unique(long_y)) < 2:
        assert np.isnan(value)
    else:
        assert value == pytest.approx(stats.spearmanr(long_x, long_y).statistic, abs=1e-12)


@given(rows)
def test_any_rising_transformation_leaves_rho_alone(table: list[tuple[int, int, int]]) -> None:
    x, y, weights = (np.array(column, dtype=float) for column in zip(*table, strict=True))
    np.testing.assert_allclose(spearman(np.exp(x), y, weights[None, :]), spearman(x, y, weights[None, :]), atol=1e-12)
