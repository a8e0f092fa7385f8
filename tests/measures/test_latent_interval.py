import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refusal_stability.measures.confusion_odds import SEEN_BEFORE, confusion_of, error_odds
from refusal_stability.measures.distinct import distinct_rows
from refusal_stability.measures.judge_error_coverage import FRESH, confused_by, simulated_study
from refusal_stability.measures.latent_decisions import FIGURES, STABLE_SIDE, cornered_bound, fit_latent
from refusal_stability.measures.latent_interval import ProfileSide, more_errors, n_limited

FLIP = FIGURES.index("flip")
BOUNDS = [cornered_bound(n, 0.95) for n in range(7)]
EVEN_ODDS, JUDGE = FRESH["half REFUSE, half at even odds, 4 % PARTIAL"]


def even_odds(number, prompts=876):
    rng = np.random.default_rng([77, number])
    counts, labelled, _ = simulated_study(EVEN_ODDS(prompts, rng), JUDGE, 20, 300, rng)
    distinct = distinct_rows(counts)
    return fit_latent(distinct.rows, distinct.weights, labelled)


def stable_side(fit, figure=FLIP, far=True):
    value = STABLE_SIDE[figure] * fit.values[:, figure]
    return ProfileSide(fit.evidence, fit.centre, value, 0.05, fit.most_errors if far else None)


@pytest.fixture(scope="module")
def one():
    return even_odds(11)


def test_more_errors_by_hand(one):
    # 100 labels of a decision, 5 misread one way: odds have the standard error 1 / sqrt(100 * 0.05 * 0.95) = 0.459.
    known = np.array([[90.0, 5, 5], [5, 90, 5], [0, 0, 100]]) + SEEN_BEFORE
    odds = error_odds(known / known.sum(axis=1, keepdims=True))
    evidence = type(one.evidence)(one.evidence.counts, one.evidence.weights, known, one.evidence.points, 0.0)
    step = more_errors(evidence, odds, 0.6) - odds
    assert step[:4] == pytest.approx([0.6 * 0.459] * 4, abs=2e-3)
    # never seen among 100: the standard error 1 / sqrt(0.02) = 7.07 stands for more than a step may be
    assert step[4:] == pytest.approx([3, 3])


def test_sure_labels_are_not_limited_by_the_counts_and_clear_counts_limit_most_errors():
    rng = np.random.default_rng(0)
    shares = np.eye(3)[rng.choice(3, p=[0.6, 0.1, 0.3], size=600)]
    counts, _, _ = simulated_study(shares, confused_by(0.1), 20, 300, rng)
    prompts = distinct_rows(counts)
    few = fit_latent(prompts.rows, prompts.weights, 60 * confused_by(0.1))
    many = fit_latent(prompts.rows, prompts.weights, 1e6 * confused_by(0.1))
    assert n_limited(many.evidence, many.centre) == 0
    assert n_limited(few.evidence, few.centre) >= 4


def test_a_second_start_finds_populations_that_one_misses():
    # Both errors on PARTIAL have to grow before its prompts become steady. From the estimate, neither seems to help.
    fit = even_odds(112)
    single, double = (-stable_side(fit, far=far).end(6.0)[0] for far in (False, True))
    assert double < single - 0.005


@pytest.mark.parametrize("figure", range(len(FIGURES)))
def test_further_ends_lose_more(one, figure):
    side = stable_side(one, figure)
    ends = [side.end(bound)[0] for bound in (1.0, 3.84, 8.0)]
    assert side.value @ one.population <= ends[0] + 1e-6
    assert ends[0] < ends[1] < ends[2]
    # each step is a maximum: no other one loses less than the tangent at it says
    for step in side.steps:
        for other in side.steps:
            least = step.root**2 + 2 * step.strength * (other.figure - step.figure)
            assert other.root**2 > least - 1.0


def test_the_bound_of_an_end_belongs_to_the_errors_that_are_limited_there(one):
    assert stable_side(one).stable_end([5.0] * 7) == pytest.approx(stable_side(one).end(5.0)[0], abs=1e-6)
    widest, regular = (stable_side(one).end(bound)[0] for bound in (BOUNDS[6], BOUNDS[0]))
    own = stable_side(one).stable_end(BOUNDS)
    assert regular - 0.005 <= own <= widest + 0.005


@settings(deadline=None, max_examples=25)
@given(st.lists(st.floats(-7, -1), min_size=6, max_size=6), st.floats(0.1, 3))
def test_more_errors_are_more(one, odds, errors):
    more = more_errors(one.evidence, np.array(odds), errors)
    assert (more > odds).all()
    assert (np.diagonal(confusion_of(more)) < np.diagonal(confusion_of(np.array(odds)))).all()


def test_intervals_cover_where_half_of_the_prompts_are_at_even_odds():
    # 7 of 10 or more, of 95 % intervals: by chance fewer in 0.1 % of such tests
    truth = np.array([0.803, 0.761, 0.479])
    ends = [even_odds(200 + number, 300).intervals(0.95) for number in range(10)]
    covered = sum(((low <= truth) & (truth <= high)).astype(int) for low, high in ends)
    assert (covered >= 7).all()


@pytest.mark.parametrize("known", [[[90, 5, 5], [5, 90, 5], [5, 5, 90]], np.eye(3)])
def test_prompts_with_one_decision_each_leave_open_that_all_are_steady(known):
    # A single decision says nothing of a prompt's stability: that all of them always agree is as likely as anything.
    prompts = np.eye(3)[np.repeat([0, 1, 2], [150, 60, 90])]
    distinct = distinct_rows(prompts)
    _, high = fit_latent(distinct.rows, distinct.weights, np.array(known, dtype=float)).intervals(0.95)
    assert high[FIGURES.index("ssi_pairwise")] == pytest.approx(1.0, abs=1e-6)
