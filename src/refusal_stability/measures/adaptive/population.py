"""What a study's prompts are like: a mixture of decision shares that change with temperature, fitted to all samples.

Stopping looks only at what was seen, so the likelihood of the seen decisions needs no correction for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, permutations

import numpy as np
from scipy.special import logsumexp

from refusal_stability.measures.distinct import Floats, Ints, distinct_rows
from refusal_stability.measures.stability import K

STEPS = 20  # of the lattice of decision shares
RARE = (0.003, 0.01, 0.02, 0.035)  # shares between the lattice's corners and their neighbours, where most prompts lie
SENSITIVITIES = (0.0, 1.0, 3.0)  # how strongly a kind of prompt sharpens when it is colder
SLOPES = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0)  # a temperature's exponent of the shares is 1 + sensitivity x slope
MELTING = 3.0  # a prompt that spreads when it is colder has the exponent 1 / (1 + MELTING x slope)
TURN = 6.0  # a prompt that turns to a decision when it is colder has that one's share multiplied by exp(TURN x slope)
ELSEWHERE = (0.2, 0.4, 0.6, 0.8, 1.0)  # shares of another decision at one temperature, of a prompt steady at all others
FLOOR = 1e-4  # added to a share, so that no decision is impossible
EM_STEPS, FITS = 40, 3
KEPT = 256  # rounds ask for the same tables again and again
ROUNDING = 1e-9


@dataclass(frozen=True)
class Population:
    """A fitted mixture over L kinds of prompts.

    Attributes
    ----------
    weights : (L,) sum to 1.
    slopes : (T,) positions in `SLOPES`; the hottest temperature's is 0.
    """

    weights: Floats
    slopes: tuple[int, ...]

    @property
    def log_shares(self) -> list[Floats]:
        """(L, K) logarithms of the kinds' decision shares, at each temperature."""
        return _all_log_shares(self.slopes)

    @property
    def at_one_temperature(self) -> Population:
        """The same kinds where temperatures are not told apart; without those that decide otherwise at one."""
        weights = self.weights[: len(_kinds(1).shares)]
        return Population(weights / weights.sum(), (0,))

    def likelihood(self, counts: Ints) -> Floats:
        """How likely each kind of prompt gives some counts.

        Parameters
        ----------
        counts : (D, T, K)

        Returns
        -------
        (D, L) up to a factor of each row.
        """
        return _likelihood(counts, self.log_shares)

    def posterior(self, counts: Ints) -> Floats:
        """How probable each kind of prompt is after some counts.

        Parameters
        ----------
        counts : (D, T, K)

        Returns
        -------
        (D, L) rows sum to 1.
        """
        joint = self.likelihood(counts) * self.weights
        return np.asarray(joint / joint.sum(axis=1, keepdims=True))


def _likelihood(counts: Ints, log_shares: list[Floats]) -> Floats:
    log = sum((counts[:, t] @ shares.T for t, shares in enumerate(log_shares)), np.zeros((len(counts), 1)))
    return np.asarray(np.exp(log - log.max(axis=1, keepdims=True)))


@dataclass(frozen=True)
class _Kinds:
    """L kinds of prompts: shares at the hottest temperature, and what becomes of them at others.

    A prompt sharpens as it gets colder, or spreads, or turns to one decision, whatever it shows at the hottest
    temperature. Or it decides otherwise at one temperature alone, which may be any.
    """

    shares: Floats  # (L, K)
    sensitivity: Floats  # (L,) negative: it spreads
    turn: Floats  # (L, K)
    place: Ints  # (L,) the one temperature at which it decides otherwise; -1 for none
    elsewhere: Floats  # (L, K) what it decides there


@lru_cache
def _kinds(n_temperatures: int) -> _Kinds:
    bars = combinations(range(STEPS + K - 1), K - 1)
    lattice = [np.diff([-1, *bar, STEPS + K - 1]) - 1 for bar in bars]
    shares = [row / STEPS for row in lattice]
    for often, rarely in permutations(range(K), 2):
        shares += [np.eye(K)[often] * (1 - share) + np.eye(K)[rarely] * share for share in RARE]
    reactions = [(sensitivity, np.zeros(K)) for sensitivity in (*SENSITIVITIES, -MELTING)]
    reactions += [(0.0, TURN * decision) for decision in np.eye(K)]
    kinds = [(row, *reaction, -1, row) for reaction in reactions for row in shares]
    for place in range(n_temperatures if n_temperatures > 1 else 0):
        for usual, other in permutations(np.eye(K), 2):
            kinds += [(usual, 0.0, np.zeros(K), place, usual * (1 - part) + other * part) for part in ELSEWHERE]
    return _Kinds(*(np.array(part) for part in zip(*kinds, strict=True)))


@lru_cache(maxsize=KEPT)
def _log_shares(slope: int, place: int, n_temperatures: int) -> Floats:
    """(L, K) at the temperature number `place`, whose slope is the one at a position of `SLOPES`."""
    kinds, steep = _kinds(n_temperatures), SLOPES[slope]
    reacts = np.abs(kinds.sensitivity) * steep
    exponent = np.where(kinds.sensitivity < 0, 1 / (1 + reacts), 1 + reacts)
    log = np.log(kinds.shares + FLOOR) * exponent[:, None] + kinds.turn * steep
    log = np.where((kinds.place == place)[:, None], np.log(kinds.elsewhere + FLOOR), log)
    return np.asarray(log - logsumexp(log, axis=1, keepdims=True))


def _all_log_shares(slopes: Sequence[int]) -> list[Floats]:
    return [_log_shares(slope, place, len(slopes)) for place, slope in enumerate(slopes)]


def fit_population(
    counts: Ints, hottest: int, spread_evenly: float = 1.0, start: Population | None = None
) -> Population:
    """Maximum-likelihood mixture of the decisions seen so far.

    Parameters
    ----------
    counts : (P, T, K) decisions of each prompt; prompts may have unequal numbers of them.
    hottest : position of the highest temperature.
    spread_evenly : prompts' worth of weight spread evenly over all kinds. 1 keeps a small study cautious.
    start : an earlier fit of the same study, from which this one goes on.

    Returns
    -------
    Population
        A mixture of the kinds that `STEPS`, `RARE`, `SENSITIVITIES`, `MELTING`, `TURN` and `ELSEWHERE` give, fitted by
        expectation and maximisation.

    References
    ----------
    Kiefer & Wolfowitz (1956), doi:10.1214/aoms/1177728066. Laird (1978), doi:10.1080/01621459.1978.10480103
    """
    n_prompts, n_temperatures, _ = counts.shape
    table = distinct_rows(counts.reshape(n_prompts, -1))
    rows = table.rows.reshape(-1, n_temperatures, K)
    n_kinds = len(_kinds(n_temperatures).shares)
    slopes = [2] * n_temperatures if start is None else list(start.slopes)
    slopes[hottest] = 0
    weights = np.full(n_kinds, 1 / n_kinds) if start is None else start.weights
    for _ in range(FITS if start is None else 1):
        likelihood = _likelihood(rows, _all_log_shares(slopes))
        for _ in range(EM_STEPS):
            weights = weights * ((table.weights / (likelihood @ weights)) @ likelihood) + spread_evenly / n_kinds
            weights = weights / weights.sum()
        posterior = likelihood * weights
        posterior /= posterior.sum(axis=1, keepdims=True)
        posterior *= table.weights[:, None]
        for t in range(n_temperatures):
            if t != hottest:
                shares = [_log_shares(slope, t, n_temperatures) for slope in range(len(SLOPES))]
                expected = posterior.T @ rows[:, t]
                slopes[t] = int(np.argmax([(expected * log).sum() for log in shares]))
    return Population(weights, tuple(slopes))


@lru_cache(maxsize=KEPT)
def _added(slope: int, place: int, n_temperatures: int, n: int, code: int) -> Floats:
    """(L, n + 1) chance that a decision is given 0, ..., n times in n samples at one temperature."""
    share = np.exp(_log_shares(slope, place, n_temperatures)[:, [code]])
    from scipy.stats import binom

    return np.asarray(binom.pmf(np.arange(n + 1), n, share))


def chance_of_stable(population: Population, counts: Ints, left: Ints, threshold: float) -> Floats:
    """Chance that the full grid's SSI reaches the threshold, for each kind of prompt; exact.

    Parameters
    ----------
    population : the kinds.
    counts : (D, T, K) decisions seen.
    left : (D, T) samples not yet taken.
    threshold : over 0.5, so that at most one decision can reach it.

    Returns
    -------
    (D, L) in [0, 1]; exactly 0 or 1 where nothing that is left can change it.
    """
    result = np.zeros((len(counts), len(population.weights)))
    groups = distinct_rows(left)
    for position, remaining in enumerate(groups.rows):
        here = np.flatnonzero(groups.index == position)
        total = int(remaining.sum())
        size = counts[here].sum(axis=(1, 2)) + total
        for code in range(K):
            need = np.ceil(threshold * size - ROUNDING).astype(int) - counts[here][:, :, code].sum(axis=1)
            reached = _at_least(population.slopes, tuple(remaining.tolist()), code)
            result[here] += reached[:, np.clip(need, 0, total + 1)].T
    return np.clip(result, 0.0, 1.0)


@lru_cache(maxsize=KEPT)
def _at_least(slopes: tuple[int, ...], remaining: tuple[int, ...], code: int) -> Floats:
    """(L, R + 2) chance that a decision is given at least 0, 1, ..., R + 1 more times in all."""
    total = sum(remaining)
    mass = np.zeros((len(_kinds(len(slopes)).shares), total + 1))
    mass[:, 0] = 1.0
    for place, (slope, n) in enumerate(zip(slopes, remaining, strict=True)):
        if n:
            added = _added(slope, place, len(slopes), n, code)
            before, mass = mass, np.zeros_like(mass)
            for k in range(n + 1):
                mass[:, k:] += before[:, : total + 1 - k] * added[:, [k]]
    tail = mass[:, ::-1].cumsum(axis=1)[:, ::-1]
    # 1, so that what is certain stays so
    return np.hstack([np.ones((len(mass), 1)), tail[:, 1:], np.zeros((len(mass), 1))])
