"""Tables that compare models and interventions, paired by prompt."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from refusal_stability.measures.aggregate import MEANS
from refusal_stability.measures.comparison import wilcoxon, with_holm
from refusal_stability.measures.decision_arrays import DecisionArrays
from refusal_stability.measures.distinct import Ints, distinct_rows
from refusal_stability.measures.estimates import Resampling, Row, Scope, estimates
from refusal_stability.measures.intervals import weighted_means
from refusal_stability.measures.stability import REFUSE, K, describe, flips, rates, ssi, ssi_pairwise
from refusal_stability.measures.tables.settings import Settings
from refusal_stability.records import DECISIONS

DIFFERENCES = [
    "mean_difference",
    "mean_ssi_pairwise_difference",
    "pct_flipped_difference",
    "mean_refuse_rate_difference",
]


def model_pairs(study: DecisionArrays, settings: Settings) -> list[Row]:
    """Every pair of models under one intervention and of interventions on one model; Holm over each kind."""
    families: dict[str, list[Row]] = {"models": [], "interventions": []}
    for a, b in combinations(study.groups, 2):
        if (a.model == b.model) == (a.intervention == b.intervention):
            continue
        comparison = "interventions" if a.model == b.model else "models"
        place = {
            "comparison": comparison,
            "model_a": a.model,
            "intervention_a": a.intervention,
            "model_b": b.model,
            "intervention_b": b.intervention,
        }
        families[comparison].append(place | paired_row(a.counts, b.counts, settings.resampling, *place.values()))
    return [row for family in families.values() for row in with_holm(family)]


def paired_row(first: Ints, second: Ints, resampling: Resampling, *scope: object) -> Row:
    """Two sides' counts (P, 3) of the same prompts, compared over the prompts that both decided.

    The same resampled prompts serve both sides. Differences are second minus first.
    """
    both = (first.sum(axis=1) > 0) & (second.sum(axis=1) > 0)
    distinct = distinct_rows(np.hstack([first[both], second[both]]))
    a, b, weights = distinct.rows[:, :K], distinct.rows[:, K:], distinct.weights
    stability = np.column_stack([ssi(a), ssi(b)])
    difference = np.column_stack(
        [
            stability[:, 1] - stability[:, 0],
            ssi_pairwise(b) - ssi_pairwise(a),
            100.0 * (flips(b).astype(np.float64) - flips(a)),
            rates(b)[:, REFUSE] - rates(a)[:, REFUSE],
        ]
    )
    test = wilcoxon(difference[:, 0], weights)
    # Fewer distinct differences than distinct pairs of counts, so resample those.
    fewer = distinct_rows(np.round(difference, 12)[np.repeat(np.arange(len(weights)), weights)])
    means = weighted_means(stability, weights)
    decided = weighted_means(np.column_stack([a.sum(axis=1), b.sum(axis=1)]).astype(np.float64), weights)
    row = {
        "test": "Wilcoxon",
        "n_pairs": int(weights.sum()),
        "n_different": test.n,
        "mean_n_a": float(decided[0]),
        "mean_n_b": float(decided[1]),
        "mean_a": float(means[0]),
        "mean_b": float(means[1]),
        "statistic": test.statistic,
        "p_value": test.p_value,
    }
    where = Scope(resampling, fewer.weights, ("pairs", *scope))
    return row | estimates(DIFFERENCES, fewer.rows, where, own=weighted_means(difference, weights))


# figure -> (per-prompt figure, factor), as the comparison of two sides shows them
STABILITY = {name: MEANS[name] for name in MEANS if "entropy" not in name and "_rate" not in name}
SAFETY = {f"safety_{d.word}_rate": (f"{d.word}_rate", 1.0) for d in DECISIONS}
OVER_REFUSAL = {"over_refusal": ("refuse_rate", 1.0)}
SHOWN = STABILITY | SAFETY | OVER_REFUSAL


def side_by_side(
    first: Ints, second: Ints, benign: NDArray[np.bool_], threshold: float, resampling: Resampling, *scope: object
) -> list[Row]:
    """Every figure of two sides with its paired difference, interval and Wilcoxon test; Holm over the figures.

    Parameters
    ----------
    first, second : (P, 3) counts of the same prompts in the same order; a prompt without a decision on either side is
        left out.
    benign : (P,) the prompts that over-refusal is about, and the decision rates are not.
    threshold : below which a prompt is unstable.
    resampling, *scope : how intervals are drawn, and the comparison's own name.
    """
    both = (first.sum(axis=1) > 0) & (second.sum(axis=1) > 0)
    distinct = distinct_rows(np.column_stack([first[both], second[both], benign[both]]))
    sides = [describe(side, threshold) for side in (distinct.rows[:, :K], distinct.rows[:, K : 2 * K])]
    is_benign = distinct.rows[:, -1:] == 1
    left_out = np.hstack([is_benign & (name in SAFETY) | ~is_benign & (name in OVER_REFUSAL) for name in SHOWN])
    a, b = (
        np.where(
            left_out,
            np.nan,
            np.column_stack([side[name].astype(np.float64) * factor for name, factor in SHOWN.values()]),
        )
        for side in sides
    )
    # These are differences, which the figures' own limits do not bound.
    where = Scope(resampling, distinct.weights, ("side by side", *scope))
    found = estimates(list(SHOWN), b - a, where, fixed=SHOWN)
    rows = []
    for i, figure in enumerate(SHOWN):
        defined = ~np.isnan(b[:, i] - a[:, i])
        values, weights = np.column_stack([a[:, i], b[:, i]])[defined], distinct.weights[defined]
        means = weighted_means(values, weights)
        rows.append(
            {
                "figure": figure,
                "a": float(means[0]),
                "b": float(means[1]),
                "difference": float(means[1] - means[0]),
                "low": found[f"{figure}_low"],
                "high": found[f"{figure}_high"],
                "p_value": wilcoxon(values[:, 1] - values[:, 0], weights).p_value,
            }
        )
    return with_holm([row for row in rows if row["figure"] not in OVER_REFUSAL or is_benign.any()])
