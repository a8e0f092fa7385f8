"""Tables of agreement between judges, and of stability where they agree."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from refusal_stability.measures.aggregate import stability_row
from refusal_stability.measures.agreement import (
    alpha_parts,
    cohens_kappa,
    confusion,
    krippendorff_alpha,
    precision_recall_f1,
    raw_agreement,
    resampled_alpha,
)
from refusal_stability.measures.decision_arrays import Codes, DecisionArrays
from refusal_stability.measures.distinct import Floats, Ints, distinct_rows
from refusal_stability.measures.estimates import Drawn, OfWeights, Row, Scope, estimates, renamed
from refusal_stability.measures.intervals import bootstrap_totals
from refusal_stability.measures.stability import K, tally
from refusal_stability.measures.tables.settings import DECISION_NAMES, PANEL, Settings
from refusal_stability.measures.tables.stability import names
from refusal_stability.records import MISSING
from refusal_stability.tables.columns import POOLED

AGREEMENT = ["raw_agreement", "cohens_kappa", "krippendorff_alpha"]
BY_DECISION = ["precision", "recall", "f1"]


def agreements(study: DecisionArrays, settings: Settings) -> dict[str, list[Row]]:
    """Confusion and agreement of every pair of judges, per model and over all; then of the panel as a whole."""
    tables: dict[str, list[Row]] = {"judge_agreement": [], "judge_confusion": [], "judge_by_decision": []}
    for place, decisions in _scopes(study):
        for a, b in combinations(decisions, 2):
            judges = place | {"judge_a": a, "judge_b": b}
            matrix = sum(
                (confusion(x, y) for x, y in zip(decisions[a], decisions[b], strict=True)), np.zeros((K, K), int)
            )
            tables["judge_agreement"].append(judges | _pair_agreement(matrix, settings, judges))
            tables["judge_confusion"] += _confusion_rows(matrix, judges)
            tables["judge_by_decision"] += _decision_rows(matrix, settings, judges)
        panel = {judge: codes for judge, codes in decisions.items() if judge != PANEL}
        if len(panel) > 2:
            judges = place | {"judge_a": POOLED, "judge_b": POOLED}
            tables["judge_agreement"].append(judges | _panel_agreement(panel, settings, judges))
    return tables


def _scopes(study: DecisionArrays) -> Iterator[tuple[Row, dict[str, list[Codes]]]]:
    """Each group's first repeats by judge, then, where there are several groups, those of the judges of any of them."""
    everywhere: dict[str, list[Codes]] = {}
    shape = study.groups[0].codes.shape
    for group in study.groups:
        yield names(group), {judge: [group.first(judge)] for judge in group.decisions}
        for judge in group.decisions:
            everywhere.setdefault(judge, [])
    if len(study.groups) > 1:
        absent = np.full(shape, MISSING, dtype=np.int8)
        for judge, blocks in everywhere.items():
            blocks += [g.first(judge) if judge in g.decisions else absent for g in study.groups]
        yield {"model": POOLED, "intervention": POOLED}, everywhere


def _pair_agreement(matrix: Ints, settings: Settings, judges: Row) -> Row:
    # With two judges a unit's counts are its cell of the confusion matrix, so alpha rests on the same resamples.
    units = np.array([np.eye(K, dtype=np.int64)[i] + np.eye(K, dtype=np.int64)[j] for i in range(K) for j in range(K)])
    parts = alpha_parts(units)

    def figures(cells: Floats) -> Floats:
        matrices = cells.reshape(-1, K, K)
        return np.column_stack([raw_agreement(matrices), cohens_kappa(matrices), krippendorff_alpha(cells @ parts)])

    n = int(matrix.sum())
    scope = Scope(settings.resampling, matrix.ravel(), ("agreement", *judges.values()))
    return {"n_both": n} | estimates(AGREEMENT, OfWeights(figures, n), scope)


def _panel_agreement(decisions: dict[str, list[Codes]], settings: Settings, judges: Row) -> Row:
    stacked = np.stack([np.concatenate([block.ravel() for block in blocks]) for blocks in decisions.values()], axis=-1)
    counts = tally(stacked)
    distinct = distinct_rows(counts[counts.sum(axis=1) >= 2])
    alike = (distinct.rows.max(axis=1) == distinct.rows.sum(axis=1)).astype(np.float64)
    scope = Scope(settings.resampling, distinct.weights, ("agreement", *judges.values()))
    rng, n_resamples = scope.generator(), settings.resampling.n_resamples
    alpha = resampled_alpha(distinct.rows, distinct.weights, n_resamples, rng)
    totals = bootstrap_totals(np.column_stack([alike, np.ones_like(alike)]), distinct.weights, n_resamples, rng)
    nothing = np.full_like(alpha, np.nan)
    n = int(distinct.weights.sum())
    own = [
        float(distinct.weights @ alike) / n if n else float("nan"),
        float("nan"),
        float(krippendorff_alpha(distinct.weights @ alpha_parts(distinct.rows))),
    ]
    with np.errstate(invalid="ignore"):
        draws = np.column_stack([totals[:, :1] / totals[:, 1:], nothing, alpha])
    return {"n_both": n} | estimates(AGREEMENT, Drawn(np.array(own), draws, n), scope)


def _confusion_rows(matrix: Ints, judges: Row) -> list[Row]:
    return [
        judges | {"label_a": DECISION_NAMES[i], "label_b": DECISION_NAMES[j], "n_label": int(matrix[i, j])}
        for i in range(K)
        for j in range(K)
    ]


def _decision_rows(matrix: Ints, settings: Settings, judges: Row) -> list[Row]:
    decisions = [*DECISION_NAMES[:K], POOLED]
    support = [*matrix.sum(axis=0).tolist(), int(matrix.sum())]

    def figures(cells: Floats) -> Floats:
        return np.column_stack(precision_recall_f1(cells.reshape(-1, K, K)))

    columns = [f"{figure} {decision}" for figure in BY_DECISION for decision in decisions]
    scope = Scope(settings.resampling, matrix.ravel(), ("by decision", *judges.values()))
    found = estimates(columns, OfWeights(figures, support[-1]), scope)
    rows = []
    for decision, n in zip(decisions, support, strict=True):
        row = judges | {"decision": decision, "support": n}
        for figure in BY_DECISION:
            row |= renamed(found, f"{figure} {decision}", figure)
        rows.append(row)
    return rows


def consensus_stability(study: DecisionArrays, settings: Settings) -> list[Row]:
    """Stability recomputed on the responses that several judges decide alike: what judge noise cannot explain."""
    rows = []
    for group in study.groups:
        n_asked = int(group.sampled_by_temperature.sum())
        panel = [judge for judge in group.decisions if judge != PANEL]
        chosen = [*combinations(panel, 2), *([tuple(panel)] if len(panel) > 2 else [])]
        for judges in chosen:
            stacked = np.stack([group.first(judge) for judge in judges])
            decided = (stacked >= 0).all(axis=0)
            agreed = decided & (stacked == stacked[0]).all(axis=0)
            counts = tally(np.where(agreed, stacked[0], MISSING).reshape(len(agreed), -1))
            named = "+".join(judges)
            scope = ("consensus", group.model, group.intervention, named)
            row = names(group) | {"judges": named, "n_agreed": int(agreed.sum())}
            row["pct_agreed"] = 100 * float(agreed.sum() / decided.sum()) if decided.any() else float("nan")
            rows.append(row | stability_row(counts, n_asked, settings.threshold, settings.resampling, *scope))
    return rows
