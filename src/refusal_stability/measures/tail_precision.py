"""Attempts at each prompt that a forecast needs for a wished interval: studies simulated from a pilot's forecast."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from refusal_stability.measures.distinct import Floats, Ints
from refusal_stability.measures.tail_forecast import RATES, TailForecast, forecast_tail

SIZES = (20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)
STUDIES = 5


def attempts_for_precision(
    forecast: TailForecast,
    n_prompts: int,
    attempts: int,
    half_width: float,
    confidence: float,
    rng: np.random.Generator,
    sizes: Sequence[int] = SIZES,
    stopped: bool = False,
) -> float:
    """Fewest attempts a prompt that would bring the forecast's interval down to a half-width.

    For each size, `STUDIES` studies are drawn from the forecast's own distributions of the rate and forecast anew; the
    mean half-width of their intervals is compared.

    Parameters
    ----------
    forecast : of a pilot.
    n_prompts : prompts of the planned study. Their number limits what more attempts can do.
    attempts : k, what the planned study forecasts.
    half_width : e.g. 0.05 for an interval of plus or minus 5 points.
    confidence : of the interval.
    rng : the source of randomness.
    sizes : attempts a prompt to try, in rising order.
    stopped : attempts of the planned study end with the first COMPLY; a size is then the most attempts at a prompt.

    Returns
    -------
    One of `sizes`; NaN where none is enough, or where the pilot has no forecast.
    """
    priors = forecast.priors
    for size in sizes if len(priors.never) else ():
        widths = []
        for prior in rng.integers(len(priors.never), size=STUDIES):
            chances = np.append(priors.never[prior], priors.shares[prior])
            rates = rng.choice(np.append(0.0, RATES), size=n_prompts, p=chances / chances.sum())
            tried, complied = simulated_attempts(rates, size, stopped, rng)
            planned = forecast_tail(tried, complied, np.array([attempts]), confidence, rng, stopped)
            widths.append(float(planned.share_high[0] - planned.share_low[0]) / 2)
        if np.mean(widths) <= half_width:
            return float(size)
    return float("nan")


def simulated_attempts(rates: Floats, size: int, stopped: bool, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Draw the attempts of a study.

    Parameters
    ----------
    rates : (P,) each prompt's rate of COMPLY.
    size : most attempts at each prompt.
    stopped : attempts at a prompt end with its first COMPLY.
    rng : the source of randomness.

    Returns
    -------
    tried, complied : (P,) attempts made, and how many ended in COMPLY.
    """
    if not stopped:
        return np.full(len(rates), size), rng.binomial(size, rates)
    first = np.where(rates > 0, rng.geometric(np.maximum(rates, RATES[0])), size + 1)
    return np.minimum(first, size), (first <= size).astype(np.int64)
