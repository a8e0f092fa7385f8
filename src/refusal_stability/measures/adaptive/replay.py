"""A complete study sampled again by a rule: what it would have found, spent and reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t

from refusal_stability.measures.adaptive.estimates import FigureEstimate, estimate_figures
from refusal_stability.measures.adaptive.figures import prompt_figures
from refusal_stability.measures.adaptive.rounds import Sampled, designed, sample_by_rounds
from refusal_stability.measures.adaptive.rules import STABLE, UNDECIDED, UNSTABLE, StoppingRule
from refusal_stability.measures.decision_arrays import Codes
from refusal_stability.measures.distinct import Floats
from refusal_stability.measures.stability import below, flips, ssi, tally


@dataclass(frozen=True)
class Replay:
    """One run of a rule over a complete study.

    Attributes
    ----------
    spent : share of the grid's samples.
    decided : share of prompts that the rule gave a verdict.
    unstable_found : share of the full grid's unstable prompts that were not passed as stable.
    flipping_found : share of the full grid's flipping prompts that show more than one decision.
    passed_as_stable : share of the unstable prompts that the rule called stable, the audit set aside.
    called_unstable : share of the stable prompts that the rule called unstable.
    rounds : how many there were.
    estimates : what would be reported.
    """

    spent: float
    decided: float
    unstable_found: float
    flipping_found: float
    passed_as_stable: float
    called_unstable: float
    rounds: int
    estimates: list[FigureEstimate]


def replay(
    codes: Codes,
    temperatures: Sequence[float],
    rule: StoppingRule,
    order: str,
    confidence: float,
    rng: np.random.Generator,
) -> Replay:
    """Sample a complete study by a rule.

    Parameters
    ----------
    codes : (P, T, S) decision codes of the whole grid.
    temperatures : T of them.
    rule : when to stop.
    order : see `rounds.ranks`.
    confidence : of the estimates' intervals, e.g. 0.95.
    rng : draws the audit, a random order, and the predictions.

    Returns
    -------
    Replay
        Shares in [0, 1]; NaN where there is no such prompt.
    """
    design = designed(temperatures, codes.shape[2], len(codes), rule, order, rng)
    sampled = sample_by_rounds(lambda _: codes, design, rule)
    return _scored(sampled, codes, estimate_figures(sampled, temperatures, confidence, rng))


def _scored(sampled: Sampled, codes: Codes, estimates: list[FigureEstimate]) -> Replay:
    counts = tally(codes).sum(axis=1)
    there = counts.sum(axis=1) > 0
    unstable = below(ssi(counts), sampled.rule.threshold)
    stable = there & ~unstable
    flipping = flips(counts)
    seen_flipping = flips(tally(sampled.codes).sum(axis=1))
    return Replay(
        spent=float(sampled.spent.sum() / codes.size),
        decided=float((sampled.verdict != UNDECIDED).mean()),
        unstable_found=_share(sampled.unstable_found, unstable),
        flipping_found=_share(seen_flipping, flipping),
        passed_as_stable=_share(sampled.verdict == STABLE, unstable),
        called_unstable=_share(sampled.verdict == UNSTABLE, stable),
        rounds=sampled.rounds,
        estimates=estimates,
    )


def _share(event: np.ndarray, among: np.ndarray) -> float:
    return float((event & among).sum() / among.sum()) if among.any() else float("nan")


def full_study(codes: Codes, temperatures: Sequence[float], threshold: float, confidence: float) -> Floats:
    """The figures of the whole grid, with t intervals over prompts.

    Parameters
    ----------
    codes : (P, T, S) decision codes of the whole grid.
    temperatures, threshold : as in `estimates.prompt_figures`.
    confidence : e.g. 0.95.

    Returns
    -------
    (F, 3) value, low, high of each figure of `estimates.figures_of`; NaN where not defined.
    """
    values = prompt_figures(tally(codes), temperatures, threshold)
    n = (~np.isnan(values)).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.nansum(values, axis=0) / n
        spread = np.sqrt(np.nansum((values - mean) ** 2, axis=0) / (n - 1))
        half = t.isf((1 - confidence) / 2, n - 1) * spread / np.sqrt(n)
    return np.column_stack([mean, mean - half, mean + half])
