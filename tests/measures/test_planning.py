"""The table of planned studies."""

from __future__ import annotations

import numpy as np
import pytest

from refusal_stability.measures import power
from refusal_stability.measures.estimates import Resampling
from refusal_stability.measures.tables.planning import SAMPLES, planned_studies

PRIOR = np.array([0.6, 0.3, 0.1])


def rng_of(*names: object) -> np.random.Generator:
    return np.random.default_rng(list("\0".join(map(str, names)).encode()))


@pytest.fixture
def small_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(power, "POOL", 20_000)
    monkeypatch.setattr(power, "STUDIES", 1_000)


def test_a_row_for_each_number_of_samples_with_responses_and_tokens_of_both_sides(small_pool: None) -> None:
    rows = planned_studies(PRIOR, 7, "ssi", -0.05, 0.8, 12.5, Resampling(10, 0.95, rng_of), ("m", "none"))
    assert [(row["related"], row["samples"]) for row in rows] == [
        (related, n) for related in (True, False) for n in sorted((*SAMPLES, 7))
    ]
    for row in rows:
        assert row["responses"] == 2 * row["samples"] * row["prompts"]
        assert row["tokens"] == int(np.ceil(12.5 * row["responses"]))
        assert row["power"] == pytest.approx(0.8, abs=0.06)
        assert row["difference_seen"] < 0


def test_a_plan_out_of_reach_leaves_its_cells_empty(small_pool: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(power, "MOST_PROMPTS", 100)
    row = planned_studies(PRIOR, 20, "ssi", -0.001, 0.8, 10, Resampling(10, 0.95, rng_of), ("m", "none"))[-1]
    assert (row["prompts"], row["responses"], row["tokens"]) == (None, None, None)
    assert row["power"] < 0.8
