"""Responses counted by outcome, and stability with and without the provider's blocks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from small_studies import study_of, tables_of

from refusal_stability.records import MISSING, NOT_SAMPLED, OUTCOMES, Outcome

ANSWERED, CUT, BLOCKED, REFUSED, UNANSWERED, UNASKED = map(
    OUTCOMES.index,
    (Outcome.ANSWERED, Outcome.CUT, Outcome.BLOCKED, Outcome.REFUSED, Outcome.UNANSWERED, Outcome.NOT_SAMPLED),
)
# (prompts, temperatures, seeds): the first prompt complies but for a block, the second refuses throughout.
CODES = np.array([[[2, 2], [2, 0]], [[0, 0], [MISSING, NOT_SAMPLED]]])
OUTCOME_CODES = np.array([[[ANSWERED, CUT], [ANSWERED, BLOCKED]], [[REFUSED, ANSWERED], [UNANSWERED, UNASKED]]])
UNSEEDED = np.array([[[True, False], [True, True]], [[False, False], [False, False]]])


def study(codes: np.ndarray = CODES):
    made = study_of(codes, temperatures=(0.0, 1.0))
    return replace(made, groups=(replace(made.groups[0], outcomes=OUTCOME_CODES.astype(np.int8), unseeded=UNSEEDED),))


def test_outcomes_are_counted_over_all_temperatures_at_each_and_in_each_configuration() -> None:
    table = tables_of(study())["outcomes"].set_index("temperature")
    table = table.drop(columns=["model", "intervention", "primary_judge"])
    names = ["n_asked", "n_answered", "n_cut", "n_blocked", "n_refused", "n_unanswered", "n_unseeded"]
    assert list(table.columns) == names
    assert table.loc[0.0].tolist() == [4, 2, 1, 0, 1, 0, 1]
    assert table.loc[1.0].tolist() == [3, 1, 0, 1, 0, 1, 2]
    assert table.iloc[0].tolist() == [7, 3, 1, 1, 1, 1, 3]
    each = tables_of(study())["outcomes_by_configuration"]
    assert each[names].sum().tolist() == [7, 3, 1, 1, 1, 1, 3]
    assert each[["temperature", "seed"]].to_numpy().tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]


def test_a_study_of_labels_only_has_no_outcomes() -> None:
    tables = tables_of(study_of(CODES, temperatures=(0.0, 1.0)))
    assert tables["outcomes"].empty
    assert tables["outcomes_by_configuration"].empty
    assert tables["blocks"].empty


def test_stability_is_given_with_blocks_as_it_stands_and_without_them() -> None:
    tables = tables_of(study())
    blocks = tables["blocks"].set_index(["blocks", "temperature"])
    counted = blocks.loc["counted"].iloc[0]
    shared = [name for name in tables["aggregate_by_model"] if name in counted]
    whole = tables["aggregate_by_model"].iloc[0]
    pd.testing.assert_series_equal(counted[shared].astype(object), whole[shared].astype(object), check_names=False)
    assert counted["pct_flipped"] == 50
    without = blocks.loc["left out"].iloc[0]
    assert (without["pct_flipped"], without["mean_ssi"]) == (0, 1)
    assert (without["n_responses"], without["n_missing"]) == (counted["n_responses"] - 1, counted["n_missing"] + 1)
    assert blocks.loc[("left out", 1.0), "n_prompts"] == 1


def test_where_blocks_are_missing_there_is_nothing_to_set_apart() -> None:
    codes = np.where(OUTCOME_CODES == BLOCKED, MISSING, CODES)
    assert tables_of(study(codes))["blocks"].empty
