"""Do the intervals hold what they promise? Simulated studies whose true figures are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from refusal_stability.measures.aggregate import MEANS, Resampling, Row, stability_row, with_bounds
from refusal_stability.measures.decomposition import components, prompt_totals
from refusal_stability.measures.distinct import Floats, distinct_rows
from refusal_stability.measures.intervals import bootstrap_totals, weighted_means
from refusal_stability.measures.power import tempered
from refusal_stability.measures.reliability import agreement_curve, chance_of_comply
from refusal_stability.measures.stability import ssi, tally

PRIOR = np.array([0.5, 0.15, 0.1])
SEEDS = 5
TRUTH_PROMPTS = 400_000
THRESHOLD = 0.8
DRAWS = 5
# how sharp a prompt's decision shares are at each temperature; 1 leaves them as drawn from the prior
SHARPNESS = {0.0: 3.0, 0.3: 2.0, 0.7: 1.3, 1.0: 1.0}
FIGURES = (
    *(name for name in MEANS if name != "mean_ssi_entropy_observed"),
    "spearman_ssi_comply_rate",
    f"majority_agreement in {DRAWS} draws",
    f"chance_of_comply in {DRAWS} draws",
    "mean_difference T=0 to T=1",
    "share of prompt",
    "share of temperature",
    "share of seed",
)

INTRODUCTION = """# Do the 95 % intervals hold the truth 95 % of the time?

Written by `make coverage-study` ({studies:,} simulated studies of each size, seed {seed}, {resamples:,} resamples an
interval). Each study draws its prompts' decision shares from a Dirichlet prior ({prior}), sharpens them at low
temperature (the power that the shares are raised to: {sharpness}), and draws {seeds} responses at each temperature.
The true figures are those of {truth:,} prompts drawn in the same way. A share of {studies:,} studies has a standard
error of {error:.1%} at 95 %. Percentiles are expanded for few prompts (method.md, section 3).
"""


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
    row = stability_row(counts, codes[0].size, THRESHOLD, resampling, "aggregate", *name, correlate=True)
    distinct = distinct_rows(counts)
    for figure, curve in (("majority_agreement", agreement_curve), ("chance_of_comply", chance_of_comply)):
        values = curve(distinct.rows)[:, [DRAWS - 1]]
        row |= _means(f"{figure} in {DRAWS} draws", values, distinct.weights, resampling, "aggregate", *name)
    stability = ssi(by_temperature)
    change = distinct_rows(np.round(stability[:, -1:] - stability[:, :1], 12))
    row |= _means("mean_difference T=0 to T=1", change.rows, change.weights, resampling, "change", *name)
    return row | _shares(codes, resampling, *name)


def _means(name: str, values: Floats, weights: NDArray[np.int64], resampling: Resampling, *scope: object) -> Row:
    bounds = resampling.bounds([name], resampling.draw_means(values, weights, *scope), int(weights.sum()))
    return with_bounds([name], weighted_means(values, weights), bounds)


def _shares(codes: NDArray[np.int8], resampling: Resampling, *name: object) -> Row:
    table, weights, layout = prompt_totals(codes[..., None], list(SHARPNESS))
    totals = bootstrap_totals(table, weights, resampling.n_resamples, resampling.rng("components", *name))
    own, drawn = components(weights[None, :] @ table, layout), components(totals, layout)
    columns = [f"share of {level}" for level in layout.levels]
    n = len(columns)
    return with_bounds(columns, own.share[0, :n], resampling.bounds(columns, drawn.share[:, :n], int(weights.sum())))


def hits(study: Row, truth: Row) -> NDArray[np.bool_]:
    """Whether each of `FIGURES`' intervals in one study holds the true figure."""
    return np.array([study[f"{figure}_low"] <= truth[figure] <= study[f"{figure}_high"] for figure in FIGURES])


def true_figures(resampling: Resampling) -> Row:
    """The figures of a study so large that what it measures is the truth; its intervals are not used."""
    few = replace(resampling, n_resamples=2, kept={})
    return measured(simulate(PRIOR, TRUTH_PROMPTS, SEEDS, few.rng("truth")), few, "truth")


def count_hits(n_prompts: int, studies: range, truth: Row, resampling: Resampling) -> NDArray[np.int64]:
    """How many of the studies numbered `studies` hold the truth, for each of `FIGURES`.

    A study's number and size decide all its random numbers, so that any split of the studies gives the same total.
    """
    total = np.zeros(len(FIGURES), dtype=np.int64)
    for i in studies:
        codes = simulate(PRIOR, n_prompts, SEEDS, resampling.rng("study", n_prompts, i))
        total += hits(measured(codes, resampling, n_prompts, i), truth)
        resampling.kept.clear()
    return total


def coverage_page(shares: dict[int, Floats], studies: int, seed: int, n_resamples: int) -> str:
    """The page (Markdown) that shows the coverage of each of `FIGURES`, by the number of prompts."""
    introduction = INTRODUCTION.format(
        studies=studies,
        seed=seed,
        resamples=n_resamples,
        prior=", ".join(map(str, PRIOR)),
        sharpness=", ".join(f"{p:g} at T = {t}" for t, p in SHARPNESS.items()),
        seeds=SEEDS,
        truth=TRUTH_PROMPTS,
        error=(0.95 * 0.05 / studies) ** 0.5,
    )
    lines = [introduction, f"| figure | {' | '.join(f'{size} prompts' for size in shares)} |"]
    lines.append(f"|---|{'---:|' * len(shares)}")
    for figure, row in zip(FIGURES, np.column_stack([*shares.values()]), strict=True):
        lines.append(f"| {figure} | {' | '.join(f'{share:.1%}' for share in row)} |")
    return "\n".join(lines) + "\n"
