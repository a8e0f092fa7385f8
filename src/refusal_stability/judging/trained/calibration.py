"""How well a classifier's probabilities match reality: Brier score, calibration error, temperature scaling."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[Any]


def softmax(logits: Floats) -> Floats:
    """Probabilities (n, k) of logits (n, k)."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


def brier_score(probabilities: Floats, truth: Codes) -> float:
    """Mean squared distance between the probabilities and the truth: `mean sum_c (p_c - [c is true])^2`.

    Parameters
    ----------
    probabilities : (n, k), rows sum to 1.
    truth : (n,) column of the true class.

    Returns
    -------
    float
        From 0 (certain and right) to 2 (certain and wrong); NaN for no rows.

    References
    ----------
    Brier (1950), doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2
    """
    if not len(truth):
        return float("nan")
    hit = np.eye(probabilities.shape[1])[truth]
    return float(((probabilities - hit) ** 2).sum(axis=1).mean())


def expected_calibration_error(probabilities: Floats, truth: Codes, bins: int = 10) -> float:
    """Mean distance between the top probability and how often it is right: `sum_b n_b / n |accuracy_b - confidence_b|`.

    Parameters
    ----------
    probabilities : (n, k), rows sum to 1.
    truth : (n,) column of the true class.
    bins : equal widths over (0, 1]; a probability on an edge belongs to the bin below it.

    Returns
    -------
    float
        From 0 to 1; NaN for no rows.

    References
    ----------
    Naeini, Cooper & Hauskrecht (2015), doi:10.1609/aaai.v29i1.9602
    """
    if not len(truth):
        return float("nan")
    top = probabilities.max(axis=1)
    right = (probabilities.argmax(axis=1) == truth).astype(np.float64)
    place = np.clip(np.ceil(top * bins).astype(int) - 1, 0, bins - 1)
    gap = np.bincount(place, weights=right - top, minlength=bins)
    return float(np.abs(gap).sum() / len(truth))


def fit_temperature(logits: Floats, truth: Codes) -> float:
    """The temperature in [0.5, 20] that makes the true classes most likely when it divides the logits.

    The lower bound keeps held-out rows without a mistake from asking for certainty.

    References
    ----------
    Guo et al. (2017), On Calibration of Modern Neural Networks, arXiv:1706.04599
    """
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        peak = scaled.max(axis=1)
        spread = peak + np.log(np.exp(scaled - peak[:, None]).sum(axis=1))
        return float((spread - scaled[np.arange(len(truth)), truth]).mean())

    best = minimize_scalar(loss, bounds=(np.log(0.5), np.log(20.0)), method="bounded")
    return float(np.exp(best.x))
