"""Stability without the primary judge's errors, as people's labels or another judge's show them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from refusal_stability.judge_report.ratings import PEOPLE, Ratings, codes
from refusal_stability.measures.distinct import Floats, Ints, distinct_rows
from refusal_stability.measures.judge_error import (
    LEAST_INVERTED,
    LEAST_LABELS,
    agreement_interval,
    effective_labels,
    errors_together,
    pairs_of,
)
from refusal_stability.measures.judge_error_coverage import CONFIDENCE, plain_figures
from refusal_stability.measures.latent_decisions import FIGURES, fit_latent
from refusal_stability.params.judges import MAJORITY
from refusal_stability.records import DECISION_NAMES

INVERSE, LATENT = "inverse confusion", "latent shares"

Row = dict[str, Any]


@dataclass(frozen=True)
class Reference:
    """What shows the primary judge's errors: labels as `effective_labels` counts them, and how far errors cluster."""

    rater: str
    labelled: Floats
    n_labelled: int
    together: tuple[int, float, float]


def references(ratings: Ratings, primary: str, correctable: bool, seed: int) -> list[Reference]:
    """People where their labels stand for the study's responses (`correctable`), and every other judge of the panel.

    A rater with fewer than `LEAST_LABELS` labels of a decision that it or the judge gives is left out.
    """
    raters = [PEOPLE] if PEOPLE in ratings.people and correctable else []
    raters += [judge for judge in ratings.judges if judge not in (primary, MAJORITY)]
    found = []
    for number, rater in enumerate(raters):
        table = ratings.table
        truth, judged = codes(table, rater).astype(int), codes(table, primary).astype(int)
        weights = np.ones(len(table))
        if rater == PEOPLE:
            assert ratings.weights is not None
            weights = ratings.weights
        both = (truth >= 0) & (judged >= 0) & (weights > 0)
        truth, judged = truth[both], judged[both]
        labelled = effective_labels(truth, judged, weights[both])
        if not both.any() or (labelled.sum(axis=1) < LEAST_LABELS).any():
            continue
        rng = np.random.default_rng([seed, number])
        together = errors_together(table["prompt_id"].to_numpy()[both], truth, truth != judged, rng)
        found.append(Reference(rater, labelled, int(both.sum()), together))
    return found


def corrected_stability(
    judged: pd.DataFrame, found: Sequence[Reference], primary: str, n_resamples: int, seed: int
) -> tuple[list[Row], list[Row]]:
    """The rows of `corrected_stability` and `corrected_prompts`, for each model, intervention and reference."""
    figures: list[Row] = []
    prompts: list[Row] = []
    for (model, intervention), cells in judged[judged[primary] != ""].groupby(["model", "intervention"], sort=False):
        names, responses, counts, squares = _counted(cells, primary)
        for number, reference in enumerate(found):
            place = {"model": model, "intervention": intervention, "reference": reference.rater}
            about = {
                "n_prompts": len(names),
                "n_judgements": int(counts.sum()),
                "n_calibration": reference.n_labelled,
                **dict(zip(("error_pairs", "error_pairs_expected", "error_pairs_p"), reference.together, strict=True)),
            }
            rng = np.random.default_rng([seed, number])
            apart, copies = pairs_of(responses, squares)
            agreement = agreement_interval(apart, copies, reference.labelled, n_resamples, CONFIDENCE, rng)
            distinct = distinct_rows(counts)
            fit = fit_latent(distinct.rows, distinct.weights, reference.labelled)
            latent = np.column_stack([fit.figures(), *fit.intervals(CONFIDENCE)])
            plain = plain_figures(counts)
            plain[FIGURES.index("ssi_pairwise")] = plain_figures(responses)[FIGURES.index("ssi_pairwise")]
            corrected = [(FIGURES[i], LATENT, plain[i], latent[i].tolist()) for i in range(len(FIGURES))]
            if reference.labelled.sum(axis=1).min() >= LEAST_INVERTED:
                corrected.append(("ssi_pairwise", INVERSE, plain[FIGURES.index("ssi_pairwise")], list(agreement)))
            for figure, method, own, (value, low, high) in corrected:
                row = {"figure": figure, "method": method, "uncorrected": float(own)}
                bounds = {"corrected": value, "corrected_low": min(low, value), "corrected_high": max(high, value)}
                figures.append(place | row | bounds | about)
            shares, unstable = fit.shares(), fit.instability()
            lines = distinct_places(counts, distinct.rows)
            prompts += list(_by_prompt(place, names, counts, shares[lines], unstable[lines]))
    return figures, prompts


def distinct_places(counts: Ints, rows: Ints) -> NDArray[np.int64]:
    """(P,) the row of `rows` that each prompt's counts are."""
    known = {row.tobytes(): place for place, row in enumerate(np.ascontiguousarray(rows, dtype=np.int64))}
    return np.array([known[row.tobytes()] for row in np.ascontiguousarray(counts, dtype=np.int64)], dtype=np.int64)


def _by_prompt(place: Row, names: Sequence[str], counts: Ints, shares: Floats, unstable: Floats) -> Iterator[Row]:
    for i, name in enumerate(names):
        judged = {f"judged_{d.lower()}": float(counts[i, c] / counts[i].sum()) for c, d in enumerate(DECISION_NAMES)}
        true = {f"corrected_{d.lower()}": float(shares[i, c]) for c, d in enumerate(DECISION_NAMES)}
        yield place | {"prompt_id": name, "n": int(counts[i].sum())} | judged | true | {"p_flip": float(unstable[i])}


def _counted(cells: pd.DataFrame, primary: str) -> tuple[list[str], Ints, Ints, Ints]:
    """Prompts; (P, K) decisions on responses; on separate judgements; sums of squared numbers of responses a judgement.

    Where no text has two decisions, equal texts have copies of one judgement, as this project's judges make them.
    """
    by_text = cells.groupby(["prompt_id", "response", primary]).size().rename("m").reset_index()
    copied = not by_text.duplicated(["prompt_id", "response"]).any()
    by_text["one"] = 1 if copied else by_text["m"]
    by_text["square"] = by_text["m"] ** 2 if copied else by_text["m"]
    total = by_text.groupby(["prompt_id", primary])[["m", "one", "square"]].sum()
    tables = [
        total[name].unstack(primary, fill_value=0).reindex(columns=DECISION_NAMES, fill_value=0) for name in total
    ]
    responses, judgements, squares = (table.to_numpy(np.int64) for table in tables)
    return tables[0].index.astype(str).tolist(), responses, judgements, squares
