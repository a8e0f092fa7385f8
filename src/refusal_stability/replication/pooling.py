"""The per-temperature figures when several models' decisions are pooled into one prompt's counts.

The published code grouped labels by prompt and temperature and left the model out. That mixes two things: a model that
varies, and models that differ from each other. This project never pools. The table shows what the mistake costs.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from refusal_stability.measures.decision_arrays import DecisionArrays
from refusal_stability.measures.distinct import Ints
from refusal_stability.measures.stability import below, flips, ssi
from refusal_stability.tables.contract import Contract

FIGURES = {"mean_ssi": "mean of ssi over prompts", "pct_unstable": "percent unstable", "pct_flipped": "percent flipped"}
POOLING = Contract(
    "pooling",
    {
        "temperature": "number",
        "n_models": "whole",
        "responses_a_prompt": "number",
        **{f"{name}_{way}": "number" for name in FIGURES for way in ("pooled", "by_model")},
    },
    ("temperature",),
    {
        "temperature": "the temperature; empty: all of them",
        "n_models": "models in the pool",
        "responses_a_prompt": "decisions that the pooled figures take for one prompt's",
        **{f"{name}_pooled": f"{what}, the models' decisions pooled" for name, what in FIGURES.items()},
        **{f"{name}_by_model": f"{what}, mean of the models' own" for name, what in FIGURES.items()},
    },
)


def pooling(study: DecisionArrays, threshold: float) -> pd.DataFrame:
    """A row for all temperatures together and one for each: the pooled figures and the mean of the models' own."""
    counts = np.stack([group.counts_by_temperature for group in study.groups])  # (M, P, T, 3)
    scopes = [(float("nan"), counts.sum(axis=2))]
    scopes += [(temperature, counts[:, :, t]) for t, temperature in enumerate(study.temperatures)]
    rows = []
    for temperature, scope in scopes:
        pooled, own = _figures(scope.sum(axis=0), threshold), [_figures(model, threshold) for model in scope]
        row = {"temperature": temperature, "n_models": len(scope)}
        row["responses_a_prompt"] = float(scope.sum(axis=(0, 2)).mean())
        for i, name in enumerate(FIGURES):
            row[f"{name}_pooled"] = pooled[i]
            row[f"{name}_by_model"] = float(np.mean([figures[i] for figures in own]))
        rows.append(row)
    return pd.DataFrame(rows, columns=list(POOLING.columns))


def _figures(counts: Ints, threshold: float) -> tuple[float, float, float]:
    decided = counts[counts.sum(axis=1) > 0]
    if not len(decided):
        return (float("nan"),) * 3
    stability = ssi(decided)
    return (
        float(stability.mean()),
        100 * float(below(stability, threshold).mean()),
        100 * float(flips(decided).mean()),
    )
