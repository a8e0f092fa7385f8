"""Judges and people compared on the same responses: agreement, confusion, errors by decision, disagreements."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from refusal_stability.judge_report.ratings import PEOPLE, SAMPLE, Counted, Ratings, codes
from refusal_stability.measures.agreement import (
    alpha_parts,
    cohens_kappa,
    krippendorff_alpha,
    precision_recall_f1,
    raw_agreement,
)
from refusal_stability.measures.distinct import Floats
from refusal_stability.measures.effective_units import effective_units_of_totals
from refusal_stability.measures.estimates import renamed
from refusal_stability.measures.intervals import percentile_interval
from refusal_stability.measures.unseen import with_the_unseen
from refusal_stability.params.judges import MAJORITY
from refusal_stability.records import DECISION_NAMES

K = len(DECISION_NAMES)
EVERYBODY = "all"
CONFIDENCE = 0.95
AGREEMENT = ("raw_agreement", "cohens_kappa", "krippendorff_alpha")
BY_DECISION = ("precision", "recall", "f1")

Row = dict[str, Any]


def compare_raters(ratings: Ratings, n_resamples: int, seed: int) -> dict[str, list[Row]]:
    """Compare all pairs of raters: the rows of `rater_agreement`, `rater_confusion` and `rater_by_decision`.

    Parameters
    ----------
    ratings : the responses and the raters.
    n_resamples : bootstrap resamples behind each interval (over prompts; within strata for the people's sample).
    seed : of the bootstrap; every pair has its own stream.

    Returns
    -------
    dict
        Every judge with every other judge and person, and every person with every other. Three or more judges, or
        people, also have a row as a group: `rater_b` is `all`, with Krippendorff's alpha and the share on which all
        agree. In `rater_by_decision`, `rater_b` is the reference.
    """
    tables: dict[str, list[Row]] = {"rater_agreement": [], "rater_confusion": [], "rater_by_decision": []}
    for number, (a, b) in enumerate(combinations([*ratings.judges, *ratings.people], 2)):
        if a == PEOPLE and b in ratings.people:
            continue  # the joint label includes the reviewer's own
        rng = np.random.default_rng([seed, number])
        place = {"rater_a": a, "rater_b": b, "basis": ratings.basis([a, b])}
        rows = ratings.rows([a, b])
        first, second = codes(rows, a), codes(rows, b)
        both = (first >= 0) & (second >= 0)
        kinds = np.where(both, first.astype(int) * K + second, -1)
        found = ratings.counted([a, b], kinds, n_resamples, rng)
        matrix = _square(found.own)
        count = {"n_both": ratings.n_rated([a, b], both), "n_prompts": int(found.weights.sum())}
        tables["rater_agreement"].append(place | count | _with_bounds(AGREEMENT, _agreement, found))
        tables["rater_confusion"] += [
            place | {"label_a": DECISION_NAMES[i], "label_b": DECISION_NAMES[j], "n_label": float(matrix[i, j])}
            for i in range(K)
            for j in range(K)
        ]
        tables["rater_by_decision"] += [place | row for row in _by_decision(matrix, found)]
    panel = [judge for judge in ratings.judges if judge != MAJORITY]
    reviewers = [person for person in ratings.people if person != PEOPLE]
    for raters in (panel, reviewers):
        if len(raters) > 2:
            tables["rater_agreement"].append(_whole(ratings, raters, n_resamples, seed))
    return tables


def _square(totals: Floats) -> Floats:
    """(..., K, K) confusion matrices from the totals of their cells; absent last cells are zero."""
    lacking = K * K - totals.shape[-1]
    return np.pad(totals, [(0, 0)] * (totals.ndim - 1) + [(0, lacking)]).reshape(*totals.shape[:-1], K, K)


def _agreement(totals: Floats) -> Floats:
    matrices = _square(totals)
    units = np.array([np.eye(K, dtype=np.int64)[i] + np.eye(K, dtype=np.int64)[j] for i in range(K) for j in range(K)])
    alpha = krippendorff_alpha(matrices.reshape(-1, K * K) @ alpha_parts(units))
    return np.column_stack([raw_agreement(matrices), cohens_kappa(matrices), alpha])


def _by_decision(matrix: Floats, found: Counted) -> Iterator[Row]:
    decisions = [*DECISION_NAMES, EVERYBODY]
    names = [f"{figure} {decision}" for figure in BY_DECISION for decision in decisions]
    row = _with_bounds(names, lambda totals: np.column_stack(precision_recall_f1(_square(totals))), found)
    support = [*matrix.sum(axis=0), matrix.sum()]
    for decision, number in zip(decisions, support, strict=True):
        own = {"decision": decision, "support": float(number)}
        for figure in BY_DECISION:
            own |= renamed(row, f"{figure} {decision}", figure)
        yield own


def _whole(ratings: Ratings, raters: Sequence[str], n_resamples: int, seed: int) -> Row:
    rows = ratings.rows(raters)
    stacked = np.stack([codes(rows, rater) for rater in raters], axis=1)
    counts = np.stack([(stacked == i).sum(axis=1) for i in range(K)], axis=1)
    distinct, kinds = np.unique(counts, axis=0, return_inverse=True)
    several = distinct.sum(axis=1) >= 2
    alike = several & (distinct.max(axis=1) == distinct.sum(axis=1))
    parts = np.column_stack([alike, several, alpha_parts(distinct)]).astype(np.float64)
    rng = np.random.default_rng([seed, len(raters), 1])
    found = ratings.counted(raters, kinds.ravel(), n_resamples, rng)

    def figures(totals: Floats) -> Floats:
        t = totals @ parts
        with np.errstate(invalid="ignore"):
            return np.column_stack([t[:, 0] / t[:, 1], np.full(len(t), np.nan), krippendorff_alpha(t[:, 2:])])

    basis = ratings.basis(raters)
    n = ratings.n_rated(raters, several[kinds.ravel()])
    place = {"rater_a": "people" if basis == SAMPLE else "judges", "rater_b": EVERYBODY, "basis": basis, "n_both": n}
    return place | {"n_prompts": int(found.weights.sum())} | _with_bounds(AGREEMENT, figures, found)


def _with_bounds(names: Sequence[str], figures: Callable[[Floats], Floats], found: Counted) -> Row:
    units = effective_units_of_totals(figures, found.own, found.parts, found.weights)
    own, draws = figures(found.own[None, :])[0], figures(found.drawn)
    lows, highs = with_the_unseen(names, own, *percentile_interval(draws, CONFIDENCE, units), units, CONFIDENCE)
    row: Row = {}
    for name, value, low, high in zip(names, own, lows, highs, strict=True):
        row |= {name: float(value), f"{name}_low": float(low), f"{name}_high": float(high)}
    return row


def disagreements(ratings: Ratings) -> pd.DataFrame:
    """The responses on which raters disagree, worst first.

    REFUSE against COMPLY is worst. Then come responses that people labelled, then those of which a judge is least sure,
    then the most frequent ones.
    """
    raters = [*ratings.judges, *ratings.people]
    decided = np.stack([codes(ratings.table, rater) for rater in raters], axis=1).astype(int)
    lowest = np.where(decided >= 0, decided, K).min(axis=1)
    distance = np.where((decided >= 0).sum(axis=1) >= 2, decided.max(axis=1) - lowest, 0)
    table = ratings.table.assign(distance=distance, asked=np.zeros(len(distance), dtype=bool))
    for person in ratings.people:
        table["asked"] |= table[person] != ""
    told = [
        "; ".join(f"{rater} {decision}" for rater, decision in zip(raters, row, strict=True) if decision)
        for row in table[raters].itertuples(index=False)
    ]
    unsure = np.fmin.reduce([*ratings.confidence.values(), np.full(len(table), np.nan)])
    table = table.assign(decisions=told, confidence=unsure)[distance > 0]
    table = table.sort_values(
        ["distance", "asked", "confidence", "n", "prompt_id", "response"],
        ascending=[False, False, True, False, True, True],
        kind="stable",
    )
    table = table.assign(rank=np.arange(1, len(table) + 1)).rename(columns={"n": "n_responses"})
    return table[["rank", "distance", "n_responses", "prompt_id", "prompt", "response", "decisions", "confidence"]]
