"""Intervals of estimated means, and estimates of one set of prompts brought into agreement with each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from refusal_stability.measures.distinct import Floats

AT_A_LIMIT = 0.5  # prompts added at each limit of a figure's range, as in Jeffreys' prior
SMALLEST = 1e-3  # size of the beta distribution where the predictions could be anything


@dataclass(frozen=True)
class Uncertain:
    """A mean over n prompts and its uncertainty; NaN for fewer than two prompts.

    Attributes
    ----------
    mean : the mean.
    of_prompts : variance of the mean that comes from the choice of prompts: their sample variance over n.
    of_predictions : variance of the mean that comes from predicting what was not sampled.
    df : degrees of freedom of both together.
    n : how many prompts.
    """

    mean: float
    of_prompts: float
    of_predictions: float
    df: float
    n: int

    @property
    def variance(self) -> float:
        """Of the mean."""
        return self.of_prompts + self.of_predictions


@dataclass(frozen=True)
class Estimate:
    """An estimated figure with its interval; all NaN where the figure is not defined."""

    value: float
    low: float
    high: float

    def at_most(self, other: Estimate) -> Estimate:
        """Cut off at another figure that this one cannot exceed."""
        pairs = zip(self.ends, other.ends, strict=True)
        return Estimate(*(mine if np.isnan(most) else min(mine, most) for mine, most in pairs))

    @property
    def ends(self) -> tuple[float, float, float]:
        """The value, and the lower and the upper end of its interval."""
        return self.value, self.low, self.high


def interval(found: Uncertain, confidence: float, low: float, high: float) -> Estimate:
    """The interval of a mean of values that have limits.

    Parameters
    ----------
    found : the mean and its uncertainty.
    confidence : e.g. 0.95.
    low, high : the figure's range, which no prompt exceeds.

    Returns
    -------
    Estimate
        Quantiles of a beta distribution. Its mean and variance are those of a Bayesian bootstrap of the prompts with
        half a prompt more at each limit, plus the variance of the predictions. For a share of fully sampled prompts
        this is Jeffreys' interval. It reaches further towards the limit that is further away, as skewed means need.

    References
    ----------
    Rubin (1981), The Bayesian bootstrap, doi:10.1214/aos/1176345338. Ferguson (1973), A Bayesian analysis of some
    nonparametric problems, doi:10.1214/aos/1176342360. Brown, Cai & DasGupta (2001), Interval estimation for a binomial
    proportion, doi:10.1214/ss/1009213286
    """
    if found.n < 2:
        return Estimate(np.nan, np.nan, np.nan)
    from scipy.stats import beta

    tail, n, span = (1 - confidence) / 2, found.n, high - low
    centre = float(np.clip((found.mean - low) / span, 0, 1))
    units = n + 2 * AT_A_LIMIT
    mean = (n * centre + AT_A_LIMIT) / units
    squares = found.of_prompts / span**2 * n * (n - 1) + n * (centre - mean) ** 2
    squares += AT_A_LIMIT * (mean**2 + (1 - mean) ** 2)
    variance = squares / units / (units + 1) + found.of_predictions / span**2
    size = max(mean * (1 - mean) / variance - 1, SMALLEST)
    least = float(beta.ppf(tail, mean * size, (1 - mean) * size)) if centre > 0 else 0.0
    most = float(beta.isf(tail, mean * size, (1 - mean) * size)) if centre < 1 else 1.0
    ends = (centre, min(least, centre), max(most, centre))
    return Estimate(*(low + end * span for end in ends))


def interval_of_difference(
    found: Uncertain, second: tuple[Uncertain, Estimate], first: tuple[Uncertain, Estimate]
) -> Estimate:
    """The interval of how far one mean exceeds another mean of the same prompts.

    Parameters
    ----------
    found : the mean difference, second less first.
    second, first : both means, each with its interval.

    Returns
    -------
    Estimate
        Both intervals' arms, combined with the correlation that the three variances imply. With symmetric arms this
        is the interval of a mean of paired differences.

    References
    ----------
    Newcombe (1998), doi:10.1002/(SICI)1097-0258(19981130)17:22<2635::AID-SIM954>3.0.CO;2-C. Zou & Donner (2008),
    Construction of confidence limits about effect measures, doi:10.1002/sim.3095
    """
    if found.n < 2:
        return Estimate(np.nan, np.nan, np.nan)
    (one, ends), (other, starts) = second, first
    scale = 2 * np.sqrt(one.variance * other.variance)
    shared = (one.variance + other.variance - found.variance) / scale if scale > 0 else 0.0
    shared = float(np.clip(shared, -1, 1))

    def arm(mine: float, theirs: float) -> float:
        return float(np.sqrt(max(mine**2 + theirs**2 - 2 * shared * mine * theirs, 0.0)))

    below = arm(ends.value - ends.low, starts.high - starts.value)
    above = arm(ends.high - ends.value, starts.value - starts.low)
    value = ends.value - starts.value
    return Estimate(value, value - below, value + above)


def p_of_no_change(found: Uncertain) -> float:
    """How likely chance alone moves the mean of a difference this far from 0.

    Parameters
    ----------
    found : the mean difference and its error.

    Returns
    -------
    float
        Two-sided p of a t test. NaN for fewer than two prompts.
    """
    from scipy.stats import t

    if found.n < 2:
        return np.nan
    error = np.sqrt(found.variance)
    return float(2 * t.sf(abs(found.mean) / error, found.df)) if error > 0 else float(found.mean == 0)


def in_order(estimates: Sequence[Estimate]) -> list[Estimate]:
    """Estimates of figures of which none exceeds the next, each moved as little as that needs.

    Parameters
    ----------
    estimates : in the order in which the figures rise.

    Returns
    -------
    list of Estimate
        Values and both ends by isotonic regression, which keeps every value between its ends.

    References
    ----------
    Barlow, Bartholomew, Bremner & Brunk (1972), Statistical Inference under Order Restrictions.
    """
    ends = np.array([one.ends for one in estimates])
    return list(estimates) if np.isnan(ends).any() else [Estimate(*row) for row in _rising(ends).tolist()]


def _rising(values: Floats) -> Floats:
    """Isotonic regression of each column: the lowest mean of what ends later among those of what begins earlier."""
    n = len(values)
    sums = np.vstack([np.zeros(values.shape[1]), values.cumsum(axis=0)])
    means = np.array(
        [[(sums[j + 1] - sums[i]) / (j + 1 - i) if j >= i else sums[0] for j in range(n)] for i in range(n)]
    )
    return np.array([np.max([means[i, k:].min(axis=0) for i in range(k + 1)], axis=0) for k in range(n)])


def summing_to_1(estimates: Sequence[Estimate]) -> list[Estimate]:
    """Shares that sum to 1: where some were cut off at 0, the others give way in proportion.

    Parameters
    ----------
    estimates : of shares that exhaust all cases.

    Returns
    -------
    list of Estimate
        Unchanged where they sum to 1.
    """
    total = sum(one.value for one in estimates)
    if np.isnan(total) or total <= 0 or abs(total - 1) < 1e-12:
        return list(estimates)
    moved = [one.value / total for one in estimates]
    pairs = zip(moved, estimates, strict=True)
    return [Estimate(value, min(one.low, value), max(one.high, value)) for value, one in pairs]
