"""Do the intervals hold what they promise? Simulated studies whose true figures are known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from refusal_stability.measures.aggregate import Resampling, Row, aggregate_row, with_bounds
from refusal_stability.measures.decomposition import components, prompt_totals
from refusal_stability.measures.distinct import Floats, distinct_rows
from refusal_stability.measures.intervals import bootstrap_totals, weighted_means
from refusal_stability.measures.power import tempered
from refusal_stability.measures.reliability import agreement_curve, chance_of_comply
from refusal_stability.measures.stability import ssi, tally

THRESHOLD = 0.8
DRAWS = 5
# how sharp a prompt's decision shares are at each temperature; 1 leaves them as drawn from the prior
SHARPNESS = {0.0: 3.0, 0.3: 2.0, 0.7: 1.3, 1.0: 1.0}
FIGURES = (
    "mean_ssi",
    "mean_ssi_pairwise",
    "mean_ssi_entropy",
    "pct_unstable",
    "pct_flipped",
    "mean_refuse_rate",
    "mean_partial_rate",
    "mean_comply_rate",
    "spearman_ssi_comply_rate",
    f"majority_agreement in {DRAWS} draws",
    f"chance_of_comply in {DRAWS} draws",
    "mean_difference T=0 to T=1",
    "share of prompt",
    "share of temperature",
    "share of seed",
)


def simulate(prior: Floats, n_prompts: int, n_seeds: int, rng: np.random.Generator) -> NDArray[np.int8]:
    """Decisions (P, T, S) of prompts whose shares come from a Dirichlet prior and are sharper at low temperature."""
    shares = rng.dirichlet(prior, size=n_prompts)
    codes = np.empty((n_prompts, len(SHARPNESS), n_seeds), dtype=np.int8)
    for t, sharpness in enumerate(SHARPNESS.values()):
        edges = np.cumsum(tempered(shares, sharpness), axis=1)[:, None, :2]
        codes[:, t] = (rng.random((n_prompts, n_seeds))[..., None] > edges).sum(axis=-1)
    return codes


def measured(codes: NDArray[np.int8], resampling: Resampling, *name: object) -> Row:
    """Every figure of `FIGURES` with `_low` and `_high`, as the metric tables would show them."""
    by_temperature = tally(codes)
    counts = by_temperature.sum(axis=1)
    row = aggregate_row(counts, codes[0].size, THRESHOLD, resampling, "aggregate", *name)
    distinct = distinct_rows(counts)
    for figure, curve in (("majority_agreement", agreement_curve), ("chance_of_comply", chance_of_comply)):
        values = curve(distinct.rows)[:, [DRAWS - 1]]
        row |= _means(f"{figure} in {DRAWS} draws", values, distinct.weights, resampling, "aggregate", *name)
    stability = ssi(by_temperature)
    change = distinct_rows(np.round(stability[:, -1:] - stability[:, :1], 12))
    row |= _means("mean_difference T=0 to T=1", change.rows, change.weights, resampling, "change", *name)
    return row | _shares(codes, resampling, *name)


def _means(name: str, values: Floats, weights: NDArray[np.int64], resampling: Resampling, *scope: object) -> Row:
    bounds = resampling.bounds([name], resampling.draw_means(values, weights, *scope))
    return with_bounds([name], weighted_means(values, weights), bounds)


def _shares(codes: NDArray[np.int8], resampling: Resampling, *name: object) -> Row:
    table, weights, layout = prompt_totals(codes[..., None], list(SHARPNESS))
    totals = bootstrap_totals(table, weights, resampling.n_resamples, resampling.rng("components", *name))
    own, drawn = components(weights[None, :] @ table, layout), components(totals, layout)
    columns = [f"share of {level}" for level in layout.levels]
    n = len(columns)
    return with_bounds(columns, own.share[0, :n], resampling.bounds(columns, drawn.share[:, :n]))


def covered(studies: Sequence[Row], truth: Row) -> dict[str, float]:
    """Share of studies whose interval holds the true figure, for each of `FIGURES`."""
    return {
        figure: float(
            np.mean([study[f"{figure}_low"] <= truth[figure] <= study[f"{figure}_high"] for study in studies])
        )
        for figure in FIGURES
    }
