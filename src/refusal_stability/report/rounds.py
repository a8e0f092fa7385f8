"""The report of a study sampled in rounds: samples spent, why prompts stopped, and what is estimated."""

from __future__ import annotations

import math
from dataclasses import replace

from refusal_stability.report.content import Section
from refusal_stability.report.report_inputs import ReportInputs
from refusal_stability.tables.columns import COLUMNS
from refusal_stability.tables.layout import described, each, filled, laid_out, numbers, words
from refusal_stability.tables.number_format import UNKNOWN, Row, count, one_value


def sampled_in_rounds(inputs: ReportInputs) -> Section | None:
    """What the rule did; None for a study of full grids."""
    rows = inputs.rows("adaptive")
    if not rows:
        return None
    tables = filled(
        laid_out(
            "rounds",
            "Samples spent, and prompts by verdict.",
            rows,
            inputs.who,
            words("Rule", "stopping_rule"),
            described("alpha", "Bound"),
            numbers("Samples", lambda row: f"{count(row['n_samples'])} of {count(row['n_grid'])}"),
            *each("pct_saved n_called_stable n_called_unstable n_undecided n_audited"),
            notes=(
                "Bound: at most this share of unstable prompts is called stable, and the reverse. A dash: no bound.",
            ),
        ),
        laid_out(
            "rounds_stops",
            "Why prompts stopped.",
            inputs.rows("adaptive_stops"),
            inputs.who,
            *each("verdict stop_reason n_stopped mean_taken"),
            notes=("Audited prompts count when the rule would have stopped them. They are sampled in full.",),
        ),
        laid_out(
            "rounds_audit",
            "Verdicts of audited prompts, beside their full grids.",
            inputs.rows("adaptive_audit"),
            inputs.who,
            *each("full_grid n_in_audit n_called_stable n_called_unstable n_undecided"),
            numbers("Called wrong", _wrong),
            notes=(
                "The audit was drawn before sampling, and its other samples play no part in the verdicts. Brackets are "
                "exact intervals of the error. With few audited prompts they are wide.",
            ),
        ),
        laid_out(
            "rounds_estimates",
            "Figures of the full grid.",
            inputs.rows("adaptive_estimates"),
            inputs.who,
            words("Figure", _figure),
            numbers("Estimate", lambda row: f"{_value(row, 'estimate')} [{_ends(row)}]"),
            numbers("Without the audit", lambda row: _value(row, "predicted")),
            numbers("As sampled", lambda row: _value(row, "as_sampled")),
            notes=("As sampled: biased, since stable prompts stop early. Do not compare these.",),
        ),
    )
    text = (
        "Each prompt was sampled only until the rule had decided whether its full grid would show it stable.",
        "Rows marked (estimated) hold estimates of the full grid. Numbers that cannot be estimated are left out.",
        *(_unstable_by(inputs, row) for row in rows),
    )
    return Section("rounds", "Sampled in rounds", text, (), tables, inputs.show("rounds"))


def _unstable_by(inputs: ReportInputs, row: Row) -> str:
    """The prompts that are called unstable, beside how many the full grid is estimated to hold."""
    place = (row["model"], row["intervention"])
    found = [
        one
        for one in inputs.rows("adaptive_estimates")
        if (one["model"], one["intervention"]) == place
        and one["estimated_figure"] == "pct_unstable"
        and math.isnan(one["temperature"])
    ]
    n = row["n_called_stable"] + row["n_called_unstable"] + row["n_undecided"]
    estimated = "".join(
        f" In the full grid {_value(one, 'estimate')} of the {count(n)} prompts are estimated to be unstable. This "
        "counts those that the rule missed."
        for one in found
        if not math.isnan(one["estimate"])
    )
    return f"{inputs.label(row)}: the rule calls {count(row['n_called_unstable'])} prompts unstable.{estimated}"


def _wrong(row: Row) -> str:
    """The share of wrong verdicts with its interval; a dash where no prompt was audited."""
    if not row["n_in_audit"]:
        return UNKNOWN
    return f"{row['pct_called_wrong']:.1f}% [{row['wrong_from']:.1f}, {row['wrong_to']:.1f}]"


def _figure(row: Row) -> str:
    name = COLUMNS[row["estimated_figure"]].title
    return name if math.isnan(row["temperature"]) else f"{name} at temperature {row['temperature']:g}"


def _value(row: Row, column: str) -> str:
    return one_value(COLUMNS[row["estimated_figure"]], row[column])


def _ends(row: Row) -> str:
    column = replace(COLUMNS[row["estimated_figure"]], unit="")
    return ", ".join(f"{column.factor * row[f'estimate_{end}']:.{column.digits}f}" for end in ("from", "to"))
