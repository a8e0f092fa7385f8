"""The report's section on the decisions that the primary judge is least sure of."""

from __future__ import annotations

from refusal_stability.report.content import Section
from refusal_stability.report.report_inputs import ReportInputs
from refusal_stability.tables.layout import each, laid_out

LEAST_SURE = 20


def least_sure(inputs: ReportInputs) -> Section | None:
    """The prompts whose decisions rest on the least confidence; nothing where no judge gives one."""
    rows = inputs.rows("prompt_confidence")
    if not rows:
        return None
    rows.sort(key=lambda row: (row["mean_confidence"], row["lowest_confidence"], row["prompt_id"]))
    decisions = sum(row["n_with_confidence"] for row in rows)
    mean = sum(row["mean_confidence"] * row["n_with_confidence"] for row in rows) / decisions
    text = (
        f"The primary judge gives a confidence for {decisions:,} decisions; {mean:.2f} on average. Read the responses "
        "to these prompts first: a change of decision may be the judge's doubt. The explorer sorts by this confidence. "
        "The setting escalate_below hands such responses over to another judge.",
    )
    table = laid_out(
        "least_sure",
        f"The {min(LEAST_SURE, len(rows))} prompts with the lowest mean confidence.",
        rows[:LEAST_SURE],
        inputs.quoted_prompt,
        inputs.who,
        *each("primary_judge mean_confidence lowest_confidence n_with_confidence"),
    )
    return Section("confidence", "Where the judge is least sure", text, (), (table,))
