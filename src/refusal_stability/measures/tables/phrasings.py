"""Tables of prompts that share an intent: do phrasings and languages get different decisions?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from refusal_stability.measures.decision_arrays import DecisionArrays, Group
from refusal_stability.measures.distinct import Floats
from refusal_stability.measures.effective_units import effective_units_of
from refusal_stability.measures.estimates import OfWeights, Row, Scope, estimates, renamed
from refusal_stability.measures.phrasing import PhrasedIntents, agreement_by_level, phrased_intents, phrasing_components
from refusal_stability.measures.tables.settings import Settings
from refusal_stability.measures.tables.stability import names


def _counted(study: DecisionArrays, group: Group) -> PhrasedIntents | None:
    """The group's intents; None where no intent has two phrasings with a decision."""
    if study.intents is None or study.languages is None:
        return None
    found = phrased_intents(group.decisions[group.primary], study.intents, study.languages)
    return found if (found.n_phrasings > 1).any() else None


def intent_components(study: DecisionArrays, settings: Settings) -> list[Row]:
    """The variance of a decision between intents, languages and phrasings, and within them."""
    rows = []
    for group in study.groups:
        found = _counted(study, group)
        if found is None:
            continue
        weights = np.ones(len(found.n), dtype=np.int64)
        parts = ["intent", *found.levels, "total"]

        def figures(block: Floats, found: PhrasedIntents = found) -> Floats:
            variance = phrasing_components(found, block)
            with np.errstate(invalid="ignore", divide="ignore"):
                return np.hstack([variance, variance / variance[:, -1:]])

        columns = [f"{figure} {part}" for figure in ("variance", "share") for part in parts]
        scope = Scope(settings.resampling, weights, ("intents", *names(group).values()), shared=True)
        row = estimates(columns, OfWeights(figures, effective_units_of(figures, weights)), scope)
        for part in parts:
            place = names(group) | {"component": part}
            both = ("intent_variance", f"variance {part}"), ("intent_share", f"share {part}")
            rows.append(place | {k: v for name, source in both for k, v in renamed(row, source, name).items()})
    return rows


def intents(study: DecisionArrays, settings: Settings) -> list[Row]:
    """How often phrasings of one intent are decided differently, beside how often seeds of one prompt are."""
    rows = []
    for group in study.groups:
        found = _counted(study, group)
        if found is None:
            continue
        several = found.n_phrasings > 1
        weights = np.ones(len(found.n), dtype=np.int64)
        columns = {
            "language": "language_disagreement",
            "phrasing": "phrasing_disagreement",
            "seed": "seed_disagreement",
        }
        kept = [(i + 1, columns[name]) for i, name in enumerate(found.levels) if name in columns]

        def figures(block: Floats, found: PhrasedIntents = found, several: NDArray[np.bool_] = several) -> Floats:
            agreement = agreement_by_level(found, block)
            with np.errstate(invalid="ignore", divide="ignore"):
                split = 100 * (block[:, several] @ found.split[several]) / block[:, several].sum(axis=1)
            return np.column_stack([split, *(1 - agreement[:, i] for i, _ in kept)])  # noqa: B023

        scope = Scope(settings.resampling, weights, ("intents", *names(group).values()), shared=True)
        values = OfWeights(figures, effective_units_of(figures, weights))
        row = names(group) | {"n_intents": int(several.sum()), "n_phrasings": int(found.n_phrasings[several].sum())}
        undefined = {f"{name}{end}": float("nan") for name in columns.values() for end in ("", "_low", "_high")}
        rows.append(row | undefined | estimates(["pct_intents_split", *(name for _, name in kept)], values, scope))
    return rows
