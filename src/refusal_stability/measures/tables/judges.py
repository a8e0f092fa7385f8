"""Tables of agreement between judges, and of stability where they agree."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any

import numpy as np

from refusal_stability.measures.aggregate import stability_row
from refusal_stability.measures.agreement import (
    alpha_parts,
    cohens_kappa,
    confusion,
    krippendorff_alpha,
    precision_recall_f1,
    raw_agreement,
)
from refusal_stability.measures.decision_arrays import Codes, DecisionArrays
from refusal_stability.measures.distinct import Distinct, Floats, Ints, distinct_rows
from refusal_stability.measures.effective_units import effective_units_of_totals
from refusal_stability.measures.estimates import OfTotals, Row, Scope, estimates, renamed
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
            # A prompt stays whole when it is resampled: its responses by all models come and go together.
            by_prompt = sum(confusion(x, y) for x, y in zip(decisions[a], decisions[b], strict=True))
            cells = np.asarray(by_prompt).reshape(-1, K * K)
            prompts = distinct_rows(cells[cells.sum(axis=1) > 0])
            matrix = cells.sum(axis=0).reshape(K, K)
            tables["judge_agreement"].append(judges | _pair_agreement(prompts, settings, judges))
            tables["judge_confusion"] += _confusion_rows(matrix, judges)
            tables["judge_by_decision"] += _decision_rows(prompts, matrix, settings, judges)
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


def _pair_agreement(prompts: Distinct, settings: Settings, judges: Row) -> Row:
    # With two judges a response's counts are its cell of the confusion matrix, so alpha rests on the same resamples.
    units = np.array([np.eye(K, dtype=np.int64)[i] + np.eye(K, dtype=np.int64)[j] for i in range(K) for j in range(K)])
    parts = alpha_parts(units)

    def figures(cells: Floats) -> Floats:
        matrices = cells.reshape(-1, K, K)
        return np.column_stack([raw_agreement(matrices), cohens_kappa(matrices), krippendorff_alpha(cells @ parts)])

    counted = {"n_both": int(prompts.weights @ prompts.rows.sum(axis=1)), "n_prompts": int(prompts.weights.sum())}
    return counted | _over_prompts(AGREEMENT, prompts, figures, settings, "agreement", judges)


def _over_prompts(
    columns: list[str],
    prompts: Distinct,
    figures: Callable[[Floats], Floats],
    settings: Settings,
    name: str,
    judges: Row,
) -> Row:
    """Figures of totals over prompts, with intervals that resample prompts."""
    parts = prompts.rows.astype(np.float64)
    units = effective_units_of_totals(figures, prompts.weights @ parts, parts, prompts.weights)
    scope = Scope(settings.resampling, prompts.weights, (name, *judges.values()))
    return estimates(columns, OfTotals(parts, figures, units), scope)


def _panel_agreement(decisions: dict[str, list[Codes]], settings: Settings, judges: Row) -> Row:
    sums: Any = 0
    for blocks in zip(*decisions.values(), strict=True):
        counts = tally(np.stack(blocks, axis=-1))
        several = counts.sum(axis=-1) >= 2
        alike = several & ((counts > 0).sum(axis=-1) == 1)
        parts = alpha_parts(counts.reshape(-1, K)).reshape(*several.shape, K + 1)
        sums = sums + np.concatenate([alike[..., None], several[..., None], parts], axis=-1).reshape(
            len(several), -1, K + 3
        ).sum(axis=1)
    prompts = distinct_rows(sums[sums[:, 1] > 0])

    def figures(totals: Floats) -> Floats:
        with np.errstate(invalid="ignore"):
            alike = totals[:, 0] / totals[:, 1]
        return np.column_stack([alike, np.full_like(alike, np.nan), krippendorff_alpha(totals[:, 2:])])

    counted = {"n_both": int(prompts.weights @ prompts.rows[:, 1]), "n_prompts": int(prompts.weights.sum())}
    return counted | _over_prompts(AGREEMENT, prompts, figures, settings, "agreement", judges)


def _confusion_rows(matrix: Ints, judges: Row) -> list[Row]:
    return [
        judges | {"label_a": DECISION_NAMES[i], "label_b": DECISION_NAMES[j], "n_label": int(matrix[i, j])}
        for i in range(K)
        for j in range(K)
    ]


def _decision_rows(prompts: Distinct, matrix: Ints, settings: Settings, judges: Row) -> list[Row]:
    decisions = [*DECISION_NAMES[:K], POOLED]
    support = [*matrix.sum(axis=0).tolist(), int(matrix.sum())]

    def figures(cells: Floats) -> Floats:
        return np.column_stack(precision_recall_f1(cells.reshape(-1, K, K)))

    columns = [f"{figure} {decision}" for figure in BY_DECISION for decision in decisions]
    found = _over_prompts(columns, prompts, figures, settings, "by decision", judges)
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
