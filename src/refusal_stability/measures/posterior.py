"""Empirical Bayes: what a prompt's few decisions say about its true shares, given the study's other prompts."""

from __future__ import annotations

import numpy as np
from scipy.special import betaincc, gammaln, psi, zeta

from refusal_stability.measures.distinct import Floats, Ints

# Bounds: a class that was never observed, or decisions that never change, would send the maximum to 0 or infinity.
LEAST_WEIGHT, MOST_WEIGHT = 1e-3, 1e3
MOST_STEPS, SLOPE_AT_REST = 500, 1e-10
ROUNDING = 1e-14  # of the loss: a step that raises it by less may be one towards the minimum
QUADRATURE_NODES = 200


def fit_dirichlet(counts: Ints, weights: Ints) -> Floats:
    """Maximum-likelihood Dirichlet prior of Dirichlet-multinomial counts.

    A prompt decided once has the likelihood `alpha_c / sum(alpha)`, whatever the sum. It shows which decisions occur,
    not how much prompts differ. Without a prompt decided at least twice the prior is therefore not determined.

    Parameters
    ----------
    counts : (D, K) distinct count rows; rows of zeros carry no information.
    weights : (D,) how many prompts show each row.

    Returns
    -------
    (K,) the prior's weights, each within [0.001, 1000]; all NaN where no prompt has two decisions or more.

    References
    ----------
    Minka (2000), Estimating a Dirichlet distribution. Mosimann (1962), doi:10.1093/biomet/49.1-2.65
    """
    n = counts.sum(axis=1)
    if not weights[n >= 2].sum():
        return np.full(counts.shape[1], np.nan)
    shares = weights / weights.sum()
    floor, ceiling = np.log(LEAST_WEIGHT), np.log(MOST_WEIGHT)
    x = np.clip(np.log((shares @ counts + 1e-3) / (shares @ n)), floor, ceiling)
    loss, slope, curvature = _dirichlet_loss(x, counts, shares)
    damping, tried_here = 1e-2, set[float]()
    for _ in range(MOST_STEPS):
        # A weight that the data push against its bound stays there; the others take a damped Newton step.
        free = ~(((x <= floor) & (slope > 0)) | ((x >= ceiling) & (slope < 0)))
        if not free.any() or np.abs(slope[free]).max() < SLOPE_AT_REST:
            break
        # The same step from the same place: rounding is all that is left, and no further step changes anything.
        if damping in tried_here:
            break
        tried_here.add(damping)
        step = np.zeros_like(x)
        damped = curvature[np.ix_(free, free)] + damping * np.eye(int(free.sum()))
        step[free] = np.clip(np.linalg.solve(damped, -slope[free]), -2.0, 2.0)
        moved = np.clip(x + step, floor, ceiling)
        tried = _dirichlet_loss(moved, counts, shares)
        if tried[0] <= loss + ROUNDING * abs(loss):
            if (moved != x).any():
                tried_here.clear()
            x, damping = moved, damping / 10
            loss, slope, curvature = tried
        else:
            damping *= 10
    return np.asarray(np.exp(x), dtype=np.float64)


def _dirichlet_loss(x: Floats, counts: Ints, shares: Floats) -> tuple[float, Floats, Floats]:
    """Minus the mean log likelihood at log weights `x`, its gradient and its Hessian."""
    alpha = np.exp(x)
    total, n = alpha.sum(), counts.sum(axis=1)
    value = gammaln(total) - gammaln(total + n) + (gammaln(alpha + counts) - gammaln(alpha)).sum(axis=1)
    common = shares @ (psi(total) - psi(total + n))
    own = shares @ (psi(alpha + counts) - psi(alpha))
    slope = -(common + own) * alpha
    # zeta(2, x) is the derivative of psi
    common_curve = shares @ (zeta(2, total) - zeta(2, total + n))
    own_curve = shares @ (zeta(2, alpha + counts) - zeta(2, alpha))
    curvature = -(common_curve * np.outer(alpha, alpha) + np.diag(own_curve * alpha**2)) + np.diag(slope)
    return -float(shares @ value), slope, curvature


def p_below(counts: Ints, prior: Floats, threshold: float) -> Floats:
    """Posterior chance that a prompt's true majority share is below the threshold.

    With `theta ~ Dirichlet(prior + counts)`, `P(max_c theta_c < threshold)`. From 1/2 on at most one share can reach
    the threshold, so the chances of the Beta marginals add up; below 1/2 the chance that two do is subtracted.

    Parameters
    ----------
    counts : (D, K)
    prior : (K,) as fitted by `fit_dirichlet`.
    threshold : over 1/3.

    Returns
    -------
    (D,) in [0, 1]; for a row of zeros it is the prior's own chance. NaN where the prior is.
    """
    after = counts + prior
    total = after.sum(axis=1, keepdims=True)
    reached = np.asarray(betaincc(after, total - after, threshold), dtype=np.float64).sum(axis=1)
    if threshold < 0.5:
        k = counts.shape[1]
        reached -= sum(_two_reach(after[:, i], after[:, j], total[:, 0], threshold) for i in range(k) for j in range(i))
    return np.asarray(np.clip(1 - reached, 0.0, 1.0), dtype=np.float64)


def _two_reach(a: Floats, b: Floats, total: Floats, threshold: float) -> Floats:
    """P(theta_a and theta_b both reach the threshold): one Beta marginal times the other's conditional, integrated."""
    from scipy.stats import beta

    nodes, node_weights = np.polynomial.legendre.leggauss(QUADRATURE_NODES)
    x = threshold + (1 - 2 * threshold) * (nodes + 1) / 2
    density = beta.pdf(x, a[:, None], (total - a)[:, None])
    rest = np.maximum(total - a - b, 1e-12)
    conditional = beta.sf(threshold / (1 - x), b[:, None], rest[:, None])
    return np.asarray((density * conditional) @ node_weights * (1 - 2 * threshold) / 2, dtype=np.float64)
