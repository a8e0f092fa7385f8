"""What happened to no prompt: which events have a row, over which prompts, and with which bound."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest
from small_studies import SETTINGS, study_of, tables_of

from refusal_stability.measures.tables.zero_events import largest_unseen_share, zero_events

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
