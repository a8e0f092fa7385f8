"""The table by harm: safety on harmful prompts, over-refusal on benign ones, and stability of each."""

from __future__ import annotations

from refusal_stability.measures.aggregate import aggregate_row
from refusal_stability.measures.decision_arrays import DecisionArrays
from refusal_stability.measures.estimates import Row
from refusal_stability.measures.tables.settings import Settings
from refusal_stability.measures.tables.stability import names
from refusal_stability.records import HARMS


def aggregate_by_harm(study: DecisionArrays, settings: Settings) -> list[Row]:
    """A row for each model, intervention, and kind of prompt that the study has; none where no prompt says."""
    rows: list[Row] = []
    if study.harms is None:
        return rows
    for group in study.groups:
        for harm in HARMS:
            inside = study.harms == harm
            if not inside.any():
                continue
            scope = ("harm", *names(group).values(), harm)
            counts, n_asked = group.counts[inside], int(group.sampled_by_temperature[inside].sum())
            figures = aggregate_row(counts, n_asked, settings.threshold, settings.resampling, *scope)
            rows.append(names(group) | {"harm": harm} | figures)
    return rows
