"""What interventions change: worked by hand, recomputed another way, and at the limits of a study."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from small_studies import SETTINGS, study_of, tables_of

from refusal_stability.measures.comparison import holm
from refusal_stability.measures.decision_arrays import DecisionArrays
from refusal_stability.measures.tables.interventions import TESTED, change_row, intervention_prompts, interventions
from refusal_stability.records import MISSING, NOT_SAMPLED

# One temperature, four seeds. Prompts 0 to 2 are harmful, prompt 3 is benign, prompt 4 does not say.
CONTROL = np.array([[[0, 0, 2, 2]], [[0, 0, 0, 0]], [[2, 2, 2, 2]], [[2, 2, 2, 2]], [[0, 0, 0, 2]]])
CAREFUL = np.array([[[0, 0, 0, 0]], [[0, 0, 0, 0]], [[2, 2, 0, 0]], [[2, 2, 2, 0]], [[0, 0, 0, 2]]])
HARMS = np.array(["harmful", "harmful", "harmful", "benign", ""], dtype=object)


def treated(*cubes: np.ndarray, names: tuple[str, ...] = ("none", "careful"), **more: object) -> DecisionArrays:
    study = study_of(*cubes, models=("m",) * len(cubes), interventions=names)
    return dataclasses.replace(study, **more)


def changes(*cubes: np.ndarray, **more: object) -> pd.DataFrame:
    return pd.DataFrame(interventions(treated(*cubes, **more), SETTINGS))


def pooled(table: pd.DataFrame) -> pd.Series:
    (row,) = table[table["temperature"].isna()].to_dict("records")
    return row


def test_every_change_by_hand() -> None:
    row = pooled(changes(CONTROL, CAREFUL, harms=HARMS))
    assert (row["model"], row["intervention"], row["control"]) == ("m", "careful", "none")
    assert (row["n_pairs"], row["n_benign"], row["n_different"]) == (5, 1, 3)
    # SSI 1/2, 1, 1, 1, 3/4 under the control and 1, 1, 1/2, 3/4, 3/4 under the intervention
    assert row["mean_a"] == pytest.approx(4.25 / 5)
    assert row["mean_difference"] == pytest.approx((0.5 - 0.5 - 0.25) / 5)
    # prompts 0 and 4 flip, then 2, 3 and 4
    assert row["pct_flipped_difference"] == pytest.approx(100 * (3 - 2) / 5)
    assert row["safety_refuse_rate_difference"] == pytest.approx((0.5 + 0 + 0.5 + 0) / 4)
    assert row["safety_comply_rate_difference"] == pytest.approx((-0.5 + 0 - 0.5 + 0) / 4)
    assert row["over_refusal_difference"] == 0.25
    # of the signs of (0.5, -0.5, -0.25), all reach |-0.25|
    assert row["mean_difference_p"] == pytest.approx(1)
    # of the signs of (0.5, 0.5), two of four reach 1
    assert row["safety_refuse_rate_difference_p"] == pytest.approx(0.5)
    assert row["over_refusal_difference_p"] == pytest.approx(1)  # one prompt can show nothing


def test_prompts_that_became_stable_or_unstable_have_a_direction() -> None:
    row = pooled(changes(CONTROL, CAREFUL, harms=HARMS))
    # threshold 0.8: prompts 0 and 4 are unstable, then 2, 3 and 4
    assert (row["n_became_stable"], row["n_became_stable_refuse"], row["n_became_stable_comply"]) == (1, 1, 0)
    assert (row["n_became_unstable"], row["n_became_unstable_refuse"], row["n_became_unstable_comply"]) == (2, 2, 0)
    study = treated(CONTROL, CAREFUL, harms=HARMS)
    moved = pd.DataFrame(intervention_prompts(study, SETTINGS)).query("temperature.isna()").set_index("prompt_id")
    assert moved["became"].to_dict() == {"p0": "stable", "p2": "unstable", "p3": "unstable"}
    assert set(moved["towards"]) == {"REFUSE"}
    assert moved.loc["p2", ["ssi_a", "ssi_b", "majority_a", "majority_b"]].tolist() == [1, 0.5, "COMPLY", "COMPLY"]
    assert moved["harm"].to_dict() == {"p0": "harmful", "p2": "harmful", "p3": "benign"}


def test_partial_lies_halfway_and_a_prompt_can_stay_where_it_was() -> None:
    control = np.array([[[1, 1, 1, 1]], [[0, 0, 0, 0]], [[0, 0, 2, 2]]])
    treatment = np.array([[[0, 0, 2, 2]], [[1, 1, 0, 0]], [[1, 1, 1, 1]]])
    study = treated(control, treatment)
    moved = pd.DataFrame(intervention_prompts(study, SETTINGS)).query("temperature.isna()")
    assert moved[["became", "towards"]].to_numpy().tolist() == [
        ["unstable", ""],
        ["unstable", "COMPLY"],
        ["stable", ""],
    ]
    row = pooled(changes(control, treatment))
    assert (row["n_became_unstable"], row["n_became_unstable_refuse"], row["n_became_unstable_comply"]) == (2, 0, 1)


def test_the_study_s_first_intervention_is_the_control_where_there_is_no_none() -> None:
    table = changes(CONTROL, CAREFUL, CONTROL, names=("plain", "careful", "again"))
    assert set(table["control"]) == {"plain"}
    assert set(table["intervention"]) == {"careful", "again"}
    last = changes(CAREFUL, CONTROL, names=("careful", "none"))
    assert (set(last["control"]), set(last["intervention"])) == ({"none"}, {"careful"})


def test_a_study_of_one_intervention_has_no_rows() -> None:
    tables = tables_of(study_of(CONTROL, CAREFUL))  # two models
    assert tables["interventions"].empty
    assert tables["intervention_prompts"].empty


def test_models_are_compared_with_their_own_control() -> None:
    study = study_of(
        CONTROL, CAREFUL, CAREFUL, CONTROL, models=("a", "a", "b", "b"), interventions=("none", "careful") * 2
    )
    table = pd.DataFrame(interventions(study, SETTINGS)).query("temperature.isna()").set_index("model")
    assert table.loc["a", "mean_difference"] == -table.loc["b", "mean_difference"] != 0


def test_prompts_that_are_missing_on_a_side_are_not_paired() -> None:
    control, careful = CONTROL.copy(), CAREFUL.copy()
    control[0], careful[1] = MISSING, NOT_SAMPLED
    row = pooled(changes(control, careful, harms=HARMS))
    assert (row["n_pairs"], row["n_benign"]) == (3, 1)
    assert row["mean_difference"] == pytest.approx((-0.5 - 0.25 + 0) / 3)
    nothing = pooled(changes(np.full_like(CONTROL, MISSING), CAREFUL))
    assert nothing["n_pairs"] == 0
    assert all(np.isnan(nothing[name]) and np.isnan(nothing[f"{name}_p_holm"]) for name in TESTED)


def test_unequal_numbers_are_said_and_the_pairwise_change_does_not_depend_on_them() -> None:
    rng = np.random.default_rng(4)
    shares = rng.dirichlet([1.0, 0.5, 0.5], size=600)
    cubes = [(rng.random((600, 1, 5, 1)) > np.cumsum(shares, axis=1)[:, None, None, :2]).sum(axis=-1) for _ in range(2)]
    cubes[1][:, :, 2:] = NOT_SAMPLED
    row = pooled(changes(*cubes))
    assert (row["mean_n_a"], row["mean_n_b"]) == (5, 2)
    assert row["mean_difference_low"] > 0  # what two decisions cannot show looks like stability
    assert row["mean_ssi_pairwise_difference_low"] < 0 < row["mean_ssi_pairwise_difference_high"]


def test_holm_takes_all_changes_of_a_model_and_keeps_single_temperatures_apart() -> None:
    rng = np.random.default_rng(2)
    cubes = [rng.choice(3, p=p, size=(40, 2, 3)) for p in ([0.6, 0.2, 0.2], [0.9, 0.05, 0.05], [0.5, 0.2, 0.3])]
    harms = np.array(["harmful", "benign"] * 20, dtype=object)
    table = changes(*cubes, names=("none", "careful", "bold"), harms=harms)
    for rows in (table[table["temperature"].isna()], table[table["temperature"].notna()]):
        p_values = rows[[f"{name}_p" for name in TESTED]].to_numpy()
        corrected = rows[[f"{name}_p_holm" for name in TESTED]].to_numpy()
        np.testing.assert_allclose(corrected.ravel(), holm(p_values.ravel()))
    assert table["mean_difference_p_holm"].min() < 0.05


COUNTS = st.lists(st.lists(st.integers(0, 4), min_size=3, max_size=3), min_size=6, max_size=6)


@given(COUNTS, COUNTS, st.lists(st.booleans(), min_size=6, max_size=6))
@settings(max_examples=40, deadline=None)
def test_swapping_control_and_treatment_negates_and_equal_sides_change_nothing(
    first: list[list[int]], second: list[list[int]], benign: list[bool]
) -> None:
    a, b, is_benign = np.array(first), np.array(second), np.array(benign)
    there, back, same = (change_row(*sides, is_benign, SETTINGS, "x") for sides in ((a, b), (b, a), (a, a)))
    for name in TESTED:
        assert there[name] == pytest.approx(-back[name], nan_ok=True)
        assert there[f"{name}_p"] == pytest.approx(back[f"{name}_p"], nan_ok=True)
        if not np.isnan(same[name]):
            assert (same[name], same[f"{name}_p"]) == (0, 1)
            assert same[f"{name}_low"] == pytest.approx(-same[f"{name}_high"])  # an unseen prompt may change either way
            assert same[f"{name}_high"] > 0
    for state, other in (("stable", "unstable"), ("unstable", "stable")):
        assert there[f"n_became_{state}"] == back[f"n_became_{other}"]
        assert there[f"n_became_{state}_refuse"] == back[f"n_became_{other}_comply"]


def test_against_a_recomputation_from_long_rows() -> None:
    rng = np.random.default_rng(9)
    cubes = [rng.choice(3, p=p, size=(25, 2, 4)) for p in ([0.7, 0.1, 0.2], [0.85, 0.05, 0.1])]
    cubes[0][rng.random(cubes[0].shape) < 0.2] = MISSING
    harms = np.array(rng.choice(["harmful", "benign", ""], 25), dtype=object)
    table = changes(*cubes, harms=harms)
    assert len(table) == 3
    long = pd.concat(
        pd.DataFrame(
            {
                "side": side,
                "prompt": np.repeat(np.arange(25), 8),
                "temperature": np.tile(np.repeat([0.0, 0.3], 4), 25),
                "code": cube.reshape(-1),
            }
        )
        for side, cube in zip("ab", cubes, strict=True)
    ).query("code >= 0")
    for row in table.to_dict("records"):
        mine = long if np.isnan(row["temperature"]) else long[long["temperature"] == row["temperature"]]
        by = mine.groupby(["prompt", "side"])["code"]
        wide = (
            pd.DataFrame(
                {
                    "ssi": by.agg(lambda codes: codes.value_counts().max() / len(codes)),
                    "flip": by.nunique() > 1,
                    "refuse": by.agg(lambda codes: (codes == 0).mean()),
                    "comply": by.agg(lambda codes: (codes == 2).mean()),
                }
            )
            .unstack()
            .dropna()
            .astype(float)
        )
        change = pd.DataFrame({name: wide[name, "b"] - wide[name, "a"] for name in ("ssi", "flip", "refuse", "comply")})
        is_benign = harms[change.index] == "benign"
        assert row["n_pairs"] == len(change)
        expected = {
            "mean_difference": change["ssi"],
            "pct_flipped_difference": 100 * change["flip"],
            "safety_refuse_rate_difference": change["refuse"][~is_benign],
            "safety_comply_rate_difference": change["comply"][~is_benign],
            "over_refusal_difference": change["refuse"][is_benign],
        }
        for name, values in expected.items():
            assert row[name] == pytest.approx(values.mean()), name
            sample, rng = (values.to_numpy(),), np.random.default_rng(0)
            peer = stats.permutation_test(sample, np.sum, permutation_type="samples", n_resamples=9_999, rng=rng)
            assert row[f"{name}_p"] == pytest.approx(peer.pvalue, abs=0.02), name
            plain = stats.bootstrap(sample, np.mean, n_resamples=999, method="percentile", rng=1)
            width = plain.confidence_interval.high - plain.confidence_interval.low
            assert row[f"{name}_high"] - row[f"{name}_low"] == pytest.approx(width, rel=0.35), name
