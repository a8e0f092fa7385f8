"""Adaptive sampling on studies whose unstable prompts deviate where no model expects it: errors, and samples spent.

    python benchmarks/adaptive_plants.py --studies 20

In each study of 84 prompts about 15 % deviate as the plant says. Others are steady, or deviate in 7 % of their samples.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np

from refusal_stability.measures.adaptive.rounds import designed, first_samples, sample_by_rounds
from refusal_stability.measures.adaptive.rules import STABLE, StoppingRule
from refusal_stability.measures.decision_arrays import Codes
from refusal_stability.measures.stability import below, ssi, tally

PROMPTS, THRESHOLD = 84, 0.8
GRIDS = (((0.0, 0.7, 1.0), 5), ((0.0, 0.3, 0.7, 1.0), 5), ((0.0, 0.5, 1.0), 4))
Plant = Callable[[Codes, int, np.random.Generator], None]


def whole_seeds(grid: Codes, fewest: int, rng: np.random.Generator) -> None:
    """The same seeds deviate at every temperature."""
    grid[:, rng.permutation(grid.shape[1])[: -(-fewest // len(grid))]] = 2


def coldest(grid: Codes, fewest: int, rng: np.random.Generator) -> None:
    """The coldest temperature decides otherwise."""
    grid[0] = 1


def two_cold(grid: Codes, fewest: int, rng: np.random.Generator) -> None:
    """Three samples at the coldest temperature deviate, the others that it needs at the next."""
    grid[0, :3], grid[1, : max(0, fewest - 3)] = 2, 2


def anywhere(grid: Codes, fewest: int, rng: np.random.Generator) -> None:
    """As few samples as make a prompt unstable deviate, anywhere."""
    grid.reshape(-1)[rng.permutation(grid.size)[:fewest]] = 2


def evenly(grid: Codes, fewest: int, rng: np.random.Generator) -> None:
    """As few samples as make a prompt unstable deviate, spread over the temperatures."""
    for number in range(fewest):
        grid[number % len(grid), number // len(grid)] = 2


def middle(grid: Codes, fewest: int, rng: np.random.Generator) -> None:
    """A temperature between the others decides otherwise, in as few samples as make a prompt unstable."""
    grid[1, rng.permutation(grid.shape[1])[:fewest]] = 2


def almost(grid: Codes, fewest: int, rng: np.random.Generator) -> None:
    """As few samples as make a prompt unstable deviate, to either other decision. Others fall one short of it."""
    grid.reshape(-1)[rng.permutation(grid.size)[:fewest]] = rng.integers(1, 3, size=fewest)


PLANTS: tuple[Plant, ...] = (whole_seeds, coldest, two_cold, anywhere, evenly, middle, almost)


def planted(plants: tuple[Plant, ...], n_temperatures: int, n_seeds: int, rng: np.random.Generator) -> Codes:
    """A study of which some prompts deviate as the plants say, in turn."""
    codes = np.zeros((PROMPTS, n_temperatures, n_seeds), dtype=np.int8)
    for prompt in np.flatnonzero(rng.random(PROMPTS) < 0.15):
        codes[prompt][rng.random(codes.shape[1:]) < 0.07] = 2
    fewest = int((1 - THRESHOLD) * n_temperatures * n_seeds + 1e-9) + 1
    unstable = rng.random(PROMPTS) < 0.15
    for number, prompt in enumerate(np.flatnonzero(unstable)):
        codes[prompt] = 0
        plants[number % len(plants)](codes[prompt], fewest, rng)
    if almost in plants:
        for prompt in np.flatnonzero(~unstable & (rng.random(PROMPTS) < 0.15)):
            codes[prompt] = 0
            almost(codes[prompt], fewest - 1, rng)
    return codes


def main() -> None:
    """Print a line for each grid and plant, and for all plants together."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=20)
    parser.add_argument("--seed", type=int, default=3)
    chosen = parser.parse_args()
    studies = chosen.studies
    for temperatures, n_seeds in GRIDS:
        rule = StoppingRule(first=first_samples(len(temperatures), n_seeds))
        for plants in (*((one,) for one in PLANTS), PLANTS):
            totals = np.zeros(3)
            for study in range(studies):
                rng = np.random.default_rng([chosen.seed, study])
                codes = planted(plants, len(temperatures), n_seeds, rng)
                design = designed(temperatures, n_seeds, PROMPTS, rule, "turns", rng)
                found = sample_by_rounds(lambda _, codes=codes: codes, design, rule)  # type: ignore[misc]
                unstable = below(ssi(tally(codes).sum(axis=1)), THRESHOLD)
                wrong = ((found.verdict == STABLE) & unstable).sum()
                totals += [wrong, unstable.sum(), found.spent.sum() / codes.size]
            wrong, unstable, spent = totals
            name = plants[0].__name__ if len(plants) == 1 else "all"
            print(
                f"{len(temperatures)} x {n_seeds}, {name}: called stable {wrong:.0f} of {unstable:.0f} unstable "
                f"prompts ({wrong / unstable:.1%}), {spent / studies:.1%} of the samples",
                flush=True,
            )


if __name__ == "__main__":
    main()
