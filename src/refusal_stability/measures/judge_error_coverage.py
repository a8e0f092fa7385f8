"""Simulated studies with a known judge error: how far off stability is, and what corrected intervals cover."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from refusal_stability.measures.distinct import Floats, Ints, distinct_rows
from refusal_stability.measures.latent_decisions import fit_latent
from refusal_stability.measures.stability import K, flips, ssi, ssi_pairwise

TRUTH_PROMPTS = 200_000
CONFIDENCE = 0.95
MIXED_STEADY = 0.5

Population = Callable[[int, np.random.Generator], Floats]


def _mixed(n: int, rng: np.random.Generator) -> Floats:
    shares = rng.dirichlet([0.5, 0.15, 0.1], size=n)
    always = rng.random(n) < MIXED_STEADY
    shares[always] = np.eye(K)[rng.choice(K, p=[0.7, 0.05, 0.25], size=int(always.sum()))]
    return shares


POPULATIONS: dict[str, Population] = {
    "Dirichlet (0.5, 0.15, 0.1)": lambda n, rng: rng.dirichlet([0.5, 0.15, 0.1], size=n),
    "half of them always decided alike": _mixed,
    "Dirichlet (1, 0.02, 0.01)": lambda n, rng: rng.dirichlet([1.0, 0.02, 0.01], size=n),
}


def confused_by(error: float) -> Floats:
    """A judge that errs equally often towards every other decision.

    Parameters
    ----------
    error : share of the responses that it misjudges, in [0, 1].

    Returns
    -------
    (K, K) chance of the judge's decision (column) by the true one (row).
    """
    return np.full((K, K), error / (K - 1)) + np.eye(K) * (1 - error - error / (K - 1))


def judged_counts(shares: Floats, confusion: Floats, n: int, rng: np.random.Generator) -> Ints:
    """Counts of a judge's decisions on n responses to each prompt.

    Parameters
    ----------
    shares : (P, K) true decision shares.
    confusion : (K, K) chance of the judge's decision (column) by the true one (row).
    n : responses to each prompt.
    rng : the source of randomness.

    Returns
    -------
    (P, K) rows sum to n.
    """
    judged = shares @ confusion
    return np.asarray(rng.multinomial(n, judged / judged.sum(axis=1, keepdims=True)))


def plain_figures(counts: Ints) -> Floats:
    """SSI, agreement of two samples and share of flipped prompts, of decisions as they stand.

    Parameters
    ----------
    counts : (P, K) decisions.

    Returns
    -------
    (3,) in the order of `latent_decisions.FIGURES`.
    """
    return np.array([ssi(counts).mean(), np.nanmean(ssi_pairwise(counts)), flips(counts).mean()])


def simulated_coverage(
    population: Population, n_prompts: int, n_samples: int, n_labels: int, error: float, studies: int, seed: int
) -> dict[str, Floats]:
    """Simulate studies and correct each one.

    Parameters
    ----------
    population : draws true decision shares.
    n_prompts, n_samples : of each study.
    n_labels : responses whose true decision is known, drawn at random.
    error : of the judge.
    studies : how many.
    seed : of the simulation.

    Returns
    -------
    true, uncorrected, corrected, coverage, width
        (3,) each, in the order of `FIGURES`: means over the studies, and the share of intervals that cover the truth.
    """
    rng = np.random.default_rng(seed)
    confusion = confused_by(error)
    shares = population(TRUTH_PROMPTS, rng)
    truth = plain_figures(np.asarray(rng.multinomial(n_samples, shares)))
    kinds = shares.mean(axis=0)
    found = []
    for _ in range(studies):
        counts = judged_counts(population(n_prompts, rng), confusion, n_samples, rng)
        true_labels = rng.multinomial(n_labels, kinds)
        labelled = np.stack([rng.multinomial(n, row) for n, row in zip(true_labels, confusion, strict=True)])
        distinct = distinct_rows(counts)
        fit = fit_latent(distinct.rows, distinct.weights, labelled.astype(np.float64))
        estimate, (low, high) = fit.figures(), fit.intervals(CONFIDENCE)
        found.append([plain_figures(counts), estimate, (low <= truth) & (truth <= high), high - low])
    uncorrected, corrected, coverage, width = np.mean(np.array(found, dtype=np.float64), axis=0)
    return {"true": truth, "uncorrected": uncorrected, "corrected": corrected, "coverage": coverage, "width": width}


def widths_by_labels(
    prior: Floats, n_prompts: int, n_samples: int, error: float, labels: list[int], seed: int
) -> list[Floats]:
    """Half the width of the corrected intervals, by the number of labelled responses.

    Parameters
    ----------
    prior : (K,) Dirichlet weights of prompts' true decision shares.
    n_prompts, n_samples : of the study.
    error : of the judge.
    labels : numbers of labelled responses, drawn at random.
    seed : of the simulation; every number of labels gets the same study.

    Returns
    -------
    (3,) for each number of labels, in the order of `FIGURES`, at 95 %: the latent model's intervals.
    """
    rng = np.random.default_rng(seed)
    shares, confusion = rng.dirichlet(prior, size=n_prompts), confused_by(error)
    distinct = distinct_rows(judged_counts(shares, confusion, n_samples, rng))
    widths = []
    for number in labels:
        # the labels as they are expected: a draw would hide the effect of their number
        labelled = number * shares.mean(axis=0)[:, None] * confusion
        low, high = fit_latent(distinct.rows, distinct.weights, labelled).intervals(CONFIDENCE)
        widths.append((high - low) / 2)
    return widths
