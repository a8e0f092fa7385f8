"""Adaptive sampling on planted studies: errors of certificates, samples spent, coverage of the estimates' intervals.

    python benchmarks/adaptive_planted.py --studies 540 --prompts 84

Decision shares are drawn from a Dirichlet prior and sharpened at low temperature, as in docs/coverage.md.
"""

from __future__ import annotations

import argparse

import numpy as np

from refusal_stability.measures.adaptive.estimates import figures_of, prompt_figures
from refusal_stability.measures.adaptive.replay import replay
from refusal_stability.measures.adaptive.rules import StoppingRule
from refusal_stability.measures.coverage import PRIOR, SEEDS, SHARPNESS, STEADY, THRESHOLD, simulate
from refusal_stability.measures.stability import below, ssi, tally

TEMPERATURES = tuple(SHARPNESS)
PRIORS = (PRIOR, STEADY, np.array([3.0, 0.4, 0.3]))
TRUTH_PROMPTS = 100_000


def main() -> None:
    """Print a line for each prior, and one for each figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=540)
    parser.add_argument("--prompts", type=int, default=84)
    parser.add_argument("--alpha", type=float, default=0.05)
    chosen = parser.parse_args()
    for prior in PRIORS:
        pool = tally(simulate(prior, TRUTH_PROMPTS, SEEDS, np.random.default_rng(99)))
        truth = prompt_figures(pool, TEMPERATURES, THRESHOLD).mean(axis=0)
        hits, wrong, among, spent = np.zeros(len(truth)), np.zeros(2), np.zeros(2), 0.0
        for study in range(chosen.studies):
            rng = np.random.default_rng([7, study])
            codes = simulate(prior, chosen.prompts, SEEDS, rng)
            found = replay(codes, TEMPERATURES, StoppingRule(alpha=chosen.alpha), "hottest_first", 0.95, rng)
            unstable = int(below(ssi(tally(codes).sum(axis=1)), THRESHOLD).sum())
            sizes = np.array([unstable, chosen.prompts - unstable])
            wrong += np.nan_to_num([found.passed_as_stable, found.called_unstable]) * sizes
            among += sizes
            spent += found.spent / chosen.studies
            hits += [e.low <= value <= e.high for e, value in zip(found.estimates, truth, strict=True)]
        print(
            f"prior {prior}: {chosen.studies} studies, {spent:.1%} of the samples; called stable {wrong[0]:.0f} of "
            f"{among[0]:.0f} unstable prompts ({wrong[0] / among[0]:.2%}), unstable {wrong[1]:.0f} of {among[1]:.0f} "
            f"stable ones ({wrong[1] / among[1]:.2%})"
        )
        for figure, share in zip(figures_of(TEMPERATURES), hits / chosen.studies, strict=True):
            print(f"  {figure.column} {figure.temperature:g}: covered in {share:.1%}")


if __name__ == "__main__":
    main()
