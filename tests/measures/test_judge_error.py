from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from refusal_stability.measures.judge_error import (
    agreement_interval,
    confusion_draws,
    confusion_rates,
    corrected_agreement,
    corrected_shares,
    effective_labels,
    errors_together,
    pairs_of,
)
from refusal_stability.measures.judge_error_coverage import (
    POPULATIONS,
    behind,
    confused_by,
    judged_counts,
    plain_figures,
    simulated_coverage,
    widths_by_labels,
)
from refusal_stability.measures.latent_decisions import FIGURES, POINTS, fit_latent
from refusal_stability.measures.stability import ssi_pairwise

TENTH = confused_by(0.1)
COUNTS = arrays(np.int64, (4, 3), elements=st.integers(0, 9)).filter(lambda c: (c.sum(axis=1) > 1).all())


def test_shares_by_hand():
    # Of 100 responses 60 are REFUSE; a tenth of each kind is misread, half of it as each other kind.
    judged = np.array([60 * 0.9 + 40 * 0.05, 60 * 0.05 + 40 * 0.05, 60 * 0.05 + 40 * 0.9]) / 100
    assert corrected_shares(judged, TENTH) == pytest.approx([0.6, 0, 0.4])


def test_agreement_by_hand():
    # A prompt that is always refused: two judgements agree in .9^2 + 2 * .05^2 = .815 of the pairs.
    one = TENTH[0]
    apart = np.outer(one, one)
    assert np.trace(apart) == pytest.approx(0.815)
    assert corrected_agreement(apart, np.array(0.0), TENTH) == pytest.approx(1.0)


def test_copies_of_a_judgement_agree_whatever_the_errors():
    # Three responses: two with one text (REFUSE, REFUSE), one COMPLY. 2 of 6 ordered pairs are copies.
    apart, copies = pairs_of(np.array([[2, 0, 1]]), np.array([[4, 0, 1]]))
    assert copies == pytest.approx([2 / 6])
    assert apart[0] == pytest.approx(np.array([[0, 0, 2], [0, 0, 0], [2, 0, 0]]) / 6)
    assert corrected_agreement(apart, copies, np.eye(3)) == pytest.approx([2 / 6])


@given(COUNTS)
def test_a_faultless_judge_leaves_pairwise_agreement_as_it_is(counts):
    apart, copies = pairs_of(counts, counts)
    assert corrected_agreement(apart, copies, np.eye(3)) == pytest.approx(ssi_pairwise(counts))


def test_agreement_is_unbiased_whatever_the_population():
    rng = np.random.default_rng(0)
    shares = rng.dirichlet([0.3, 0.2, 0.1], size=200_000)
    apart, copies = pairs_of(*[judged_counts(shares, TENTH, 4, rng)] * 2)
    found = corrected_agreement(apart.mean(axis=0), copies.mean(), TENTH)
    assert found == pytest.approx((shares**2).sum(axis=1).mean(), abs=0.004)


def test_weighted_labels_count_by_kish():
    # Two REFUSE labels of weights 3 and 1, one misjudged: (3 + 1)^2 / (9 + 1) = 1.6 labels, three quarters right.
    found = effective_labels(np.array([0, 0, 1, 2]), np.array([0, 2, 1, 2]), np.array([3.0, 1, 1, 1]))
    assert found[0] == pytest.approx([1.2, 0, 0.4])
    assert found[1:] == pytest.approx(np.eye(3)[1:])


@given(arrays(float, (3, 3), elements=st.floats(0, 50)))
def test_confusions_are_chances(labelled):
    for rates in (confusion_rates(labelled), confusion_draws(labelled, 5, np.random.default_rng(0))):
        assert rates.sum(axis=-1) == pytest.approx(np.ones(rates.shape[:-1]))


def test_errors_of_one_prompt_are_told_from_independent_ones():
    rng = np.random.default_rng(0)
    prompts, truth = np.repeat(np.arange(40), 5), np.zeros(200, dtype=int)
    clustered = np.repeat(np.arange(40) < 4, 5)
    observed, expected, p = errors_together(prompts, truth, clustered, rng)
    assert observed == 40  # 4 prompts of 10 pairs
    # 400 pairs, both of a pair misjudged with chance 20/200 * 19/199
    assert expected == pytest.approx(400 * 0.1 * 19 / 199, abs=0.3)
    assert p < 0.01
    assert errors_together(prompts, truth, rng.permutation(clustered), rng)[2] > 0.05


def test_a_single_response_says_nothing_of_agreement():
    apart, copies = pairs_of(np.array([[1, 0, 0]]), np.array([[1, 0, 0]]))
    found = agreement_interval(apart, copies, np.eye(3) * 9, 10, 0.95, np.random.default_rng(0))
    assert np.isnan(found).all()


@pytest.fixture(scope="module")
def planted():
    """A study with 10 % judge error, its true figures, and the fit."""
    rng = np.random.default_rng(4)
    shares = POPULATIONS["half of them always decided alike"](600, rng)
    counts = judged_counts(shares, TENTH, 20, rng)
    true = plain_figures(rng.multinomial(20, shares))
    weights = np.ones(len(counts), dtype=np.int64)
    return shares, counts, true, fit_latent(counts, weights, 500 * shares.mean(axis=0)[:, None] * TENTH)


def test_planted_stability_comes_back(planted):
    _, counts, true, fit = planted
    plain = plain_figures(counts)
    flip = FIGURES.index("flip")
    assert plain[flip] - true[flip] > 0.5  # what the judge's errors do
    assert abs(fit.figures() - true).max() < 0.06
    low, high = fit.intervals(0.95)
    assert (low < fit.figures()).all()
    assert (fit.figures() < high).all()
    assert abs(fit.confusion - TENTH).max() < 0.02


def test_both_explanations_of_steady_prompts_are_kept_until_the_data_reject_one(planted):
    *_, fit = planted
    assert fit.without_vertices is None  # half of 600 prompts are always decided alike
    rng = np.random.default_rng(6)
    shares = POPULATIONS["Dirichlet (1, 0.02, 0.01)"](200, rng)
    counts = judged_counts(shares, TENTH, 10, rng)
    unsure = fit_latent(counts, np.ones(200, dtype=np.int64), 100 * TENTH)
    other = unsure.without_vertices
    assert other is not None
    assert other.population[:3].max() < 1e-4
    alone = [replace(unsure, without_vertices=None), other]
    lows, highs = np.array([one.intervals(0.95) for one in alone]).transpose(1, 0, 2)
    low, high = unsure.intervals(0.95)
    assert (low, high) == (pytest.approx(lows.min(axis=0)), pytest.approx(highs.max(axis=0)))
    each = np.array([one.figures() for one in alone])
    assert (each.min(axis=0) <= unsure.figures()).all()
    assert (unsure.figures() <= each.max(axis=0)).all()


def test_a_prompts_true_shares_come_back(planted):
    shares, counts, _, fit = planted
    judged = counts / 20
    assert abs(fit.shares() - shares).mean() < 0.5 * abs(judged - shares).mean()
    unstable = fit.instability()
    steady = shares.max(axis=1) > 0.999
    assert unstable[steady].mean() < 0.25 < 0.8 < unstable[shares.max(axis=1) < 0.8].mean()
    assert ((unstable >= 0) & (unstable <= 1)).all()


def test_the_points_are_shares():
    assert POINTS.sum(axis=1) == pytest.approx(np.ones(len(POINTS)))
    assert (POINTS[:3] == np.eye(3)).all()


@pytest.fixture(scope="module")
def short_simulation():
    """A short simulation; benchmarks/judge_error.py is the long one."""
    return simulated_coverage(POPULATIONS["half of them always decided alike"], 150, 10, 200, TENTH, 25, 1)


def test_the_planned_widths_are_those_that_studies_get(short_simulation):
    population = POPULATIONS["half of them always decided alike"]
    pilot = judged_counts(population(300, np.random.default_rng(8)), TENTH, 10, np.random.default_rng(9))
    (planned, usable, mostly), (more, _, _) = widths_by_labels(behind(pilot, 0.1), 150, 10, 0.1, [200, 20_000], 0)
    assert (more < planned).all()
    assert usable == 1
    assert (mostly > planned).all()  # half of the studies are wider than the mean
    assert (mostly < 2 * planned).all()
    assert planned == pytest.approx(short_simulation["width"] / 2, rel=0.25)


def test_the_pilots_judge_errors_are_not_planned_for_twice():
    rng = np.random.default_rng(8)
    steady = np.eye(3)[rng.choice(3, p=[0.8, 0.05, 0.15], size=300)]
    shares = behind(judged_counts(steady, TENTH, 10, rng), 0.1)(2_000, rng)
    assert (shares.max(axis=1) > 0.95).mean() > 0.9  # as judged, 65 % of these prompts flip


def test_labels_of_a_rare_decision_may_be_too_few_to_correct_by():
    (widths, usable, mostly), (_, more, _) = widths_by_labels(
        POPULATIONS["Dirichlet (1, 0.02, 0.01)"], 60, 5, 0.1, [40, 2_000], 0
    )
    assert usable == 0
    assert np.isnan(widths).all()
    assert np.isinf(mostly).all()
    assert more == 1
    with pytest.raises(ValueError, match="hardly ever hold 5 of each decision"):
        simulated_coverage(POPULATIONS["Dirichlet (1, 0.02, 0.01)"], 60, 5, 40, TENTH, 1, 0)


def test_intervals_cover_planted_truth(short_simulation):
    found = short_simulation
    assert (found["coverage"] >= 0.8).all()
    assert found["uncorrected"][2] > found["true"][2] + 0.3
    assert abs(found["corrected"] - found["true"]).max() < 0.06
