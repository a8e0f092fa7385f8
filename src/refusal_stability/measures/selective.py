"""Risk and coverage: how often a judge is right on what it decides itself, as the threshold of its confidence moves."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from refusal_stability.measures.distinct import Floats, Ints


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


def risk_and_coverage(
    confidence: Floats, right: NDArray[Any], weights: Floats, prompts: Ints, level: float = 0.95
) -> RiskCoverage:
    """The curve of risk and coverage.

    Parameters
    ----------
    confidence : (n,) the judge's confidence; NaN for a response that it never decides.
    right : (n,) whether its decision is that of the reference.
    weights : (n,) how many responses each stands for.
    prompts : (n,) the number of each response's prompt: responses of one prompt are right or wrong together.
    level : the confidence level of the lower bound (Wilson's, with `effective_responses`).

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
    hits = w * right[kept][order]
    decided = np.cumsum(w)[last]
    accuracy = np.cumsum(hits)[last] / decided
    effective = effective_responses(w, hits, prompts[kept][order])[last]
    return RiskCoverage(sure[last], decided / total, accuracy, wilson_low(accuracy, effective, level))


def effective_responses(weights: Floats, hits: Floats, prompts: Ints) -> Floats:
    """How many independent responses would show the accuracy of the first 1, 2, ... n responses as precisely.

    The variance of the accuracy is that of a ratio of totals over prompts. Where no response is wrong, or all are,
    nothing shows how alike the responses of a prompt are. Every prompt then counts as one.

    Parameters
    ----------
    weights : (n,) how many responses each stands for, above 0.
    hits : (n,) the same where the decision is right, else 0.
    prompts : (n,) the number of each one's prompt.

    Returns
    -------
    (n,) between Kish's effective number of prompts and that of responses.

    References
    ----------
    Kish (1965), Survey Sampling, section 8.2; the ratio's variance: Saerndal, Swensson & Wretman (1992), ch. 5.6.
    """
    total, right = np.cumsum(weights), np.cumsum(hits)
    before = [_before(values, prompts) for values in (weights, hits)]
    # Sums over prompts of squares and products of their totals: what each further response adds.
    weight2, hit2, product = (
        np.cumsum(a_before * b + b_before * a + a * b)
        for a, a_before, b, b_before in (
            (weights, before[0], weights, before[0]),
            (hits, before[1], hits, before[1]),
            (weights, before[0], hits, before[1]),
        )
    )
    accuracy = right / total
    squares = np.maximum(hit2 - 2 * accuracy * product + accuracy**2 * weight2, 0)
    n_prompts = np.cumsum(before[0] == 0)
    fewest, most = total**2 / weight2, total**2 / np.cumsum(weights**2)
    spread = accuracy * (1 - accuracy)
    known = (spread > 1e-12) & (n_prompts > 1)
    variance = np.maximum(squares, 1e-12) * n_prompts / np.maximum(n_prompts - 1, 1) / total**2
    return np.asarray(np.clip(np.where(known, spread / variance, fewest), fewest, most), dtype=np.float64)


def _before(values: Floats, prompts: Ints) -> Floats:
    """For each response, the total of the earlier ones of its prompt."""
    order = np.argsort(prompts, kind="stable")
    sums = np.cumsum(values[order]) - values[order]
    starts = np.searchsorted(prompts[order], prompts[order], side="left")
    result = np.empty_like(sums)
    result[order] = sums - sums[starts]
    return result


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
