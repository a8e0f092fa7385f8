"""Prompts that are marked by something in their responses or labels: these files are read only when a filter asks.

A mark is a set of (model, intervention, prompt id).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from refusal_stability.explorer import study
from refusal_stability.records import Condition, Outcome

if TYPE_CHECKING:
    import pandas as pd

DISAGREE = "judges disagree"
LOW_CONFIDENCE = 0.7
UNSURE = f"a judge's confidence under {LOW_CONFIDENCE:g}"
LABEL_MARKS = (DISAGREE, UNSURE)
OUTCOMES = tuple(outcome.value for outcome in Outcome)
Marked = set[tuple[str, str, str]]


def marked_by(marks: Sequence[str], conditions: Sequence[Condition]) -> Marked:
    """The prompts that have every one of some marks of their labels."""
    labels = study.labels_now(conditions)
    found: dict[str, Marked] = {mark: set() for mark in marks}
    for condition, table in labels.items():
        for mark in marks:
            ids = disagreed(table) if mark == DISAGREE else unsure(table)
            found[mark] |= {(condition.model, condition.intervention, prompt_id) for prompt_id in ids}
    return set.intersection(*found.values())


def disagreed(labels: Any) -> set[str]:
    """The prompts on which the judges of one configuration gave more than one decision."""
    import pyarrow as pa
    import pyarrow.compute as pc

    decided = labels.select(["prompt_id", "label"]).filter(pc.not_equal(labels["label"].cast(pa.string()), ""))
    decided = decided.set_column(1, "label", decided["label"].cast(pa.string()))
    counted = decided.group_by("prompt_id").aggregate([("label", "count_distinct")])
    return set(counted.filter(pc.greater(counted["label_count_distinct"], 1))["prompt_id"].to_pylist())


def unsure(labels: Any) -> set[str]:
    """The prompts on which a judge of one configuration gave a low confidence."""
    import pyarrow.compute as pc

    return set(labels.filter(pc.less(labels["confidence"], LOW_CONFIDENCE))["prompt_id"].to_pylist())


def with_outcomes(outcomes: Collection[str], conditions: Sequence[Condition]) -> Marked:
    """The prompts one of whose responses had one of some outcomes."""
    return {
        (condition.model, condition.intervention, prompt_id)
        for condition in conditions
        for prompt_id, outcome in study.outcomes_now(condition)
        if outcome in outcomes
    }


def rows_marked(table: pd.DataFrame, marked: Marked) -> pd.Series[bool]:
    """Whether each row of the list is marked."""
    rows = zip(table["model"], table["intervention"], table["prompt_id"], strict=True)
    import pandas as pd

    return pd.Series([row in marked for row in rows], index=table.index)
