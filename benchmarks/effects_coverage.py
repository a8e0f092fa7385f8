"""Do the intervals of `predict`'s effects of structure cover the truth? On prompts made up with known effects.

Half of the prompts are questions, which multiplies the odds of a flip by 2 or by 4 for each standard deviation. Words
and digits have no effect.

    python benchmarks/effects_coverage.py
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import typer
from scipy.special import expit

from refusal_stability.measures.flip_predictor import structure_effects

WORDS = ("bread", "stars", "locks", "engines", "rivers", "songs", "maps", "clocks")
QUESTION = "question mark"
EFFECTS = (QUESTION, "words", "digits")
ODDS_RATIOS = (2.0, 4.0)


def covered(odds_ratio: float, seed: int, prompts: int, resamples: int) -> list[str]:
    """The effects whose 95 % intervals cover their true odds ratio, in one study with this effect of a question."""
    rng = np.random.default_rng([seed, prompts, int(odds_ratio * 10), 9])
    asked = rng.random(prompts) < 0.5
    texts = [
        " ".join(rng.choice(WORDS, int(rng.integers(3, 30))))
        + ("?" if question else ".")
        + (" 7" if rng.random() < 0.3 else "")
        for question in asked
    ]
    flips = rng.random(prompts) < expit(-1 + np.log(odds_ratio) * (asked - asked.mean()) / asked.std())
    rows = {row["feature"]: row for row in structure_effects(texts, flips, resamples, rng)}
    truths = {name: odds_ratio if name == QUESTION else 1.0 for name in EFFECTS}
    return [
        name for name, truth in truths.items() if rows[name]["odds_ratio_low"] <= truth <= rows[name]["odds_ratio_high"]
    ]


def main(studies: int = 150, prompts: int = 250, resamples: int = 200) -> None:
    """Print a Markdown table: in which share of the studies the intervals cover, for each effect."""
    print("| odds ratio of a question | studies | " + " | ".join(f"{name}: covered" for name in EFFECTS) + " |")
    print("|---:|---:|" + "---:|" * len(EFFECTS))
    shares = []
    for odds_ratio in ODDS_RATIOS:
        times = Counter(name for seed in range(studies) for name in covered(odds_ratio, seed, prompts, resamples))
        row = [times[name] / studies for name in EFFECTS]
        print(f"| {odds_ratio:g} | {studies} | " + " | ".join(f"{share:.1%}" for share in row) + " |", flush=True)
        shares += row
    print(f"\nOn average {np.mean(shares):.1%}, {min(shares):.1%} to {max(shares):.1%} by effect.")


if __name__ == "__main__":
    typer.run(main)
