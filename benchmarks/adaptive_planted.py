"""Adaptive sampling on planted studies: errors of certificates, samples spent, coverage of the estimates' intervals.

    python benchmarks/adaptive_planted.py --studies 1667 --covered 300 --prompts 84
    python benchmarks/adaptive_planted.py --studies 500 --covered 500 --prior 1 --keep /tmp/planted

Decision shares are drawn from a Dirichlet prior and sharpened at low temperature, as in docs/coverage.md. Every study
counts for the errors; the figures of the first `--covered` ones are estimated too. `--keep` holds finished studies in a
folder: a later run with the same settings reads them, so that another kind of interval costs seconds. Several runs,
each with a prior of its own, may share the folder. Keep none where the rule or the predictions have changed.
"""

from __future__ import annotations

import argparse
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from refusal_stability.files import atomic_write
from refusal_stability.measures.adaptive.estimates import PromptEstimates, estimate_prompts, figure_estimate
from refusal_stability.measures.adaptive.figures import figures_of, prompt_figures
from refusal_stability.measures.adaptive.rounds import Sampled, designed, sample_by_rounds
from refusal_stability.measures.adaptive.rules import STABLE, UNSTABLE, StoppingRule
from refusal_stability.measures.coverage import PRIOR, SEEDS, SHARPNESS, STEADY, THRESHOLD, simulate
from refusal_stability.measures.decision_arrays import Codes
from refusal_stability.measures.distinct import Floats
from refusal_stability.measures.stability import below, ssi, tally

TEMPERATURES = tuple(SHARPNESS)
PRIORS = (PRIOR, STEADY, np.array([3.0, 0.4, 0.3]))
TRUTH_PROMPTS, TRUTH_PARTS = 100_000, 10
TOLD_EVERY = 500
KEPT_TOGETHER = 25
Study = tuple[Floats, PromptEstimates | None]


def main() -> None:
    """Print for each prior the errors so far, every 500 studies, and then the coverage of each figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=1667, help="of each prior")
    parser.add_argument("--covered", type=int, default=300)
    parser.add_argument("--prompts", type=int, default=84)
    parser.add_argument("--alpha", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--prior", type=int, choices=range(len(PRIORS)), help="only this one, from 0")
    parser.add_argument("--keep", type=Path, help="folder of finished studies")
    chosen = parser.parse_args()
    for prior in PRIORS if chosen.prior is None else PRIORS[chosen.prior : chosen.prior + 1]:
        missed, totals = [], np.zeros(5)
        truth = true_figures(prior) if chosen.covered else np.zeros(0)
        for number, (found, estimates) in enumerate(studies(prior, chosen), start=1):
            totals += found
            if estimates is not None:
                every = np.ones(len(estimates.known), dtype=bool)
                ends = np.array([figure_estimate(estimates, i, every, 0.95).ends for i in range(len(truth))])
                missed.append([truth < ends[:, 1], truth > ends[:, 2], ends[:, 2] - ends[:, 1]])
            if number % TOLD_EVERY == 0 or number == chosen.studies:
                told(prior, number, totals)
        if missed:
            print_coverage(np.mean(missed, axis=0), len(missed))


def told(prior: Floats, number: int, totals: Floats) -> None:
    """Print the errors of certificates so far."""
    spent, passed, unstable, called, stable = totals
    print(
        f"prior {prior}: {number} studies, {spent / number:.1%} of the samples; called stable "
        f"{passed:.0f} of {unstable:.0f} unstable prompts ({passed / unstable:.2%}), unstable {called:.0f} "
        f"of {stable:.0f} stable ones ({called / stable:.2%})",
        flush=True,
    )


def print_coverage(shares: Floats, n: int) -> None:
    """Print how often each figure's interval covers the true value, lies above it, lies below it, and its width."""
    for figure, above, below_it, width in zip(figures_of(TEMPERATURES), *shares, strict=True):
        covered = 1 - above - below_it
        print(
            f"  {figure.column} {figure.temperature:g}: covered in {covered:.1%} of {n}, above the true value in "
            f"{above:.1%}, below it in {below_it:.1%}, width {width:.3g}"
        )


def studies(prior: Floats, chosen: argparse.Namespace) -> Iterator[Study]:
    """The studies of one prior, from the folder where they lie there."""
    for start in range(0, chosen.studies, KEPT_TOGETHER):
        numbers = range(start, min(start + KEPT_TOGETHER, chosen.studies))
        settings = (chosen.seed, chosen.prompts, chosen.alpha, *prior, numbers[0], numbers[-1], chosen.covered)
        path = chosen.keep and chosen.keep / ("_".join(f"{part:g}" for part in settings) + ".pickle")
        if path and path.exists():
            yield from pickle.loads(path.read_bytes())
            continue
        found = [studied(prior, number, chosen) for number in numbers]
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(path, "wb") as file:
                pickle.dump(found, file)
        yield from found


def studied(prior: Floats, number: int, chosen: argparse.Namespace) -> Study:
    """One study's errors, and what is estimated of its prompts."""
    rng = np.random.default_rng([chosen.seed, number])
    codes = simulate(prior, chosen.prompts, SEEDS, rng)
    rule = StoppingRule(alpha=chosen.alpha)
    design = designed(TEMPERATURES, SEEDS, chosen.prompts, rule, "turns", rng)
    sampled = sample_by_rounds(lambda _: codes, design, rule)
    estimated = number < chosen.covered
    figures = figures_of(TEMPERATURES)
    return errors(sampled, codes), estimate_prompts(sampled, TEMPERATURES, figures, rng) if estimated else None


def true_figures(prior: Floats) -> Floats:
    """The figures of a study so large that what it measures is taken as the true value."""
    parts = []
    for part in range(TRUTH_PARTS):
        pool = tally(simulate(prior, TRUTH_PROMPTS, SEEDS, np.random.default_rng([99, part])))
        parts.append(prompt_figures(pool, TEMPERATURES, THRESHOLD).mean(axis=0))
    return np.asarray(np.mean(parts, axis=0))


def errors(sampled: Sampled, codes: Codes) -> Floats:
    """Share of the grid spent; how many unstable prompts were called stable, of how many; and the reverse."""
    unstable = below(ssi(tally(codes).sum(axis=1)), THRESHOLD)
    passed, called = (sampled.verdict == STABLE) & unstable, (sampled.verdict == UNSTABLE) & ~unstable
    return np.array([sampled.spent.sum() / codes.size, passed.sum(), unstable.sum(), called.sum(), (~unstable).sum()])


if __name__ == "__main__":
    main()
