"""What a report says of models whose server takes no seed."""

from __future__ import annotations

import math

from refusal_stability.report.phrases import several
from refusal_stability.report.report_inputs import ReportInputs
from refusal_stability.tables.number_format import Row, count


def unseeded_rows(inputs: ReportInputs) -> list[Row]:
    """The counts of each model some of whose responses were drawn without a seed."""
    return [row for row in inputs.rows("outcomes") if math.isnan(row["temperature"]) and row["n_unseeded"]]


def unseeded_counts(inputs: ReportInputs) -> list[str]:
    """How many responses of each such model are unseeded, and what that means."""
    return [
        f"{inputs.label(row)}: {count(row['n_unseeded'])} of {count(row['n_asked'])} responses are unseeded, since the "
        "server takes no seed. They are independent draws, but no rerun reproduces them."
        for row in unseeded_rows(inputs)
    ]


def unseeded_reminder(inputs: ReportInputs) -> list[str]:
    """One sentence for the sections that speak of seeds."""
    names = several([inputs.label(row) for row in unseeded_rows(inputs)])
    return [f"Repeats of {names} are unseeded: a seed is only the number of a repeat there."] if names else []
