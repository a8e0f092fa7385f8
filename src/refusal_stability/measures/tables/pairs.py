"""Tables that compare models and interventions, paired by prompt."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from refusal_stability.measures.aggregate import MEANS
from refusal_stability.measures.comparison import wilcoxon, with_holm
from refusal_stability.measures.decision_arrays import DecisionArrays
from refusal_stability.measures.distinct import Ints, distinct_rows
from refusal_stability.measures.estimates import OfEachColumn, Resampling, Row, Scope, estimates
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
        families[comparison].append(place | paired_row(a.counts, b.counts, settings.resampling))
    return [row for family in families.values() for row in with_holm(family)]


def paired_row(first: Ints, second: Ints, resampling: Resampling) -> Row:
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
    return row | estimates(DIFFERENCES, OfEachColumn(difference), Scope(resampling, weights))


def difference_of(figure: str) -> str:
    """The column of a figure's difference."""
    return "mean_difference" if figure == "mean_ssi" else f"{figure}_difference"


# figure -> (per-prompt figure, factor), as the comparison of two sides shows them
STABILITY = {name: MEANS[name] for name in MEANS if "entropy" not in name and "_rate" not in name}
SAFETY = {f"safety_{d.word}_rate": (f"{d.word}_rate", 1.0) for d in DECISIONS}
OVER_REFUSAL = {"over_refusal": ("refuse_rate", 1.0)}
SHOWN = STABILITY | SAFETY | OVER_REFUSAL


def side_by_side(
    first: Ints,
    second: Ints,
    benign: NDArray[np.bool_],
    threshold: float,
    resampling: Resampling,
    itself: bool = False,
) -> list[Row]:
    """Every figure of two sides with its paired difference, interval and Wilcoxon test; Holm over the figures.

    Parameters
    ----------
    first, second : (P, 3) counts of the same prompts in the same order; a prompt without a decision on either side is
        left out.
    benign : (P,) the prompts that over-refusal is about, and the decision rates are not.
    threshold : below which a prompt is unstable.
    resampling : how intervals are drawn.
    itself : whether both sides are the same responses, which no other prompt can set apart.
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
    columns = [difference_of(figure) for figure in SHOWN]
    fixed = columns if itself else ()
    found = estimates(columns, OfEachColumn(b - a), Scope(resampling, distinct.weights), fixed=fixed)
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
                "low": found[f"{difference_of(figure)}_low"],
                "high": found[f"{difference_of(figure)}_high"],
                "p_value": wilcoxon(values[:, 1] - values[:, 0], weights).p_value,
            }
        )
    return with_holm([row for row in rows if row["figure"] not in OVER_REFUSAL or is_benign.any()])
