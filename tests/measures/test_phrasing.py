"""Variance between phrasings and languages: worked by hand, and recovered where it was planted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refusal_stability.measures.decision_arrays import DecisionArrays, Group
from refusal_stability.measures.estimates import Resampling
from refusal_stability.measures.phrasing import agreement_by_level, phrased_intents, phrasing_components
from refusal_stability.measures.tables.phrasings import intent_components, intents
from refusal_stability.measures.tables.settings import Settings
from refusal_stability.records import MISSING


def named(*names: str) -> np.ndarray:
    return np.array(names, dtype=object)


def test_components_by_hand() -> None:
    # intent a: phrasings (0 0) and (0 2); intent b: phrasings (2 2) and (2 2); two seeds each
    codes = np.array([[0, 0], [0, 2], [2, 2], [2, 2]], dtype=np.int8).reshape(4, 1, 2, 1)
    found = phrased_intents(codes, named("a", "a", "b", "b"), named("", "", "", ""))
    assert found.levels == ("phrasing", "seed")
    # between intents: a has 3 zeros and 1 two, b 4 twos: 4 of 16 pairs agree
    # between phrasings: 2 of 4 in a, 4 of 4 in b: 6 / 8; between seeds: 1 of 2, and of (0 2) none: 3 of 4
    weights = np.ones((1, 2))
    assert agreement_by_level(found, weights)[0] == pytest.approx([4 / 16, 6 / 8, 3 / 4])
    assert phrasing_components(found, weights)[0] == pytest.approx([0.5, 0.0, 0.25, 0.75])
    assert found.split.tolist() == [1.0, 0.0]  # (0 2) ties, and a tie's majority is the least safe, 2


def test_split_intents_by_hand() -> None:
    codes = np.array([[0, 0, 2], [2, 2, 0], [2, 2, 2], [0, 0, 0], [-1, -1, -1]], dtype=np.int8).reshape(5, 1, 3, 1)
    found = phrased_intents(codes, named("a", "a", "b", "c", "c"), named(*[""] * 5))
    assert found.split[0] == 1
    assert np.isnan(found.split[1:]).all()  # one phrasing, or one that was decided
    assert found.n_phrasings.tolist() == [2, 1, 1]


def test_copies_of_a_judges_decision_are_no_agreement() -> None:
    # Two seeds with one text, judged twice by a judge that errs at random and copies: repeats differ, seeds never do.
    rng = np.random.default_rng(0)
    codes = np.repeat(rng.choice([0, 2], size=(4000, 1, 1, 2)), 2, axis=2).astype(np.int8)
    found = phrased_intents(codes, named(*np.repeat(np.arange(2000), 2).astype(str)), named(*[""] * 4000))
    assert found.levels == ("phrasing", "seed", "judge")
    _, _, seed, judge, total = phrasing_components(found, np.ones((1, 2000)))[0]
    assert seed == pytest.approx(0, abs=0.03)
    assert judge == pytest.approx(total, abs=0.03)


def planted(
    rng: np.random.Generator, n_intents: int, sizes: tuple[int, int, int, int, int], spread: tuple[float, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Decisions (P, T, S, R) of intents in languages and phrasings: at each level shares scatter around the outer's."""
    shares = rng.dirichlet([1.0, 0.5, 1.5], size=n_intents)
    for size, precision in zip(sizes, spread, strict=True):
        weights = np.repeat(shares[..., None, :], size, axis=-2) * precision + 1e-9
        drawn = rng.standard_gamma(weights)
        shares = drawn / drawn.sum(axis=-1, keepdims=True)
    # the innermost level's shares are those of one response, on which each repeat is a draw
    codes = (rng.random((*shares.shape[:-1], 2, 1)) > np.cumsum(shares, axis=-1)[..., None, :]).sum(axis=-1).clip(0, 2)
    n_languages, n_phrasings = sizes[:2]
    flat = codes.reshape(n_intents * n_languages * n_phrasings, sizes[2], sizes[3], -1).astype(np.int8)
    intent = np.repeat(np.arange(n_intents), n_languages * n_phrasings).astype(str).astype(object)
    language = np.tile(np.repeat(["en", "de", "fr"][:n_languages], n_phrasings), n_intents).astype(object)
    return flat, intent, language


def truth(spread: tuple[float, ...]) -> np.ndarray:
    """The components: a level of precision k takes 1 / (k + 1) of what is left of the variance."""
    mean, total = np.array([1.0, 0.5, 1.5]) / 3, 3.0
    agreement = [float((mean**2).sum())]
    for precision in (total, *spread):
        agreement.append(agreement[-1] + (1 - agreement[-1]) / (precision + 1))
    return np.diff([*agreement, 1.0])


SPREAD, SIZES = (20.0, 8.0, 15.0, 6.0, 1e9), (2, 3, 2, 3, 1)


def test_planted_components_are_recovered() -> None:
    codes, intent, language = planted(np.random.default_rng(3), 4000, SIZES, SPREAD)
    found = phrased_intents(codes, intent, language)
    assert found.levels == ("language", "phrasing", "temperature", "seed", "judge")
    estimated = phrasing_components(found, np.ones((1, 4000)))[0]
    expected = truth(SPREAD[:4])
    assert estimated[:-1] == pytest.approx(expected, abs=0.012)
    assert estimated[-1] == pytest.approx(expected.sum(), abs=0.012)


def settings(n_resamples: int, seed: int = 0) -> Settings:
    return Settings(0.8, (0.8,), Resampling(n_resamples, 0.95, lambda *_: np.random.default_rng(seed)))


def study_of(codes: np.ndarray, intent: np.ndarray, language: np.ndarray) -> DecisionArrays:
    blank = np.full(len(codes), "", dtype=object)
    ids = np.array([f"p{i}" for i in range(len(codes))], dtype=object)
    temperatures, seeds = (tuple(range(size)) for size in codes.shape[1:3])
    group = Group("m", "none", {"j": codes}, "j")
    return DecisionArrays(ids, blank, temperatures, seeds, (group,), {}, blank, intent, language)


def test_intervals_cover_the_planted_components() -> None:
    expected, covered, studies = truth(SPREAD[:4]), np.zeros(7), 120
    figures = ("pct_intents_split", "language_disagreement", "phrasing_disagreement", "seed_disagreement")
    many = intents(study_of(*planted(np.random.default_rng(7), 4000, SIZES, SPREAD)), settings(2))[0]
    covered_shares = np.zeros(len(figures))
    for seed in range(studies):
        study = study_of(*planted(np.random.default_rng(1000 + seed), 120, SIZES, SPREAD))
        row = intents(study, settings(300, seed))[0]
        covered_shares += [row[f"{name}_low"] <= many[name] <= row[f"{name}_high"] for name in figures]
        rows = intent_components(study, settings(300, seed))
        values = [*expected, expected.sum()]
        covered += [
            r["intent_variance_low"] <= v <= r["intent_variance_high"] for r, v in zip(rows, values, strict=True)
        ]
    assert (covered >= 0.88 * studies).all(), covered / studies
    assert (covered_shares >= 0.88 * studies).all(), covered_shares / studies


def test_the_tables_of_a_study_with_languages() -> None:
    codes, intent, language = planted(np.random.default_rng(4), 60, SIZES, SPREAD)
    row = intents(study_of(codes, intent, language), settings(200))[0]
    assert (row["n_intents"], row["n_phrasings"]) == (60, 360)
    assert row["seed_disagreement"] < row["phrasing_disagreement"] < row["language_disagreement"]
    assert row["pct_intents_split_low"] <= row["pct_intents_split"] <= row["pct_intents_split_high"]
    one = study_of(codes, intent, np.full(360, "en", dtype=object))
    assert np.isnan(intents(one, settings(50))[0]["language_disagreement"])


def test_a_study_without_shared_intents_has_no_rows() -> None:
    codes = np.zeros((3, 1, 2, 1), dtype=np.int8)
    for names in (named("", "", ""), named("a", "b", "c")):
        study = study_of(codes, names, named("", "", ""))
        assert intents(study, settings(50)) == intent_components(study, settings(50)) == []


@given(st.data())
def test_components_add_up_and_do_not_depend_on_the_order_of_prompts(data: st.DataObject) -> None:
    n = data.draw(st.integers(4, 12))
    codes = np.array(
        data.draw(st.lists(st.sampled_from([MISSING, 0, 1, 2]), min_size=8 * n, max_size=8 * n)), dtype=np.int8
    ).reshape(n, 2, 2, 2)
    intent = named(*data.draw(st.lists(st.sampled_from(["a", "b", "c"]), min_size=n, max_size=n)))
    language = named(*data.draw(st.lists(st.sampled_from(["en", "de"]), min_size=n, max_size=n)))
    order = np.array(data.draw(st.permutations(range(n))))
    found, other = (phrased_intents(codes[o], intent[o], language[o]) for o in (np.arange(n), order))
    assert found.levels == other.levels
    first, second = (phrasing_components(f, np.ones((1, len(f.n))))[0] for f in (found, other))
    np.testing.assert_allclose(first, second, atol=1e-12)
    assert first[:-1].sum() == pytest.approx(first[-1], nan_ok=True)
