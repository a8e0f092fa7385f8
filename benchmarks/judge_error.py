"""Stability with the judge's errors taken out: planted studies, how far off uncorrected figures are, and coverage."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from refusal_stability.measures.judge_error_coverage import (
    FRESH,
    POPULATIONS,
    UNSEEN,
    confused_by,
    simulated_coverage,
)
from refusal_stability.measures.latent_decisions import FIGURES

ROWS = (*[f"`{figure}`" for figure in FIGURES], "`ssi_pairwise`, inverse")


class Planted(StrEnum):
    """Which populations."""

    first = "first"
    unseen = "unseen"
    fresh = "fresh"


def main(
    planted: Annotated[Planted, typer.Argument(help="Populations; unseen and fresh have judges of their own.")],
    studies: int = 200,
    prompts: int = 300,
    samples: int = 20,
    labels: int = 300,
    error: Annotated[float, typer.Option(help="Share of the responses that the judge of `first` gets wrong.")] = 0.1,
    only: Annotated[list[int] | None, typer.Option(help="Number of a population, from 0; may be repeated.")] = None,
    seed: int = 0,
) -> None:
    """Print a Markdown table."""
    print("| prompts' true shares | figure | true | uncorrected | corrected | coverage | median width |")
    print("|---|---|---:|---:|---:|---:|---:|")
    first = {name: (shares, confused_by(error)) for name, shares in POPULATIONS.items()}
    populations = {Planted.first: first, Planted.unseen: UNSEEN, Planted.fresh: FRESH}[planted]
    for number, (name, (population, confusion)) in enumerate(populations.items()):
        if only and number not in only:
            continue
        found = simulated_coverage(population, prompts, samples, labels, confusion, studies, seed)
        for i, figure in enumerate(ROWS):
            means = " | ".join(f"{found[key][i]:.3f}" for key in ("true", "uncorrected", "corrected"))
            print(f"| {name} | {figure} | {means} | {found['coverage'][i]:.1%} | {found['width'][i]:.3f} |", flush=True)


if __name__ == "__main__":
    typer.run(main)
