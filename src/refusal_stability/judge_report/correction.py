"""Rates corrected by people's labels: the judge's rate on all responses, minus its error on a sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Each stratum's weight for one unseen response; a labelled response has weight 1.
UNSEEN = 0.5


def corrected_rates(judged: Floats, weights: Floats, judge: Floats, people: Floats) -> Floats:
    """Rates by prediction-powered inference on a stratified sample.

    `theta_c = mean_i f_ic + sum_s w_s (y_sc - f_sc) / N`: the judge's rate, plus the weighted mean of people minus
    judge on the sample.

    Parameters
    ----------
    judged : (k,) how many of the N responses the judge gave each decision.
    weights : (..., n) how many of these N responses each sampled item stands for; 0 where it stands for none.
    judge : (n, k) one-hot decisions of the judge on the items.
    people : (n, k) the share of the reviewers that gave each decision to the item; rows sum to 1.

    Returns
    -------
    (..., k)
        Sums to 1. Unbiased over draws of the sample, whatever the judge's errors; therefore it may leave [0, 1]. With
        weights of zero it is the judge's own rate; NaN for N = 0.

    References
    ----------
    Angelopoulos et al. (2023), Prediction-powered inference, doi:10.1126/science.adi6000; its point estimate is the
    difference estimator of survey sampling: Saerndal, Swensson & Wretman (1992), ch. 6.
    """
    n = judged.sum()
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(judged / n + weights @ (people - judge) / n)


def weighted_draws(
    strata: NDArray[Any], prior: float, n_resamples: int, rng: np.random.Generator
) -> tuple[Floats, list[str]]:
    """Bayesian bootstrap weights of every stratum's items and of one more, unseen item.

    Parameters
    ----------
    strata : (n,) the stratum of each item.
    prior : weight of the unseen item beside each item's 1, over 0.
    n_resamples : B.
    rng : the source of randomness.

    Returns
    -------
    weights : (B, n + H) the items, then the unseen item of each of the H strata; over a stratum of m items (and its
        unseen one) each row sums to m.
    names : the H strata, sorted.

    References
    ----------
    Rubin (1981), The Bayesian bootstrap, doi:10.1214/aos/1176345338
    """
    names = sorted(set(strata.tolist()))
    draws = np.zeros((n_resamples, len(strata) + len(names)))
    for place, stratum in enumerate(names):
        inside = np.flatnonzero(strata == stratum)
        shares = rng.dirichlet([*np.ones(len(inside)), prior], size=n_resamples) * len(inside)
        draws[:, inside] = shares[:, :-1]
        draws[:, len(strata) + place] = shares[:, -1]
    return draws, names


def corrected_draws(
    judged: Floats,
    items: Floats,
    people: Floats,
    weights: Floats,
    strata: NDArray[Any],
    others: Mapping[str, Floats],
    n_resamples: int,
    rng: np.random.Generator,
) -> Floats:
    """Draws of the corrected rates that show what the sample leaves open.

    A Bayesian bootstrap of the items within their strata. Each stratum has half an unseen item more: a response drawn
    each time from `others`, with a decision of people drawn from all k with equal chance. Without it, a stratum with no
    observed error, or with no item of the model in question, would claim to have no errors.
    `tests/judge_report/test_correction.py` simulates how often 95 % of the draws cover the truth.

    Parameters
    ----------
    judged : (k,) how many of the N responses the judge gave each decision.
    items : (n, k) how often the judge gave each decision to each labelled item among these N responses; zeros where
        the item is not among them.
    people : (n, k) the share of the reviewers that gave each decision to the item; rows sum to 1.
    weights : (n,) how many different responses each item stands for.
    strata : (n,) the stratum of each item.
    others : stratum -> (m, k) responses as `items` has them, that an unseen one may be.
    n_resamples : B.
    rng : the source of randomness.

    Returns
    -------
    (B, k)
        Each row sums to 1; NaN for N = 0.
    """
    k = len(judged)
    draws, names = weighted_draws(strata, UNSEEN, n_resamples, rng)
    moved = draws[:, : len(strata)] * weights @ (items.sum(axis=1, keepdims=True) * people - items)
    for place, name in enumerate(names):
        found = others[name][rng.integers(len(others[name]), size=n_resamples)]
        guess = np.eye(k)[rng.integers(k, size=n_resamples)]
        standing = draws[:, len(strata) + place] * weights[strata == name][0]
        moved += standing[:, None] * (found.sum(axis=1, keepdims=True) * guess - found)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((judged + moved) / judged.sum())
