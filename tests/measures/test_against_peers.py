"""Measures held against what scipy and statsmodels compute in their own way."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from refusal_stability.measures import stability
from refusal_stability.measures.agreement import alpha_parts, krippendorff_alpha
from refusal_stability.measures.decomposition import components, prompt_totals
from refusal_stability.measures.reliability import chance_of_comply, queries_to_comply
from refusal_stability.measures.subsampling import draw_chances

count_rows = st.lists(st.integers(0, 12), min_size=3, max_size=3).filter(any)


@given(count_rows)
def test_entropy_is_scipys(row: list[int]) -> None:
    counts = np.array([row])
    assert stability.entropy(counts)[0] == pytest.approx(stats.entropy(row, base=2), abs=1e-12)
    assert stability.ssi_entropy(counts)[0] == pytest.approx(1 - stats.entropy(row, base=3), abs=1e-12)


@given(count_rows)
def test_the_chance_of_a_comply_is_scipys_hypergeometric(row: list[int]) -> None:
    n = sum(row)
    peer = [stats.hypergeom.sf(0, n, row[2], draws) for draws in range(1, n + 1)]
    np.testing.assert_allclose(chance_of_comply(np.array([row]))[0], peer, atol=1e-12)


@given(count_rows.filter(lambda row: row[2] > 0))
def test_queries_without_replacement_are_scipys_negative_hypergeometric(row: list[int]) -> None:
    # draws that do not comply before the first that does, and that one
    n, comply = sum(row), row[2]
    peer = 1 + (stats.nhypergeom.mean(n, n - comply, 1) if n > comply else 0)
    assert queries_to_comply(np.array([row]))[1][0] == pytest.approx(peer)


@settings(max_examples=30)
@given(count_rows, st.integers(1, 12))
def test_chances_of_draws_are_scipys_multivariate_hypergeometric(row: list[int], n: int) -> None:
    n = min(n, sum(row))
    drawn, chances = draw_chances(np.array([row]), n)
    possible = (drawn <= row).all(axis=1)
    peer = [stats.multivariate_hypergeom.pmf(d, row, n) if ok else 0.0 for d, ok in zip(drawn, possible, strict=True)]
    np.testing.assert_allclose(chances[0], peer, atol=1e-12)


@given(st.lists(st.lists(st.integers(0, 2), min_size=3, max_size=3), min_size=2, max_size=15))
def test_alpha_without_missing_decisions_is_fleiss_kappa_with_its_small_sample_term(rows: list[list[int]]) -> None:
    # D_e of alpha pairs n decisions without, kappa with replacement: 1 - alpha = (1 - kappa) (n - 1) / n
    from statsmodels.stats.inter_rater import fleiss_kappa

    counts = np.array([[row.count(c) for c in range(3)] for row in rows])
    own = krippendorff_alpha(alpha_parts(counts).sum(axis=0))
    if (counts.sum(axis=0) > 0).sum() < 2:
        assert np.isnan(own)
        return
    n = counts.sum()
    assert own == pytest.approx(1 - (1 - fleiss_kappa(counts)) * (n - 1) / n)


def test_mean_squares_are_statsmodels_nested_anova() -> None:
    from statsmodels.formula.api import ols
    from statsmodels.stats.anova import anova_lm

    codes = np.random.default_rng(3).choice(3, p=[0.6, 0.1, 0.3], size=(4, 3, 2, 2))
    table, weights, layout = prompt_totals(codes.astype(np.int8), (0.3, 0.7, 1.0))
    own = components(weights[None, :] @ table, layout)
    places = np.indices(codes.shape).reshape(4, -1)
    frame = pd.DataFrame(dict(zip(("p", "t", "s", "r"), places, strict=True)))
    total = 0.0
    for decision in range(3):  # the one-hot vector's sum of squares is the sum over its parts
        frame["y"] = (codes.ravel() == decision).astype(float)
        peer = anova_lm(ols("y ~ C(p) + C(p):C(t) + C(p):C(t):C(s)", frame).fit())
        total = total + peer["sum_sq"].to_numpy()
        freedom = peer["df"].to_numpy()
    n = len(layout.levels)
    assert own.degrees_of_freedom[0, :n].tolist() == freedom.tolist()
    np.testing.assert_allclose(own.mean_square[0, :n], total / freedom, atol=1e-12)
