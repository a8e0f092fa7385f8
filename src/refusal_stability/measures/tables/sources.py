"""Tables of where instability comes from: variance components, determinism at temperature 0, judge noise."""

from __future__ import annotations

import numpy as np

from refusal_stability.measures.decision_arrays import DecisionArrays
from refusal_stability.measures.decomposition import Design, components, prompt_totals
from refusal_stability.measures.determinism import exchange_totals, first_of_each, identical_and_flipped
from refusal_stability.measures.distinct import Floats, distinct_rows
from refusal_stability.measures.effective_units import effective_units_of, effective_units_of_ratios
from refusal_stability.measures.estimates import OfTotals, Row, Scope, estimates, renamed
from refusal_stability.measures.tables.settings import Settings
from refusal_stability.measures.tables.stability import names


def decomposition(study: DecisionArrays, settings: Settings) -> list[Row]:
    """The primary judge's decisions in nested components: prompt, temperature, seed (in parts), judge repeat.

    Copies of a judge's decision on equal texts are known as such only where the texts are; of labels alone, each
    response is taken to have been judged by itself.
    """
    rows = []
    has_zero, has_more = 0.0 in study.temperatures, any(t > 0 for t in study.temperatures)
    for group in study.groups:
        copied = group.texts if group.primary in group.judged_once else None
        table, weights, design = prompt_totals(group.decisions[group.primary], study.temperatures, copied)
        if not len(weights):
            continue
        own = components(weights[None, :] @ table, design)

        def figures(totals: Floats, design: Design = design) -> Floats:
            found = components(totals, design)
            return np.hstack([found.variance, found.share])

        def of_weights(block: Floats, table: Floats = table, design: Design = design) -> Floats:
            return figures(block @ table, design)

        columns = [f"{figure} {name}" for figure in ("variance", "share") for name in own.names]
        scope = Scope(settings.resampling, weights, ("decomposition", group.model, group.intervention))
        found = estimates(columns, OfTotals(table, figures, effective_units_of(of_weights, weights)), scope)
        for i, name in enumerate(own.names):
            if (name == "numerical" and not has_zero) or (name == "sampling" and not has_more):
                continue
            row = names(group) | {"component": name}
            row |= renamed(found, f"variance {name}", "variance") | renamed(found, f"share {name}", "share")
            row["degrees_of_freedom"] = float(own.degrees_of_freedom[0, i])
            row["mean_square"] = float(own.mean_square[0, i])
            rows.append(row)
    return rows


def t0_determinism(study: DecisionArrays, settings: Settings) -> list[Row]:
    """Prompts whose temperature-0 responses are byte-identical over seeds, and whether judges decided them alike."""
    rows: list[Row] = []
    if 0.0 not in study.temperatures or len(study.seeds) < 2:
        return rows
    zero = study.temperatures.index(0.0)
    columns = ["pct_identical", "pct_identical_flipped"]
    for group in study.groups:
        if group.texts is None:
            continue
        for judge in group.decisions:
            texts, codes = group.texts[:, zero], group.first(judge)[:, zero]
            present, identical, flipped, decided = identical_and_flipped(texts, codes)
            table = np.column_stack([present, identical, identical & decided, identical & flipped])
            distinct = distinct_rows(table[present].astype(np.int64))
            totals = distinct.weights @ distinct.rows
            row = names(group) | {"judge": judge, "n_all_present": int(totals[0]), "n_identical": int(totals[1])}
            row |= {"n_identical_decided": int(totals[2])}
            row |= {"n_flipped": int(flipped.sum()), "n_identical_flipped": int(totals[3])}
            units = effective_units_of_ratios(distinct.rows[:, [1, 3]], distinct.rows[:, [0, 2]], distinct.weights)
            scope = Scope(settings.resampling, distinct.weights, ("determinism", *names(group).values(), judge))
            percents = estimates(columns, OfTotals(distinct.rows.astype(np.float64), _percents, units), scope)
            if judge in group.judged_once:
                percents |= {name: float("nan") for name in percents if name.startswith("pct_identical_flipped")}
            rows.append(row | percents)
    return rows


def _percents(totals: Floats) -> Floats:
    """Identical ones as percent of the present ones, and flipped ones of the identical ones that were decided."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(100 * totals[:, [1, 3]] / totals[:, [0, 2]], dtype=np.float64)


def judge_noise(study: DecisionArrays, settings: Settings) -> list[Row]:
    """How often a judge contradicts itself on the same (prompt, response) pair."""
    rows = []
    columns = ["pct_exchanges_flipped", "pairwise_disagreement"]

    def ratios(totals: Floats) -> Floats:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.column_stack([100 * totals[:, 2] / totals[:, 0], totals[:, 4] / totals[:, 3]])

    for group in study.groups:
        for judge, codes in group.decisions.items():
            texts = group.texts
            if texts is not None and judge in group.judged_once:
                texts = first_of_each(texts)
            distinct = distinct_rows(exchange_totals(texts, codes))
            totals = distinct.weights @ distinct.rows
            row = names(group) | {"judge": judge, "n_exchanges": int(totals[0]), "n_decisions": int(totals[1])}
            units = effective_units_of_ratios(distinct.rows[:, [2, 4]], distinct.rows[:, [0, 3]], distinct.weights)
            scope = Scope(settings.resampling, distinct.weights, ("judge noise", *names(group).values(), judge))
            rows.append(row | estimates(columns, OfTotals(distinct.rows, ratios, units), scope))
    return rows
