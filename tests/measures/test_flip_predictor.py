import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression

from refusal_stability.measures.flip_predictor import (
    auc,
    calibrated,
    calibration_error,
    cross_validated,
    fit_chances,
    folds_of,
    quality,
    structure_effects,
)
from refusal_stability.measures.prompt_features import (
    LENGTH,
    READ,
    STRUCTURE,
    TEXT,
    WORDS,
    PromptFeatures,
    feature_columns,
    structure,
)
from refusal_stability.records import StudyError

TOPICS = ["bread", "stars", "locks", "engines", "rivers", "songs", "maps", "clocks"]


def planted(n=400, seed=0):
    """Prompts of which those on locks and maps mostly flip, and long ones a little more often than short ones."""
    rng = np.random.default_rng(seed)
    texts, chances = [], []
    for _ in range(n):
        topic, more = rng.choice(TOPICS), int(rng.integers(0, 12))
        texts.append(f"Tell me about {topic}, {' '.join(rng.choice(['and', 'more', 'please', 'now'], more))} {topic}.")
        chances.append(0.75 if topic in ("locks", "maps") else 0.02 + 0.01 * more)
    return texts, rng.random(n) < np.array(chances)


def bare(texts, states=None):
    return PromptFeatures(texts, [""] * len(texts), states)


def test_auc_by_hand():
    # Pairs (flips, does not): .9 > .5, .9 > .1, .5 = .5 (half), .5 > .1: 3.5 of 4.
    assert auc(np.array([True, True, False, False]), np.array([0.9, 0.5, 0.5, 0.1])) == pytest.approx(3.5 / 4)
    assert np.isnan(auc(np.array([True]), np.array([0.5])))


def test_the_interval_of_an_auc_covers_the_planted_one():
    # Scores of prompts that flip are one standard deviation higher: AUC = Phi(1 / sqrt(2)).
    true, covered = norm.cdf(1 / np.sqrt(2)), []
    for study in range(100):
        rng = np.random.default_rng([study, 5])
        truth = rng.random(250) < 0.25
        found = quality(truth, expit(rng.normal(truth * 1.0)), 200, rng)
        covered.append(found["auc_low"] <= true <= found["auc_high"])
    assert 0.89 <= np.mean(covered) <= 0.99


def test_prompts_of_one_intent_are_resampled_together():
    # Ten phrasings of each of 40 intents, which flip alike: as many independent units as there are intents.
    rng = np.random.default_rng(1)
    truth = rng.random(40) < 0.4
    scores = expit(rng.normal(truth * 1.0))
    once = quality(truth, scores, 400, np.random.default_rng(2))
    intents = [f"i{i}" for i in range(40) for _ in range(10)]
    tenfold = quality(truth.repeat(10), scores.repeat(10), 400, np.random.default_rng(2), intents)
    figures = ("auc", "auc_low", "auc_high")
    assert [tenfold[name] for name in figures] == pytest.approx([once[name] for name in figures])
    alone = quality(truth.repeat(10), scores.repeat(10), 400, np.random.default_rng(2))
    assert alone["auc_high"] - alone["auc_low"] < 0.5 * (once["auc_high"] - once["auc_low"])


@given(
    arrays(bool, 12), arrays(float, 12, elements=st.floats(0, 1)), arrays("U1", 12, elements=st.sampled_from("abcd"))
)
def test_an_interval_of_an_auc_lies_between_none_and_all(truth, scores, groups):
    if truth.all() or not truth.any():
        return
    found = quality(truth, scores, 30, np.random.default_rng(0), groups)
    if not np.isnan(found["auc_low"]):
        assert 0 <= found["auc_low"] <= found["auc_high"] <= 1


def test_calibration_error_by_hand():
    truth = np.array([True, False, False, True])
    # two bins: predicted .2 + .2, seen 0 of 2; predicted .8 + .6, seen 2 of 2
    assert calibration_error(np.sort(truth), np.array([0.2, 0.2, 0.6, 0.8]), 2) == pytest.approx((0.4 + 0.6) / 4)


@given(arrays(bool, 20), arrays(float, 20, elements=st.floats(0, 1)))
def test_auc_of_opposite_scores_adds_up_to_one(truth, scores):
    if truth.all() or not truth.any():
        return
    assert auc(truth, scores) + auc(truth, -scores) == pytest.approx(1)


@given(st.lists(st.text(), max_size=5))
def test_any_text_has_a_structure(texts):
    found = structure(texts)
    assert found.shape == (len(texts), len(STRUCTURE))
    assert np.isfinite(found).all()


def test_planted_words_are_found_and_chances_are_right():
    texts, flips = planted()
    folds = folds_of(texts, flips, 0)
    by_words = cross_validated(bare(texts), flips, flips, folds, TEXT)
    by_length = cross_validated(bare(texts), flips, flips, folds, LENGTH)
    found = quality(flips, by_words, 100, np.random.default_rng(0))
    assert found["auc"] > 0.8 > auc(flips, by_length) + 0.1
    assert found["auc_low"] < found["auc"] < found["auc_high"]
    assert found["brier"] < 0.7 * found["brier_baseline"]
    assert found["calibration_error"] < 0.08


def test_hidden_states_tell_what_words_do_not():
    texts, _ = planted()
    rng = np.random.default_rng(3)
    states = rng.normal(size=(len(texts), 8)) * 1_000 + 50
    flips = rng.random(len(texts)) < np.where(states[:, 2] > 50, 0.8, 0.1)
    folds = folds_of(texts, flips, 0)
    read = bare(texts, states)
    assert read.predictors[-1] == READ
    assert auc(flips, cross_validated(read, flips, flips, folds, READ)) > 0.75
    assert auc(flips, cross_validated(read, flips, flips, folds, TEXT)) < 0.6


def test_turned_columns_give_the_fit_of_all_columns():
    texts, flips = planted(60)
    rng = np.random.default_rng(4)
    states = rng.normal(size=(len(texts), 90))
    train, test = bare(texts, states).at(np.arange(40)), bare(texts, states).at(np.arange(40, 60))
    words, held_out = feature_columns(train, test, TEXT)
    centre, scale = train.states.mean(axis=0), train.states.std(axis=0)
    wide = np.hstack([words.toarray(), (train.states - centre) / scale / np.sqrt(90)])
    other = np.hstack([held_out.toarray(), (test.states - centre) / scale / np.sqrt(90)])
    model = LogisticRegression(C=3, tol=1e-9, max_iter=5_000).fit(wide, flips[:40])
    assert fit_chances(train, flips[:40], test, READ) == pytest.approx(model.predict_proba(other)[:, 1], abs=1e-3)


def test_labels_without_a_pattern_are_not_predicted():
    texts, _ = planted()
    flips = np.random.default_rng(1).random(len(texts)) < 0.3
    chances = cross_validated(bare(texts), flips, flips, folds_of(texts, flips, 0), WORDS)
    assert 0.4 < auc(flips, chances) < 0.6


def test_a_model_learned_elsewhere_is_calibrated_to_this_one():
    texts, flips = planted()
    rarer = flips & (np.random.default_rng(2).random(len(flips)) < 0.4)
    chances = cross_validated(bare(texts), flips, rarer, folds_of(texts, flips, 0), WORDS)
    assert chances.mean() == pytest.approx(rarer.mean(), abs=0.02)


def test_an_intent_is_never_split():
    texts, flips = planted()
    intents = [text.split()[3] + str(i % 9) for i, text in enumerate(texts)]
    folds = folds_of(intents, flips, 0)
    assert all(len(set(folds[np.array(intents) == intent])) == 1 for intent in set(intents))


def test_too_few_flips_are_said():
    with pytest.raises(StudyError, match=r"predict: 3 prompts .* change their decision, fewer than 10"):
        folds_of([str(i) for i in range(50)], np.arange(50) < 3, 0)


def test_calibration_moves_chances_to_what_happens():
    rng = np.random.default_rng(0)
    true = rng.random(4_000)
    found = calibrated(true**2, rng.random(4_000) < true, np.array([0.25, 0.81]))
    assert found == pytest.approx([0.5, 0.9], abs=0.06)


def test_the_effect_of_length_has_its_sign():
    rng = np.random.default_rng(0)
    texts = ["word " * int(n) + "end" for n in rng.integers(1, 60, 300)]
    flips = rng.random(300) < np.array([len(text) for text in texts]) / 350
    row = next(row for row in structure_effects(texts, flips, 50, rng) if row["feature"] == "words")
    assert row["odds_ratio_low"] < row["odds_ratio"] < row["odds_ratio_high"]
    assert row["odds_ratio"] > 1


def test_the_interval_of_an_effect_covers_the_planted_odds_ratio():
    # A question mark stands behind half of the prompts; one standard deviation more of it doubles the odds.
    covered, found = [], []
    for study in range(30):
        rng = np.random.default_rng([study, 88])
        asked = rng.random(250) < 0.5
        texts = [f"{' '.join(rng.choice(TOPICS, 8))}{'?' if ask else '.'}" for ask in asked]
        flips = rng.random(250) < expit(-1 + np.log(2) * (asked - asked.mean()) / asked.std())
        row = next(row for row in structure_effects(texts, flips, 40, rng) if row["feature"] == "question mark")
        covered.append(row["odds_ratio_low"] <= 2 <= row["odds_ratio_high"])
        found.append(np.log(row["odds_ratio"]))
    assert np.exp(np.mean(found)) == pytest.approx(2, rel=0.1)
    assert np.mean(covered) >= 0.8


def questions(n=120, seed=0):
    """Prompts of several lengths, half of them questions, some with a number, which flip more often."""
    rng = np.random.default_rng(seed)
    texts = [
        f"{' '.join(rng.choice(TOPICS, int(rng.integers(2, 15))))}{'?' if i % 2 else '.'}{' 7' if i % 3 else ''}"
        for i in range(n)
    ]
    return texts, rng.random(n) < np.where(np.arange(n) % 3, 0.5, 0.2)


def test_effects_are_those_of_newtons_method():
    texts, flips = questions()
    found = structure(texts)
    varies = found.std(axis=0) > 1e-9
    columns = (found[:, varies] - found[:, varies].mean(axis=0)) / found[:, varies].std(axis=0)
    design, penalty = np.column_stack([np.ones(len(flips)), columns]), np.diag([0.0] + [1.0] * columns.shape[1])
    slope = np.zeros(design.shape[1])
    for _ in range(50):
        chance = expit(design @ slope)
        curvature = design.T @ (design * (chance * (1 - chance))[:, None]) + penalty
        slope = slope + np.linalg.solve(curvature, design.T @ (flips - chance) - penalty @ slope)
    rows = structure_effects(texts, flips, 2, np.random.default_rng(0))
    assert [row["feature"] for row in rows] == [
        name for name, is_there in zip(STRUCTURE, varies, strict=True) if is_there
    ]
    assert [row["odds_ratio"] for row in rows] == pytest.approx(np.exp(slope[1:]).tolist(), rel=0.01)


@given(st.permutations(range(24)), st.integers(0, 5))
def test_effects_do_not_depend_on_order_and_turn_over_with_the_outcome(order, seed):
    texts, flips = questions(24, seed)
    if flips.all() or not flips.any():
        return

    def ratios(places, outcome):
        rows = structure_effects([texts[i] for i in places], outcome[list(places)], 1, np.random.default_rng(0))
        return {row["feature"]: row["odds_ratio"] for row in rows}

    own = ratios(range(24), flips)
    assert ratios(order, flips) == pytest.approx(own, rel=0.01)
    assert {name: 1 / ratio for name, ratio in ratios(range(24), ~flips).items()} == pytest.approx(own, rel=0.01)
