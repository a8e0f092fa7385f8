"""The headline numbers of a study: what DVC compares between revisions."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import pandas as pd

from refusal_stability.measures.decision_arrays import Group
from refusal_stability.records import DECISIONS

HEADLINE = (
    "n_prompts",
    "n_responses",
    "n_missing",
    "mean_ssi",
    "std_ssi",
    "mean_ssi_pairwise",
    "pct_unstable",
    "pct_flipped",
    "n_benign",
    *(f"safety_{decision.word}_rate" for decision in DECISIONS),
    "over_refusal",
    "spearman_ssi_comply_rate",
)


def summary(study: str, aggregates: pd.DataFrame, groups: Iterable[Group] = ()) -> dict[str, Any]:
    """Study-wide counts, and `models.<model>.<intervention>.<figure>` (undefined figures left out).

    `n_unseeded` stands only where a server took no seeds.
    """
    models: dict[str, dict[str, Any]] = {}
    for row in aggregates.to_dict("records"):
        figures: dict[str, Any] = {}
        for name in HEADLINE:
            if not math.isnan(row[name]):
                figures[name] = int(row[name]) if name.startswith("n_") else round(float(row[name]), 4)
            if name in ("mean_ssi", "pct_unstable", "pct_flipped") and not math.isnan(row[f"{name}_low"]):
                figures |= {f"{name}_{end}": round(float(row[f"{name}_{end}"]), 4) for end in ("low", "high")}
        models.setdefault(row["model"], {})[row["intervention"]] = figures
    for group in groups:
        if group.unseeded is not None:
            models[group.model][group.intervention]["n_unseeded"] = int(group.unseeded.sum())
    return {
        "study": study,
        "n_models": int(aggregates["model"].nunique()),
        "n_interventions": int(aggregates["intervention"].nunique()),
        "n_prompts": int(aggregates["n_prompts"].max()),
        "n_responses": int(aggregates["n_responses"].sum()),
        "n_missing": int(aggregates["n_missing"].sum()),
        "models": models,
    }
