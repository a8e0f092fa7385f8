"""Tables of what became of the responses, and of stability with and without the provider's blocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refusal_stability.measures.aggregate import stability_row
from refusal_stability.measures.decision_arrays import DecisionArrays, Group
from refusal_stability.measures.estimates import Row
from refusal_stability.measures.tables.settings import Settings
from refusal_stability.measures.tables.stability import ALL_TEMPERATURES, names, scope_name, scopes
from refusal_stability.records import MISSING, OUTCOMES, Outcome

COUNTED, LEFT_OUT = "counted", "left out"


def outcomes(study: DecisionArrays, settings: Settings) -> list[Row]:
    """How many responses had each outcome: all temperatures pooled, then each by itself. No row without responses."""
    rows = []
    for group, codes in _with_outcomes(study):
        places = [(ALL_TEMPERATURES, np.s_[:]), *((t, np.s_[:, i]) for i, t in enumerate(study.temperatures))]
        rows += [names(group) | {"temperature": temperature} | _counts(group, codes, at) for temperature, at in places]
    return rows


def outcomes_by_configuration(study: DecisionArrays, settings: Settings) -> list[Row]:
    """How many responses of each temperature and seed had each outcome."""
    return [
        names(group) | {"temperature": temperature, "seed": seed} | _counts(group, codes, np.s_[:, t, s])
        for group, codes in _with_outcomes(study)
        for t, temperature in enumerate(study.temperatures)
        for s, seed in enumerate(study.seeds)
    ]


def blocks(study: DecisionArrays, settings: Settings) -> list[Row]:
    """Stability with blocks counted as the refusals they were labelled, and with blocks left out as missing.

    A model has rows only where a block has a decision: elsewhere the two would be equal.
    """
    rows = []
    for group, codes in _with_outcomes(study):
        blocked = (codes == OUTCOMES.index(Outcome.BLOCKED)) & (group.codes >= 0)
        if not blocked.any():
            continue
        without = np.where(blocked, MISSING, group.codes).astype(np.int8)
        left_out = replace(group, decisions={group.primary: without[..., None]})
        for how, one in ((COUNTED, group), (LEFT_OUT, left_out)):
            for temperature, counts, n_asked in scopes(study, one):
                scope = scope_name(one, temperature) if how == COUNTED else ("blocks", *scope_name(one, temperature))
                figures = stability_row(counts, n_asked, settings.threshold, settings.resampling, *scope)
                rows.append(names(group) | {"temperature": temperature, "blocks": how} | figures)
    return rows


def _with_outcomes(study: DecisionArrays) -> Iterator[tuple[Group, NDArray[Any]]]:
    """The groups whose responses are there, with each response's position in `OUTCOMES`."""
    for group in study.groups:
        if group.outcomes is not None:
            yield group, group.outcomes


def _counts(group: Group, codes: NDArray[Any], at: Any) -> Row:
    """The counts of a part of a group's responses."""
    part = codes[at]
    counts = np.bincount(part.ravel(), minlength=len(OUTCOMES)).tolist()
    by_outcome = {f"n_{outcome}": n for outcome, n in zip(OUTCOMES, counts, strict=True)}
    not_sampled = by_outcome.pop(f"n_{Outcome.NOT_SAMPLED}")
    unseeded = 0 if group.unseeded is None else int(group.unseeded[at].sum())
    return {"n_asked": part.size - not_sampled} | by_outcome | {"n_unseeded": unseeded}
