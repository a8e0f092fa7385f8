"""Adaptive sampling on planted studies: errors of certificates, samples spent, coverage of the estimates' intervals.

    python benchmarks/adaptive_planted.py --studies 1667 --covered 300 --prompts 84

Decision shares are drawn from a Dirichlet prior and sharpened at low temperature, as in docs/coverage.md. Every study
counts for the errors; the figures of the first `--covered` ones are estimated too, which takes most of the time.
"""

from __future__ import annotations

import argparse

import numpy as np

from refusal_stability.measures.adaptive.estimates import estimate_figures
from refusal_stability.measures.adaptive.figures import figures_of, prompt_figures
from refusal_stability.measures.adaptive.rounds import Sampled, designed, sample_by_rounds
from refusal_stability.measures.adaptive.rules import STABLE, UNSTABLE, StoppingRule
from refusal_stability.measures.coverage import PRIOR, SEEDS, SHARPNESS, STEADY, THRESHOLD, simulate
from refusal_stability.measures.decision_arrays import Codes
from refusal_stability.measures.distinct import Floats
from refusal_stability.measures.stability import below, ssi, tally

TEMPERATURES = tuple(SHARPNESS)
PRIORS = (PRIOR, STEADY, np.array([3.0, 0.4, 0.3]))
TRUTH_PROMPTS = 100_000
TOLD_EVERY = 500


def main() -> None:
    """Print for each prior the errors so far, every 500 studies, and then the coverage of each figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=1667, help="of each prior")
    parser.add_argument("--covered", type=int, default=300)
    parser.add_argument("--prompts", type=int, default=84)
    parser.add_argument("--alpha", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=7)
    chosen = parser.parse_args()
    for prior in PRIORS:
        truth = true_figures(prior) if chosen.covered else np.zeros(0)
        hits, totals = np.zeros(len(truth)), np.zeros(5)
        for study in range(chosen.studies):
            rng = np.random.default_rng([chosen.seed, study])
            codes = simulate(prior, chosen.prompts, SEEDS, rng)
            rule = StoppingRule(alpha=chosen.alpha)
            design = designed(TEMPERATURES, SEEDS, chosen.prompts, rule, "turns", rng)
            sampled = sample_by_rounds(lambda _, codes=codes: codes, design, rule)  # type: ignore[misc]
            totals += errors(sampled, codes)
            if study < chosen.covered:
                found = estimate_figures(sampled, TEMPERATURES, 0.95, rng)
                hits += [e.low <= value <= e.high for e, value in zip(found, truth, strict=True)]
            if (study + 1) % TOLD_EVERY == 0 or study + 1 == chosen.studies:
                spent, passed, unstable, called, stable = totals
                print(
                    f"prior {prior}: {study + 1} studies, {spent / (study + 1):.1%} of the samples; called stable "
                    f"{passed:.0f} of {unstable:.0f} unstable prompts ({passed / unstable:.2%}), unstable {called:.0f} "
                    f"of {stable:.0f} stable ones ({called / stable:.2%})",
                    flush=True,
                )
        for figure, hit in zip(figures_of(TEMPERATURES) if chosen.covered else (), hits, strict=True):
            print(
                f"  {figure.column} {figure.temperature:g}: covered in {hit / min(chosen.covered, chosen.studies):.1%}"
            )


def true_figures(prior: Floats) -> Floats:
    """The figures of a study so large that what it measures is taken as the true value."""
    pool = tally(simulate(prior, TRUTH_PROMPTS, SEEDS, np.random.default_rng(99)))
    return np.asarray(prompt_figures(pool, TEMPERATURES, THRESHOLD).mean(axis=0))


def errors(sampled: Sampled, codes: Codes) -> Floats:
    """Share of the grid spent; how many unstable prompts were called stable, of how many; and the reverse."""
    unstable = below(ssi(tally(codes).sum(axis=1)), THRESHOLD)
    passed, called = (sampled.verdict == STABLE) & unstable, (sampled.verdict == UNSTABLE) & ~unstable
    return np.array([sampled.spent.sum() / codes.size, passed.sum(), unstable.sum(), called.sum(), (~unstable).sum()])


if __name__ == "__main__":
    main()
