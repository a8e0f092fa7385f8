"""The posterior chance that a prompt is truly unstable."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import minimize

from refusal_stability.measures import posterior
from refusal_stability.measures.distinct import distinct_rows
from refusal_stability.measures.posterior import _dirichlet_loss, fit_dirichlet, p_below


def test_the_fitted_prior_maximises_scipys_likelihood() -> None:
    rng = np.random.default_rng(0)
    table = np.array([rng.multinomial(20, shares) for shares in rng.dirichlet([0.8, 0.3, 0.1], size=300)])
    distinct = distinct_rows(table)

    def loss(log_alpha: np.ndarray) -> float:
        return -stats.dirichlet_multinomial.logpmf(table, np.exp(log_alpha), 20).sum()

    peer = np.exp(minimize(loss, np.zeros(3), method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-8}).x)
    np.testing.assert_allclose(fit_dirichlet(distinct.rows, distinct.weights), peer, rtol=1e-4)


def test_a_fit_ends_where_only_rounding_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[tuple[float, ...]] = []

    def loss(x: np.ndarray, *data: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        tried.append(tuple(x))
        return _dirichlet_loss(x, *data)

    monkeypatch.setattr(posterior, "_dirichlet_loss", loss)
    # Prompts that hardly differ: a weight runs to its bound, and the slope never comes to rest.
    found = fit_dirichlet(np.array([[2, 1, 1], [1, 3, 0], [3, 0, 1]]), np.ones(3, int))
    np.testing.assert_allclose(found, [1000, 666.418, 333.5835], rtol=1e-6)
    assert len(tried) < posterior.MOST_STEPS / 2


def test_the_fitted_prior_recovers_the_one_that_made_the_data() -> None:
    rng = np.random.default_rng(1)
    table = np.array([rng.multinomial(20, shares) for shares in rng.dirichlet([0.8, 0.3, 0.1], size=5000)])
    distinct = distinct_rows(table)
    np.testing.assert_allclose(fit_dirichlet(distinct.rows, distinct.weights), [0.8, 0.3, 0.1], rtol=0.1)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([[20, 0, 0]], [1000, 0.001, 0.001]),  # one decision only: pushed to the bounds, not to infinity
        ([[10, 0, 0], [0, 10, 0], [0, 0, 10]], [0.001, 0.001, 0.001]),  # every prompt of one mind: corners
    ],
)
def test_data_that_determine_no_prior_give_a_bounded_one(rows: list[list[int]], expected: list[float]) -> None:
    table = np.array(rows)
    np.testing.assert_allclose(fit_dirichlet(table, np.full(len(table), 9)), expected)


@pytest.mark.parametrize("rows", [[[0, 0, 0]], [[1, 0, 0], [0, 0, 1]], [[0, 0, 0], [0, 1, 0]]])
def test_no_prior_is_fitted_where_no_prompt_was_decided_twice(rows: list[list[int]]) -> None:
    # One decision a prompt has the likelihood alpha_c / sum alpha, whatever the sum: [60, 30] of R and C fit
    # (1000, 0.001, 500) as well as (1, 0.001, 0.5), which call every prompt unstable and hardly any.
    table = np.array(rows)
    prior = fit_dirichlet(table, np.arange(60, 60 - 30 * len(table), -30))
    assert np.isnan(prior).all()
    assert np.isnan(p_below(table, prior, 0.8)).all()
    assert np.isnan(p_below(table, prior, 0.4)).all()


def test_prompts_decided_twice_fit_the_prior_and_those_decided_once_shift_it() -> None:
    twice = np.array([[2, 0, 0], [1, 0, 1], [0, 0, 2]])
    alone = fit_dirichlet(twice, np.array([5, 3, 2]))
    with_singles = fit_dirichlet(np.vstack([twice, [[0, 0, 1]]]), np.array([5, 3, 2, 9]))
    assert np.isfinite(with_singles).all()
    assert with_singles[2] / with_singles.sum() > alone[2] / alone.sum()


def test_the_posterior_of_two_decisions_by_hand() -> None:
    # Prior weights 1, 1, tiny; one REFUSE seen: theta_refuse ~ Beta(2, 1), P(theta >= 0.8) = 1 - 0.8^2 = 0.36, and
    # P(theta_partial >= 0.8) = P(theta_refuse <= 0.2) = 0.2^2 = 0.04. So P(max < 0.8) = 1 - 0.36 - 0.04 = 0.60.
    value = p_below(np.array([[1, 0, 0]]), np.array([1.0, 1.0, 1e-9]), 0.8)
    assert value[0] == pytest.approx(0.60, abs=1e-6)


@pytest.mark.parametrize("threshold", [0.4, 0.49, 0.5, 0.65, 0.8, 1.0])
def test_the_posterior_agrees_with_simulation(threshold: float) -> None:
    prior, rows = np.array([0.7, 0.4, 0.2]), np.array([[12, 6, 2], [0, 0, 0], [3, 3, 3], [20, 0, 0]])
    rng = np.random.default_rng(2)
    simulated = [(rng.dirichlet(prior + row, 200_000).max(axis=1) < threshold).mean() for row in rows]
    # standard error at most sqrt(0.25 / 200,000) = 0.0011
    np.testing.assert_allclose(p_below(rows, prior, threshold), simulated, atol=5e-3)


@settings(max_examples=40)
@given(st.lists(st.integers(0, 30), min_size=3, max_size=3), st.floats(0.34, 0.99), st.permutations([0, 1, 2]))
def test_the_posterior_is_a_chance_that_renaming_decisions_does_not_change(
    row: list[int], threshold: float, order: list[int]
) -> None:
    prior = np.array([0.9, 0.2, 0.05])
    table = np.array([row])
    value = p_below(table, prior, threshold)
    assert 0 <= value[0] <= 1
    np.testing.assert_allclose(p_below(table[:, order], prior[order], threshold), value, atol=1e-6)


def test_more_samples_of_the_same_split_make_the_verdict_surer() -> None:
    stable, wavering = np.array([[9, 1, 0]]), np.array([[6, 4, 0]])
    prior = np.array([0.5, 0.2, 0.1])
    by_n = [(p_below(stable * k, prior, 0.8)[0], p_below(wavering * k, prior, 0.8)[0]) for k in (1, 4, 16)]
    assert by_n[0][0] > by_n[1][0] > by_n[2][0]
    assert by_n[0][1] < by_n[1][1] < by_n[2][1]
