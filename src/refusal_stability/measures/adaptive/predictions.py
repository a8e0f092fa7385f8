"""What is left of each prompt's grid, predicted from its samples and the fitted population."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from refusal_stability.measures.adaptive.figures import Figure, figures_of, prompt_figures
from refusal_stability.measures.adaptive.population import Population
from refusal_stability.measures.adaptive.rules import States
from refusal_stability.measures.distinct import Floats, distinct_rows
from refusal_stability.measures.stability import K

DRAWS, FEWEST_DRAWS = 200, 1000  # completions of the grid: for each prompt of a state, and for each state
BLOCK = 20_000  # completions held at once


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
    # Every kind of prompt gets its share of the draws, to within one.
    n_draws = np.maximum(FEWEST_DRAWS, DRAWS * table.weights)
    block = np.cumsum(n_draws) // BLOCK
    for here in (np.flatnonzero(block == number) for number in np.unique(block)):
        # Laid out by decision: sums over a short last axis are slow.
        filled = np.repeat(counts[here].transpose(2, 1, 0), n_draws[here], axis=2).transpose(2, 1, 0)
        starts = np.cumsum(n_draws[here]) - n_draws[here]
        for row, start in zip(here, starts, strict=True):
            n = int(n_draws[row])
            kind = np.searchsorted(upto[row] / upto[row, -1], (np.arange(n) + rng.random()) / n)
            for at, remaining in enumerate(left[row].tolist()):
                if remaining:
                    filled[start : start + n, at] += rng.multinomial(remaining, shares[at][kind])
        found = prompt_figures(filled, temperatures, threshold, figures)
        mean[here] = np.add.reduceat(found, starts) / n_draws[here, None]
        found -= np.repeat(mean[here], n_draws[here], axis=0)
        variance[here] = np.add.reduceat(found**2, starts) / n_draws[here, None]
    return mean[table.index], variance[table.index]
