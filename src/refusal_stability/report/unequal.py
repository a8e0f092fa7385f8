"""Sides with unequal numbers of decisions: their difference in SSI, and its p-value, cannot be read as they are."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from refusal_stability.report.report_inputs import ReportInputs
from refusal_stability.tables.number_format import Row, p_value

UNEQUAL = 0.05  # a larger relative difference in decisions per prompt is said
MARK = "†"
UNEQUAL_NOTE = (
    f"{MARK}: the numbers of decisions per prompt differ, and SSI falls with them. The p-value says nothing then: read "
    "the pairwise agreement, which does not depend on them."
)


def differ(first: float, second: float) -> bool:
    """Whether two numbers of decisions per prompt are too different for SSI to be compared."""
    return abs(first - second) > UNEQUAL * max(first, second)


def paired_p(row: Row) -> str:
    """The corrected p-value of a pair, marked where the sides have unequal numbers of decisions."""
    marked = math.isfinite(row["p_holm"]) and differ(row["mean_n_a"], row["mean_n_b"])
    return p_value(row["p_holm"]) + (f" {MARK}" if marked else "")


def unequal_notes(rows: Iterable[Row], p: Callable[[Row], str]) -> tuple[str, ...]:
    """The explanation of the mark, where one of the rows' p-values has it."""
    return (UNEQUAL_NOTE,) if any(MARK in p(row) for row in rows) else ()


def unequal_temperatures(inputs: ReportInputs, model: str, intervention: str) -> tuple[float, float] | None:
    """The fewest and the most decisions per prompt at a temperature of a model; None where they are alike."""
    numbers = [
        row["n_responses"] / row["n_prompts"]
        for row in inputs.rows("aggregate_by_temperature")
        if (row["model"], row["intervention"]) == (model, intervention) and row["n_prompts"]
    ]
    if not numbers or not differ(min(numbers), max(numbers)):
        return None
    return min(numbers), max(numbers)
