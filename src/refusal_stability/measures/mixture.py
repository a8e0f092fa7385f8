"""Weights of a mixture of fixed densities by maximum likelihood: how often each point of a grid occurs."""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve_triangular
from scipy.optimize import nnls

from refusal_stability.measures.distinct import Floats

GAP = 0.02  # the log-likelihood that is found lies at most this far below the largest one
STRIDE = 16  # so many new points join at most in one iteration
EM_STEPS, LEAST_AT_START = 20, 1e-5
ITERATIONS = 60
SHORTEST = 1e-3  # step along a direction
REACHED = 1e-6  # part of its largest density that a row always has
FLAT = 1e-24  # curvature, of the largest, under which a point takes no step
RIDGES = (1e-10, 1e-8, 1e-6, 1e-4)


def first_weights(densities: Floats, weights: Floats) -> Floats:
    """A start for `mixture_weights`: some steps of the EM algorithm from equal weights.

    Parameters
    ----------
    densities : (D, G) of each row, at each point. A row's own scale does not matter.
    weights : (D,) how often each row occurs.

    Returns
    -------
    (G,) sums to 1.
    """
    shares = np.full(densities.shape[1], 1 / densities.shape[1])
    for _ in range(EM_STEPS):
        shares = shares * ((weights / (densities @ shares)) @ densities) / weights.sum()
    shares[shares < LEAST_AT_START] = 0
    return np.asarray(shares / shares.sum())


def mixture_weights(densities: Floats, weights: Floats, start: Floats, tilt: Floats | None = None) -> Floats:
    """Nonparametric maximum likelihood estimate of a mixing distribution on a grid, by constrained Newton steps.

    Maximises `sum_d weights_d log(densities_d @ shares) + tilt @ shares` over the simplex, a concave problem.

    Parameters
    ----------
    densities : (D, G) of each row, at each point. A row's own scale does not matter.
    weights : (D,) how often each row occurs.
    start : (G,) shares to start from.
    tilt : (G,) what a point adds per unit of its share; zero if not given.

    Returns
    -------
    (G,)
        Sums to 1; most are 0. Within `GAP` of the maximum, unless the numbers' own precision ends the search.

    References
    ----------
    Lindsay (1983), doi:10.1214/aos/1176346059; Wang (2007), On fast computation of the non-parametric maximum
    likelihood estimate of a mixing distribution, doi:10.1111/j.1467-9868.2007.00583.x.
    """
    total = weights.sum()
    tilts = np.zeros(len(start)) if tilt is None else tilt
    best = densities.argmax(axis=1)
    least = REACHED * densities.max(axis=1)

    def height(some: Floats, mixed: Floats) -> float:
        return float(weights @ np.log(np.maximum(mixed, 1e-300)) + tilts @ some)

    def reaching(some: Floats) -> tuple[Floats, Floats]:
        # A row without a density would make the next step overflow: it gets its best point.
        mixed = densities @ some
        far = mixed < least
        if far.any():
            some = some + np.bincount(best[far], weights=weights[far], minlength=len(some)) / total
            some = some / some.sum()
            mixed = densities @ some
        return some, mixed

    shares, mixed = reaching(start)
    now = height(shares, mixed)
    for _ in range(ITERATIONS):
        slope = (weights / mixed) @ densities - total + tilts - tilts @ shares
        if slope.max() < GAP:
            break
        chosen = _candidates(shares, slope)
        ratio = densities[:, chosen] / mixed[:, None]
        weighted = ratio * weights[:, None]
        curvature = ratio.T @ weighted
        # with log u ~ 1/2 - (u - 2)^2 / 2 around the present mixture, the step is a least-squares problem
        target = 2 * weighted.sum(axis=0) - total + (tilts - tilts @ shares)[chosen]
        away = -shares
        away[chosen] += _least_squares(curvature, target)
        step = 1.0
        while step > SHORTEST:
            tried = np.maximum(shares + step * away, 0.0)
            tried[tried < 1e-12] = 0
            tried /= max(tried.sum(), 1e-300)
            tried, found = reaching(tried)
            then = height(tried, found)
            if then > now:
                break
            step /= 2
        else:
            break
        gain, shares, mixed, now = then - now, tried, found, then
        if gain < GAP * 1e-3:
            break
    return shares


def _candidates(shares: Floats, slope: Floats) -> Floats:
    """Points in use, and those with the steepest slope of each of `STRIDE` parts of the grid."""
    padded = np.full(-(-len(slope) // STRIDE) * STRIDE, -np.inf)
    padded[: len(slope)] = slope
    best = padded.reshape(-1, STRIDE).argmax(axis=0) * STRIDE + np.arange(STRIDE)
    best = best[best < len(slope)]
    return np.union1d(np.flatnonzero(shares), best[slope[best] > GAP / 10])


def _least_squares(curvature: Floats, target: Floats) -> Floats:
    """The minimum of `x' curvature x / 2 - target' x` over `x >= 0`."""
    own = np.diagonal(curvature)
    # A point that explains no row has no curvature of its own, and would take a step without end.
    scale = np.where(own > FLAT * own.max(), 1 / np.sqrt(np.maximum(own, 1e-300)), 0.0)
    scaled = curvature * scale[:, None] * scale
    for ridge in RIDGES:
        try:
            lower = np.linalg.cholesky(scaled + ridge * np.eye(len(scaled)))
        except np.linalg.LinAlgError:
            continue
        return np.asarray(nnls(lower.T, solve_triangular(lower, target * scale, lower=True))[0] * scale)
    return np.zeros(len(target))
