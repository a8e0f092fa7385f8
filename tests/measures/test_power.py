"""Power by simulation from a pilot's prior."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from refusal_stability.measures import power
from refusal_stability.measures.power import (
    StudySize,
    expected_figure,
    exponent_for,
    power_of,
    prompt_pool,
    smallest_study,
    tempered,
)
from refusal_stability.records import StudyError

PRIOR = np.array([0.6, 0.3, 0.1])


def test_tempering_by_hand() -> None:
    # 0.8 and 0.2 squared are 0.64 and 0.04: 16/17 and 1/17; to the power 0 all are equal
    shares = np.array([[0.8, 0.2, 0.0]])
    np.testing.assert_allclose(tempered(shares, 2.0), [[16 / 17, 1 / 17, 0]], atol=1e-9)
    np.testing.assert_allclose(tempered(shares, 1.0), shares, atol=1e-9)
    np.testing.assert_allclose(tempered(np.array([[0.8, 0.2, 0.1]]), 0.0), [[1 / 3] * 3])


def test_expected_figures_by_hand() -> None:
    # Shares 3/4, 1/4 in two samples: alike with 9/16 + 1/16 = 10/16, else one of each: ssi 1 or 1/2
    shares = np.array([[3 / 4, 1 / 4, 0.0]])
    assert expected_figure(shares, 2, "ssi") == pytest.approx(10 / 16 + 6 / 16 / 2)
    assert expected_figure(shares, 2, "flip") == pytest.approx(6 / 16)


@pytest.mark.parametrize(("figure", "difference"), [("ssi", -0.05), ("ssi", 0.02), ("flip", 0.1)])
def test_the_exponent_moves_the_figure_as_far_as_asked(figure: str, difference: float) -> None:
    shares = np.random.default_rng(0).dirichlet(PRIOR, size=500)
    exponent = exponent_for(shares, 20, figure, difference)
    moved = expected_figure(tempered(shares, exponent), 20, figure) - expected_figure(shares, 20, figure)
    assert moved == pytest.approx(difference, abs=1e-4)


def test_a_difference_that_cannot_occur_is_refused() -> None:
    shares = np.random.default_rng(0).dirichlet(PRIOR, size=500)
    with pytest.raises(StudyError, match="cannot occur"):
        exponent_for(shares, 20, "ssi", 0.5)


def test_power_is_that_of_the_t_test() -> None:
    # Differences -0.5, 0.5 with shares 0.4, 0.6: mean 0.1, variance 0.24; 100 prompts: shift 0.1 / sqrt(0.24 / 100)
    values, weights = np.array([-0.5, 0.5]), np.array([40, 60])
    own = power_of(values, weights, 100, 0.95, np.random.default_rng(1))
    shift = 0.1 / np.sqrt(0.24 / 100)
    critical = stats.t.ppf(0.975, 99)
    expected = stats.nct.sf(critical, 99, shift) + stats.nct.cdf(-critical, 99, shift)
    # 10,000 studies: a standard error of 0.005, and what the t-test's own approximation misses on two values
    assert own == pytest.approx(expected, abs=0.02)


def test_without_a_difference_the_power_is_the_level_of_the_test() -> None:
    own = power_of(np.array([-0.2, 0.2]), np.array([1, 1]), 400, 0.95, np.random.default_rng(2))
    assert own == pytest.approx(0.05, abs=0.01)  # a standard error of 0.0022


@pytest.fixture
def small_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(power, "POOL", 20_000)


def planned(difference: float, n_samples: int, seed: int, related: bool = True) -> StudySize:
    rng = np.random.default_rng(seed)
    return smallest_study(prompt_pool(PRIOR, 20, "ssi", difference, rng), n_samples, "ssi", 0.8, 0.95, rng, related)


def test_a_planned_study_reaches_its_power_when_it_is_simulated_from_scratch(small_pool: None) -> None:
    found = planned(-0.03, 10, 3)
    assert found.n_prompts is not None
    rng = np.random.default_rng(4)
    shares = rng.dirichlet(PRIOR, size=1_000)
    exponent = exponent_for(shares, 20, "ssi", -0.03)
    hits = []
    for _ in range(400):
        first = rng.dirichlet(PRIOR, size=found.n_prompts)
        a, b = (rng.multinomial(10, s).max(axis=1) / 10 for s in (first, tempered(first, exponent)))
        hits.append(stats.ttest_rel(a, b).pvalue < 0.05)
    # 0.8 with a standard error of 0.02, and the pool's own error
    assert np.mean(hits) == pytest.approx(0.8, abs=0.1)


def test_a_larger_difference_more_samples_and_related_sides_need_fewer_prompts(small_pool: None) -> None:
    def prompts(difference: float, n: int, related: bool = True) -> int:
        found = planned(difference, n, 5, related).n_prompts
        assert found is not None
        return found

    base = prompts(-0.03, 10)
    assert prompts(-0.06, 10) < base
    assert prompts(-0.03, 40) < base
    assert prompts(-0.03, 10, related=False) > base


@pytest.mark.parametrize(("figure", "difference"), [("ssi", -0.02), ("flip", 0.05)])
def test_the_pool_differs_as_asked_when_the_pilots_number_of_samples_measures_it(
    figure: str, difference: float
) -> None:
    pool = prompt_pool(PRIOR, 20, figure, difference, np.random.default_rng(6))
    own = expected_figure(pool.second[:40_000], 20, figure) - expected_figure(pool.first[:40_000], 20, figure)
    # solved on the first 4,194,304 / 231 = 18,157 prompts for ssi, and on all 400,000 for flips
    assert own == pytest.approx(difference, abs=5e-4)


@pytest.mark.parametrize("difference", [0.0, float("nan")])
def test_no_difference_is_nothing_to_detect(difference: float) -> None:
    with pytest.raises(StudyError, match="is no difference to detect"):
        prompt_pool(PRIOR, 20, "ssi", difference, np.random.default_rng(7))


def test_a_plan_reaches_the_power_that_it_prints(small_pool: None) -> None:
    for seed in range(5):
        assert planned(-0.03, 5, seed).power >= 0.8


def test_numbers_up_to_a_million_prompts_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    # Power grows with the prompts and is reached by 900,000 only; doubling from a start under it passes a million.
    def grows(values: object, weights: object, n_prompts: int, *_: object) -> float:
        return 0.9 if n_prompts >= 900_000 else 0.5

    monkeypatch.setattr(power, "power_of", grows)
    monkeypatch.setattr(power, "POOL", 2_000)
    rng = np.random.default_rng(9)
    found = smallest_study(prompt_pool(PRIOR, 20, "ssi", -0.03, rng), 5, "ssi", 0.8, 0.95, rng)
    assert found.n_prompts is not None
    assert 900_000 <= found.n_prompts <= 910_000


def test_no_plan_has_fewer_prompts_than_a_t_test_over_them_can_be_trusted_with(
    small_pool: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(power, "power_of", lambda *_: 0.99)
    assert planned(-0.03, 5, 1).n_prompts == power.LEAST_PROMPTS


def test_a_difference_too_small_for_a_million_prompts_has_no_plan(small_pool: None) -> None:
    rng = np.random.default_rng(8)
    shares = rng.dirichlet(PRIOR, size=20_000)
    found = smallest_study(power.Pool(shares, shares), 5, "ssi", 0.999, 0.999, rng)
    assert (found.n_prompts, found.n_samples) == (None, 5)
    assert found.power < 0.999
