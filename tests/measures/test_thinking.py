"""Decisions on the thinking against those on the final answers, counted by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from small_studies import study_of, tables_of

from refusal_stability.measures.decision_arrays import DecisionArrays
from refusal_stability.records import MISSING, NOT_SAMPLED

R, P, C = 0, 1, 2
NO = NOT_SAMPLED
# (prompts, temperatures, seeds)
ANSWERS = np.array([[[R, R], [R, C]], [[C, MISSING], [P, NO]]])
THINKING = np.array([[[C, C], [R, NO]], [[MISSING, R], [P, NO]]], dtype=np.int8)


def study(thinking: np.ndarray | None) -> DecisionArrays:
    made = study_of(ANSWERS, ANSWERS)
    return replace(made, groups=(made.groups[0], replace(made.groups[1], thinking=thinking)))


def test_each_pair_of_decisions_is_counted_among_the_responses_with_thinking() -> None:
    table = tables_of(study(THINKING))["thinking_decisions"]
    assert set(table["primary_judge"]) == {"j"}
    assert table.drop(columns="primary_judge").to_numpy().tolist() == [
        ["m1", "none", "REFUSE", "REFUSE", 1, 1 / 6],
        ["m1", "none", "REFUSE", "", 1, 1 / 6],
        ["m1", "none", "PARTIAL", "PARTIAL", 1, 1 / 6],
        ["m1", "none", "COMPLY", "REFUSE", 2, 2 / 6],
        ["m1", "none", "", "COMPLY", 1, 1 / 6],
    ]


def test_a_study_that_judges_no_thinking_has_no_rows_and_thinking_changes_no_other_table() -> None:
    off, on = tables_of(study(None)), tables_of(study(THINKING))
    assert off.pop("thinking_decisions").empty
    del on["thinking_decisions"]
    assert all(on[name].equals(table) for name, table in off.items())
    assert tables_of(study(np.full_like(THINKING, NO)))["thinking_decisions"].empty
