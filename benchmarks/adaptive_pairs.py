"""Coverage of differences between two planted interventions that were sampled in rounds, with the same audited prompts.

    python benchmarks/adaptive_pairs.py --studies 200 --seed 4711 --prior 0

The second intervention makes prompts refuse more and decide less firmly. Three prompts in ten get decision shares of
their own. The last two columns say why an interval is wide: how much of the variance comes from predictions, and how
far predictions of one prompt err alike under both interventions. If they did, pairing could use it.
"""

from __future__ import annotations

import argparse

import numpy as np
from adaptive_planted import PRIORS, TEMPERATURES, TRUTH_PROMPTS

from refusal_stability.measures.adaptive.estimate_intervals import interval_of_difference
from refusal_stability.measures.adaptive.estimates import (
    PromptEstimates,
    estimate_prompts,
    figure_estimate,
    mean_over,
)
from refusal_stability.measures.adaptive.figures import figures_of, prompt_figures
from refusal_stability.measures.adaptive.rounds import designed, sample_by_rounds
from refusal_stability.measures.adaptive.rules import StoppingRule
from refusal_stability.measures.coverage import SEEDS, SHARPNESS, THRESHOLD
from refusal_stability.measures.decision_arrays import Codes
from refusal_stability.measures.distinct import Floats
from refusal_stability.measures.power import tempered
from refusal_stability.measures.stability import tally

CAUTION = np.array([3.0, 1.0, 0.5])  # what the intervention multiplies shares by
SOFT = 0.8  # exponent of the shares under the intervention
REDRAWN = 0.3
TRUTH_PARTS = 5
FIGURES = [figure for figure in figures_of(TEMPERATURES) if not figure.between]


def main() -> None:
    """Print for each figure how often its difference's interval covers the true one, and what makes it wide."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=200)
    parser.add_argument("--prompts", type=int, default=84)
    parser.add_argument("--seed", type=int, default=4711)
    parser.add_argument("--prior", type=int, choices=range(len(PRIORS)), default=0)
    chosen = parser.parse_args()
    prior = PRIORS[chosen.prior]
    parts = [np.random.default_rng([77, part]) for part in range(TRUTH_PARTS)]
    grids = [[figures(codes).mean(axis=0) for codes in both(prior, TRUTH_PROMPTS, rng)] for rng in parts]
    truth = np.subtract(*np.mean(grids, axis=0)[::-1])
    found, alike = [], []
    for study in range(chosen.studies):
        rows, products = differences(prior, chosen.prompts, np.random.default_rng([chosen.seed, study]))
        found.append(rows)
        alike.append(products)
    low, high, predicted = np.moveaxis(np.array(found), 2, 0)
    product, first, second = np.mean(alike, axis=0)
    print(f"prior {prior}: {chosen.studies} studies")
    for i, figure in enumerate(FIGURES):
        covered = (low[:, i] <= truth[i]) & (truth[i] <= high[:, i])
        with np.errstate(invalid="ignore"):
            correlation = product[i] / np.sqrt(first[i] * second[i])
        print(
            f"  {figure.column} {figure.temperature:g}: {truth[i]:+.3f} covered in {covered.mean():.1%}, width "
            f"{(high - low)[:, i].mean():.3g}, from predictions {predicted[:, i].mean():.0%}, correlation of their "
            f"errors {correlation:+.2f}"
        )


def both(prior: Floats, n_prompts: int, rng: np.random.Generator) -> list[Codes]:
    """Decisions of the full grids without and with the intervention."""
    shares = rng.dirichlet(prior, n_prompts)
    changed = shares**SOFT * CAUTION
    changed /= changed.sum(axis=1, keepdims=True)
    redrawn = rng.random(n_prompts) < REDRAWN
    changed[redrawn] = rng.dirichlet(prior, n_prompts)[redrawn]
    grids = []
    for one in (shares, changed):
        codes = np.empty((n_prompts, len(SHARPNESS), SEEDS), np.int8)
        for t, sharpness in enumerate(SHARPNESS.values()):
            edges = np.cumsum(tempered(one, sharpness), axis=1)[:, None, :2]
            codes[:, t] = (rng.random((n_prompts, SEEDS))[..., None] > edges).sum(axis=-1)
        grids.append(codes)
    return grids


def figures(codes: Codes) -> Floats:
    """(P, F) of full grids."""
    return prompt_figures(tally(codes), TEMPERATURES, THRESHOLD, FIGURES)


def differences(prior: Floats, n_prompts: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """One study: (F, 3) low, high and predictions' share of the variance; (3, F) products of prediction errors."""
    grids, rule = both(prior, n_prompts, rng), StoppingRule()
    design = designed(TEMPERATURES, SEEDS, n_prompts, rule, "turns", rng)
    sides: list[PromptEstimates] = []
    for codes in grids:
        sampled = sample_by_rounds(lambda _, codes=codes: codes, design, rule)  # type: ignore[misc]
        sides.append(estimate_prompts(sampled, TEMPERATURES, figures_of(TEMPERATURES), rng))
    every, (before, after) = np.ones(n_prompts, dtype=bool), sides
    rows = []
    for i in range(len(FIGURES)):
        found = mean_over([(1.0, after), (-1.0, before)], i, every)
        ends = [(mean_over([(1.0, one)], i, every), figure_estimate(one, i, every, 0.95)) for one in (after, before)]
        one = interval_of_difference(found, ends[0], ends[1])
        rows.append([one.low, one.high, found.of_predictions / found.variance])
    stopped = (before.group >= 0) & (after.group >= 0)
    off = [(figures(codes) - one.base[:, : len(FIGURES)])[stopped] for codes, one in zip(grids, sides, strict=True)]
    return np.array(rows), np.array([(off[0] * off[1]).mean(0), (off[0] ** 2).mean(0), (off[1] ** 2).mean(0)])


if __name__ == "__main__":
    main()
