"""The narrowest design for a budget: worked by hand, and as wide as simulated studies of it are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refusal_stability.measures.design import best_designs, half_width

Z = 1.959964


def test_the_half_width_by_hand() -> None:
    variance = {"intent": 0.08, "phrasing": 0.04, "seed": 0.1}
    sizes = {"phrasing": 2, "seed": 5}
    # 0.08 / 50 + 0.04 / 100 + 0.1 / 500 = 0.0022
    assert half_width(variance, 50, sizes, 0.95) == pytest.approx(Z * np.sqrt(0.0022), rel=1e-6)
    assert half_width(variance | {"seed": -0.1}, 50, sizes, 0.95) == pytest.approx(Z * np.sqrt(0.002), rel=1e-6)


def test_where_intents_are_free_every_response_goes_to_a_new_one() -> None:
    best = best_designs({"intent": 0.08, "phrasing": 0.04, "seed": 0.1}, 1000, 10**6, 0, 0, 0.95, 3)[0]
    assert (best.intents, dict(best.sizes), best.cost) == (1000, {"phrasing": 1, "seed": 1}, 1000)


def test_where_intents_run_out_the_rest_goes_to_phrasings_before_seeds() -> None:
    best = best_designs({"intent": 0.08, "phrasing": 0.04, "seed": 0.1}, 1000, 100, 0, 0, 0.95, 3)[0]
    # 100 intents, 10 responses each: phrasing varies, and each phrasing brings a new seed
    assert (best.intents, dict(best.sizes)) == (100, {"phrasing": 10, "seed": 1})


def test_prompts_that_cost_make_seeds_worth_it() -> None:
    best = best_designs({"intent": 0.01, "seed": 0.2}, 1000, 10**6, 0, 20, 0.95, 1)[0]
    # the best number of seeds is sqrt(20 * 0.2 / 0.01) = 20
    assert best.sizes["seed"] in (19, 20)


def test_a_budget_that_pays_for_nothing_gives_no_design() -> None:
    assert best_designs({"intent": 0.1, "seed": 0.1}, 1, 100, 0, 0, 0.95, 3) == []


@given(st.integers(2, 3000), st.integers(2, 500), st.floats(0, 2), st.floats(0, 5))
def test_no_design_costs_more_than_the_budget_and_the_first_is_the_narrowest(
    budget: int, most: int, judge_cost: float, prompt_cost: float
) -> None:
    variance = {"intent": 0.05, "temperature": 0.01, "seed": 0.1, "judge": 0.02}
    found = best_designs(variance, budget, most, judge_cost, prompt_cost, 0.95, 5)
    assert all(design.cost <= budget and 2 <= design.intents <= most for design in found)
    if found:
        assert found[0].half_width <= 1.0011 * min(design.half_width for design in found)


def test_simulated_studies_vary_as_projected() -> None:
    rng, k_intent, k_phrasing = np.random.default_rng(0), 3.0, 5.0
    mean, intents, phrasings, seeds = 0.4, 40, 3, 4
    means = []
    for _ in range(3000):
        intent = rng.beta(mean * k_intent, (1 - mean) * k_intent, size=(intents, 1))
        phrasing = rng.beta(intent * k_phrasing + 1e-9, (1 - intent) * k_phrasing + 1e-9, size=(intents, phrasings))
        means.append(rng.binomial(seeds, phrasing).mean() / seeds)
    total = mean * (1 - mean)
    first = total / (k_intent + 1)
    second = (total - first) / (k_phrasing + 1)
    variance = {"intent": first, "phrasing": second, "seed": total - first - second}
    projected = half_width(variance, intents, {"phrasing": phrasings, "seed": seeds}, 0.95)
    assert Z * np.std(means) == pytest.approx(projected, rel=0.05)
