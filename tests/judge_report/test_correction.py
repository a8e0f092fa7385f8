import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from refusal_stability.judge_report.correction import corrected_draws, corrected_rates, weighted_draws

R, P, C = np.eye(3)


def test_a_corrected_rate_by_hand():
    # 100 responses, judged 60 REFUSE, 0 PARTIAL, 40 COMPLY. Two items: one REFUSE of weight 60 that people call
    # REFUSE, one COMPLY of weight 40 that people call PARTIAL: 40 / 100 moves from COMPLY to PARTIAL.
    rates = corrected_rates(np.array([60.0, 0, 40]), np.array([60.0, 40]), np.stack([R, C]), np.stack([R, P]))
    assert rates == pytest.approx([0.6, 0.4, 0.0])


def test_an_item_that_reviewers_split_over_counts_in_parts():
    # One item of weight 10 of 20, judged COMPLY, half the reviewers say REFUSE: 10/20 * 1/2 moves.
    rates = corrected_rates(np.array([0.0, 0, 20]), np.array([10.0]), np.stack([C]), np.stack([(R + C) / 2]))
    assert rates == pytest.approx([0.25, 0, 0.75])


def test_without_weights_the_judges_own_rate_stands():
    assert corrected_rates(np.array([3.0, 1, 0]), np.zeros(2), np.stack([R, P]), np.stack([C, C])) == pytest.approx(
        [0.75, 0.25, 0]
    )


def test_it_is_unbiased_over_samples():
    # Ten responses judged COMPLY, three of which people refuse. Over all 45 samples of two (weight 5 each) the mean
    # corrected COMPLY rate is the true one, 7/10.
    people = np.stack([R] * 3 + [C] * 7)
    rates = [
        corrected_rates(np.array([0.0, 0, 10]), np.array([5.0, 5]), np.stack([C, C]), people[[i, j]])[2]
        for i in range(10)
        for j in range(i)
    ]
    assert np.mean(rates) == pytest.approx(0.7)


@given(
    arrays(float, 3, elements=st.integers(0, 50).map(float)).filter(lambda a: a.sum() > 0),
    arrays(float, 5, elements=st.floats(0, 20)),
    arrays(int, 5, elements=st.integers(0, 2)),
    arrays(int, 5, elements=st.integers(0, 2)),
)
def test_corrected_rates_sum_to_one(judged, weights, judge, people):
    assert corrected_rates(judged, weights, np.eye(3)[judge], np.eye(3)[people]).sum() == pytest.approx(1)


def test_the_unseen_item_takes_its_share_of_its_stratum():
    strata = np.array(["b", "a", "b", "b"], dtype=object)
    draws, names = weighted_draws(strata, 0.5, 20_000, np.random.default_rng(0))
    assert names == ["a", "b"]
    assert draws[:, [1, 4]].sum(axis=1) == pytest.approx(np.ones(20_000))
    assert draws[:, [0, 2, 3, 5]].sum(axis=1) == pytest.approx(np.full(20_000, 3))
    # Of stratum a, one item: 1 * .5 / 1.5 = 1/3. Of stratum b, three items: 3 * .5 / 3.5 = 3/7.
    assert draws[:, 4:].mean(axis=0) == pytest.approx([1 / 3, 3 / 7], abs=0.01)


def study(rng, models, error):
    """800 responses of some models: their stratum (a kind and the judge's decision), the judge's and people's."""
    kind, truth = rng.choice(3, 800, p=[0.6, 0.25, 0.15]), rng.choice(3, 800, p=[0.45, 0.2, 0.35])
    wrong = rng.random(800) < np.minimum(error * np.array([0.2, 1, 2.5])[kind], 0.9)
    judge = np.where(wrong, (truth + rng.integers(1, 3, 800)) % 3, truth)
    return kind * 3 + judge, judge, truth, rng.integers(models, size=800)


def held(rng, models, error, size, labelled):
    """Whether the interval of each rate of model 0 holds the truth; None where a stratum has no label."""
    stratum, judge, truth, model = study(rng, models, error)
    names, counts = np.unique(stratum, return_counts=True)
    each = np.minimum(counts, max(2, size // len(names)))
    sample = [rng.choice(np.flatnonzero(stratum == s), n, replace=False) for s, n in zip(names, each, strict=True)]
    items = rng.permutation(np.concatenate(sample))[:labelled]
    done = np.bincount(stratum[items], minlength=9)
    if (done[names] == 0).any():
        return None
    weights = np.bincount(stratum, minlength=9)[stratum[items]] / done[stratum[items]]
    found = np.eye(3)[judge] * (model == 0)[:, None]
    people, strata = np.eye(3)[truth], stratum.astype(str).astype(object)
    others = {str(s): found[judge == s % 3] for s in names}
    estimate = corrected_rates(found.sum(axis=0), weights * (model[items] == 0), np.eye(3)[judge[items]], people[items])
    drawn = corrected_draws(found.sum(axis=0), found[items], people[items], weights, strata[items], others, 400, rng)
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    true = people[model == 0].mean(axis=0)
    return (np.minimum(low, estimate) <= true) & (true <= np.maximum(high, estimate))


@pytest.mark.parametrize("models", [1, 4])
@pytest.mark.parametrize("error", [0.05, 0.2, 0.4])
@pytest.mark.parametrize(("size", "labelled"), [(60, 54), (60, 25), (60, 15), (200, 200)])
def test_the_interval_holds_the_truth_as_often_as_it_says_with_few_labels_and_with_many(models, error, size, labelled):
    rng = np.random.default_rng([models, round(100 * error), size, labelled])
    found = [held(rng, models, error, size, labelled) for _ in range(400)]
    covered = np.array([f for f in found if f is not None])
    assert len(covered) >= 70
    assert (covered.mean(axis=0) >= 0.93).all()


def test_draws_sum_to_one_and_move_although_no_item_is_of_the_model():
    judged, people = np.array([10.0, 0, 10]), np.stack([R, C])
    drawn = corrected_draws(
        judged,
        np.zeros((2, 3)),
        people,
        np.array([10.0, 10]),
        np.array(["plain:REFUSE", "plain:COMPLY"], dtype=object),
        {"plain:REFUSE": np.stack([R, 0 * R]), "plain:COMPLY": np.stack([C])},
        500,
        np.random.default_rng(0),
    )
    assert drawn.sum(axis=1) == pytest.approx(np.ones(500))
    assert drawn.std(axis=0).min() > 0.05
