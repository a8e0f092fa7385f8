"""The coverage study itself: its simulated studies are what they claim to be, and its counting is right."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from refusal_stability.measures import coverage
from refusal_stability.measures.coverage import (
    FIGURES,
    PRIOR,
    STEADY,
    Block,
    count_hits,
    coverage_page,
    hits,
    measured,
    simulate,
    true_figures,
)
from refusal_stability.measures.estimates import Resampling
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
    assert hits(study, truth).tolist() == [[held] * len(FIGURES), [True] * len(FIGURES)]


def test_an_undefined_interval_is_no_hit_and_no_miss() -> None:
    study = {f"{figure}_{end}": np.nan for figure in FIGURES for end in ("low", "high")}
    assert not hits(study, dict.fromkeys(FIGURES, 0.5)).any()


def test_the_hits_do_not_depend_on_how_the_studies_are_split(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coverage, "TRUTH_PROMPTS", 5_000)
    own = resampling(100)
    truth = true_figures(own)
    whole = count_hits(40, range(4), truth, own)
    assert (whole == count_hits(40, range(1), truth, own) + count_hits(40, range(1, 4), truth, own)).all()
    assert 0 < whole[0].sum() < whole[1].sum() == len(FIGURES) * 4


def test_the_page_shows_each_figures_share_and_its_standard_error() -> None:
    usual = Block(PRIOR, {}, {84: np.full(len(FIGURES), 0.9512), 300: np.full(len(FIGURES), 0.94)})
    truth = {"pct_flipped": 7.5, "pct_unstable": 2.2, "pct_ever_comply": 2.6}
    steady = Block(STEADY, truth, {84: np.full(len(FIGURES), 0.81), 300: np.full(len(FIGURES), 0.9)})
    page = coverage_page(usual, steady, 100, 7, 1000)
    assert "100 simulated studies of each size, seed 7, 1,000 resamples" in page
    assert "standard error of a coverage of 95 % is 2.2%" in page  # sqrt(0.95 * 0.05 / 100) = 0.0218
    assert page.count("| 95.1% | 94.0% |") == page.count("| 81.0% | 90.0% |") == len(FIGURES)
    # 7.5 % of 84 and of 300 prompts, and so on
    assert "Of 84 / 300 prompts, 6 / 22 are expected to flip, 2 / 7 to be unstable, and\n2 / 8 ever to comply" in page


def test_intervals_that_are_too_narrow_are_found_out() -> None:
    truth = measured(simulate(PRIOR, 40_000, 5, np.random.default_rng(1)), resampling(2), "truth")
    own = Resampling(200, 0.5, resampling(200).rng)  # half of the intervals should miss
    held, defined = count_hits(100, range(60), truth, own)
    assert held.sum() / defined.sum() == pytest.approx(0.5, abs=0.15)


def test_intervals_cover_the_true_value_in_small_studies_and_nearly_so_for_what_rests_on_six_prompts() -> None:
    studies, own = 120, resampling(400)
    usual = count_hits(84, range(studies), true_figures(own), own)[0]
    # were every figure held in 94 %, the least of them would fall below this once in a thousand runs at most
    assert usual.min() >= stats.binom.ppf(1e-3 / len(FIGURES), studies, 0.94)
    assert abs(usual.sum() / usual.size / studies - 0.95) < 0.02
    steady = dict(zip(FIGURES, count_hits(84, range(studies), true_figures(own, STEADY), own, STEADY)[0], strict=True))
    # 6 prompts flip on average; unexpanded percentiles held mean_ssi's truth in 88 % of 400 such studies
    assert steady["mean_ssi"] >= stats.binom.ppf(0.01, studies, 0.93)
    assert steady["mean_ssi_pairwise"] >= stats.binom.ppf(0.01, studies, 0.95)


def test_the_documented_intervals_cover_the_true_value_in_93_to_97_percent_of_studies() -> None:
    page = (Path(__file__).parents[2] / "docs" / "coverage.md").read_text(encoding="utf-8")
    assert int(re.findall(r"`: ([\d,]+) simulated studies", page)[0].replace(",", "")) >= 5_000
    usual, steady = page.split("## A model that is almost always stable")
    for text in (usual, steady):
        rows = {line.split(" | ")[0].removeprefix("| "): line for line in text.splitlines() if line.endswith("% |")}
        assert list(rows) == list(FIGURES)
    shares = [float(share) for share in re.findall(r"([\d.]+)% \|", usual)]
    assert len(shares) == 3 * len(FIGURES)
    # A category of the smallest study has 12 prompts: `small`, as the tables mark it, and held a little less often.
    small = 3 * list(FIGURES).index("difference of a category")
    assert 92 <= shares.pop(small) <= 97
    assert all(93 <= share <= 97 for share in shares)
