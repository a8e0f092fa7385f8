"""Do intervals of stability without the judge's errors cover the truth? Decided at the truth, on many populations.

An interval covers the true figure where the figure loses no more deviance than its bound allows. That is looked up at
the true figure itself, which takes about a third of the time of both ends of every interval.

    python benchmarks/judge_error_at_truth.py --studies 20
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import product
from typing import Annotated, Any

import numpy as np
import typer
from judge_error_populations import FURTHER, HELD_OUT

from refusal_stability.measures.distinct import distinct_rows
from refusal_stability.measures.judge_error_coverage import (
    CONFIDENCE,
    FRESH,
    POPULATIONS,
    TRUTH_PROMPTS,
    UNSEEN,
    confused_by,
    plain_figures,
    simulated_study,
)
from refusal_stability.measures.latent_decisions import (
    FIGURES,
    STABLE_SIDE,
    TYPICAL,
    TYPICAL_PROMPTS,
    Latent,
    cornered_bound,
    fit_latent,
)
from refusal_stability.measures.latent_interval import ProfileSide, Step, n_limited
from refusal_stability.measures.stability import K

BOUNDS = [cornered_bound(n, CONFIDENCE) for n in range(K * (K - 1) + 1)]
FIRST = {name: (shares, confused_by(0.1)) for name, shares in POPULATIONS.items()}
ALL = {**FIRST, **UNSEEN, **FRESH, **HELD_OUT, **FURTHER}
CLOSE, SEARCHED, FURTHEST = 0.12, 9, 200.0
PRINTED = 0.0005  # half of the last digit: a bound of 0.9998 is printed as 1.000


def covers(fit: Latent, figure: int, truth: float) -> bool:
    """Whether the interval of a figure covers its true value."""
    sign = 1 if truth > fit.figures()[figure] else -1
    stable = sign == STABLE_SIDE[figure]
    spread, goal = TYPICAL[figure] * np.sqrt(TYPICAL_PROMPTS / fit.evidence.weights.sum()), sign * truth - PRINTED
    far = fit.most_errors if stable else None
    side = ProfileSide(fit.evidence, fit.centre, sign * fit.values[:, figure], spread, far)
    inside = Step(0.0, 0.0, float(side.value @ fit.population), fit.centre)
    outside: Step | None = None
    strength = 1.7 / spread / 2
    for _ in range(SEARCHED):
        step = side.tilted(strength)
        side.steps.append(step)
        if step.figure >= goal:
            if step.root**2 <= BOUNDS[0]:
                return True
            outside = step if outside is None or step.figure < outside.figure else outside
        else:
            if step.root**2 > (max(BOUNDS) if stable else BOUNDS[0]):
                return False
            inside = max(inside, step, key=lambda each: each.figure)
        if outside is None:
            strength *= 2
            if strength * spread > FURTHEST:
                break
        elif outside.strength < 1.05 * inside.strength or outside.root - inside.root < CLOSE:
            break
        elif not inside.strength:
            strength = outside.strength * float(np.clip(1.6 / max(outside.root, 0.1), 0.3, 0.8))
        else:
            part = (goal - inside.figure) / max(outside.figure - inside.figure, 1e-9)
            strength = inside.strength + float(np.clip(part, 0.15, 0.85)) * (outside.strength - inside.strength)
    if outside is None:
        return False
    part = (goal - inside.figure) / max(outside.figure - inside.figure, 1e-9)
    root = inside.root + part * (outside.root - inside.root)
    nearest = inside if abs(inside.root - root) < abs(outside.root - root) else outside
    return bool(root**2 <= BOUNDS[n_limited(fit.evidence, nearest.place) if stable else 0])


@dataclass
class Planted:
    """A population of prompts with a judge, and what was found in its studies so far."""

    name: str
    shares: Any
    confusion: Any
    truth: Any
    plain: list[Any] = field(default_factory=list)
    estimates: list[Any] = field(default_factory=list)
    covered: list[list[bool]] = field(default_factory=list)

    def study(self, number: int, prompts: int, samples: int, labels: int, seed: int) -> None:
        """Simulate a study, correct it, and keep its figures and which of its intervals cover the truth."""
        rng = np.random.default_rng([seed, number])
        try:
            counts, labelled, _ = simulated_study(self.shares(prompts, rng), self.confusion, samples, labels, rng)
        except ValueError:  # hardly any draw of labels holds enough of each decision
            return
        distinct = distinct_rows(counts)
        fit = fit_latent(distinct.rows, distinct.weights, labelled)
        self.plain.append(plain_figures(counts))
        self.estimates.append(fit.figures())
        self.covered.append([covers(fit, figure, self.truth[figure]) for figure in range(len(FIGURES))])

    def row(self) -> str:
        """A row of the Markdown table."""
        means = (self.truth, np.mean(self.plain, axis=0), np.mean(self.estimates, axis=0))
        cells = zip(*means, np.sum(self.covered, axis=0), strict=True)
        figures = " | ".join(f"{t:.3f} | {p:.3f} | {e:.3f} | {c}" for t, p, e, c in cells)
        return f"| {self.name} | {len(self.covered)} | {figures} |"


def main(
    studies: int = 20,
    prompts: int = 876,
    samples: int = 20,
    labels: int = 300,
    only: Annotated[list[int] | None, typer.Option(help="Number of a population, from 0; may be repeated.")] = None,
    minutes: Annotated[float, typer.Option(help="Begins no study after so many minutes.")] = float("inf"),
    seed: int = 1000,
) -> None:
    """Print a Markdown table: true, uncorrected and corrected figures, and how many of the studies cover them.

    Every population's first study is simulated, then every second one, and so on. A study's random numbers depend on
    its number and the seed alone. Ctrl+C prints the studies that have ended.
    """
    end, planted = time.monotonic() + 60 * minutes, []
    for i, (name, (shares, confusion)) in enumerate(ALL.items()):
        if not only or i in only:
            rng = np.random.default_rng(seed)
            truth = plain_figures(np.asarray(rng.multinomial(samples, shares(TRUTH_PROMPTS, rng))))
            planted.append(Planted(name, shares, confusion, truth))
    with suppress(KeyboardInterrupt):
        for number, one in product(range(studies), planted):
            if time.monotonic() > end:
                break
            one.study(number, prompts, samples, labels, seed)
    columns = " | ".join(f"{figure}: true | uncorrected | corrected | covered" for figure in FIGURES)
    print(f"| prompts' true shares | studies | {columns} |")
    print("|---|---:|" + "---:|" * 4 * len(FIGURES))
    ended = [one for one in planted if one.covered]
    for one in ended:
        print(one.row())
    if covered := [each for one in ended for each in one.covered]:
        shares_covered = (f"{f} {c / len(covered):.1%} ({c})" for f, c in zip(FIGURES, np.sum(covered, 0), strict=True))
        print(f"\nAll {len(covered)} studies: {', '.join(shares_covered)}.")


if __name__ == "__main__":
    typer.run(main)
