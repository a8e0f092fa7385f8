"""The table of what a smaller study would have measured: stability by the number of responses a prompt."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from refusal_stability.measures.decision_arrays import DecisionArrays
from refusal_stability.measures.distinct import Floats, Ints, distinct_rows
from refusal_stability.measures.estimates import Row, Scope, estimates, renamed
from refusal_stability.measures.stability import below, flips, ssi, ssi_pairwise
from refusal_stability.measures.subsampling import expected_in_draws, last_draw
from refusal_stability.measures.tables.settings import Settings
from refusal_stability.measures.tables.stability import names, scope_name, scopes

NAMES = ["mean_ssi", "mean_ssi_pairwise", "pct_unstable", "pct_flipped"]


def stability_by_draws(study: DecisionArrays, settings: Settings) -> list[Row]:
    """A row for each model, scope and number of draws; every number of draws on the same resamples of prompts."""
    figures: tuple[Callable[[Ints], Floats], ...] = (
        ssi,
        ssi_pairwise,
        lambda counts: np.where(below(ssi(counts), settings.threshold), 100.0, 0.0),
        lambda counts: np.where(flips(counts), 100.0, 0.0),
    )
    rows = []
    for group in study.groups:
        for temperature, counts, _ in scopes(study, group):
            distinct = distinct_rows(counts[counts.sum(axis=1) > 0])
            total = distinct.rows.sum(axis=1)
            draws = range(1, last_draw(distinct) + 1)
            columns = [f"{name} {n}" for n in draws for name in NAMES]
            if not columns:
                continue
            values = np.column_stack([expected_in_draws(distinct.rows, n, f) for n in draws for f in figures])
            scope = Scope(settings.resampling, distinct.weights, scope_name(group, temperature), shared=True)
            found = estimates(columns, values, scope, fixed=columns[: len(NAMES)])  # one response is stable
            for n in draws:
                row = names(group) | {"temperature": temperature, "n_draws": n}
                row["n_prompts"] = int(distinct.weights[total >= n].sum())
                for name in NAMES:
                    row |= renamed(found, f"{name} {n}", name)
                rows.append(row)
    return rows
