"""The coverage study itself: its simulated studies are what they claim to be, and its counting is right."""

from __future__ import annotations

import numpy as np
import pytest

from refusal_stability.measures.aggregate import Resampling
from refusal_stability.measures.coverage import FIGURES, covered, measured, simulate
from refusal_stability.measures.stability import rates, ssi, tally

PRIOR = np.array([0.5, 0.15, 0.1])


def resampling(n_resamples: int) -> Resampling:
    return Resampling(n_resamples, 0.95, lambda *name: np.random.default_rng(list("\0".join(map(str, name)).encode())))


def test_simulated_shares_follow_the_prior_at_temperature_1_and_sharpen_below() -> None:
    counts = tally(simulate(PRIOR, 20_000, 5, np.random.default_rng(0)))
    # the prior's mean shares, to five standard errors of sqrt(0.25 / 20,000)
    np.testing.assert_allclose(rates(counts[:, -1]).mean(axis=0), PRIOR / PRIOR.sum(), atol=0.018)
    stability = ssi(counts).mean(axis=0)
    assert (np.diff(stability) < 0).all()


def test_coverage_counts_the_intervals_that_hold_the_truth() -> None:
    truth = dict.fromkeys(FIGURES, 0.5)
    bounds = [(0.4, 0.6), (0.5, 0.7), (0.51, 0.9), (0.1, 0.2)]
    studies = [
        {f"{f}_{end}": b for f in FIGURES for end, b in zip(("low", "high"), pair, strict=True)} for pair in bounds
    ]
    assert covered(studies, truth) == dict.fromkeys(FIGURES, 0.5)


def test_intervals_that_are_too_narrow_are_found_out() -> None:
    truth = measured(simulate(PRIOR, 40_000, 5, np.random.default_rng(1)), resampling(2), "truth")
    own = Resampling(200, 0.5, resampling(200).rng)  # half of the intervals should miss
    studies = [measured(simulate(PRIOR, 100, 5, np.random.default_rng(2 + i)), own, i) for i in range(60)]
    found = covered(studies, truth)
    assert np.mean(list(found.values())) == pytest.approx(0.5, abs=0.15)
