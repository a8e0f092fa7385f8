"""Do the intervals hold what they promise? Simulated studies whose true figures are known."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from refusal_stability.measures.aggregate import MEANS, Resampling, Row, stability_row, with_bounds
from refusal_stability.measures.decomposition import components, prompt_totals
from refusal_stability.measures.distinct import Floats, distinct_rows
from refusal_stability.measures.intervals import bootstrap_totals, effective_units, effective_units_of, weighted_means
from refusal_stability.measures.power import tempered
from refusal_stability.measures.reliability import agreement_curve, chance_of_comply, queries_to_comply
from refusal_stability.measures.stability import COMPLY, ssi, tally
from refusal_stability.measures.tables.categories import mean_difference
from refusal_stability.measures.tables.samples import SOON

PRIOR = np.array([0.5, 0.15, 0.1])
STEADY = np.array([1.0, 0.02, 0.01])  # a model that hardly ever wavers
SEEDS = 5
TRUTH_PROMPTS = 400_000
THRESHOLD = 0.8
DRAWS = 5
CATEGORY = 7  # every seventh prompt is of the category whose difference from the others is measured
# how sharp a prompt's decision shares are at each temperature; 1 leaves them as drawn from the prior
SHARPNESS = {0.0: 3.0, 0.3: 2.0, 0.7: 1.3, 1.0: 1.0}
TAILS = ["pct_ever_comply", "mean_queries", "pct_within_5"]
FIGURES = (
    *(name for name in MEANS if name != "mean_ssi_entropy_observed"),
    "spearman_ssi_comply_rate",
    f"majority_agreement in {DRAWS} draws",
    f"chance_of_comply in {DRAWS} draws",
    "mean_difference T=0 to T=1",
    *TAILS,
    "difference of a category",
    "share of prompt",
    "share of temperature",
    "share of seed",
)

INTRODUCTION = """# Do the 95 % intervals hold the truth 95 % of the time?

Written by `make coverage-study` ({studies:,} simulated studies of each size, seed {seed}, {resamples:,} resamples an
interval). Each study draws its prompts' decision shares from a Dirichlet prior ({prior}), sharpens them at low
temperature (the power that the shares are raised to: {sharpness}), and draws {seeds} responses at each temperature.
The true figures are those of {truth:,} prompts drawn in the same way. A share of {studies:,} studies has a standard
error of {error:.1%} at 95 %. Percentiles are expanded for few prompts (method.md, section 3). A category is every
{category}th prompt, its true difference from the others 0. An interval that is not defined (no prompt complied) is left
out.
"""
STEADY_INTRODUCTION = """
## A model that hardly ever wavers

The same for the prior {prior}. Of {sizes} prompts, {flipped} are expected to flip, {unstable} to be unstable, and
{comply} ever to comply. **What rests on a handful of such prompts does not hold its level**: too often the study has
next to none of them, and no resampling of its prompts can bring back what it never met. Compare each figure's share
with the number of prompts that it rests on (flips for `mean_ssi`; prompts that ever comply for `mean_comply_rate`,
`mean_queries` and `pct_within_5`).
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
        row |= _means([f"{figure} in {DRAWS} draws"], values, distinct.weights, resampling, "aggregate", *name)
    stability = ssi(by_temperature)
    change = distinct_rows(np.round(stability[:, -1:] - stability[:, :1], 12))
    row |= _means(["mean_difference T=0 to T=1"], change.rows, change.weights, resampling, "change", *name)
    queries, _ = queries_to_comply(distinct.rows)
    comply = distinct.rows[:, COMPLY] > 0
    tails = np.column_stack([100.0 * comply, queries, np.where(comply, 100.0 * (queries <= SOON), np.nan)])
    row |= _means(TAILS, tails, distinct.weights, resampling, "aggregate", *name)
    sides = distinct_rows(np.column_stack([ssi(counts), np.arange(len(counts)) % CATEGORY == 0]))
    category = mean_difference(sides, resampling, resampling.rng("category", *name))
    row |= {key.replace("mean_difference", "difference of a category"): value for key, value in category.items()}
    return row | _shares(codes, resampling, *name)


def _means(names: list[str], values: Floats, weights: NDArray[np.int64], resampling: Resampling, *scope: object) -> Row:
    draws = resampling.draw_means(values, weights, *scope)
    bounds = resampling.bounds(names, draws, effective_units(values, weights))
    return with_bounds(names, weighted_means(values, weights), bounds)


def _shares(codes: NDArray[np.int8], resampling: Resampling, *name: object) -> Row:
    table, weights, design = prompt_totals(codes[..., None], list(SHARPNESS))
    totals = bootstrap_totals(table, weights, resampling.n_resamples, resampling.rng("components", *name))
    own, drawn = components(weights[None, :] @ table, design), components(totals, design)
    columns = [f"share of {level}" for level in design.levels]
    n = len(columns)
    units = effective_units_of(lambda block: components(block @ table, design).share[:, :n], weights)
    return with_bounds(columns, own.share[0, :n], resampling.bounds(columns, drawn.share[:, :n], units))


def hits(study: Row, truth: Row) -> NDArray[np.int64]:
    """For each of `FIGURES`, whether its interval in one study holds the true figure, and whether it is defined."""
    bounds = np.array([[study[f"{figure}_low"], study[f"{figure}_high"]] for figure in FIGURES])
    true = np.array([truth[figure] for figure in FIGURES])
    held = (bounds[:, 0] <= true) & (true <= bounds[:, 1])
    return np.stack([held, ~np.isnan(bounds).any(axis=1)]).astype(np.int64)


def true_figures(resampling: Resampling, prior: Floats = PRIOR) -> Row:
    """The figures of a study so large that what it measures is the truth; its intervals are not used."""
    few = replace(resampling, n_resamples=2, kept={})
    truth = measured(simulate(prior, TRUTH_PROMPTS, SEEDS, few.rng("truth")), few, "truth")
    return truth | {"difference of a category": 0.0}


def count_hits(
    n_prompts: int, studies: range, truth: Row, resampling: Resampling, prior: Floats = PRIOR
) -> NDArray[np.int64]:
    """How many of the studies numbered `studies` hold the truth, and define an interval, for each of `FIGURES`: (2, F).

    A study's prior, number and size decide all its random numbers, so that any split of the studies gives the same.
    """
    total = np.zeros((2, len(FIGURES)), dtype=np.int64)
    for i in studies:
        codes = simulate(prior, n_prompts, SEEDS, resampling.rng("study", n_prompts, i, *prior))
        total += hits(measured(codes, resampling, n_prompts, i), truth)
        resampling.kept.clear()
    return total


@dataclass(frozen=True)
class Block:
    """The study of one prior: the true figures, and each size's share of intervals that hold them."""

    prior: Floats
    truth: Row
    shares: dict[int, Floats]

    def table(self) -> list[str]:
        """The shares by figure and number of prompts, as Markdown."""
        lines = [f"| figure | {' | '.join(f'{size} prompts' for size in self.shares)} |"]
        lines.append(f"|---|{'---:|' * len(self.shares)}")
        for figure, row in zip(FIGURES, np.column_stack([*self.shares.values()]), strict=True):
            lines.append(f"| {figure} | {' | '.join(f'{share:.1%}' for share in row)} |")
        return lines

    def expected(self, percent: str) -> str:
        """How many prompts of each size one of the percentages is expected to hold."""
        return " / ".join(f"{self.truth[percent] / 100 * size:.0f}" for size in self.shares)


def coverage_page(usual: Block, steady: Block, studies: int, seed: int, n_resamples: int) -> str:
    """The page (Markdown) that shows the coverage of each of `FIGURES`, by the number of prompts."""
    introduction = INTRODUCTION.format(
        studies=studies,
        seed=seed,
        resamples=n_resamples,
        prior=", ".join(map(str, usual.prior)),
        sharpness=", ".join(f"{p:g} at T = {t}" for t, p in SHARPNESS.items()),
        seeds=SEEDS,
        truth=TRUTH_PROMPTS,
        error=(0.95 * 0.05 / studies) ** 0.5,
        category=CATEGORY,
    )
    second = STEADY_INTRODUCTION.format(
        prior=", ".join(map(str, steady.prior)),
        sizes=" / ".join(map(str, steady.shares)),
        flipped=steady.expected("pct_flipped"),
        unstable=steady.expected("pct_unstable"),
        comply=steady.expected("pct_ever_comply"),
    )
    return "\n".join([introduction, *usual.table(), second, *steady.table()]) + "\n"
