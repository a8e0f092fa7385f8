"""Risk and coverage: how often a judge is right on what it decides itself, as the threshold of its confidence moves."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from refusal_stability.measures.distinct import Floats


class RiskCoverage(NamedTuple):
    """One entry for each distinct confidence, the highest first: what a judge decides that hands over all below it.

    Attributes
    ----------
    threshold : the confidence.
    coverage : the share of the responses that the judge decides.
    accuracy : how often these decisions are right.
    accuracy_low : a one-sided lower bound of `accuracy`.
    """

    threshold: Floats
    coverage: Floats
    accuracy: Floats
    accuracy_low: Floats


def risk_and_coverage(confidence: Floats, right: NDArray[Any], weights: Floats, level: float = 0.95) -> RiskCoverage:
    """The curve of risk and coverage.

    Parameters
    ----------
    confidence : (n,) the judge's confidence; NaN for a response that it never decides.
    right : (n,) whether its decision is that of the reference.
    weights : (n,) how many responses each stands for.
    level : the confidence level of the lower bound (Wilson's, with Kish's effective number of responses).

    Returns
    -------
    RiskCoverage
        Without entries where nothing is decided.
    """
    total = weights.sum()
    kept = ~np.isnan(confidence) & (weights > 0)
    order = np.argsort(-confidence[kept], kind="stable")
    sure, w = confidence[kept][order], weights[kept][order]
    # Equal confidences fall on the same side of any threshold.
    last = np.flatnonzero(np.append(sure[1:] != sure[:-1], True)) if len(sure) else np.array([], dtype=int)
    decided = np.cumsum(w)[last]
    accuracy = np.cumsum(w * right[kept][order])[last] / decided
    effective = decided**2 / np.cumsum(w**2)[last]
    return RiskCoverage(sure[last], decided / total, accuracy, wilson_low(accuracy, effective, level))


def wilson_low(share: Floats, n: Floats, level: float) -> Floats:
    """The one-sided lower end of Wilson's interval.

    Parameters
    ----------
    share, n : shares, and the numbers of trials behind them.
    level : the confidence level.

    Returns
    -------
    ndarray of the shape of `share`.
    """
    z2 = stats.norm.ppf(level) ** 2
    middle = share + z2 / (2 * n)
    spread = np.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n**2)))
    return np.asarray(np.clip((middle - spread) / (1 + z2 / n), 0, share), dtype=np.float64)


def lowest_threshold(curve: RiskCoverage, accuracy: float) -> int | None:
    """Which entry of a curve decides most and still is right this often, by the lower bound.

    Parameters
    ----------
    curve : of `risk_and_coverage`.
    accuracy : the least share of right decisions.

    Returns
    -------
    int or None
        None where no threshold reaches it.
    """
    enough = np.flatnonzero(curve.accuracy_low >= accuracy)
    return int(enough[-1]) if len(enough) else None


def at_threshold(curve: RiskCoverage, threshold: float) -> int | None:
    """The entry of what is decided at a threshold.

    Parameters
    ----------
    curve : of `risk_and_coverage`.
    threshold : what is less confident is handed over.

    Returns
    -------
    int or None
        None where nothing is decided.
    """
    decided = np.flatnonzero(curve.threshold >= threshold)
    return int(decided[-1]) if len(decided) else None
