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
    simulated_coverage,
    simulated_study,
    widths_by_labels,
)
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
    assert planned == pytest.approx(short_simulation["width"][:3] / 2, rel=0.25)


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


def test_a_simulated_studys_labels_are_of_its_own_responses():
    rng = np.random.default_rng(0)
    counts, labelled, _ = simulated_study(rng.dirichlet([1, 1, 1], size=40), TENTH, 5, 200, rng)
    assert counts.sum() == 200
    assert labelled.sum(axis=0) == pytest.approx(counts.sum(axis=0))  # all are labelled


def test_intervals_cover_planted_truth(short_simulation):
    found = short_simulation
    assert (found["coverage"] >= 0.8).all()
    assert found["uncorrected"][2] > found["true"][2] + 0.3
    assert abs(found["corrected"] - found["true"]).max() < 0.12
