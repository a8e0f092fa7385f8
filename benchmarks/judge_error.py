"""Stability with the judge's errors taken out: planted studies, how far off uncorrected figures are, and coverage."""

from __future__ import annotations

from typing import Annotated

import typer

from refusal_stability.measures.judge_error_coverage import POPULATIONS, UNSEEN, confused_by, simulated_coverage
from refusal_stability.measures.latent_decisions import FIGURES


def main(
    studies: int = 200,
    prompts: int = 300,
    samples: int = 20,
    labels: int = 300,
    error: Annotated[float, typer.Option(help="Share of the responses that the judge gets wrong.")] = 0.1,
    unseen: Annotated[bool, typer.Option(help="Populations and judges that no choice of the model rests on.")] = False,
    seed: int = 0,
) -> None:
    """Print a Markdown table."""
    print("| prompts' true shares | figure | true | uncorrected | corrected | coverage | interval width |")
    print("|---|---|---:|---:|---:|---:|---:|")
    planted = UNSEEN if unseen else {name: (shares, confused_by(error)) for name, shares in POPULATIONS.items()}
    for name, (population, confusion) in planted.items():
        found = simulated_coverage(population, prompts, samples, labels, confusion, studies, seed)
        for i, figure in enumerate(FIGURES):
            means = " | ".join(f"{found[key][i]:.3f}" for key in ("true", "uncorrected", "corrected"))
            print(
                f"| {name} | `{figure}` | {means} | {found['coverage'][i]:.1%} | {found['width'][i]:.3f} |", flush=True
            )


if __name__ == "__main__":
    typer.run(main)
