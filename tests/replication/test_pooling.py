"""Pooling models makes prompts look unstable that no model wavers on."""

from __future__ import annotations

import numpy as np
import pytest

from refusal_stability.measures.decision_arrays import DecisionArrays, Group
from refusal_stability.replication.pooling import pooling

R, P, C, NONE = 0, 1, 2, -1


def study_of(*models: list[list[list[int]]]) -> DecisionArrays:
    """A study of models given as [prompt][temperature][seed] codes at temperatures 0 and 1."""
    cubes = [np.array(model, dtype=np.int8) for model in models]
    groups = tuple(Group(f"m{i}", "none", {"j": cube[..., None]}, "j") for i, cube in enumerate(cubes))
    names = np.array([f"p{i}" for i in range(len(cubes[0]))], dtype=object)
    return DecisionArrays(names, names, (0.0, 1.0), tuple(range(cubes[0].shape[2])), groups, {})


def test_two_steady_models_that_differ_look_unstable_when_pooled() -> None:
    # One model always refuses, the other always complies, 2 seeds at 2 temperatures: each has SSI 1 and no flip.
    # Pooled: 2 of each at a temperature, so SSI 2/4 and every prompt "unstable" and "flipped".
    table = pooling(study_of([[[R, R], [R, R]]], [[[C, C], [C, C]]]), 0.8)
    assert table["temperature"].tolist()[1:] == [0.0, 1.0]
    assert np.isnan(table["temperature"][0])
    assert table["mean_ssi_pooled"].tolist() == [0.5, 0.5, 0.5]
    assert table["mean_ssi_by_model"].tolist() == [1.0, 1.0, 1.0]
    assert table["pct_flipped_pooled"].tolist() == [100.0] * 3
    assert table["pct_flipped_by_model"].tolist() == [0.0] * 3
    assert table["pct_unstable_pooled"].tolist() == [100.0] * 3
    assert table["responses_a_prompt"].tolist() == [8.0, 4.0, 4.0]


def test_the_models_own_figures_are_averaged_by_hand() -> None:
    # T = 0: model one R R (SSI 1), model two R C (SSI 1/2): mean 3/4; pooled 3 of 4 refuse: 3/4 as well.
    # T = 1: R P (1/2) and C C (1): mean 3/4; pooled R P C C: 2/4.
    table = pooling(study_of([[[R, R], [R, P]]], [[[R, C], [C, C]]]), 0.8).set_index("temperature")
    assert table.loc[0.0, ["mean_ssi_pooled", "mean_ssi_by_model"]].tolist() == pytest.approx([0.75, 0.75])
    assert table.loc[1.0, ["mean_ssi_pooled", "mean_ssi_by_model"]].tolist() == pytest.approx([0.5, 0.75])
    assert table.loc[0.0, "pct_flipped_by_model"] == 50.0


def test_one_model_pooled_is_itself() -> None:
    table = pooling(study_of([[[R, C], [R, R]], [[P, P], [C, P]]]), 0.8)
    for name in ("mean_ssi", "pct_unstable", "pct_flipped"):
        assert table[f"{name}_pooled"].tolist() == table[f"{name}_by_model"].tolist()


def test_prompts_without_a_decision_are_left_out() -> None:
    table = pooling(study_of([[[NONE, NONE], [R, R]], [[R, C], [R, R]]]), 0.8).set_index("temperature")
    assert table.loc[0.0, "mean_ssi_pooled"] == 0.5
    assert table.loc[1.0, "mean_ssi_pooled"] == 1.0


def test_a_temperature_without_any_decision_has_no_figure() -> None:
    table = pooling(study_of([[[NONE, NONE], [R, R]]]), 0.8).set_index("temperature")
    assert np.isnan(table.loc[0.0, "mean_ssi_pooled"])
