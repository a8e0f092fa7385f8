"""What a rule will spend where instability is predicted: drawn grids are as told, and a real replay spends as much."""

from __future__ import annotations

import numpy as np
import pytest

from refusal_stability.measures.adaptive.expected import drawn_grids, expected_spending
from refusal_stability.measures.adaptive.rounds import designed, sample_by_rounds
from refusal_stability.measures.adaptive.rules import StoppingRule
from refusal_stability.measures.coverage import PRIOR, simulate
from refusal_stability.measures.stability import below, flips, ssi, tally

TEMPERATURES = (0.0, 0.3, 0.7, 1.0)
RULE = StoppingRule(first=5)
HOT = "hottest_first"


def test_drawn_grids_are_as_they_were_told_to_be() -> None:
    unstable, wavering = np.arange(90) < 20, (np.arange(90) >= 20) & (np.arange(90) < 50)
    counts = tally(drawn_grids(unstable, wavering, (4, 5), 0.8, np.random.default_rng(0))).sum(axis=1)
    assert (counts.sum(axis=1) == 20).all()
    assert (below(ssi(counts), 0.8) == unstable).all()
    assert (flips(counts) == unstable | wavering).all()
    assert (counts[50:] > 0).any(axis=0).all()  # each decision is some steady prompt's


def test_what_a_grid_cannot_show_is_left_steady() -> None:
    counts = tally(drawn_grids(np.full(3, True), np.full(3, False), (1, 1), 0.8, np.random.default_rng(0)))
    assert (counts.sum(axis=1).max(axis=1) == 1).all()


@pytest.fixture(scope="module")
def study() -> np.ndarray:
    return simulate(PRIOR, 300, 5, np.random.default_rng(3))


def test_a_replay_of_a_planted_study_spends_as_expected(study: np.ndarray) -> None:
    counts = tally(study).sum(axis=1)
    told = [np.where(event, 0.8, 0.05) for event in (flips(counts), below(ssi(counts), 0.8))]
    design = designed(TEMPERATURES, 5, len(study), RULE, HOT, np.random.default_rng(0))
    spent = sample_by_rounds(lambda _: study, design, RULE, predicted=told[1]).spent.sum() / study.size
    found = expected_spending(*told, TEMPERATURES, 5, RULE, HOT, np.random.default_rng(1))
    assert found == pytest.approx(spent, abs=0.1)


def test_an_unpredicted_prompt_counts_as_the_mean_of_the_others(study: np.ndarray) -> None:
    def expected(chance: float, holes: int = 0) -> float:
        chances = np.full(120, chance)
        chances[:holes] = np.nan
        return expected_spending(chances, chances, TEMPERATURES, 5, RULE, HOT, np.random.default_rng(2))

    assert expected(0.5, holes=40) == pytest.approx(expected(0.5), abs=0.1)
