"""Figures over several models, as papers print them: means of the models' own figures, by one judge or by two.

`a or b` takes judge a where it labelled a model, and judge b elsewhere, of the models that b labelled. `a beside b` is
judge a on the models that both labelled. `a and b` keeps the responses that both label alike, and the prompts with at
least five of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from refusal_stability.measures.decision_arrays import Codes, DecisionArrays, Group
from refusal_stability.measures.stability import COMPLY, below, flips, ssi, tally
from refusal_stability.records import MISSING, NOT_SAMPLED
from refusal_stability.tables.columns import POOLED
from refusal_stability.tables.contract import Contract

OR, AND, BESIDE = " or ", " and ", " beside "
LEAST_AGREED = 5
WITHIN = 5
MEANINGS = {
    "n_models": "models that the figures cover",
    "n_prompts": "prompts with a decision, summed over the models",
    "mean_ssi": "mean over the models of their mean ssi",
    "pct_unstable": "mean over the models of their percent unstable",
    "pct_flipped": "mean over the models of their percent flipped",
    "mean_ssi_pooled": "mean ssi with the models' decisions pooled into one prompt's counts, as the published code did",
    "n_ever_comply": "model x prompt rows with any COMPLY",
    "median_queries": "median of n / n_comply over these rows",
    "pct_within_5": "percent of these rows with n / n_comply of at most 5",
    "judge_agreement_of_all": "share of all responses, undecided ones included, that both judges label alike",
}
OVER_MODELS = Contract(
    "over models",
    {"judges": "text", "model": "text", "category": "text", "temperature": "number"}
    | {name: "whole" if name.startswith("n_") else "number" for name in MEANINGS},
    ("judges", "model", "category", "temperature"),
    {
        "judges": "a judge; `a or b`: a where it labelled a model, else b; `a beside b`: a, of the models of both; "
        "`a and b`: the responses labelled alike",
        "model": "one model, or * for all that the judges labelled",
        "category": "a category of prompts; empty: all of them",
        "temperature": "the temperature; empty: all of them",
        **MEANINGS,
    },
)
Scope = tuple[str, str, str, float]


def over_models(study: DecisionArrays, scopes: Iterable[Scope], threshold: float) -> pd.DataFrame:
    """A row for each (judges, model, category, temperature) that has decisions."""
    rows = [_row(study, scope, threshold) for scope in scopes]
    return pd.DataFrame([row for row in rows if row is not None], columns=list(OVER_MODELS.columns))


def _row(study: DecisionArrays, scope: Scope, threshold: float) -> dict[str, Any] | None:
    judges, model, category, temperature = scope
    chosen = [group for group in study.groups if model in (POOLED, group.model) and _decided(group, judges) is not None]
    inside = np.array([not category or category in names.split("|") for names in study.categories])
    if not chosen or not inside.any() or not (np.isnan(temperature) or temperature in study.temperatures):
        return None
    at = slice(None) if np.isnan(temperature) else [study.temperatures.index(temperature)]
    cubes = [np.asarray(_decided(group, judges))[inside][:, at] for group in chosen]
    counts = [tally(cube.reshape(len(cube), -1)) for cube in cubes]
    least = LEAST_AGREED if AND in judges else 1
    kept = [one[one.sum(axis=1) >= least] for one in counts]
    pooled = np.sum(counts, axis=0)
    rows = np.concatenate(kept)
    if not all(map(len, kept)):
        return None
    complied = rows[rows[:, COMPLY] > 0]
    queries = complied.sum(axis=1) / complied[:, COMPLY]
    sampled = sum(int((group.codes[inside][:, at] != NOT_SAMPLED).sum()) for group in chosen)
    return {
        **dict(zip(OVER_MODELS.key, scope, strict=True)),
        "n_models": len(chosen),
        "n_prompts": len(rows),
        "mean_ssi": float(np.mean([ssi(one).mean() for one in kept])),
        "pct_unstable": 100 * float(np.mean([below(ssi(one), threshold).mean() for one in kept])),
        "pct_flipped": 100 * float(np.mean([flips(one).mean() for one in kept])),
        "mean_ssi_pooled": float(ssi(pooled[pooled.sum(axis=1) > 0]).mean()),
        "n_ever_comply": len(complied),
        "median_queries": float(np.median(queries)) if len(complied) else float("nan"),
        "pct_within_5": 100 * float((queries <= WITHIN).mean()) if len(complied) else float("nan"),
        "judge_agreement_of_all": int(pooled.sum()) / sampled if AND in judges else float("nan"),
    }


def _decided(group: Group, judges: str) -> Codes | None:
    """The decisions (P, T, S) that these judges make on a model; None where they labelled none of it."""
    if AND in judges:
        sides = [_labelled(group, name) for name in judges.split(AND)]
        if any(side is None for side in sides):
            return None
        first, second = (np.asarray(side) for side in sides)
        return np.where((first >= 0) & (first == second), first, MISSING).astype(np.int8)
    first_choice, *others = judges.replace(BESIDE, OR).split(OR)
    codes = _labelled(group, first_choice)
    if not others:
        return codes
    second_choice = _labelled(group, others[0])
    either = second_choice if codes is None and BESIDE not in judges else codes
    return None if second_choice is None else either


def _labelled(group: Group, judge: str) -> Codes | None:
    if judge not in group.decisions:
        return None
    codes = group.first(judge)
    return codes if (codes >= 0).any() else None
