"""Rounds of sampling: ask, look, stop what may stop, ask on. The same for a live model and for a complete study."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from itertools import count

import numpy as np
from numpy.typing import NDArray

from refusal_stability.measures.adaptive.audit import audited_verdicts
from refusal_stability.measures.adaptive.population import Population, fit_population
from refusal_stability.measures.adaptive.rules import (
    CERTIFIED,
    DOUBTED,
    NOT_STOPPED,
    OUT_OF_BUDGET,
    STABLE,
    UNTIL_CERTAIN,
    States,
    StoppingRule,
    weigh_states,
)
from refusal_stability.measures.decision_arrays import Codes
from refusal_stability.measures.distinct import Floats, Ints
from refusal_stability.measures.stability import tally
from refusal_stability.records import NOT_SAMPLED

ORDERS = ("turns", "hottest_first", "random")
LEAST_AUDITED = 10
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Design:
    """Which samples there are, and in which order each prompt gets them.

    Attributes
    ----------
    shape : (P, T, S).
    hottest : position of the highest temperature.
    rank : (P, T x S) when each sample of the grid is taken, from 0.
    audited : (P,) prompts that are sampled in full, chosen before anything is seen.
    """

    shape: tuple[int, int, int]
    hottest: int
    rank: Ints
    audited: Mask

    def taken(self, n: Ints) -> Mask:
        """(P, T, S) the first n[p] samples of each prompt."""
        return np.asarray((self.rank < n[:, None]).reshape(self.shape))

    def next_temperature(self, n: Ints) -> Ints:
        """(P,) position of the temperature of each prompt's sample number n[p]; -1 where all are taken."""
        last = self.rank.shape[1] - 1
        cell = np.argmax(self.rank == np.minimum(n, last)[:, None], axis=1)
        return np.where(n <= last, cell // self.shape[2], -1)


@dataclass(frozen=True)
class Sampled:
    """What adaptive sampling saw of one model under one intervention.

    Attributes
    ----------
    design : the order and the audit.
    rule : what stopped the prompts.
    codes : (P, T, S) decision codes; `NOT_SAMPLED` where no sample was taken.
    taken : (P,) samples after which the rule stopped each prompt; an audited prompt has all, whatever this says.
    verdict, reason : (P,) when the rule stopped, see `rules`.
    population : fitted to what the rule saw; the audit's further samples are left out.
    p_unstable : (P,) posterior chance that the full grid shows the prompt unstable, by which the rule stopped.
    rounds : how many there were.
    """

    design: Design
    rule: StoppingRule
    codes: Codes
    taken: Ints
    verdict: NDArray[np.int8]
    reason: NDArray[np.int8]
    population: Population
    p_unstable: Floats | None = None
    rounds: int = 0

    @property
    def spent(self) -> Ints:
        """(P,) samples of each prompt, the audit's included."""
        return np.asarray((self.codes != NOT_SAMPLED).sum(axis=(1, 2), dtype=np.int64))

    @property
    def in_full(self) -> Mask:
        """(P,) prompts of which the whole grid was sampled."""
        return np.asarray((self.codes != NOT_SAMPLED).all(axis=(1, 2)))

    def as_stopped(self) -> States:
        """What the rule had seen of each prompt when it stopped, as if no prompt were audited."""
        return states_of(self.codes, self.design, self.taken)

    @property
    def unstable_found(self) -> Mask:
        """(P,) prompts that were not passed as stable, and audited ones that turned out unstable."""
        return np.asarray((self.verdict != STABLE) | self.in_full)


def ranks(temperatures: Sequence[float], n_seeds: int, order: str, n_prompts: int, rng: np.random.Generator) -> Ints:
    """The order in which samples are taken.

    Parameters
    ----------
    temperatures : T of them.
    n_seeds : samples at each.
    order : `turns`: one sample at each temperature from hot to cold, then the next turn. Each prompt draws its seeds in
        a random order of its own at each temperature. `hottest_first`: all seeds of the highest temperature, then seed
        by seed the other temperatures from hot to cold. `random`: an order of its own for every prompt.
    n_prompts : P.
    rng : the source of the random order.

    Returns
    -------
    (P, T x n_seeds) each sample's place in the order, from 0.
    """
    n_cells = len(temperatures) * n_seeds
    if order == "random":
        return np.argsort(np.argsort(rng.random((n_prompts, n_cells)), axis=1), axis=1)
    falling = np.argsort(-np.asarray(temperatures, dtype=np.float64), kind="stable")
    if order == "turns":
        turn = np.argsort(rng.random((n_prompts, len(temperatures), n_seeds)), axis=2)
        return np.asarray(turn * len(temperatures) + np.argsort(falling)[:, None]).reshape(n_prompts, n_cells)
    hottest, *others = falling.tolist()
    cells = [hottest * n_seeds + s for s in range(n_seeds)]
    cells += [t * n_seeds + s for s in range(n_seeds) for t in others]
    return np.tile(np.argsort(cells), (n_prompts, 1))


def first_samples(n_temperatures: int, n_seeds: int) -> int:
    """How many samples every prompt gets before a rule looks.

    Parameters
    ----------
    n_temperatures, n_seeds : the grid.

    Returns
    -------
    int
        At least one at every temperature where samples come in turns.
    """
    return max(n_temperatures, min(n_seeds, max(2, n_temperatures * n_seeds // 2)))


def least_budget(design: Design, rule: StoppingRule) -> float:
    """The share of the grid that the audit and every prompt's first samples take.

    Parameters
    ----------
    design : the order and the audit.
    rule : says how many samples come first.

    Returns
    -------
    float
        Rounded up to three decimals.
    """
    opening = design.taken(np.full(design.shape[0], rule.first)) | design.audited[:, None, None]
    return float(np.ceil(1000 * opening.mean()) / 1000)


def designed(
    temperatures: Sequence[float],
    n_seeds: int,
    n_prompts: int,
    rule: StoppingRule,
    order: str,
    rng: np.random.Generator,
) -> Design:
    """Draw the audit and the order.

    Parameters
    ----------
    temperatures, n_seeds : the grid.
    n_prompts : P.
    rule : its audit is the share of prompts to draw, at least `LEAST_AUDITED` unless it is 0.
    order : see `ranks`.
    rng : the source of randomness.

    Returns
    -------
    Design
    """
    rank = ranks(temperatures, n_seeds, order, n_prompts, rng)
    wanted = max(round(rule.audit * n_prompts), LEAST_AUDITED if rule.audit else 0)
    audited = np.zeros(n_prompts, dtype=bool)
    audited[rng.permutation(n_prompts)[:wanted]] = True
    if rule.name == "full":
        audited[:] = True
    return Design((n_prompts, len(temperatures), n_seeds), int(np.argmax(temperatures)), rank, audited)


def sample_by_rounds(
    ask: Callable[[Mask], Codes],
    design: Design,
    rule: StoppingRule,
    tell: Callable[[int, int, int], None] | None = None,
    predicted: Floats | None = None,
) -> Sampled:
    """Ask in rounds until every prompt is stopped or nothing is left to ask; see `rounds_of`.

    Parameters
    ----------
    ask : takes (P, T, S) which samples to take, gives (P, T, S) codes, of which those samples are read.
    design, rule, tell, predicted : see `rounds_of`.

    Returns
    -------
    Sampled
    """
    rounds = rounds_of(design, rule, tell, predicted)
    wanted = next(rounds)
    while True:
        try:
            wanted = rounds.send(ask(wanted))
        except StopIteration as end:
            found: Sampled = end.value
            return found


def rounds_of(
    design: Design,
    rule: StoppingRule,
    tell: Callable[[int, int, int], None] | None = None,
    predicted: Floats | None = None,
) -> Generator[Mask, Codes, Sampled]:
    """Rounds, such that those of several interventions can be asked together.

    Where the audit contradicts the bound of `population`, certified prompts are asked on until nothing left can change
    the verdict.

    Parameters
    ----------
    design : the order and the audit.
    rule : when to stop.
    tell : called after each round with its number, the prompts still open and the samples taken so far.
    predicted : (P,) each prompt's chance of being unstable, predicted beforehand; NaN where there is no prediction.

    Returns
    -------
    Generator
        Yields (P, T, S) which samples to take, is sent (P, T, S) codes, of which those samples are read, and returns
        `Sampled`.
    """
    n_prompts, n_cells = design.rank.shape
    codes = np.full(design.shape, NOT_SAMPLED, dtype=np.int8)
    taken = np.full(n_prompts, min(rule.first, n_cells), dtype=np.int64)
    population: Population | None = None
    most = n_prompts * n_cells if rule.budget is None else int(rule.budget * n_prompts * n_cells)
    followed, doubted = rule, np.zeros(n_prompts, dtype=bool)
    for number in count(1):
        wanted = (design.taken(taken) | design.audited[:, None, None]) & (codes == NOT_SAMPLED)
        if wanted.any():
            codes[wanted] = (yield wanted)[wanted]
        states = replace(states_of(codes, design, taken), predicted=predicted)
        # The audit's further samples teach the population nothing: they are there to check it.
        population = fit_population(states.counts, design.hottest, start=population)
        # Every prompt is looked at again: what later samples teach may show that one stopped too soon.
        following = design.next_temperature(taken) if rule.budget is not None else None
        evidence = weigh_states(followed, states, population, following)
        going_on = np.flatnonzero(evidence.reason == NOT_STOPPED)
        spent = int((codes != NOT_SAMPLED).sum())
        if tell is not None:
            tell(number, len(going_on), spent)
        chosen = _next_prompts(going_on, evidence.information[going_on], design, taken, rule, most - spent)
        if not len(chosen):
            audit = audited_verdicts(evidence.verdict, codes, design.audited, rule.threshold)
            if followed.name == "population" and audit.contradicts(rule.alpha):
                doubted, followed = evidence.reason == CERTIFIED, replace(rule, name=UNTIL_CERTAIN)
                continue
            break
        each = max(1, -(-rule.batch // len(chosen))) if rule.budget is None else 1
        taken[chosen] = np.minimum(taken[chosen] + each, n_cells)
    assert population is not None
    reason = np.where(doubted, DOUBTED, evidence.reason)
    reason = np.where(evidence.reason == NOT_STOPPED, OUT_OF_BUDGET, reason).astype(np.int8)
    return Sampled(design, rule, codes, taken, evidence.verdict, reason, population, evidence.p_unstable, number)


def states_of(codes: Codes, design: Design, taken: Ints) -> States:
    """What the first samples of each prompt show.

    Parameters
    ----------
    codes : (P, T, S) decision codes.
    design : the order.
    taken : (P,) how many samples count.

    Returns
    -------
    States
    """
    seen = np.where(design.taken(taken), codes, NOT_SAMPLED)
    opening = np.argmin(design.rank, axis=1)
    first = codes.reshape(len(codes), -1)[np.arange(len(codes)), opening].astype(np.int64)
    return States(tally(seen), design.shape[2] - design.taken(taken).sum(axis=2, dtype=np.int64), first)


def _next_prompts(
    going_on: Ints, information: Floats, design: Design, taken: Ints, rule: StoppingRule, budget: int
) -> Ints:
    """The prompts that get samples next: all, or under a budget those of which a sample tells most."""
    if rule.budget is None:
        return going_on
    order = going_on[np.argsort(-information, kind="stable")][: rule.batch]
    costs = ~design.audited[order]
    return order[np.cumsum(costs) <= budget]
