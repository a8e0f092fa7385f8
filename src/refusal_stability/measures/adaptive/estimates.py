"""What the full grid would have shown, estimated from adaptive samples: a prediction, corrected by the audit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t

from refusal_stability.measures.adaptive.population import Population, fit_population
from refusal_stability.measures.adaptive.rounds import Sampled
from refusal_stability.measures.adaptive.rules import States
from refusal_stability.measures.distinct import Floats, Ints, distinct_rows
from refusal_stability.measures.stability import K, below, flips, rates, ssi, ssi_pairwise, tally
from refusal_stability.records import DECISIONS

DRAWS = 60  # completions of the grid for each kind of prompt
UNLIKELY = 1e-5  # kinds of prompts this much less likely than the likeliest are not drawn from
SPREAD_EVENLY = 0.01


@dataclass(frozen=True)
class Figure:
    """A headline figure: its column, the temperature within which it is taken, and its range."""

    column: str
    temperature: float
    low: float
    high: float


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


def figures_of(temperatures: Sequence[float]) -> list[Figure]:
    """The figures that are estimated.

    Parameters
    ----------
    temperatures : T of them.

    Returns
    -------
    list of Figure
        Over the whole grid (temperature NaN), SSI within each temperature, and its change from the lowest to the
        highest, where there are two.
    """
    pooled = [Figure("mean_ssi", np.nan, 1 / K, 1.0), Figure("mean_ssi_pairwise", np.nan, 0.0, 1.0)]
    pooled += [Figure(name, np.nan, 0.0, 100.0) for name in ("pct_flipped", "pct_unstable")]
    pooled += [Figure(f"mean_{decision.word}_rate", np.nan, 0.0, 1.0) for decision in DECISIONS]
    within = [Figure("mean_ssi", temperature, 1 / K, 1.0) for temperature in temperatures]
    return [*pooled, *within, Figure("mean_difference", np.nan, -1.0, 1.0)] if len(temperatures) > 1 else pooled


def prompt_figures(counts: Ints, temperatures: Sequence[float], threshold: float) -> Floats:
    """Each figure of single prompts, whose mean over prompts is the figure.

    Parameters
    ----------
    counts : (..., T, K)
    temperatures : T of them.
    threshold : below which a prompt is unstable.

    Returns
    -------
    (..., F) as `figures_of` lists them; NaN where a prompt has no decision.
    """
    pooled = counts.sum(axis=-2)
    stability = ssi(pooled)
    there = np.where(np.isnan(stability), np.nan, 100.0)
    columns = [stability, ssi_pairwise(pooled), there * flips(pooled), there * below(stability, threshold)]
    columns += [*np.moveaxis(rates(pooled), -1, 0)]
    if len(temperatures) > 1:
        within = ssi(counts)
        columns += [*np.moveaxis(within, -1, 0)]
        columns.append(within[..., int(np.argmax(temperatures))] - within[..., int(np.argmin(temperatures))])
    return np.stack(columns, axis=-1)


def estimate_figures(
    sampled: Sampled, temperatures: Sequence[float], confidence: float, rng: np.random.Generator
) -> list[FigureEstimate]:
    """Figures of the full grid, from unequally sampled prompts.

    Each stopped prompt's figures are predicted from its samples and the fitted population. Audited prompts, which were
    drawn at random before sampling and sampled in full, show by how much the predictions are off among prompts that
    stopped with the same verdict. The mean of the predictions is corrected by that.

    Parameters
    ----------
    sampled : as `sample_by_rounds` returns it.
    temperatures : T of them.
    confidence : e.g. 0.95.
    rng : the source of randomness of the predictions.

    Returns
    -------
    list of FigureEstimate
        Without bias from stopping where there is an audit, however well the population fits. Intervals are t intervals
        over prompts; their variance is the larger of the observed one and the one that the population implies.

    References
    ----------
    Särndal, Swensson & Wretman (1992), Model Assisted Survey Sampling, ch. 6. Angelopoulos et al. (2023),
    Prediction-powered inference, doi:10.1126/science.adi6000
    """
    threshold = sampled.rule.threshold
    population = fit_population(tally(sampled.codes), sampled.design.hottest, SPREAD_EVENLY, sampled.population)
    states = sampled.as_stopped()
    mean, variance = predict(population, states, temperatures, threshold, rng)
    seen = prompt_figures(tally(sampled.codes), temperatures, threshold)
    stopped = states.left.sum(axis=1) > 0
    value = np.where(stopped[:, None], mean, seen)
    inverse = np.ones(len(stopped))
    for group in _groups(sampled, stopped):
        known = group & sampled.in_full
        if known.any():
            inverse[group] = group.sum() / known.sum()
            correction = np.where(known[:, None], (seen - mean) * inverse[:, None], 0.0)
            value = np.where(group[:, None], mean + correction, value)
    variance = np.where(stopped[:, None], variance, 0.0) * inverse[:, None]
    predicted = np.where(stopped[:, None], mean, seen)
    estimates = []
    for i, figure in enumerate(figures_of(temperatures)):
        there = ~np.isnan(value[:, i])
        n = int(there.sum())
        if n < 2:
            estimates.append(FigureEstimate(figure, *[np.nan] * 5))
            continue
        observed = value[there, i].var(ddof=1)
        implied = predicted[there, i].var(ddof=1) + variance[there, i].mean()
        half = t.isf((1 - confidence) / 2, n - 1) * np.sqrt(max(observed, implied) / n)
        centre = float(np.clip(value[there, i].mean(), figure.low, figure.high))
        low, high = max(centre - half, figure.low), min(centre + half, figure.high)
        others = (float(predicted[there, i].mean()), float(np.nanmean(seen[:, i])))
        estimates.append(FigureEstimate(figure, centre, float(low), float(high), *others))
    return estimates


def _groups(sampled: Sampled, stopped: np.ndarray) -> list[np.ndarray]:
    """Stopped prompts by verdict; all together where a verdict has too few audited prompts to speak for it."""
    groups = [stopped & (sampled.verdict == verdict) for verdict in np.unique(sampled.verdict[stopped])]
    enough = all((group & sampled.in_full).sum() >= 2 for group in groups)
    return groups if enough else [stopped]


def predict(
    population: Population, states: States, temperatures: Sequence[float], threshold: float, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Predict each prompt's figures over the full grid.

    Parameters
    ----------
    population : the fitted one.
    states : P of them.
    temperatures, threshold : as in `prompt_figures`.
    rng : the source of randomness; equal states get equal predictions.

    Returns
    -------
    mean, variance : (P, F) of the posterior predictive distribution.
    """
    n_temperatures = states.counts.shape[1]
    flat = np.column_stack([states.counts.reshape(len(states.counts), -1), states.left])
    table = distinct_rows(flat)
    counts = table.rows[:, : n_temperatures * K].reshape(-1, n_temperatures, K)
    left = table.rows[:, n_temperatures * K :]
    posterior = population.posterior(counts)
    shares = [np.exp(log) / np.exp(log).sum(axis=1, keepdims=True) for log in population.log_shares]
    n_figures = len(figures_of(temperatures))
    first, second = np.zeros((len(counts), n_figures)), np.zeros((len(counts), n_figures))
    groups = distinct_rows(left)
    for position, remaining in enumerate(groups.rows):
        drawn = np.zeros((len(population.weights), DRAWS, n_temperatures, K), dtype=np.int64)
        for at, n in enumerate(remaining.tolist()):
            if n:
                drawn[:, :, at] = rng.multinomial(n, shares[at][:, None], size=drawn.shape[:2])
        for row in np.flatnonzero(groups.index == position):
            likely = posterior[row] > posterior[row].max() * UNLIKELY
            found = prompt_figures(counts[row] + drawn[likely], temperatures, threshold)
            weight = posterior[row, likely] / posterior[row, likely].sum()
            first[row], second[row] = weight @ found.mean(axis=1), weight @ (found**2).mean(axis=1)
    return first[table.index], np.maximum(second - first**2, 0.0)[table.index]
