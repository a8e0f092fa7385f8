"""Do the intervals cover the true value as often as they should? Simulated studies whose true figures are known."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from refusal_stability.measures.aggregate import MEANS, stability_row
from refusal_stability.measures.decomposition import components, prompt_totals
from refusal_stability.measures.distinct import Floats, distinct_rows
from refusal_stability.measures.effective_units import effective_units_of
from refusal_stability.measures.estimates import OfTotals, Resampling, Row, Scope, estimates
from refusal_stability.measures.power import tempered
from refusal_stability.measures.reliability import agreement_curve, chance_of_comply, queries_to_comply
from refusal_stability.measures.stability import COMPLY, ssi, tally
from refusal_stability.measures.tables.categories import mean_difference
from refusal_stability.measures.tables.samples import SOON

PRIOR = np.array([0.5, 0.15, 0.1])
STEADY = np.array([1.0, 0.02, 0.01])  # a model that is almost always stable
SEEDS = 5
TRUTH_PROMPTS = 400_000
THRESHOLD = 0.8
DRAWS = 5
CATEGORY = 7  # every seventh prompt is in the category
# exponent of a prompt's decision shares at each temperature; 1 leaves them as drawn from the prior
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

INTRODUCTION = """# Coverage of the 95 % intervals

A 95 % interval should cover the true value in 95 % of studies. This page shows how often it does, by simulation. Under
each prior, look up your study's number of prompts.

Written by `make coverage-study`: {studies:,} simulated studies of each size, seed {seed}, {resamples:,} resamples per
interval. Each study draws its prompts' decision shares from a Dirichlet prior ({prior}). It sharpens them at low
temperature (exponent of the shares: {sharpness}) and draws {seeds} responses at each temperature. The true
values are those of {truth:,} prompts drawn the same way. The standard error of a coverage of 95 % is {error:.1%}.
Percentiles are expanded for few prompts (method.md, section 3). The category is every {category}th prompt, and its true
difference is 0. Intervals that are not defined (no prompt complied) are left out.

| figure | meaning |
|---|---|
| `mean_difference T=0 to T=1` | change of mean SSI between the lowest and the highest temperature |
| `difference of a category` | mean SSI of the category minus that of the other prompts |
| `share of ...` | the component's share of the decision's variance |
"""
STEADY_INTRODUCTION = """
## A model that is almost always stable

The same for the prior {prior}. Of {sizes} prompts, {flipped} are expected to flip, {unstable} to be unstable, and
{comply} ever to comply. **Figures that rest on a handful of prompts fall short of 95 %.** Too often the study has
almost none of these prompts, and resampling cannot supply what was never sampled. Compare each coverage with the number
of prompts behind the figure: flips for `mean_ssi`; prompts that ever comply for `mean_comply_rate`, `mean_queries` and
`pct_within_5`.
"""


def simulate(prior: Floats, n_prompts: int, n_seeds: int, rng: np.random.Generator) -> NDArray[np.int8]:
    """Decisions of one simulated study.

    Parameters
    ----------
    prior : (3,) Dirichlet weights of prompts' decision shares at the highest temperature.
    n_prompts, n_seeds : size of the study; the temperatures are those of `SHARPNESS`.
    rng : the source of randomness.

    Returns
    -------
    (P, T, S) decision codes. Shares are sharper at lower temperatures.
    """
    shares = rng.dirichlet(prior, size=n_prompts)
    codes = np.empty((n_prompts, len(SHARPNESS), n_seeds), dtype=np.int8)
    for t, sharpness in enumerate(SHARPNESS.values()):
        edges = np.cumsum(tempered(shares, sharpness), axis=1)[:, None, :2]
        codes[:, t] = (rng.random((n_prompts, n_seeds))[..., None] > edges).sum(axis=-1)
    return codes


def measured(codes: NDArray[np.int8], resampling: Resampling, *name: object) -> Row:
    """Every figure of `FIGURES`, as the metric tables would show it.

    Parameters
    ----------
    codes : (P, T, S) decision codes, all present.
    resampling : how intervals are drawn.
    name : names of the study, which select the random generators.

    Returns
    -------
    Each figure with its `_low` and `_high`, among other stability columns.
    """
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
    category = mean_difference(sides, Scope(resampling, sides.weights, ("category", *name)))
    row |= {key.replace("mean_difference", "difference of a category"): value for key, value in category.items()}
    return row | _shares(codes, resampling, *name)


def _means(names: list[str], values: Floats, weights: NDArray[np.int64], resampling: Resampling, *scope: object) -> Row:
    return estimates(names, values, Scope(resampling, weights, scope, shared=True))


def _shares(codes: NDArray[np.int8], resampling: Resampling, *name: object) -> Row:
    table, weights, design = prompt_totals(codes[..., None], list(SHARPNESS))
    columns = [f"share of {level}" for level in design.levels]

    def shares(totals: Floats) -> Floats:
        return components(totals, design).share[:, : len(columns)]

    units = effective_units_of(lambda block: shares(block @ table), weights)
    return estimates(columns, OfTotals(table, shares, units), Scope(resampling, weights, ("components", *name)))


def hits(study: Row, truth: Row) -> NDArray[np.int64]:
    """Whether each interval of one study covers the true value.

    Parameters
    ----------
    study : as `measured` returns it.
    truth : the true figures, as `true_figures` returns them.

    Returns
    -------
    (2, F) for each of `FIGURES`: 1 where its interval covers the true value; 1 where its interval is defined.
    """
    bounds = np.array([[study[f"{figure}_low"], study[f"{figure}_high"]] for figure in FIGURES])
    true = np.array([truth[figure] for figure in FIGURES])
    held = (bounds[:, 0] <= true) & (true <= bounds[:, 1])
    return np.stack([held, ~np.isnan(bounds).any(axis=1)]).astype(np.int64)


def true_figures(resampling: Resampling, prior: Floats = PRIOR) -> Row:
    """The figures of a study so large that what it measures is taken as the true value.

    Parameters
    ----------
    resampling : its generators; the intervals are not used.
    prior : (3,) Dirichlet weights.

    Returns
    -------
    As `measured`, with a category difference of exactly 0.
    """
    few = replace(resampling, n_resamples=2, kept={})
    truth = measured(simulate(prior, TRUTH_PROMPTS, SEEDS, few.rng("truth")), few, "truth")
    return truth | {"difference of a category": 0.0}


def count_hits(
    n_prompts: int, studies: range, truth: Row, resampling: Resampling, prior: Floats = PRIOR
) -> NDArray[np.int64]:
    """How many simulated studies cover the true values.

    A study's prior, number and size decide all its random numbers, so any split of the studies gives the same counts.

    Parameters
    ----------
    n_prompts : prompts of each study.
    studies : the studies' numbers.
    truth : as `true_figures` returns it.
    resampling : how intervals are drawn.
    prior : (3,) Dirichlet weights.

    Returns
    -------
    (2, F) for each of `FIGURES`: studies whose interval covers the true value; studies whose interval is defined.
    """
    total = np.zeros((2, len(FIGURES)), dtype=np.int64)
    for i in studies:
        codes = simulate(prior, n_prompts, SEEDS, resampling.rng("study", n_prompts, i, *prior))
        total += hits(measured(codes, resampling, n_prompts, i), truth)
        resampling.kept.clear()
    return total


@dataclass(frozen=True)
class Block:
    """The coverage under one prior: the true figures, and each size's share of intervals that cover them."""

    prior: Floats
    truth: Row
    shares: dict[int, Floats]

    def table(self) -> list[str]:
        """Coverage by figure and number of prompts, as Markdown.

        Returns
        -------
        Lines.
        """
        lines = [f"| figure | {' | '.join(f'{size} prompts' for size in self.shares)} |"]
        lines.append(f"|---|{'---:|' * len(self.shares)}")
        for figure, row in zip(FIGURES, np.column_stack([*self.shares.values()]), strict=True):
            lines.append(f"| {figure} | {' | '.join(f'{share:.1%}' for share in row)} |")
        return lines

    def expected(self, percent: str) -> str:
        """How many prompts of each size one of the percentages amounts to.

        Parameters
        ----------
        percent : the column of a percentage.

        Returns
        -------
        One number a size, joined by ` / `.
        """
        return " / ".join(f"{self.truth[percent] / 100 * size:.0f}" for size in self.shares)


def coverage_page(usual: Block, steady: Block, studies: int, seed: int, n_resamples: int) -> str:
    """The coverage page in Markdown.

    Parameters
    ----------
    usual, steady : the coverage under each prior.
    studies, seed, n_resamples : how they were simulated.

    Returns
    -------
    The page's text, one row for each of `FIGURES`, one column a number of prompts.
    """
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
