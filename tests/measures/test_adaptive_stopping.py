"""Stopping: the population's fit, what it says of the full grid, and the errors of certificates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom

from refusal_stability.measures.adaptive.audit import audited_verdicts, exact_interval
from refusal_stability.measures.adaptive.population import Population, chance_of_stable, fit_population
from refusal_stability.measures.adaptive.rounds import Design, Sampled, designed, ranks, sample_by_rounds
from refusal_stability.measures.adaptive.rules import (
    AGREED,
    CERTAIN,
    DOUBTED,
    OUT_OF_BUDGET,
    STABLE,
    UNDECIDED,
    UNSTABLE,
    WHOLE_GRID,
    States,
    StoppingRule,
    compositions,
    weigh_states,
)
from refusal_stability.measures.coverage import PRIOR, STEADY, simulate
from refusal_stability.measures.stability import below, ssi, tally
from refusal_stability.records import MISSING, NOT_SAMPLED

TEMPERATURES = (0.0, 0.3, 0.7, 1.0)
THRESHOLD = 0.8


@pytest.fixture(scope="module")
def study() -> np.ndarray:
    return simulate(PRIOR, 300, 5, np.random.default_rng(3))


@pytest.fixture(scope="module")
def population(study: np.ndarray) -> Population:
    return fit_population(tally(study), 3)


def sampled(codes: np.ndarray, rule: StoppingRule, order: str = "turns", seed: int = 0) -> Sampled:
    rng = np.random.default_rng(seed)
    design = designed(TEMPERATURES, codes.shape[2], len(codes), rule, order, rng)
    return sample_by_rounds(lambda _: codes, design, rule)


def states(counts: list[list[list[int]]], left: list[list[int]], first: list[int]) -> States:
    return States(np.array(counts), np.array(left), np.array(first))


def test_a_fitted_population_predicts_the_shares_that_planted_it(study: np.ndarray, population: Population) -> None:
    fresh = simulate(PRIOR, 20_000, 5, np.random.default_rng(4))
    nothing, whole = np.zeros((1, 4, 3), dtype=np.int64), np.full((1, 4), 5)
    expected = below(ssi(tally(fresh).sum(axis=1)), THRESHOLD).mean()
    found = population.weights @ (1 - chance_of_stable(population, nothing, whole, THRESHOLD)[0])
    # 300 prompts measure a share of 1/3 to within 0.054 in 95 % of studies
    assert abs(found - expected) < 0.054


def test_the_chance_of_a_stable_grid_is_that_of_all_ways_to_fill_it() -> None:
    population = fit_population(np.array([[[2, 0, 0], [1, 1, 0]], [[2, 0, 0], [2, 0, 0]]]), 1)
    counts, left = np.array([[[1, 0, 0], [1, 0, 1]]]), np.array([[1, 2]])
    found = chance_of_stable(population, counts, left, 0.6)
    shares = [np.exp(log) for log in population.log_shares]
    expected = np.zeros(len(population.weights))
    for cold, one, two in product(range(3), repeat=3):
        total = counts[0].sum(axis=0) + np.eye(3, dtype=int)[[cold, one, two]].sum(axis=0)
        if total.max() >= 0.6 * 6 - 1e-9:
            expected += shares[0][:, cold] * shares[1][:, one] * shares[1][:, two]
    np.testing.assert_allclose(found[0], expected, atol=1e-12)


def test_what_nothing_left_can_change_is_certain_by_hand(population: Population) -> None:
    # 20 samples, threshold 0.8: 16 equal decisions are stable whatever follows, 5 others unstable
    rows = states(
        [
            [[5, 0, 0], [5, 0, 0], [3, 0, 0], [3, 0, 0]],
            [[0, 0, 0], [0, 0, 0], [3, 2, 0], [2, 1, 2]],
            [[0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]],
        ],
        [[0, 0, 2, 2], [5, 5, 0, 0], [0, 0, 0, 0]],
        [0, 0, MISSING],
    )
    found = weigh_states(StoppingRule("each_prompt", alpha=1e-9), rows, population)
    assert found.verdict.tolist() == [STABLE, UNSTABLE, UNDECIDED]
    assert found.reason.tolist() == [CERTAIN, CERTAIN, WHOLE_GRID]
    assert found.p_unstable[:2].tolist() == [0.0, pytest.approx(1.0)]


@pytest.mark.parametrize(("agreeing", "verdict"), [(8, UNDECIDED), (9, STABLE)])
def test_the_test_of_each_prompt_by_hand(population: Population, agreeing: int, verdict: int) -> None:
    # Of 20 samples 15 agree in the most stable unstable grid. After the first, the chance that the others of 9 agree
    # is 14/19 x ... x 7/12 = 0.0397; the mixture gives it just over 0.8. 0.8 / 0.0397 = 20.1; with 8 it is 13.7.
    counts = np.zeros((1, 1, 3), dtype=np.int64)
    counts[0, 0, 0] = agreeing
    one = population.at_one_temperature
    found = weigh_states(StoppingRule("each_prompt"), States(counts, np.array([[20 - agreeing]]), np.array([0])), one)
    assert found.verdict[0] == verdict


@settings(max_examples=6)
@given(st.integers(6, 15), st.integers(0, 2**32 - 1))
def test_each_grid_is_wrongly_certified_at_most_as_often_as_promised(agreeing: int, seed: int) -> None:
    """Every unstable grid in random order, whatever the other prompts are like."""
    rng = np.random.default_rng(seed)
    others = rng.integers(1, 3, size=20 - agreeing)
    grid = np.concatenate([np.zeros(agreeing, dtype=np.int8), others.astype(np.int8)])
    codes = np.array([rng.permutation(grid) for _ in range(100)]).reshape(100, 4, 5)
    rule = StoppingRule("each_prompt", alpha=0.1, audit=0.0, batch=1)
    wrong = (sampled(codes, rule, "random").verdict == STABLE).mean()
    # three standard errors of a share of 0.1 among 100
    assert wrong <= 0.1 + 3 * np.sqrt(0.1 * 0.9 / 100)


@pytest.mark.parametrize("prior", [PRIOR, STEADY])
def test_a_population_wrongly_certifies_at_most_as_often_as_promised(prior: np.ndarray) -> None:
    wrong, unstable = 0, 0
    for seed in range(2):
        codes = simulate(prior, 400, 5, np.random.default_rng([5, seed]))
        truth = below(ssi(tally(codes).sum(axis=1)), THRESHOLD)
        wrong += int(((sampled(codes, StoppingRule(), seed=seed).verdict == STABLE) & truth).sum())
        unstable += int(truth.sum())
    assert wrong <= 0.05 * unstable + 3 * np.sqrt(0.05 * unstable)


def test_a_sample_spent_is_a_sample_asked_for_once(study: np.ndarray) -> None:
    asked = np.zeros(study.shape, dtype=int)

    def ask(wanted: np.ndarray) -> np.ndarray:
        asked[wanted] += 1
        return study

    design = designed(TEMPERATURES, 5, len(study), StoppingRule(), "turns", np.random.default_rng(0))
    found = sample_by_rounds(ask, design, StoppingRule())
    assert asked.max() == 1
    assert (asked > 0).tolist() == (found.codes != NOT_SAMPLED).tolist()
    assert found.spent.sum() < 0.6 * study.size
    assert found.in_full[design.audited].all()
    stopped = ~design.audited
    assert (found.spent[stopped] == found.taken[stopped]).all()


def test_more_budget_goes_on_from_what_a_smaller_one_bought(study: np.ndarray) -> None:
    small, large = (sampled(study, StoppingRule(budget=budget)) for budget in (0.35, 0.4))
    assert small.spent.sum() <= 0.35 * study.size < large.spent.sum()
    assert ((small.codes == large.codes) | (small.codes == NOT_SAMPLED)).all()
    assert OUT_OF_BUDGET in small.reason


def test_the_hottest_temperature_comes_first_then_each_seed_from_hot_to_cold() -> None:
    order = np.argsort(ranks((0.0, 1.0, 0.5), 2, "hottest_first", 1, np.random.default_rng(0))[0])
    assert [divmod(cell, 2) for cell in order] == [(1, 0), (1, 1), (2, 0), (0, 0), (2, 1), (0, 1)]


def test_a_turn_takes_one_sample_at_each_temperature_and_seeds_in_an_order_of_each_prompt() -> None:
    order = np.argsort(ranks((0.0, 1.0, 0.5), 4, "turns", 50, np.random.default_rng(0)), axis=1)
    assert (order // 4 == np.tile([1, 2, 0], 4)).all()
    seeds = (order % 4).reshape(50, 4, 3)
    assert (np.sort(seeds, axis=1) == np.arange(4)[:, None]).all()
    assert len(np.unique(seeds[:, :, 0], axis=0)) > 10
    assert (seeds[:, :, 0] != seeds[:, :, 1]).any()


def test_agreement_stops_after_the_first_samples_and_full_never() -> None:
    codes = np.zeros((20, 4, 5), dtype=np.int8)
    codes[0, 3, 0] = 2
    agreed = sampled(codes, StoppingRule("agreement", audit=0.0))
    assert agreed.reason[1:].tolist() == [AGREED] * 19
    assert agreed.taken[1:].tolist() == [5] * 19
    assert agreed.taken[0] > 5
    full = sampled(codes, StoppingRule("full"))
    assert full.in_full.all()


def test_missing_decisions_count_neither_way() -> None:
    codes = np.zeros((30, 4, 5), dtype=np.int8)
    codes[0] = MISSING
    codes[1, 3] = MISSING
    found = sampled(codes, StoppingRule(batch=1))
    assert found.verdict[0] == UNDECIDED
    assert found.taken[0] == 20
    assert found.verdict[1] == STABLE
    assert found.taken[1] > found.taken[2:].min()


def test_a_prediction_multiplies_the_odds_and_leaves_the_evidence(population: Population) -> None:
    state = states([[[0, 0, 0], [0, 0, 0], [0, 0, 0], [4, 1, 0]]], [[5, 5, 5, 0]], [0])
    rule = StoppingRule()
    plain = weigh_states(rule, state, population)
    nothing = weigh_states(rule, states([[[0, 0, 0]] * 4], [[5, 5, 5, 5]], [-1]), population).p_unstable[0]
    odds = plain.p_unstable[0] / (1 - plain.p_unstable[0])
    for told in (0.05, 0.5, 0.9):
        found = weigh_states(rule, replace(state, predicted=np.array([told])), population).p_unstable[0]
        expected = odds * (told / (1 - told)) / (nothing / (1 - nothing))
        assert found / (1 - found) == pytest.approx(expected)
    absent = weigh_states(rule, replace(state, predicted=np.array([np.nan])), population, np.array([0]))
    assert absent.p_unstable == pytest.approx(plain.p_unstable, rel=1e-12)
    told = weigh_states(rule, state, population, np.array([0])).information
    assert absent.information == pytest.approx(told, rel=1e-12)


def test_predictions_move_the_chances_and_bad_ones_certify_no_more_errors(study: np.ndarray) -> None:
    unstable = below(ssi(tally(study).sum(axis=1)), THRESHOLD)
    rule = StoppingRule(budget=0.4)
    design = designed(TEMPERATURES, 5, len(study), rule, "turns", np.random.default_rng(0))
    good, bad = (np.where(unstable == right, 0.9, 0.05) for right in (True, False))
    found = [sample_by_rounds(lambda _: study, design, rule, predicted=told) for told in (None, good, bad)]
    off = [np.abs(one.p_unstable - unstable).mean() for one in found]
    assert off[1] < off[0] < off[2]
    # A certificate needs the likelihood ratio, which the prediction does not enter.
    passed = [((one.verdict == STABLE) & unstable).sum() for one in found]
    assert max(passed) <= 0.05 * unstable.sum() + 3 * np.sqrt(0.05 * unstable.sum())


def cold_plant(rng: np.random.Generator, n_odd: int) -> np.ndarray:
    """84 prompts x 3 temperatures x 5 seeds; some decide otherwise at temperature 0 alone, some waver rarely."""
    codes = np.zeros((84, 3, 5), dtype=np.int8)
    codes[10:25][rng.random((15, 3, 5)) < 0.07] = 2
    codes[:n_odd, 0] = 1
    return codes


def seed_plant(rng: np.random.Generator, n_odd: int) -> np.ndarray:
    """The same, but two seeds of a prompt decide otherwise, at every temperature."""
    codes = cold_plant(rng, 0)
    for prompt in range(n_odd):
        codes[prompt][:, rng.permutation(5)[:2]] = 2
    return codes


def barely_plant(rng: np.random.Generator, n_odd: int) -> np.ndarray:
    """The same, but as few samples as make a prompt unstable decide otherwise, anywhere in its grid."""
    codes = cold_plant(rng, 0)
    for prompt in range(n_odd):
        codes[prompt].reshape(-1)[rng.permutation(15)[:4]] = 2
    return codes


@pytest.mark.parametrize("plant", [cold_plant, seed_plant, barely_plant])
def test_prompts_that_deviate_where_no_model_expects_it_are_found(plant: Callable[..., np.ndarray]) -> None:
    wrong, unstable = 0, 0
    for seed in range(4):
        rng = np.random.default_rng([8, seed])
        codes = plant(rng, 10)
        truth = below(ssi(tally(codes).sum(axis=1)), THRESHOLD)
        rule = StoppingRule()
        design = designed((0.0, 0.7, 1.0), 5, 84, rule, "turns", rng)
        found = sample_by_rounds(lambda _, codes=codes: codes, design, rule)  # type: ignore[misc]
        wrong += int(((found.verdict == STABLE) & truth).sum())
        unstable += int(truth.sum())
        # Each temperature was asked before a prompt was called stable.
        assert ((found.codes != NOT_SAMPLED).sum(axis=2) > 0).all()
    assert wrong <= 0.05 * unstable + 3 * np.sqrt(0.05 * unstable)


def test_the_audit_enters_neither_fit_nor_verdicts(study: np.ndarray) -> None:
    """What is drawn for the audit changes nothing but the audited prompts' own samples."""
    first, second = (
        designed(TEMPERATURES, 5, len(study), StoppingRule(audit=share), "turns", np.random.default_rng(0))
        for share in (0.0, 0.3)
    )
    found = [sample_by_rounds(lambda _: study, design, StoppingRule()) for design in (first, second)]
    assert (found[0].verdict == found[1].verdict).all()
    assert (found[0].taken == found[1].taken).all()
    assert found[1].in_full[second.audited].all()


def test_verdicts_beside_the_audits_full_grids_by_hand() -> None:
    codes = np.zeros((6, 1, 5), dtype=np.int8)
    codes[[0, 1, 5], 0, :2] = 1
    codes[4] = MISSING
    verdict = np.array([STABLE, UNSTABLE, STABLE, UNDECIDED, STABLE, STABLE], dtype=np.int8)
    audited = np.array([True, True, True, True, True, False])
    found = audited_verdicts(verdict, codes, audited, THRESHOLD)
    # rows: truly stable, truly unstable; columns: undecided, stable, unstable
    assert found.counts.tolist() == [[1, 1, 0], [0, 1, 1]]
    assert (found.errors(0), found.errors(1)) == ((0, 2), (1, 2))
    # one error of two is expected in 9.75 % at a bound of 5 %, two of two in 0.25 %
    assert not found.contradicts(0.05)
    both = audited_verdicts(np.full(6, STABLE, dtype=np.int8), codes, audited, THRESHOLD)
    assert both.contradicts(0.05)
    # Clopper and Pearson: 1 - 0.025^(1/2) and so on
    assert exact_interval(0, 2, 0.95) == pytest.approx((0, 1 - 0.025**0.5))
    assert exact_interval(2, 2, 0.95) == pytest.approx((0.025**0.5, 1))
    assert exact_interval(0, 0, 0.95) == (0, 1)


def test_certificates_that_the_audit_contradicts_are_sampled_until_certain() -> None:
    """Seeds in an order that is not random, of which the last differ: what the rule cannot expect."""
    codes = np.zeros((240, 1, 10), dtype=np.int8)
    codes[:60, :, ::2] = 2
    codes[60:120, :, 7:] = 2
    found = {}
    for audit in (0.0, 0.3):
        rule = StoppingRule(audit=audit)
        design = designed((1.0,), 10, 240, rule, "hottest_first", np.random.default_rng(0))
        found[audit] = sample_by_rounds(lambda _: codes, design, rule)
    assert (found[0.0].verdict[60:120] == STABLE).all()
    assert DOUBTED not in found[0.0].reason
    assert not (found[0.3].verdict[:120] == STABLE).any()
    assert not (found[0.3].verdict[120:] == UNSTABLE).any()
    assert (found[0.3].reason[60:] == DOUBTED).all()


@given(st.integers(1, 9))
def test_the_compositions_are_every_grid_once(n: int) -> None:
    found = {tuple(row) for row in compositions(n).tolist()}
    assert found == {row for row in product(range(n + 1), repeat=3) if sum(row) == n}


def test_the_chance_of_agreement_is_scipys() -> None:
    assert hypergeom.pmf(9, 20, 15, 9) / 0.75 == pytest.approx(0.0397, abs=1e-4)


def test_a_design_draws_its_audit_without_looking() -> None:
    rule = StoppingRule(audit=0.2)
    design: Design = designed(TEMPERATURES, 5, 100, rule, "random", np.random.default_rng(0))
    assert design.audited.sum() == 20
    assert (np.sort(design.rank, axis=1) == np.arange(20)).all()
    assert len(np.unique(design.rank, axis=0)) > 90


def test_prompts_that_turn_to_another_decision_when_colder_are_not_passed_as_stable() -> None:
    # 30 of 100 prompts show one decision at temperature 0 and another above it: 8 of 12 agree, so they are unstable.
    codes = np.full((100, 3, 4), 2, dtype=np.int8)
    codes[:30, 0] = 0
    rule, rng = StoppingRule(first=4), np.random.default_rng(0)
    design = designed((0.0, 0.7, 1.0), 4, len(codes), rule, "turns", rng)
    found = sample_by_rounds(lambda _: codes, design, rule)
    assert not (found.verdict[:30] == STABLE).any()
    assert not (found.verdict[30:] == UNSTABLE).any()
    assert found.spent.mean() < 9
