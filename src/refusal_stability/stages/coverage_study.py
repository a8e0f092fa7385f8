"""Simulated studies -> how often the intervals hold the truth, as a page of the documentation."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from refusal_stability.artifacts import atomic_write
from refusal_stability.label_grid import settings_of
from refusal_stability.measures.coverage import FIGURES, SHARPNESS, covered, measured, simulate
from refusal_stability.params import MetricsParams

PAGE = Path("docs/coverage.md")
PRIOR = np.array([0.5, 0.15, 0.1])
SEEDS = 5
TRUTH_PROMPTS = 400_000
INTRODUCTION = """# Do the 95 % intervals hold the truth 95 % of the time?

Written by `make coverage-study` ({studies:,} simulated studies of each size, seed {seed}, {resamples:,} resamples an
interval). Each study draws its prompts' decision shares from a Dirichlet prior ({prior}), sharpens them at low
temperature (the power that the shares are raised to: {sharpness}), and draws {seeds} responses at each temperature.
The true figures are those of {truth:,} prompts drawn in the same way. A share of {studies:,} studies has a standard
error of {error:.1%} at 95 %. Percentile intervals are a little narrow where prompts are few, most of all for shares of
variance: with 84 prompts take them for 93 % ones.

| figure | {sizes} |
|---|{rules}
"""


def run(studies: int, sizes: list[int], seed: int, n_resamples: int, page: Path = PAGE) -> None:
    """Simulate the studies and write the share of intervals that hold the truth, for each figure and size."""
    resampling = settings_of(MetricsParams(n_resamples=n_resamples, seed=seed)).resampling
    few = settings_of(MetricsParams(n_resamples=2, seed=seed)).resampling
    truth = measured(simulate(PRIOR, TRUTH_PROMPTS, SEEDS, resampling.rng("truth")), few, "truth")
    columns = {}
    for size in sizes:
        rows = []
        for i in range(studies):
            rows.append(measured(simulate(PRIOR, size, SEEDS, resampling.rng("study", size, i)), resampling, size, i))
            resampling.kept.clear()
        columns[size] = covered(rows, truth)
        print(f"{size} prompts: {min(columns[size].values()):.1%} to {max(columns[size].values()):.1%}")
    with atomic_write(page) as file:
        file.write(
            INTRODUCTION.format(
                studies=studies,
                seed=seed,
                resamples=n_resamples,
                prior=", ".join(map(str, PRIOR)),
                sharpness=", ".join(f"{p:g} at T = {t}" for t, p in SHARPNESS.items()),
                seeds=SEEDS,
                truth=TRUTH_PROMPTS,
                error=(0.95 * 0.05 / studies) ** 0.5,
                sizes=" | ".join(f"{size} prompts" for size in sizes),
                rules="---:|" * len(sizes),
            )
        )
        for figure in FIGURES:
            shares = " | ".join(f"{columns[size][figure]:.1%}" for size in sizes)
            file.write(f"| {figure} | {shares} |\n")
