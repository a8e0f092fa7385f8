"""How often a judge's decisions of each confidence agree with the reference."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from refusal_stability.judge_report.ratings import PEOPLE, Ratings, codes
from refusal_stability.params.judges import MAJORITY

# Most decisions are confident, so the steps are finer there.
EDGES = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)


def reliability(ratings: Ratings) -> list[dict[str, Any]]:
    """The rows of `rater_reliability`: each judge that gives a confidence, against people or else the other judges.

    Shares weigh each distinct response by how often the study has it, and people's sample as in the other tables. A
    step includes its lower edge; the last includes 1. Steps without a decision have no row.
    """
    rows = []
    for judge in ratings.judges:
        if judge not in ratings.confidence or judge == MAJORITY:
            continue
        for other in [PEOPLE] if PEOPLE in ratings.people else [one for one in ratings.judges if one != judge]:
            rows += _steps(ratings, judge, other)
    return rows


def _steps(ratings: Ratings, judge: str, other: str) -> list[dict[str, Any]]:
    table = ratings.table
    own, reference, sure = codes(table, judge), codes(table, other), ratings.confidence[judge]
    stands_for = table["n"].to_numpy(np.float64)
    if other == PEOPLE and ratings.weights is not None:
        stands_for = stands_for * ratings.weights
    compared = (own >= 0) & (reference >= 0) & np.isfinite(sure) & (stands_for > 0)
    rows = []
    for low, high in pairwise(EDGES):
        inside = compared & (sure >= low) & ((sure < high) | (high == EDGES[-1]))
        if not inside.any():
            continue
        weights = stands_for[inside]
        rows.append(
            {
                "rater_a": judge,
                "rater_b": other,
                "basis": ratings.basis([judge, other]),
                "confidence_from": low,
                "confidence_to": high,
                "n_compared": int(inside.sum()),
                "mean_confidence": float(np.average(sure[inside], weights=weights)),
                "agreement": float(np.average((own == reference)[inside], weights=weights)),
            }
        )
    return rows
