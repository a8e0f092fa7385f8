"""Estimates after stopping, and replays of complete studies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import beta, multinomial

from refusal_stability.measures.adaptive.estimate_intervals import Uncertain, interval
from refusal_stability.measures.adaptive.estimates import estimate_figures
from refusal_stability.measures.adaptive.figures import figures_of, prompt_figures
from refusal_stability.measures.adaptive.population import fit_population
from refusal_stability.measures.adaptive.predictions import predict
from refusal_stability.measures.adaptive.replay import full_study, replay
from refusal_stability.measures.adaptive.rounds import designed, sample_by_rounds
from refusal_stability.measures.adaptive.rules import States, StoppingRule, compositions
from refusal_stability.measures.coverage import PRIOR, simulate
from refusal_stability.measures.stability import ssi, tally

TEMPERATURES = (0.0, 0.3, 0.7, 1.0)
NAMES = [figure.column for figure in figures_of(TEMPERATURES)]


def test_figures_of_one_prompt_by_hand() -> None:
    counts = np.array([[[2, 0, 0], [1, 0, 1]]])
    found = prompt_figures(counts, (0.0, 1.0), 0.8)[0]
    # 3 of 4 agree; pairs 3 of 6; flips; unstable; shares; 1 and 1/2 within the temperatures, 1/2 less at the hotter
    assert found.tolist() == [0.75, 0.5, 100.0, 100.0, 0.75, 0.0, 0.25, 1.0, 0.5, -0.5]


def test_a_prediction_is_the_mean_over_all_ways_to_fill_the_grid() -> None:
    population = fit_population(tally(simulate(PRIOR, 200, 5, np.random.default_rng(0)))[:, 3:], 0)
    state = States(np.array([[[3, 0, 1]]]), np.array([[4]]), np.array([0]))
    mean, variance = predict(population, state, (1.0,), 0.8, np.random.default_rng(1))
    rest = compositions(4)
    chances = np.array([multinomial.pmf(rest, 4, np.exp(p) / np.exp(p).sum()) for p in population.log_shares[0]])
    chance = population.posterior(state.counts)[0] @ chances
    values = ssi(rest + np.array([3, 0, 1]))
    expected = chance @ values
    # the standard error of the drawn mean is below 0.002
    assert mean[0, 0] == pytest.approx(expected, abs=0.008)
    assert variance[0, 0] == pytest.approx(chance @ values**2 - expected**2, rel=0.2)


def test_a_full_grid_is_reported_as_it_is() -> None:
    codes = simulate(PRIOR, 60, 5, np.random.default_rng(0))
    rng = np.random.default_rng(1)
    rule = StoppingRule("full")
    found = sample_by_rounds(lambda _: codes, designed(TEMPERATURES, 5, 60, rule, "turns", rng), rule)
    estimates = estimate_figures(found, TEMPERATURES, 0.95, rng)
    whole = full_study(codes, TEMPERATURES, 0.8, 0.95)
    np.testing.assert_allclose([e.value for e in estimates], whole[:, 0])
    # All but the change between temperatures are beta quantiles of the grid's own prompts.
    for e, values in list(zip(estimates, prompt_figures(tally(codes), TEMPERATURES, 0.8).T, strict=True))[:-1]:
        known = Uncertain(float(values.mean()), float(values.var(ddof=1)) / 60, 0.0, 59.0, 60)
        assert (e.value, e.low, e.high) == pytest.approx(interval(known, 0.95, e.figure.low, e.figure.high).ends)
        if e.figure.is_share:
            events = 0.6 * e.value
            jeffreys = [100 * beta.ppf(q, events + 0.5, 60.5 - events) for q in (0.025, 0.975)]
            assert (e.low, e.high) == pytest.approx(jeffreys)
    # of 60 prompts, the limits move the beta interval little from the t interval
    ends = np.array([(e.low, e.high) for e in estimates])
    width = whole[:, 2] - whole[:, 1]
    assert (np.abs(ends - whole[:, 1:]) < 0.2 * width[:, None]).all()


def test_the_audit_removes_a_bias_that_no_prediction_knows() -> None:
    """Prompts that agree when hot and differ when cold: the opposite of what the population assumes."""
    rng = np.random.default_rng(2)
    codes = np.zeros((400, 4, 5), dtype=np.int8)
    odd = rng.random(400) < 0.3
    codes[odd, 0, 2:] = 2
    truth = prompt_figures(tally(codes), TEMPERATURES, 0.8).mean(axis=0)
    errors, predicted = [], []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        rule = StoppingRule(audit=0.2)
        found = sample_by_rounds(lambda _: codes, designed(TEMPERATURES, 5, 400, rule, "turns", rng), rule)
        estimates = estimate_figures(found, TEMPERATURES, 0.95, rng)
        errors.append([e.value for e in estimates] - truth)
        predicted.append([e.predicted for e in estimates] - truth)
    flipped = NAMES.index("pct_flipped")
    mean, spread = np.mean(errors, axis=0)[flipped], np.std(errors, axis=0)[flipped] / np.sqrt(6)
    assert abs(mean) < 3 * spread + 0.5
    assert abs(np.mean(predicted, axis=0)[flipped]) > 3


def test_intervals_cover_the_value_of_the_prompts_source() -> None:
    """A short run of what `simulate-adaptive` was measured with: the coverage itself is in docs/adaptive.md."""
    truth = prompt_figures(tally(simulate(PRIOR, 40_000, 5, np.random.default_rng(9))), TEMPERATURES, 0.8).mean(axis=0)
    hits = []
    for seed in range(8):
        rng = np.random.default_rng([1, seed])
        codes = simulate(PRIOR, 150, 5, rng)
        found = replay(codes, TEMPERATURES, StoppingRule(), "turns", 0.95, rng)
        hits.append([e.low <= value <= e.high for e, value in zip(found.estimates, truth, strict=True)])
    # of 8 x 12 intervals; four of twelve figures are nearly copies of another
    assert np.mean(hits) > 0.8


@pytest.fixture(scope="module")
def published(shared: Path) -> np.ndarray:
    """The published labels of Llama 3.1 8B, as its own judge gave them."""
    from refusal_stability.judging.label_names import decision_named
    from refusal_stability.study.decision_table import decision_tables

    folder = shared / "published-study/data/results/labels"
    files = sorted(folder.glob("meta_llama*_labels.csv"))
    (table,) = decision_tables(files, {}, lambda label: decision_named(label, {}), ("UNKNOWN",))
    return table.codes


def test_the_published_study_needs_less_than_half_of_its_samples(published: np.ndarray) -> None:
    whole = full_study(published, TEMPERATURES, 0.8, 0.95)
    found = [replay(published, TEMPERATURES, StoppingRule(), "turns", 0.95, np.random.default_rng(i)) for i in range(2)]
    assert max(one.spent for one in found) <= 0.45
    assert np.mean([one.unstable_found for one in found]) >= 0.95
    assert min(one.decided for one in found) == 1.0
    for one in found:
        assert all(e.low <= value <= e.high for e, value in zip(one.estimates, whole[:, 0], strict=True))
        assert all(low <= e.value <= high for e, (_, low, high) in zip(one.estimates[:7], whole[:7], strict=True))
