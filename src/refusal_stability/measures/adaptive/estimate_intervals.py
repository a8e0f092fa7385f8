"""Intervals of estimated means, and estimates of one set of prompts brought into agreement with each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import beta, norm, t

from refusal_stability.measures.distinct import Floats

FEW = 5  # a figure that rests on fewer prompts gets the interval of a share


@dataclass(frozen=True)
class Uncertain:
    """A mean over n prompts, with its standard error on some degrees of freedom; NaN for fewer than two prompts."""

    mean: float
    error: float
    df: float
    n: int


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


def interval(found: Uncertain, confidence: float, low: float, high: float, of_a_share: bool = False) -> Estimate:
    """The interval of a mean.

    Parameters
    ----------
    found : the mean and its error.
    confidence : e.g. 0.95.
    low, high : the figure's range.
    of_a_share : whether the figure is a share of prompts.

    Returns
    -------
    Estimate
        A t interval. For a share of prompts, and where the figure effectively rests on fewer than `FEW` prompts, it is
        Jeffreys' interval of a share of as many prompts as would be known so well; towards the nearer limit, the wider
        of both.

    References
    ----------
    Korn & Graubard (1998), Confidence intervals for proportions with small expected number of positive counts estimated
    from survey data, Survey Methodology 24(2). Brown, Cai & DasGupta (2001), doi:10.1214/ss/1009213286. Satterthwaite
    (1946), doi:10.2307/3002019
    """
    if found.n < 2:
        return Estimate(np.nan, np.nan, np.nan)
    tail, n = (1 - confidence) / 2, found.n
    quantile = float(t.isf(tail, found.df))
    centre = float(np.clip(found.mean, low, high))
    bounds = [centre - quantile * found.error, centre + quantile * found.error]
    share, spread = (centre - low) / (high - low), found.error / (high - low)
    # One prompt of each kind is added, so that a share of 0 has a spread.
    padded = (share * n + 1) / (n + 2)
    units = min(n, padded * (1 - padded) / spread**2) if spread > 0 else n
    units *= (norm.isf(tail) / quantile) ** 2
    events = share * units
    if of_a_share or min(padded, 1 - padded) * units < FEW:
        least = beta.ppf(tail, events + 0.5, units - events + 0.5) if events > 0 else 0.0
        most = beta.isf(tail, events + 0.5, units - events + 0.5) if events < units else 1.0
        jeffreys = [low + least * (high - low), low + most * (high - low)]
        # One audited prompt stands for many, so a share that is none may look like several prompts.
        near = int(share > 0.5)
        bounds[1 - near] = jeffreys[1 - near]
        bounds[near] = (min, max)[near](bounds[near], jeffreys[near])
    return Estimate(centre, float(np.clip(bounds[0], low, centre)), float(np.clip(bounds[1], centre, high)))


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
    if found.n < 2:
        return np.nan
    return float(2 * t.sf(abs(found.mean) / found.error, found.df)) if found.error > 0 else float(found.mean == 0)


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
