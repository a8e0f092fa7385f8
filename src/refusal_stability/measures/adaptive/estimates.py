"""What the full grid would have shown, estimated from adaptive samples: a prediction, corrected by the audit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from refusal_stability.measures.adaptive.estimate_intervals import (
    Estimate,
    Uncertain,
    in_order,
    interval,
    interval_of_difference,
    summing_to_1,
)
from refusal_stability.measures.adaptive.figures import SIDES, Figure, figures_of, prompt_figures
from refusal_stability.measures.adaptive.population import fit_population
from refusal_stability.measures.adaptive.predictions import predict
from refusal_stability.measures.adaptive.rounds import Mask, Sampled
from refusal_stability.measures.distinct import Floats, Ints
from refusal_stability.measures.stability import tally
from refusal_stability.records import DECISIONS

SPREAD_EVENLY = 0.01
IMPLIED = 10  # audited prompts' worth of what the population says of its own errors
RATES = tuple(f"mean_{decision.word}_rate" for decision in DECISIONS)


@dataclass(frozen=True)
class FigureEstimate:
    """One estimated figure.

    Attributes
    ----------
    figure : which.
    value, low, high : the estimate and its interval.
    predicted : without the audit's correction.
    as_sampled : the same figure of the samples as they are, which stopping biases.
    """

    figure: Figure
    value: float
    low: float
    high: float
    predicted: float
    as_sampled: float


@dataclass(frozen=True)
class PromptEstimates:
    """What the full grid would show of each prompt.

    Attributes
    ----------
    figures : F of them.
    threshold : of SSI, where a figure names none.
    group : (P,) prompts of a group are corrected alike; -1 where no sample is left.
    known : (P,) whether the whole grid was sampled.
    mean : (P, F) what is expected; what was seen where the grid is known.
    base : (P, F) the prediction with its group's correction; what was seen where the rule took the whole grid.
    value : (P, F) `base`; what was seen where the grid is known. Its mean over the prompts is the estimate.
    error : (P, F) variance of a prompt's prediction about its corrected mean.
    doubt : (P, F) variance that the population gives to the prediction.
    doubt_df : (P, F) degrees of freedom of `error`.
    seen : (P, F) figures of the samples as they are.
    model : (P, F) the prediction without the correction.
    """

    figures: Sequence[Figure]
    threshold: float
    group: Ints
    known: Mask
    mean: Floats
    base: Floats
    value: Floats
    error: Floats
    doubt: Floats
    doubt_df: Floats
    seen: Floats
    model: Floats

    @property
    def stopped(self) -> Mask:
        """(P,) whether samples are left to take."""
        return ~self.known


def estimate_prompts(
    sampled: Sampled, temperatures: Sequence[float], figures: Sequence[Figure], rng: np.random.Generator
) -> PromptEstimates:
    """Figures of each prompt's full grid.

    Each prompt's figures are predicted from the samples after which the rule stopped it, and from the population that
    is fitted to these samples alone. Audited prompts were drawn at random before sampling, and their other samples
    enter neither the fit nor the verdicts. So they show by how much predictions are off among prompts that stopped
    with the same verdict, and all such predictions are corrected by that.

    Parameters
    ----------
    sampled : as `sample_by_rounds` returns it.
    temperatures : T of them.
    figures : F of them.
    rng : the source of randomness of the predictions.

    Returns
    -------
    PromptEstimates
        Where there is an audit, means over all prompts are unbiased, whatever the population gets wrong.

    References
    ----------
    Särndal, Swensson & Wretman (1992), Model Assisted Survey Sampling, ch. 6. Angelopoulos et al. (2023),
    Prediction-powered inference, doi:10.1126/science.adi6000
    """
    threshold, states = sampled.rule.threshold, sampled.as_stopped()
    population = fit_population(states.counts, sampled.design.hottest, SPREAD_EVENLY, sampled.population)
    predicted, variance = predict(population, states, temperatures, threshold, rng, figures)
    seen = prompt_figures(tally(sampled.codes), temperatures, threshold, figures)
    stopped, known = states.left.sum(axis=1) > 0, sampled.in_full
    model = np.where(stopped[:, None], predicted, seen)
    group = _groups(sampled.verdict, stopped, known)
    doubt = np.where(stopped[:, None], variance, 0.0)
    base, error, df = model.copy(), np.zeros_like(model), np.full_like(model, IMPLIED)
    off = np.where((known & stopped)[:, None], seen - predicted, np.nan)
    for one in range(group.max(initial=-1) + 1):
        here = group == one
        there = ~np.isnan(off[here])
        n, implied = there.sum(axis=0), doubt[here].mean(axis=0)
        correction = np.nansum(off[here], axis=0) / np.maximum(n, 1)
        squares = np.nansum((off[here] - correction) ** 2, axis=0)
        base[here] += correction
        df[here] = np.maximum(n - 1, 0) + IMPLIED
        error[here] = (squares + IMPLIED * implied) / df[here]
    value = np.where(known[:, None], seen, base)
    mean = np.where(known[:, None], seen, predicted)
    return PromptEstimates(figures, threshold, group, known, mean, base, value, error, doubt, df, seen, model)


def _groups(verdict: NDArray[np.int8], stopped: Mask, known: Mask) -> Ints:
    """Stopped prompts by verdict; all together where a verdict has too few audited prompts to speak for it."""
    codes = np.unique(verdict[stopped])
    enough = all((stopped & known & (verdict == code)).sum() >= 2 for code in codes)
    position = np.searchsorted(codes, verdict) if enough else np.zeros(len(verdict), dtype=np.int64)
    return np.where(stopped, position, -1)


def mean_over(found: Sequence[tuple[float, PromptEstimates]], at: int, among: Mask) -> Uncertain:
    """The mean of one figure over some prompts, or of its difference between two groups of the same prompts.

    Parameters
    ----------
    found : each group with its sign; predictions of two groups err independently.
    at : position of the figure.
    among : (P,) the prompts.

    Returns
    -------
    Uncertain
        Its variance is that of prompts, as predicted, and that of the audit. An audited prompt counts for itself and
        for the prompts that are corrected by it.
    """
    value = np.sum([sign * one.value[:, at] for sign, one in found], axis=0)
    base = np.sum([sign * one.base[:, at] for sign, one in found], axis=0)
    there = among & ~np.isnan(value)
    n = int(there.sum())
    if n < 2:
        return Uncertain(np.nan, np.nan, np.nan, 1.0, n)
    parts: list[tuple[float, float]] = [(float(base[there].var(ddof=1)) / n, n - 1.0)]
    for _, one in found:
        inside = there & ~one.known
        if inside.any() and not (one.known & (one.group >= 0)).any():
            parts.append((float(one.doubt[there, at].mean()) / n, float(IMPLIED)))
            continue
        for group in range(one.group.max(initial=-1) + 1):
            here = one.group == group
            audited = here & one.known & ~np.isnan(one.value[:, at])
            if not audited.any():
                continue
            weights = (there & audited) / n + (here & inside).sum() / n / audited.sum()
            first = int(np.argmax(here))
            spread = float(one.error[first, at])
            parts.append((float((weights[audited] ** 2).sum()) * spread, float(one.doubt_df[first, at])))
    total = sum(variance for variance, _ in parts)
    df = total**2 / sum(v**2 / d for v, d in parts) if total > 0 else n - 1.0
    return Uncertain(float(value[there].mean()), parts[0][0], total - parts[0][0], df, n)


def figure_estimate(found: PromptEstimates, at: int, among: Mask, confidence: float) -> Estimate:
    """One figure over some prompts, such that the figures of these prompts fit together.

    Parameters
    ----------
    found : what is estimated of each prompt.
    at : position of the figure.
    among : (P,) the prompts.
    confidence : e.g. 0.95.

    Returns
    -------
    Estimate
        Shares of unstable prompts rise with the threshold, and none exceeds the share of flipping prompts. Fewer
        prompts flip within a temperature than in the whole grid. The rates of decisions sum to 1.
    """
    figure, scope = found.figures[at], found.figures[at].temperature
    if figure.column in RATES:
        rates = [i for i, one in enumerate(found.figures) if one.column in RATES and _same(one.temperature, scope)]
        return summing_to_1([_alone(found, i, among, confidence) for i in rates])[rates.index(at)]
    chain = _chain(found, scope)
    if at not in chain:
        return _alone(found, at, among, confidence)
    estimates = in_order([_alone(found, i, among, confidence) for i in chain])
    if not np.isnan(scope):
        whole = _chain(found, np.nan)
        ceiling = in_order([_alone(found, i, among, confidence) for i in whole])[-1]
        estimates = [one.at_most(ceiling) for one in estimates]
    return estimates[chain.index(at)]


def _same(first: float, second: float) -> bool:
    return bool(first == second or (np.isnan(first) and np.isnan(second)))


def _chain(found: PromptEstimates, scope: float) -> list[int]:
    """Positions of the shares of unstable prompts within a scope, from low to high thresholds, then of the flips."""
    levels = {}
    for position, figure in enumerate(found.figures):
        if _same(figure.temperature, scope) and figure.column in ("pct_unstable", "pct_flipped"):
            level = found.threshold if np.isnan(figure.threshold) else figure.threshold
            levels[position] = level if figure.column == "pct_unstable" else np.inf
    return sorted(levels, key=lambda position: levels[position])


def _alone(found: PromptEstimates, at: int, among: Mask, confidence: float) -> Estimate:
    figure, seen = found.figures[at], found.seen[among, at]
    if figure.between:
        return _between(found, at, among, confidence)
    one = interval(mean_over([(1.0, found)], at, among), confidence, figure.low, figure.high)
    known = seen[~np.isnan(seen)]
    # Samples that are all at the limit cannot exclude it.
    if len(known) > 1 and (known == figure.high).all():
        return Estimate(one.value, one.low, figure.high)
    if len(known) > 1 and (known == figure.low).all():
        return Estimate(one.value, figure.low, one.high)
    return one


def _between(found: PromptEstimates, at: int, among: Mask, confidence: float) -> Estimate:
    """The change of a figure from one temperature to another, over the prompts that have it at both."""
    figure, there = found.figures[at], among & ~np.isnan(found.value[:, at])
    column = SIDES[figure.column]
    lower, higher = (
        next(i for i, one in enumerate(found.figures) if (one.column, one.temperature) == (column, temperature))
        for temperature in figure.between
    )
    sides = [(mean_over([(1.0, found)], i, there), _alone(found, i, there, confidence)) for i in (higher, lower)]
    return interval_of_difference(mean_over([(1.0, found)], at, there), sides[0], sides[1])


def estimate_figures(
    sampled: Sampled, temperatures: Sequence[float], confidence: float, rng: np.random.Generator
) -> list[FigureEstimate]:
    """Figures of the full grid, from unequally sampled prompts; see `estimate_prompts` and `figure_estimate`.

    Parameters
    ----------
    sampled : as `sample_by_rounds` returns it.
    temperatures : T of them.
    confidence : e.g. 0.95.
    rng : the source of randomness of the predictions.

    Returns
    -------
    list of FigureEstimate
        Those of `figures_of`.
    """
    found = estimate_prompts(sampled, temperatures, figures_of(temperatures), rng)
    every = np.ones(len(found.known), dtype=bool)
    estimates = []
    for i, figure in enumerate(found.figures):
        one = figure_estimate(found, i, every, confidence)
        defined = ~np.isnan(found.value[:, i])
        others = [_mean_of_known(part[defined, i]) for part in (found.model, found.seen)]
        estimates.append(FigureEstimate(figure, *one.ends, *others))
    return estimates


def _mean_of_known(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else np.nan
