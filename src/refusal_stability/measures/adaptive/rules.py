"""When a prompt may stop: anytime-valid evidence that the full grid would show it stable, or unstable."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from refusal_stability.measures.adaptive.population import Population, chance_of_stable
from refusal_stability.measures.distinct import Floats, Ints, distinct_rows
from refusal_stability.measures.stability import K

RULES = ("population", "each_prompt", "agreement", "full")
VERDICTS = UNDECIDED, STABLE, UNSTABLE = (0, 1, 2)
VERDICT_NAMES = ("undecided", "stable", "unstable")
REASONS = NOT_STOPPED, CERTIFIED, CERTAIN, WHOLE_GRID, AGREED, OUT_OF_BUDGET, DOUBTED = (0, 1, 2, 3, 4, 5, 6)
REASON_NAMES = ("open", "certified", "certain", "whole grid", "agreed", "budget", "doubted")
UNTIL_CERTAIN = "certain"  # what follows `population` where the audit contradicts it
SUREST = 0.01  # no prediction counts as surer than this
UNSURE = 20.0  # prompts' worth of doubt about what the fit says of the prompts with one verdict
PURE = 0.8  # weight that the test of each prompt puts on "every sample agrees with the first"


@dataclass(frozen=True)
class StoppingRule:
    """How prompts are sampled and stopped.

    Attributes
    ----------
    name : one of `RULES`.
    alpha : bound on the error of a certificate, in (0, 0.5).
    threshold : of SSI, over 0.5.
    first : samples of every prompt before the rule looks.
    batch : a round asks for at least this many samples where that many are left to ask for.
    audit : share of prompts that are sampled in full, whatever the rule says.
    budget : most samples, as a share of the full grid; None: as many as the rule needs.
    """

    name: str = "population"
    alpha: float = 0.05
    threshold: float = 0.8
    first: int = 5
    batch: int = 64
    audit: float = 0.1
    budget: float | None = None


@dataclass(frozen=True)
class States:
    """What was seen of some prompts.

    Attributes
    ----------
    counts : (D, T, K) decisions.
    left : (D, T) samples not yet taken.
    first : (D,) the first decision's code; negative where there is none.
    predicted : (D,) chance of being unstable, predicted beforehand; NaN, or None for all, where there is no prediction.
    """

    counts: Ints
    left: Ints
    first: Ints
    predicted: Floats | None = None


@dataclass(frozen=True)
class Evidence:
    """What the states say.

    Attributes
    ----------
    verdict : (D,) one of `VERDICTS`.
    reason : (D,) one of `REASONS`.
    p_unstable : (D,) posterior chance that the full grid shows the prompt unstable.
    information : (D,) how much one more sample is expected to tell of that, in nats; 0 unless asked for.
    """

    verdict: NDArray[np.int8]
    reason: NDArray[np.int8]
    p_unstable: Floats
    information: Floats


def weigh_states(
    rule: StoppingRule, states: States, population: Population, next_temperature: Ints | None = None
) -> Evidence:
    """What a rule says of each state.

    Parameters
    ----------
    rule : which evidence counts.
    states : D of them; equal ones are weighed once.
    population : fitted to all of the study's samples so far.
    next_temperature : (D,) position of the next sample's temperature, -1 for none. With it, `information` is computed.

    Returns
    -------
    Evidence

    Notes
    -----
    `population` certifies where the Bayes factor between the two verdicts reaches `1 / alpha` and the posterior
    chance of an error is at most alpha. The Bayes factor is an e-process: over the population's prompts with the other
    verdict, the chance that it ever reaches `1 / alpha` is at most alpha (Ville). The population is fitted, so a
    smaller alpha is used the fewer prompts of a verdict it rests on. `each_prompt` needs no population: it
    bounds the error for every prompt, whatever its decisions, where samples come in random order. What is certain
    counts as such under every rule but `full`. A prediction moves the prior odds of `population`, not the Bayes factor,
    so a wrong one breaks no bound.

    References
    ----------
    Ville (1939), Étude critique de la notion de collectif. Waudby-Smith & Ramdas (2020), Confidence sequences for
    sampling without replacement, arXiv:2006.04347. Wasserman, Ramdas & Balakrishnan (2020), Universal inference,
    doi:10.1073/pnas.1922664117
    """
    following = np.full(len(states.first), -1) if next_temperature is None else next_temperature
    predicted = states.predicted if rule.name == "population" else None
    if rule.name == "each_prompt":
        # In random order a sample's temperature says nothing.
        summed = (states.counts.sum(axis=1, keepdims=True), states.left.sum(axis=1, keepdims=True))
        states, population = States(*summed, states.first), population.at_one_temperature
        following = np.minimum(following, 0)
    flat = states.counts.reshape(len(states.counts), -1)
    chance = np.full(len(flat), -1.0) if predicted is None else np.nan_to_num(predicted, nan=-1.0)
    table = distinct_rows(np.column_stack([flat, states.left, states.first, following, chance]))
    n_cells, whole_numbers = flat.shape[1], table.rows[:, :-1].astype(np.int64)
    counts = whole_numbers[:, :n_cells].reshape(-1, states.counts.shape[1], K)
    left, first, following = whole_numbers[:, n_cells:-2], whole_numbers[:, -2], whole_numbers[:, -1]
    stable_given = chance_of_stable(population, counts, left, rule.threshold)
    joint = population.posterior(counts)
    p_stable = (joint * stable_given).sum(axis=1)
    p_unstable = (joint * (1 - stable_given)).sum(axis=1)
    before, tilt = 0.5, np.ones((len(counts), 2))
    if rule.name == "population":
        nothing, whole = np.zeros_like(counts[:1]), (left + counts.sum(axis=2)).max(axis=0, keepdims=True)
        before = float(population.weights @ chance_of_stable(population, nothing, whole, rule.threshold)[0])
    odds = (1 - before) / before if before else np.inf
    with np.errstate(divide="ignore"):
        factor = p_stable / np.maximum(p_unstable, 1e-300) * odds
    if predicted is not None and 0 < before < 1:
        told = np.clip(table.rows[:, -1], SUREST, 1 - SUREST)
        tilted = np.column_stack([(1 - told) / before, told / (1 - before)])
        tilt = np.where(table.rows[:, -1:] >= 0, tilted, 1.0)
        p_stable, p_unstable = p_stable * tilt[:, 0], p_unstable * tilt[:, 1]
        p_stable, p_unstable = p_stable / (p_stable + p_unstable), p_unstable / (p_stable + p_unstable)
    verdict = np.zeros(len(counts), dtype=np.int8)
    reason = np.zeros(len(counts), dtype=np.int8)
    if rule.name == "population":
        _certify(verdict, reason, factor, p_stable, p_unstable, _cautious(rule.alpha, before, len(states.first)))
    elif rule.name == "each_prompt":
        _certify_each(verdict, reason, counts, left, first, rule)
    elif rule.name == "agreement":
        agreed = (counts.sum(axis=1) > 0).sum(axis=1) == 1
        verdict[agreed], reason[agreed] = STABLE, AGREED
    whole_grid = left.sum(axis=1) == 0
    if rule.name != "full":
        for code, all_kinds in ((STABLE, stable_given.min(axis=1) == 1), (UNSTABLE, stable_given.max(axis=1) == 0)):
            verdict[all_kinds & ~whole_grid], reason[all_kinds & ~whole_grid] = code, CERTAIN
    verdict[whole_grid] = np.where(stable_given[whole_grid, 0] == 1, STABLE, UNSTABLE)
    without = counts.sum(axis=(1, 2)) == 0
    verdict[without], reason[without] = UNDECIDED, NOT_STOPPED
    reason[whole_grid] = WHOLE_GRID
    information = np.zeros(len(counts))
    if next_temperature is not None:
        information = _information(population, joint, p_stable, counts, left, following, rule.threshold, tilt)
    index = table.index
    return Evidence(verdict[index], reason[index], p_unstable[index], information[index])


def _cautious(alpha: float, before: float, n_prompts: int) -> tuple[float, float]:
    """The bounds that verdicts `stable` and `unstable` are held to, which allow for the fit of few prompts.

    What the population says of unstable prompts rests on as many as there are, and a wrong `stable` is an error on one
    of these; and the reverse.
    """
    unstable, stable = n_prompts * (1 - before), n_prompts * before
    return alpha * unstable / (unstable + UNSURE), alpha * stable / (stable + UNSURE)


def _certify(
    verdict: Any, reason: Any, factor: Floats, p_stable: Floats, p_unstable: Floats, alphas: tuple[float, float]
) -> None:
    for code, enough in (
        (STABLE, (factor * alphas[0] >= 1) & (p_unstable <= alphas[0])),
        (UNSTABLE, (factor <= alphas[1]) & (p_stable <= alphas[1])),
    ):
        verdict[enough], reason[enough] = code, CERTIFIED


def _certify_each(verdict: Any, reason: Any, counts: Ints, left: Ints, first: Ints, rule: StoppingRule) -> None:
    """The likelihood of the samples after the first: a mixture over one verdict's grids, over the other's best grid."""
    size = counts.sum(axis=(1, 2)) + left.sum(axis=1)
    seen = counts.sum(axis=1)
    for n in np.unique(size[first >= 0]):
        grids = compositions(int(n))
        stable = grids.max(axis=1) >= rule.threshold * n - 1e-9
        if stable.all():
            continue
        for row in np.flatnonzero((size == n) & (first >= 0)):
            likely = _log_ways(grids, seen[row]) - np.log(np.maximum(grids[:, first[row]], 1e-300))
            likely = np.exp(likely - likely.max())
            pure = grids[:, first[row]] == n
            mixed = PURE * likely[pure].sum() + (1 - PURE) * likely[stable].mean()
            for code, evidence, against in ((STABLE, mixed, ~stable), (UNSTABLE, likely[~stable].mean(), stable)):
                if evidence * rule.alpha >= likely[against].max():
                    verdict[row], reason[row] = code, CERTIFIED


def compositions(n: int) -> Ints:
    """Every way to fill a grid.

    Parameters
    ----------
    n : samples in the grid.

    Returns
    -------
    (G, K) counts of each decision, with sum n.
    """
    bars = combinations(range(n + K - 1), K - 1)
    return np.array([np.diff([-1, *bar, n + K - 1]) - 1 for bar in bars], dtype=np.int64)


def _log_ways(grids: Ints, seen: Ints) -> Floats:
    """Logarithm of how many ways there are to draw what was seen from each grid; minus infinity for none."""
    rest = grids - seen
    ways = gammaln(grids + 1) - gammaln(np.maximum(rest, 0) + 1)
    return np.asarray(np.where(rest >= 0, ways, -np.inf).sum(axis=1))


def _information(
    population: Population,
    joint: Floats,
    p_stable: Floats,
    counts: Ints,
    left: Ints,
    at: Ints,
    threshold: float,
    tilt: Floats,
) -> Floats:
    """Mutual information between the next sample and whether the full grid shows the prompt unstable."""
    told, total = np.zeros(len(counts)), np.zeros(len(counts))
    there = at >= 0
    for code in range(K):
        further, remaining = counts.copy(), left.copy()
        rows = np.flatnonzero(there)
        further[rows, at[rows], code] += 1
        remaining[rows, at[rows]] -= 1
        shares = np.array([np.exp(population.log_shares[max(t, 0)][:, code]) for t in at])
        stable_given = chance_of_stable(population, further, remaining, threshold)
        stable = (joint * shares * stable_given).sum(axis=1) * tilt[:, 0]
        unstable = (joint * shares * (1 - stable_given)).sum(axis=1) * tilt[:, 1]
        chance = stable + unstable
        told += chance * _entropy(stable / np.maximum(chance, 1e-300))
        total += chance
    return np.where(there, np.maximum(_entropy(p_stable) - told / np.maximum(total, 1e-300), 0.0), 0.0)


def _entropy(p: Floats) -> Floats:
    p = np.clip(p, 1e-15, 1 - 1e-15)
    return np.asarray(-(p * np.log(p) + (1 - p) * np.log(1 - p)))
