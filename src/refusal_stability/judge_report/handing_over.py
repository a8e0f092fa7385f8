"""What a judge decides alone, how well, and what it hands over, as the threshold of its confidence moves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from refusal_stability.judge_report.ratings import PEOPLE, Ratings, codes, units_of
from refusal_stability.measures.selective import at_threshold, lowest_threshold, risk_and_coverage
from refusal_stability.params.judges import MAJORITY

THRESHOLDS = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
TARGETS = (0.9, 0.95, 0.98, 0.99)
SUGGESTED = 0.95
# Confidences are rounded when they are written; a threshold must not pass the value that it was read from.
SCALE = 1_000_000


def handing_over(ratings: Ratings) -> list[dict[str, Any]]:
    """The rows of `rater_thresholds`: each judge that gives a confidence, against people or against the other judges.

    Rows with a `target` name the lowest threshold at which the judge's own decisions agree with the reference that
    often, by a one-sided 95 % lower bound.
    """
    rows: list[dict[str, Any]] = []
    for judge in ratings.judges:
        if judge not in ratings.confidence or judge == MAJORITY:
            continue
        others = [PEOPLE] if PEOPLE in ratings.people else [other for other in ratings.judges if other != judge]
        for other in others:
            rows += _against(ratings, judge, other)
    return rows


def _against(ratings: Ratings, judge: str, other: str) -> list[dict[str, Any]]:
    table, place = ratings.table, {"rater_a": judge, "rater_b": other, "basis": ratings.basis([judge, other])}
    own, reference = codes(table, judge), codes(table, other)
    sampled = np.ones(len(table)) if ratings.weights is None or other != PEOPLE else ratings.weights
    labelled = (reference >= 0) & (sampled > 0)
    if not labelled.any():
        return []
    sure = np.where(own >= 0, ratings.confidence[judge], np.nan)[labelled]
    distinct = sampled[labelled]
    responses = distinct * table["n"].to_numpy(np.float64)[labelled]
    curve = risk_and_coverage(sure, (own == reference)[labelled], responses, units_of(table)[labelled])

    def row(target: float, threshold: float, entry: int | None) -> dict[str, Any]:
        kept = np.nan_to_num(sure, nan=-1.0) >= threshold
        known = entry is not None
        return place | {
            "target": target,
            "threshold": threshold,
            "n_labelled_decided": int(kept.sum()),
            "share_decided": float(curve.coverage[entry]) if known else 0.0,
            "accuracy": float(curve.accuracy[entry]) if known else np.nan,
            "accuracy_low": float(curve.accuracy_low[entry]) if known else np.nan,
            "n_handed_over": float(distinct[~kept].sum()),
        }

    rows = [row(0.0, threshold, at_threshold(curve, threshold)) for threshold in THRESHOLDS]
    for target in TARGETS:
        entry = lowest_threshold(curve, target)
        if entry is not None:
            rows.append(row(target, _rounded_down(float(curve.threshold[entry])), entry))
    return rows


def _rounded_down(confidence: float) -> float:
    return math.floor(confidence * SCALE + 1e-3) / SCALE


def suggestions(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """One line for each judge and reference: the threshold that the labelled sample suggests."""
    lines = []
    for pair in dict.fromkeys((row["rater_a"], row["rater_b"]) for row in rows):
        judge, other = pair
        asked = [r for r in rows if (r["rater_a"], r["rater_b"]) == pair and r["target"] == SUGGESTED]
        if asked:
            found = asked[0]
            lines.append(
                f"{judge}: `escalate_below: {found['threshold']:g}` lets it decide {found['share_decided']:.1%} of the "
                f"responses. There it agrees with {other} in {found['accuracy']:.1%} (lower bound "
                f"{found['accuracy_low']:.1%}). It hands over {found['n_handed_over']:,.0f} distinct responses."
            )
        else:
            lines.append(f"{judge}: at no threshold is agreement with {other} surely {SUGGESTED:.0%} or more.")
    return lines
