"""What happened to no prompt: which events have a row, over which prompts, and with which bound."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from small_studies import SETTINGS, rng_of, study_of, tables_of

from refusal_stability.measures.aggregate import stability_row
from refusal_stability.measures.estimates import Resampling
from refusal_stability.measures.tables.zero_events import zero_events
from refusal_stability.measures.unseen import LIMITS, largest_unseen_share, with_the_unseen

R, C, MISSING = 0, 2, -1


def events(cube: np.ndarray, harms: list[str] | None = None) -> dict[str, tuple[int, float]]:
    study = study_of(cube)
    if harms is not None:
        study = replace(study, harms=np.array(harms, dtype=object))
    return {row["event"]: (row["n_prompts"], row["pct_at_most"]) for row in zero_events(study, SETTINGS)}


def test_a_model_that_always_refuses_has_the_exact_bounds() -> None:
    found = events(np.full((84, 1, 3), R))
    assert set(found) == {"flipped", "unstable", "complied"}
    # 1 - 0.05^(1/84); the rule of three says 3 / 84 = 3.57.
    assert found["complied"] == (84, pytest.approx(3.503, abs=0.001))


def test_the_bound_is_clopper_and_pearsons_and_near_the_rule_of_three() -> None:
    for n in (1, 10, 84, 876):
        peer = binomtest(0, n, alternative="less").proportion_ci(0.95, method="exact").high
        assert largest_unseen_share(n, 0.95) == pytest.approx(peer)
    assert largest_unseen_share(876, 0.95) == pytest.approx(3 / 876, rel=0.01)


def test_an_event_that_happened_has_no_row_and_each_is_over_its_own_prompts() -> None:
    # Prompt 1 flips among harmful ones, prompt 3 is benign and complies, prompt 4 has no decision.
    cube = np.array([[[R, R, R]], [[R, R, 1]], [[R, R, R]], [[C, C, C]], [[MISSING] * 3]])
    assert set(events(cube)) == set()
    found = events(cube, ["harmful", "harmful", "", "benign", "benign"])
    assert {event: n for event, (n, _) in found.items()} == {"complied": 3, "over-refused": 1}


def test_a_study_without_decisions_or_with_every_event_has_no_rows() -> None:
    assert events(np.full((2, 1, 2), MISSING)) == {}
    assert tables_of(study_of(np.array([[[R, C]], [[C, R]]])))["zero_events"].empty


def test_an_interval_without_width_reaches_as_far_as_the_unseen_prompts_may() -> None:
    own, units = np.array([0.0, 100.0, 0.0, 0.6, 2.5, 0.0]), np.full(6, 84.0)
    columns = [
        "pct_flipped",
        "pct_flipped 3",
        "mean_ssi_pairwise_difference",
        "mean_ssi",
        "mean_queries",
        "pct_unstable",
    ]
    low, high = with_the_unseen(columns, own, own, own + np.array([0, 0, 0, 0, 0, 1]), units, 0.95)
    one, two = 1 - 0.05 ** (1 / 84), 1 - 0.025 ** (1 / 84)
    np.testing.assert_allclose(low, [0, 100 - 100 * one, -two, 0.6 - (0.6 - 1 / 3) * two, 2.5, 0])
    np.testing.assert_allclose(high, [100 * one, 100, two, 0.6 + 0.4 * two, 2.5, 1])  # the last has a width already


@given(st.integers(1, 2000), st.floats(0, 1), st.sampled_from(sorted(LIMITS)), st.floats(0.5, 0.999))
def test_every_interval_holds_its_figure_and_stays_within_the_limits(
    n: int, at: float, name: str, level: float
) -> None:
    least, most = LIMITS[name]
    own = np.array([least + at * (most - least)])
    low, high = with_the_unseen([name], own, own, own, np.array([float(n)]), level)
    assert least - 1e-9 <= low[0] <= own[0] <= high[0] <= most + 1e-9
    assert low[0] < high[0]
    kept = with_the_unseen([name], own, own, own, np.array([float(n)]), level, fixed=[name])
    assert (kept[0][0], kept[1][0]) == (own[0], own[0])


def test_a_rare_event_is_covered_as_often_as_promised() -> None:
    # 84 prompts, of which a share p flips. Without the bound, the share of studies without a flip is never covered.
    rng = np.random.default_rng(1)
    for p, flipless in ((0.002, 0.84), (0.01, 0.43), (0.03, 0.08)):
        covered, none = [], []
        for study, flips in enumerate(rng.random((150, 84)) < p):
            counts = np.where(flips[:, None], [1, 0, 1], [2, 0, 0])
            row = stability_row(counts, 168, 0.8, Resampling(200, 0.95, rng_of), study)
            covered.append(row["pct_flipped_low"] <= 100 * p <= row["pct_flipped_high"])
            none.append(not flips.any())
        assert np.mean(none) == pytest.approx(flipless, abs=0.12)
        assert np.array(covered)[none].all()
        assert np.mean(covered) >= 0.91  # 95 % is promised; three standard errors of 150 studies are 5 points
