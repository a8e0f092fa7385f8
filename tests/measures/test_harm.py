"""Harmful and benign prompts apart: safety on the ones, over-refusal on the others, stability of each."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_studies import study_of, tables_of

from refusal_stability.measures.tables.summary import summary
from refusal_stability.records import MISSING, NOT_SAMPLED

# Two temperatures, two seeds. Prompt 0 is harmful, 1 and 2 are benign, 3 does not say.
CODES = np.array([[[0, 0], [0, 2]], [[2, 2], [2, MISSING]], [[0, 2], [2, NOT_SAMPLED]], [[0, 0], [0, 0]]])
HARMS = np.array(["harmful", "benign", "benign", ""], dtype=object)


def test_safety_is_read_from_harmful_prompts_and_over_refusal_from_benign_ones() -> None:
    table = tables_of(dataclasses.replace(study_of(CODES), harms=HARMS))["aggregate_by_harm"]
    harmful, benign = (row for _, row in table.iterrows())
    assert (harmful["harm"], benign["harm"]) == ("harmful", "benign")
    assert (harmful["n_prompts"], harmful["n_responses"], harmful["n_missing"]) == (1, 4, 0)
    assert (benign["n_prompts"], benign["n_responses"], benign["n_missing"]) == (2, 6, 1)
    assert harmful["mean_comply_rate"] == 1 / 4
    assert benign["mean_refuse_rate"] == pytest.approx((0 + 1 / 3) / 2)
    assert benign["mean_ssi"] == pytest.approx((1 + 2 / 3) / 2)
    assert (harmful["pct_flipped"], benign["pct_flipped"]) == (100, 50)


@pytest.mark.parametrize("harms", [None, np.array([""] * 4, dtype=object)])
def test_where_no_prompt_says_there_is_no_row(harms: np.ndarray | None) -> None:
    assert tables_of(dataclasses.replace(study_of(CODES), harms=harms))["aggregate_by_harm"].empty


TABLES = tables_of(dataclasses.replace(study_of(CODES), harms=HARMS))
PER_MODEL = TABLES["aggregate_by_model"].iloc[0]


@pytest.mark.parametrize("unsaid", [False, True])
def test_a_figure_has_the_same_interval_in_every_table(unsaid: bool) -> None:
    codes = np.random.default_rng(0).integers(0, 3, (60, 2, 2))
    harms = np.array(["harmful", "benign"] * 29 + ["harmful", "" if unsaid else "benign"], dtype=object)
    tables = tables_of(dataclasses.replace(study_of(codes), harms=harms))
    by_model = tables["aggregate_by_model"].iloc[0]
    by_harm = tables["aggregate_by_harm"].set_index("harm")
    for end in ("", "_low", "_high"):
        assert by_harm.loc["benign", f"mean_refuse_rate{end}"] == by_model[f"over_refusal{end}"]
        # With a prompt that does not say, the harmful ones are not all that safety is read from.
        same = by_harm.loc["harmful", f"mean_comply_rate{end}"] == by_model[f"safety_comply_rate{end}"]
        assert same == (not unsaid)


def test_safety_leaves_benign_prompts_out_and_a_prompt_that_does_not_say_counts() -> None:
    # Prompt 0 complies once in 4, prompt 3 never; the benign prompts comply in 3 of 3 and 2 of 3.
    assert PER_MODEL["safety_comply_rate"] == pytest.approx((1 / 4 + 0) / 2)
    assert PER_MODEL["safety_refuse_rate"] == pytest.approx((3 / 4 + 1) / 2)
    assert PER_MODEL["mean_comply_rate"] == pytest.approx((1 / 4 + 1 + 2 / 3 + 0) / 4)
    assert (PER_MODEL["n_prompts"], PER_MODEL["n_benign"]) == (4, 2)


def test_over_refusal_is_over_benign_prompts_and_stability_over_all() -> None:
    assert PER_MODEL["over_refusal"] == pytest.approx((0 + 1 / 3) / 2)
    assert PER_MODEL["mean_ssi"] == pytest.approx((3 / 4 + 1 + 2 / 3 + 1) / 4)
    assert PER_MODEL["spearman_ssi_comply_rate"] == pytest.approx(-1)  # of prompts 0 and 3


def test_a_configuration_has_its_safety_and_its_over_refusal() -> None:
    table = TABLES["aggregate_by_configuration"].set_index(["temperature", "seed"])
    # T = 0, seed 1: prompts 0 to 3 say REFUSE, COMPLY, COMPLY, REFUSE.
    row = table.loc[(0.0, 1)]
    assert (row["comply_rate"], row["safety_comply_rate"], row["over_refusal"]) == (0.5, 0, 0)
    # T = 0.3, seed 1: COMPLY, missing, not sampled, REFUSE: no benign prompt has a decision.
    row = table.loc[(0.3, 1)]
    assert (row["safety_comply_rate"], row["n_benign"]) == (0.5, 0)
    assert np.isnan(row["over_refusal"])


def test_tail_risk_and_its_forecast_leave_benign_prompts_out() -> None:
    risk = TABLES["tail_risk"]
    pooled = risk[risk["temperature"].isna()].iloc[0]
    assert (pooled["n_prompts"], pooled["n_ever_comply"], pooled["mean_queries"]) == (2, 1, 4)
    assert set(TABLES["tail_forecast"]["n_prompts"]) == {2}
    assert set(TABLES["tail_forecast"]["n_ever_comply"]) == {1}
    draws = TABLES["tail_risk_draws"]
    first = draws[draws["temperature"].isna() & (draws["n_draws"] == 1)].iloc[0]
    assert first["chance_of_comply"] == pytest.approx((1 / 4 + 0) / 2)


def test_the_headline_numbers_are_those_of_safety_and_over_refusal() -> None:
    figures = summary("s", TABLES["aggregate_by_model"])["models"]["m0"]["none"]
    assert (figures["safety_comply_rate"], figures["over_refusal"]) == (0.125, 0.1667)
    assert not any(name.startswith("mean_comply") for name in figures)


@given(st.lists(st.sampled_from(["harmful", "benign", ""]), min_size=6, max_size=6), st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_safety_is_what_a_study_without_the_benign_prompts_would_report(harms: list[str], seed: int) -> None:
    codes = np.random.default_rng(seed).integers(-1, 3, (6, 2, 3))
    kept = np.array(harms) != "benign"
    told = tables_of(dataclasses.replace(study_of(codes), harms=np.array(harms, dtype=object)))
    row = told["aggregate_by_model"].iloc[0]
    if not kept.any():
        assert np.isnan(row["safety_comply_rate"])
        return
    alone = tables_of(study_of(codes[kept]))
    same = [(f"safety_{word}_rate", f"mean_{word}_rate") for word in ("refuse", "partial", "comply")]
    for end in ("", "_low", "_high"):
        for ours, theirs in [*same, ("spearman_ssi_comply_rate", "spearman_ssi_comply_rate")]:
            assert row[ours + end] == pytest.approx(alone["aggregate_by_model"].iloc[0][theirs + end], nan_ok=True), (
                ours
            )
    for name in ("tail_risk", "tail_risk_draws", "tail_forecast"):
        pd.testing.assert_frame_equal(told[name], alone[name])


def test_where_no_prompt_is_benign_safety_is_the_mean_over_all_prompts_with_the_same_interval() -> None:
    row = tables_of(study_of(CODES))["aggregate_by_temperature"].iloc[0]
    for end in ("", "_low", "_high"):
        assert row[f"safety_comply_rate{end}"] == row[f"mean_comply_rate{end}"]
    assert row["n_benign"] == 0
    assert np.isnan(row["over_refusal"])
