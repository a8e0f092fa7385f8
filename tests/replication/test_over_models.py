"""Figures over several models, worked by hand: by one judge, by one of two, of the models of both, where two agree."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from refusal_stability.measures.decision_arrays import DecisionArrays, Group
from refusal_stability.replication.over_models import OVER_MODELS, over_models

R, P, C, NONE = 0, 1, 2, -1
ALL = math.nan


def cube(*prompts: list[int]) -> np.ndarray:
    """Six responses a prompt: one temperature, six seeds."""
    return np.array(prompts, dtype=np.int8)[:, None, :, None]


# Model one is labelled by both judges, model two by the paid one only, model three by the local one only.
ONE_PAID = cube([R, R, R, R, R, C], [R, R, R, R, R, R])
ONE_LOCAL = cube([R, R, R, R, R, R], [R, R, C, C, NONE, NONE])
TWO = cube([C, C, C, C, C, C], [C, C, C, R, R, R])
THREE = cube([P, P, P, P, P, P], [P, P, P, P, P, P])


def study() -> DecisionArrays:
    groups = (
        Group("one", "none", {"paid": ONE_PAID, "local": ONE_LOCAL}, "paid"),
        Group("two", "none", {"paid": TWO}, "paid"),
        Group("three", "none", {"local": THREE}, "local"),
    )
    names = np.array(["p0", "p1"], dtype=object)
    categories = np.array(["x", "x|y"], dtype=object)
    return DecisionArrays(names, categories, (0.0,), tuple(range(6)), groups, {})


def row(judges: str, model: str = "*", category: str = "", temperature: float = ALL) -> pd.Series:
    return over_models(study(), [(judges, model, category, temperature)], 0.8).iloc[0]


def test_one_judge_covers_the_models_that_it_labelled() -> None:
    found = row("paid")
    # Model one: SSI 5/6 and 1; model two: 1 and 1/2.
    assert (found["n_models"], found["n_prompts"]) == (2, 4)
    assert found["mean_ssi"] == pytest.approx(((5 / 6 + 1) / 2 + (1 + 1 / 2) / 2) / 2)
    assert (found["pct_flipped"], found["pct_unstable"]) == (50, 25)
    # Pooled: p0 has 5 R and 7 C of 12, p1 9 R and 3 C.
    assert found["mean_ssi_pooled"] == pytest.approx((7 / 12 + 9 / 12) / 2)
    # Queries: 6/1, 6/6 and 6/3.
    assert (found["n_ever_comply"], found["median_queries"]) == (3, 2)
    assert found["pct_within_5"] == pytest.approx(200 / 3)


def test_either_judge_is_the_first_where_it_labelled_a_model_else_the_second_over_the_models_of_the_second() -> None:
    found = row("local or paid")
    assert found["n_models"] == 2
    # Model one by the local judge: SSI 1 and 1/2; model two by the paid one: 1 and 1/2. Model three is not the paid's.
    assert found["mean_ssi"] == pytest.approx(0.75)


def test_a_judge_beside_another_covers_the_models_of_both() -> None:
    found = row("paid beside local")
    assert found["n_models"] == 1
    assert found["mean_ssi"] == pytest.approx((5 / 6 + 1) / 2)


def test_where_two_judges_agree_prompts_with_fewer_than_five_responses_are_dropped() -> None:
    found = row("paid and local")
    # p0: five agreed refusals. p1: two agreed refusals only.
    assert (found["n_models"], found["n_prompts"], found["mean_ssi"], found["pct_flipped"]) == (1, 1, 1, 0)
    assert found["judge_agreement_of_all"] == pytest.approx(7 / 12)


def test_a_category_a_model_and_a_temperature_narrow_it() -> None:
    assert row("paid", category="y")["n_prompts"] == 2
    assert row("paid", model="two")["mean_ssi"] == pytest.approx(0.75)
    assert row("paid", temperature=0.0)["mean_ssi"] == row("paid")["mean_ssi"]


@pytest.mark.parametrize("scope", [("nobody", "*", "", ALL), ("paid", "*", "z", ALL), ("paid", "*", "", 0.5)])
def test_what_has_no_decision_has_no_row(scope: tuple[str, str, str, float]) -> None:
    table = over_models(study(), [scope], 0.8)
    assert table.empty
    assert list(table.columns) == list(OVER_MODELS.columns)
