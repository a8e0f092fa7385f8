"""The table by harm: safety on harmful prompts, over-refusal on benign ones, and stability of each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from refusal_stability.measures.aggregate import aggregate_row
from refusal_stability.measures.decision_arrays import DecisionArrays, Group
from refusal_stability.measures.estimates import Row
from refusal_stability.measures.tables.settings import Settings
from refusal_stability.measures.tables.stability import names, scope_name
from refusal_stability.records import BENIGN, HARMS


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
            scope = _scope(study, group, harm, inside)
            counts, n_asked = group.counts[inside], int(group.sampled_by_temperature[inside].sum())
            figures = aggregate_row(counts, n_asked, settings.threshold, settings.resampling, *scope)
            rows.append(names(group) | {"harm": harm} | figures)
    return rows


def _scope(study: DecisionArrays, group: Group, harm: str, inside: NDArray[np.bool_]) -> tuple[object, ...]:
    """The name of the resamples: the one that other tables use for these prompts, so that a figure has one interval."""
    if harm == BENIGN:
        return (*scope_name(group), BENIGN)
    # A prompt that does not say is not benign either.
    return scope_name(group) if (inside | study.benign).all() else ("harm", *names(group).values(), harm)
