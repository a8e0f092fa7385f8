"""What the full grid would have shown, estimated from adaptive samples: a prediction, corrected by the audit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, norm, t

from refusal_stability.measures.adaptive.figures import Figure, figures_of, prompt_figures
from refusal_stability.measures.adaptive.population import Population, fit_population
from refusal_stability.measures.adaptive.rounds import Sampled
from refusal_stability.measures.adaptive.rules import States
from refusal_stability.measures.distinct import Floats, distinct_rows
from refusal_stability.measures.stability import K, tally

DRAWS, FEWEST_DRAWS = 200, 1000  # completions of the grid: for each prompt of a state, and for each state
SPREAD_EVENLY = 0.01
FEW = 5  # a figure that rests on fewer prompts gets the interval of a share


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
    stopped : (P,) whether samples are left.
    mean : (P, F) what is expected; what was seen where nothing is left.
    value : (P, F) the same, corrected by the audit. Its mean over any prompts is unbiased, single ones mean nothing.
    variance : (P, F) how uncertain the prediction makes a prompt's `value`.
    seen : (P, F) figures of the samples as they are.
    model : (P, F) the prediction, also of the audited prompts.
    """

    figures: Sequence[Figure]
    stopped: NDArray[np.bool_]
    mean: Floats
    value: Floats
    variance: Floats
    seen: Floats
    model: Floats


def estimate_prompts(
    sampled: Sampled, temperatures: Sequence[float], figures: Sequence[Figure], rng: np.random.Generator
) -> PromptEstimates:
    """Figures of each prompt's full grid.

    Each stopped prompt's figures are predicted from its samples and the fitted population. Audited prompts, which were
    drawn at random before sampling and sampled in full, show by how much the predictions are off among prompts that
    stopped with the same verdict. The predictions are corrected by that.

    Parameters
    ----------
    sampled : as `sample_by_rounds` returns it.
    temperatures : T of them.
    figures : F of them.
    rng : the source of randomness of the predictions.

    Returns
    -------
    PromptEstimates
        Where there is an audit, means are corrected for what the population gets wrong.

    References
    ----------
    Särndal, Swensson & Wretman (1992), Model Assisted Survey Sampling, ch. 6. Angelopoulos et al. (2023),
    Prediction-powered inference, doi:10.1126/science.adi6000
    """
    threshold = sampled.rule.threshold
    population = fit_population(tally(sampled.codes), sampled.design.hottest, SPREAD_EVENLY, sampled.population)
    states = sampled.as_stopped()
    predicted, variance = predict(population, states, temperatures, threshold, rng, figures)
    seen = prompt_figures(tally(sampled.codes), temperatures, threshold, figures)
    stopped = states.left.sum(axis=1) > 0
    value = np.where(stopped[:, None], predicted, seen)
    inverse = np.ones(len(stopped))
    for group in _groups(sampled, stopped):
        known = group & sampled.in_full
        if known.any():
            inverse[group] = group.sum() / known.sum()
            correction = np.where(known[:, None], (seen - predicted) * inverse[:, None], 0.0)
            value = np.where(group[:, None], predicted + correction, value)
    variance = np.where(stopped[:, None], variance, 0.0) * inverse[:, None]
    mean = np.where(stopped[:, None] & ~sampled.in_full[:, None], predicted, seen)
    model = np.where(stopped[:, None], predicted, seen)
    return PromptEstimates(figures, stopped & ~sampled.in_full, mean, value, variance, seen, model)


def mean_with_interval(
    value: Floats, model: Floats, variance: Floats, confidence: float, low: float, high: float
) -> tuple[float, float, float]:
    """The mean of one figure over prompts, with its interval.

    Parameters
    ----------
    value, model, variance : (P,) as in `PromptEstimates`; NaN where the figure is not defined.
    confidence : e.g. 0.95.
    low, high : the figure's range.

    Returns
    -------
    mean, low, high
        A t interval over prompts, whose variance is at least the mean of the observed one and the one that the
        population implies. Where the figure effectively rests on fewer than `FEW` prompts, it is Jeffreys' interval of
        a share of so many prompts. All NaN for fewer than two prompts.

    References
    ----------
    Korn & Graubard (1998), Confidence intervals for proportions with small expected number of positive counts estimated
    from survey data, Survey Methodology 24(2). Brown, Cai & DasGupta (2001), doi:10.1214/ss/1009213286
    """
    mean, error, n = _with_error(value, model, variance)
    if n < 2:
        return np.nan, np.nan, np.nan
    tail, quantile = (1 - confidence) / 2, t.isf((1 - confidence) / 2, n - 1)
    centre = float(np.clip(mean, low, high))
    bounds = [centre - quantile * error, centre + quantile * error]
    share, spread = (centre - low) / (high - low), error / (high - low)
    # One prompt of each kind is added, so that a share of 0 has a spread.
    padded = (share * n + 1) / (n + 2)
    units = min(n, padded * (1 - padded) / spread**2) if spread > 0 else n
    units *= (norm.isf(tail) / quantile) ** 2
    events = share * units
    if min(padded, 1 - padded) * units < FEW:
        least = beta.ppf(tail, events + 0.5, units - events + 0.5) if events > 0 else 0.0
        most = beta.isf(tail, events + 0.5, units - events + 0.5) if events < units else 1.0
        bounds = [low + least * (high - low), low + most * (high - low)]
    return centre, float(np.clip(bounds[0], low, centre)), float(np.clip(bounds[1], centre, high))


def p_of_no_change(value: Floats, model: Floats, variance: Floats) -> float:
    """How likely chance alone moves the mean of a difference this far from 0.

    Parameters
    ----------
    value, model, variance : (P,) as in `PromptEstimates`, of differences; NaN where the figure is not defined.

    Returns
    -------
    float
        Two-sided p of a t test with the error of `mean_with_interval`. NaN for fewer than two prompts.
    """
    mean, error, n = _with_error(value, model, variance)
    if n < 2:
        return np.nan
    return float(2 * t.sf(abs(mean) / error, n - 1)) if error > 0 else float(mean == 0)


def _with_error(value: Floats, model: Floats, variance: Floats) -> tuple[float, float, int]:
    """The mean over the prompts that have the figure, its standard error, and their number.

    The observed variance rests on the audited prompts, of which a small study has few: on its own it is too small more
    often than too large.
    """
    there = ~np.isnan(value)
    n = int(there.sum())
    if n < 2:
        return np.nan, np.nan, n
    observed = value[there].var(ddof=1)
    implied = model[there].var(ddof=1) + variance[there].mean()
    return float(value[there].mean()), float(np.sqrt(max(observed, (observed + implied) / 2) / n)), n


def estimate_figures(
    sampled: Sampled, temperatures: Sequence[float], confidence: float, rng: np.random.Generator
) -> list[FigureEstimate]:
    """Figures of the full grid, from unequally sampled prompts; see `estimate_prompts` and `mean_with_interval`.

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
    estimates = []
    for i, figure in enumerate(found.figures):
        columns = (found.value[:, i], found.model[:, i], found.variance[:, i])
        value = mean_with_interval(*columns, confidence, figure.low, figure.high)
        defined = ~np.isnan(found.value[:, i])
        others = [_mean_of_known(part[defined, i]) for part in (found.model, found.seen)]
        estimates.append(FigureEstimate(figure, *value, *others))
    return estimates


def _mean_of_known(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else np.nan


def _groups(sampled: Sampled, stopped: np.ndarray) -> list[np.ndarray]:
    """Stopped prompts by verdict; all together where a verdict has too few audited prompts to speak for it."""
    groups = [stopped & (sampled.verdict == verdict) for verdict in np.unique(sampled.verdict[stopped])]
    enough = all((group & sampled.in_full).sum() >= 2 for group in groups)
    return groups if enough else [stopped]


def predict(
    population: Population,
    states: States,
    temperatures: Sequence[float],
    threshold: float,
    rng: np.random.Generator,
    figures: Sequence[Figure] | None = None,
) -> tuple[Floats, Floats]:
    """Predict each prompt's figures over the full grid.

    Parameters
    ----------
    population : the fitted one.
    states : P of them.
    temperatures, threshold : as in `prompt_figures`.
    rng : the source of randomness; equal states get equal predictions.
    figures : F of them; None for `figures_of`.

    Returns
    -------
    mean, variance : (P, F) of the posterior predictive distribution.
    """
    n_temperatures = states.counts.shape[1]
    flat = np.column_stack([states.counts.reshape(len(states.counts), -1), states.left])
    table = distinct_rows(flat)
    counts = table.rows[:, : n_temperatures * K].reshape(-1, n_temperatures, K)
    left = table.rows[:, n_temperatures * K :]
    upto = population.posterior(counts).cumsum(axis=1)
    shares = [np.exp(log) / np.exp(log).sum(axis=1, keepdims=True) for log in population.log_shares]
    figures = figures_of(temperatures) if figures is None else figures
    mean, variance = np.zeros((len(counts), len(figures))), np.zeros((len(counts), len(figures)))
    for row, remaining in enumerate(left.tolist()):
        # Every kind of prompt gets its share of the draws, to within one.
        n_draws = max(FEWEST_DRAWS, DRAWS * int(table.weights[row]))
        kind = np.searchsorted(upto[row] / upto[row, -1], (np.arange(n_draws) + rng.random()) / n_draws)
        filled = np.repeat(counts[[row]], n_draws, axis=0)
        for at, n in enumerate(remaining):
            if n:
                filled[:, at] += rng.multinomial(n, shares[at][kind])
        found = prompt_figures(filled, temperatures, threshold, figures)
        mean[row], variance[row] = found.mean(axis=0), found.var(axis=0)
    return mean[table.index], variance[table.index]
