"""The coverage study itself: its simulated studies are what they claim to be, and its counting is right."""

from __future__ import annotations

import numpy as np
import pytest

from refusal_stability.measures import coverage
from refusal_stability.measures.aggregate import Resampling
from refusal_stability.measures.coverage import (
    FIGURES,
    PRIOR,
    count_hits,
    coverage_page,
    hits,
    measured,
    simulate,
    true_figures,
)
from refusal_stability.measures.stability import rates, ssi, tally


def resampling(n_resamples: int) -> Resampling:
    return Resampling(n_resamples, 0.95, lambda *name: np.random.default_rng(list("\0".join(map(str, name)).encode())))


def test_simulated_shares_follow_the_prior_at_temperature_1_and_sharpen_below() -> None:
    counts = tally(simulate(PRIOR, 20_000, 5, np.random.default_rng(0)))
    # the prior's mean shares, to five standard errors of sqrt(0.25 / 20,000)
    np.testing.assert_allclose(rates(counts[:, -1]).mean(axis=0), PRIOR / PRIOR.sum(), atol=0.018)
    stability = ssi(counts).mean(axis=0)
    assert (np.diff(stability) < 0).all()


@pytest.mark.parametrize(
    ("low", "high", "held"), [(0.4, 0.6, True), (0.5, 0.7, True), (0.51, 0.9, False), (0.1, 0.2, False)]
)
def test_an_interval_is_a_hit_where_it_holds_the_truth(low: float, high: float, held: bool) -> None:
    truth = dict.fromkeys(FIGURES, 0.5)
    study = {f"{figure}_{end}": bound for figure in FIGURES for end, bound in (("low", low), ("high", high))}
    assert hits(study, truth).tolist() == [held] * len(FIGURES)


def test_the_hits_do_not_depend_on_how_the_studies_are_split(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coverage, "TRUTH_PROMPTS", 5_000)
    own = resampling(100)
    truth = true_figures(own)
    whole = count_hits(40, range(4), truth, own)
    assert (whole == count_hits(40, range(1), truth, own) + count_hits(40, range(1, 4), truth, own)).all()
    assert 0 < whole.sum() < whole.size * 4


def test_the_page_shows_each_figures_share_and_its_standard_error() -> None:
    page = coverage_page({84: np.full(len(FIGURES), 0.9512), 300: np.full(len(FIGURES), 0.94)}, 100, 7, 1000)
    assert "100 simulated studies of each size, seed 7, 1,000 resamples" in page
    assert "standard\nerror of 2.2%" in page  # sqrt(0.95 * 0.05 / 100) = 0.0218
    assert page.count("| 95.1% | 94.0% |") == len(FIGURES)


def test_intervals_that_are_too_narrow_are_found_out() -> None:
    truth = measured(simulate(PRIOR, 40_000, 5, np.random.default_rng(1)), resampling(2), "truth")
    own = Resampling(200, 0.5, resampling(200).rng)  # half of the intervals should miss
    assert count_hits(100, range(60), truth, own).mean() / 60 == pytest.approx(0.5, abs=0.15)
