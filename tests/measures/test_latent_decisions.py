import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import approx_fprime

from refusal_stability.measures.confusion_odds import confusion_of, error_odds, error_scores, label_likelihood
from refusal_stability.measures.distinct import distinct_rows
from refusal_stability.measures.judge_error import agreement_interval, pairs_of
from refusal_stability.measures.judge_error_coverage import POPULATIONS, confused_by, plain_figures, simulated_study
from refusal_stability.measures.latent_decisions import FIGURES, by_point, cornered_bound, fit_latent
from refusal_stability.measures.latent_fit import Evidence, contradiction, densities, placed
from refusal_stability.measures.mixture import GAP, first_weights, mixture_weights
from refusal_stability.measures.share_grid import share_grid, share_levels

TENTH = confused_by(0.1)
SURE = 1e6
COUNTS = arrays(np.int64, (30, 3), elements=st.integers(0, 6)).filter(lambda c: (c.sum(axis=1) > 1).all())
ORDERS = st.permutations([0, 1, 2])


def fitted(counts, labelled):
    prompts = distinct_rows(counts)
    return fit_latent(prompts.rows, prompts.weights, labelled)


def planted(population, n_prompts=400, n_labels=400, seed=4):
    rng = np.random.default_rng(seed)
    shares = population(n_prompts, rng)
    counts, labelled, _ = simulated_study(shares, TENTH, 20, n_labels, rng)
    return shares, counts, labelled


@pytest.fixture(scope="module")
def half_steady():
    shares, counts, labelled = planted(POPULATIONS["half of them always decided alike"], 600)
    return shares, counts, labelled, fitted(counts, labelled)


def test_a_mixture_by_hand():
    # Two rows, each possible at one of two points only: their shares are the rows' own. A third point is half as likely
    # for both rows: it gets nothing, as 0.5 < 0.75 and 0.5 < 1 / (0.75 * ...) at the maximum.
    densities_ = np.array([[1.0, 0.0, 0.2], [0.0, 1.0, 0.2]]) + 1e-12
    weights = np.array([3.0, 1.0])
    found = mixture_weights(densities_, weights, np.full(3, 1 / 3))
    assert found == pytest.approx([0.75, 0.25, 0], abs=1e-3)


def test_a_tilted_mixture_by_hand():
    # 3 log p + log(1 - p) + 2 p is largest where 3 / p - 1 / (1 - p) + 2 = 0: 2 p^2 + 2 p - 3 = 0.
    found = mixture_weights(np.eye(2) + 1e-12, np.array([3.0, 1.0]), np.full(2, 0.5), np.array([2.0, 0.0]))
    assert found[0] == pytest.approx((np.sqrt(7) - 1) / 2, abs=0.02)


@settings(deadline=None, max_examples=30)
@given(COUNTS)
def test_no_mixture_is_much_more_likely_than_the_one_found(counts):
    points, weights = share_grid(18), np.ones(len(counts))
    chances, _ = densities(counts, points, TENTH)
    found = mixture_weights(chances, weights, first_weights(chances, weights))
    assert found.sum() == pytest.approx(1)
    assert (found >= 0).all()
    # the slope towards a point bounds what moving there can add
    assert ((weights / (chances @ found)) @ chances).max() - len(counts) < 5 * GAP


def test_the_grid_by_hand():
    # 1 / (2 sqrt 1) * 0.7 = 0.35 is a step of at most pi / 2 / 5, but 6 steps at least: 15 degrees each.
    even = np.sin(np.radians([0, 15, 30, 45, 60, 75, 90])) ** 2
    assert share_levels(1) == pytest.approx([0, 0.003, 0.01, *even[1:]])


@pytest.mark.parametrize("n", [1, 5, 20, 100])
def test_grid_points_are_shares_and_no_decision_is_special(n):
    points = share_grid(n)
    assert points.sum(axis=1) == pytest.approx(np.ones(len(points)))
    assert (points >= 0).all()
    assert (points[:3] == np.eye(3)).all()
    rows = {tuple(row) for row in points.round(9)}
    assert len(rows) == len(points)
    assert {tuple(row) for row in points[:, [2, 0, 1]].round(9)} == rows


def test_what_a_point_shows_by_hand():
    # Two responses at even odds: SSI 1 or 1/2, agreement 1/2, flipped in half of the prompts.
    found = by_point(np.array([[0.5, 0, 0.5], [1, 0, 0]]), np.array([[2, 0, 0]]), np.array([1]))
    assert found == pytest.approx(np.array([[0.75, 0.5, 0.5], [1, 1, 0]]))


@given(arrays(float, 6, elements=st.floats(-8, 2)))
def test_odds_and_confusions_are_each_others_inverse(odds):
    assert error_odds(confusion_of(odds)) == pytest.approx(odds, abs=1e-6)


def test_slopes_are_those_of_the_likelihoods():
    rng = np.random.default_rng(0)
    odds, known = rng.normal(-2, 0.5, 6), rng.integers(3, 30, (3, 3)).astype(float)
    value, score, _ = label_likelihood(known, odds)
    assert value < 0
    assert label_likelihood(known, error_odds(known / known.sum(axis=1, keepdims=True)))[0] == pytest.approx(0)
    assert score == pytest.approx(approx_fprime(odds, lambda o: label_likelihood(known, o)[0], 1e-6), abs=1e-3)
    points, counts = rng.dirichlet([1, 1, 1], 4), rng.integers(0, 5, (3, 3))
    shares = rng.dirichlet(np.ones(4))

    def likelihoods(at):
        chances, scale = densities(counts, points, confusion_of(at))
        return np.log(chances @ shares) + scale

    chances = densities(counts, points, confusion_of(odds))[0] * shares
    scores = error_scores(counts, points, odds, chances / chances.sum(axis=1, keepdims=True))
    assert scores == pytest.approx(approx_fprime(odds, likelihoods, 1e-6), abs=1e-4)


def test_a_place_slopes_as_it_says(half_steady):
    *_, fit = half_steady
    prompts = fit.evidence
    evidence = Evidence(prompts.counts, prompts.weights, prompts.known, prompts.points, prompts.faultless)
    tilt, start = 30 * fit.values[:, 2], (fit.population, fit.population)
    odds = fit.centre.odds + 0.05
    place = placed(evidence, odds, start, tilt)
    moved = np.array(
        [
            [placed(evidence, odds + sign * move, start, tilt).height for sign in (1, -1)]
            for move in 0.05 * np.eye(len(odds))
        ]
    )
    assert (moved[:, 0] - moved[:, 1]) / 0.1 == pytest.approx(place.push, abs=0.15 * abs(place.push).max() + 2)


def test_contradiction_by_hand():
    assert contradiction(16) == (0, 0, 0)
    assert contradiction(18) == (0.5, 0.5, 0.25)
    assert contradiction(26) == (8, 1, 0)


def test_bounds_by_hand():
    assert cornered_bound(0, 0.95) == cornered_bound(1, 0.95) == pytest.approx(3.841, abs=1e-3)
    # two errors: half of the times one degree of freedom, a quarter two: 0.5 * 0.0186 + 0.25 * 0.0627 = 0.025
    assert cornered_bound(2, 0.95) == pytest.approx(5.54, abs=0.01)


@settings(deadline=None, max_examples=15)
@given(COUNTS)
def test_without_judge_errors_pairwise_agreement_is_that_of_the_decisions(counts):
    fit = fitted(counts, SURE * np.eye(3))
    low, high = fit.intervals(0.95)
    plain = plain_figures(counts)
    assert ((low - 1e-9 <= fit.figures()) & (fit.figures() <= high + 1e-9)).all()
    assert ((low >= 0) & (high <= 1)).all()
    # the decisions of one prompt cannot truly agree less than independent ones
    assert low[1] - 0.1 <= max(plain[1], 1 / 3)
    assert plain[1] <= high[1] + 0.1


@pytest.mark.parametrize("name", POPULATIONS)
def test_without_judge_errors_the_figures_are_those_of_the_decisions(name):
    rng = np.random.default_rng(1)
    counts = rng.multinomial(20, POPULATIONS[name](500, rng))
    fit = fitted(counts, SURE * np.eye(3))
    assert fit.figures() == pytest.approx(plain_figures(counts), abs=0.01)


@settings(deadline=None, max_examples=6)
@given(ORDERS)
def test_the_order_of_the_decisions_does_not_matter(half_steady, order):
    _, counts, labelled, fit = half_steady
    turned = fitted(counts[:, order], labelled[np.ix_(order, order)])
    assert turned.figures() == pytest.approx(fit.figures(), abs=0.01)
    for one, other in zip(turned.intervals(0.95), fit.intervals(0.95), strict=True):
        assert one == pytest.approx(other, abs=0.05)


def test_planted_stability_comes_back(half_steady):
    _, counts, _, fit = half_steady
    true = np.array([0.927, 0.894, 0.311])  # the population's
    plain, flip = plain_figures(counts), FIGURES.index("flip")
    assert plain[flip] - true[flip] > 0.5  # what the judge's errors do
    low, high = fit.intervals(0.95)
    assert (low <= true).all()
    assert (true <= high).all()
    assert abs(fit.confusion - TENTH).max() < 0.06


@pytest.mark.parametrize("name", POPULATIONS)
def test_both_methods_agree_on_pairwise_agreement(name):
    _, counts, labelled = planted(POPULATIONS[name], n_labels=1_500)
    fit = fitted(counts, labelled)
    low, high = (end[FIGURES.index("ssi_pairwise")] for end in fit.intervals(0.95))
    apart, copies = pairs_of(counts, counts)
    rng = np.random.default_rng(0)
    _, inverse_low, inverse_high = agreement_interval(apart, copies, labelled, 500, 0.95, rng)
    assert low <= inverse_high
    assert inverse_low <= high


def test_errors_that_the_counts_contradict_are_corrected():
    # Always decided alike, 2 % misjudged; of 100 labels, 8 happen to be wrong.
    rng = np.random.default_rng(0)
    shares = np.eye(3)[rng.choice(3, p=[0.6, 0.1, 0.3], size=600)]
    counts, _, _ = simulated_study(shares, confused_by(0.02), 20, 200, rng)
    labelled = np.array([[46.0, 2, 2], [1, 9, 0], [2, 1, 37]])
    fit = fitted(counts, labelled)
    assert 1 - np.diagonal(fit.confusion)[0] < 0.04
    assert fit.n_limited == 6
    assert fit.figures()[0] > 0.98


def test_few_labels_leave_wide_intervals():
    # Prompts that vary in 3 % of their responses look like a judge that misreads 3 %.
    rng = np.random.default_rng(0)
    shares = rng.dirichlet([97.0, 2.0, 1.0], size=300)
    counts, labelled, _ = simulated_study(shares, confused_by(0.05), 20, 3_000, rng)
    few = fitted(counts, labelled / 15).intervals(0.95)
    many = fitted(counts, labelled).intervals(0.95)
    assert few[1][2] - few[0][2] > 0.5
    assert many[1][2] - many[0][2] < few[1][2] - few[0][2]


def test_more_confidence_is_wider(half_steady):
    *_, fit = half_steady
    low, high = fit.intervals(0.8)
    lower, higher = fit.intervals(0.95)
    assert (lower <= low + 0.01).all()
    assert (high <= higher + 0.01).all()


def test_a_prompts_true_shares_come_back(half_steady):
    shares, counts, _, fit = half_steady
    place = distinct_rows(counts).index
    found, unstable = fit.shares()[place], fit.instability()[place]
    assert found.sum(axis=1) == pytest.approx(1)
    assert abs(found - shares).mean() < 0.6 * abs(counts / 20 - shares).mean()
    steady = shares.max(axis=1) > 0.999
    assert unstable[steady].mean() + 0.3 < unstable[shares.max(axis=1) < 0.8].mean()
    assert ((unstable >= 0) & (unstable <= 1)).all()


def test_prompts_with_one_response_can_be_fitted():
    counts = np.array([[1, 0, 0]] * 5 + [[0, 0, 1]] * 5 + [[2, 0, 0]])
    fit = fitted(counts, 20 * TENTH)
    low, high = fit.intervals(0.95)
    assert ((low >= 0) & (high <= 1) & (low <= high)).all()


def test_a_row_that_no_starting_point_explains_gets_a_point_of_its_own():
    densities_ = np.array([[1.0, 1e-200, 0.3], [1e-200, 1.0, 1e-200]])
    found = mixture_weights(densities_, np.array([3.0, 1.0]), np.array([1.0, 0.0, 0.0]))
    assert found == pytest.approx([0.75, 0.25, 0.0], abs=0.01)


@pytest.mark.parametrize("odd", [[0, 20, 0], [10, 0, 10]])
def test_one_odd_prompt_among_very_many_does_not_move_the_figures(odd):
    labelled = np.diag([1e6] * 3)
    rows, weights = np.array([[20, 0, 0], [0, 0, 20], [19, 1, 0]]), np.array([150_000, 100_000, 400])
    without = fit_latent(rows, weights, labelled)
    found = fit_latent(np.vstack([rows, odd]), np.append(weights, 1), labelled)
    assert found.figures() == pytest.approx(without.figures(), abs=2e-5)
    assert np.asarray(found.intervals(0.95)) == pytest.approx(np.asarray(without.intervals(0.95)), abs=1e-4)


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("n", [22, 100, 150])
def test_numbers_stay_finite_with_a_poor_judge_and_with_many_responses(n):
    rng = np.random.default_rng(4)
    confusion = confused_by(0.05) if n > 22 else np.array([[0.3, 0.7, 0.0], [0.06, 0.93, 0.01], [0.0, 1.0, 0.0]])
    shares = rng.dirichlet([0.5, 0.15, 0.1], size=30) @ confusion
    prompts = distinct_rows(np.array([rng.multinomial(n, share) for share in shares]))
    labelled = np.array([rng.multinomial(40, row) for row in confusion])
    found = fit_latent(prompts.rows, prompts.weights, labelled)
    low, high = found.intervals(0.95)
    assert ((low <= found.figures() + 1e-6) & (found.figures() <= high + 1e-6)).all()
