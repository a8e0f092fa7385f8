"""Agreement between judges, and with people.

Everything is computed from confusion matrices or counts summed over prompts, so resampling prompts is cheap. Every
function takes one confusion matrix or many along leading axes (one per bootstrap resample). Rows are the first judge's
decisions, columns the second's.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from refusal_stability.measures.distinct import Floats, Ints
from refusal_stability.measures.stability import K


def confusion(first: NDArray[np.int8], second: NDArray[np.int8], k: int = K) -> Ints:
    """Confusion matrix of each prompt, over its responses that both judges decided.

    Parameters
    ----------
    first, second : (P, ...) decision codes of one common shape, negative where there is none.
    k : number of decisions.

    Returns
    -------
    (P, k, k) counts; rows are the first judge's decisions, columns the second's.
    """
    both = (first >= 0) & (second >= 0)
    prompt = np.broadcast_to(np.arange(len(first)).reshape(-1, *[1] * (first.ndim - 1)), first.shape)
    keys = (prompt[both] * k + first[both]) * k + second[both]
    return np.bincount(keys, minlength=len(first) * k * k).reshape(-1, k, k)


def raw_agreement(matrix: Floats | Ints) -> Floats:
    """Share of responses decided alike.

    Parameters
    ----------
    matrix : (..., k, k) confusion matrices.

    Returns
    -------
    (...) in [0, 1]; NaN for an empty matrix.
    """
    with np.errstate(invalid="ignore"):
        return np.asarray(np.trace(matrix, axis1=-2, axis2=-1) / matrix.sum(axis=(-2, -1)), dtype=np.float64)


def cohens_kappa(matrix: Floats | Ints) -> Floats:
    """Cohen's kappa, unweighted: `(p_o - p_e) / (1 - p_e)`.

    Parameters
    ----------
    matrix : (..., k, k)

    Returns
    -------
    (...) at most 1; NaN for an empty matrix, and where both judges always give the same decision.

    References
    ----------
    Cohen (1960), doi:10.1177/001316446002000104
    """
    total = matrix.sum(axis=(-2, -1))
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = (matrix.sum(axis=-1) * matrix.sum(axis=-2)).sum(axis=-1) / total.astype(np.float64) ** 2
        kappa = (raw_agreement(matrix) - expected) / (1 - expected)
    return np.where(expected < 1, kappa, np.nan)


def precision_recall_f1(matrix: Floats | Ints) -> tuple[Floats, Floats, Floats]:
    """Precision, recall and F1 of the first judge for each decision, the second judge being the reference.

    Parameters
    ----------
    matrix : (..., k, k)

    Returns
    -------
    precision, recall, f1 : (..., k + 1); the last is the mean over the decisions that either judge made (macro
        average). Precision is NaN where the first judge never makes a decision, recall where the second never does;
        F1 is `2 hits / (made + due)`, NaN only where neither does. In the macro average a NaN beside a defined F1
        counts as 0, as scikit-learn's `zero_division=0` has it.

    References
    ----------
    van Rijsbergen (1979), Information Retrieval, ch. 7.
    """
    hits = np.diagonal(matrix, axis1=-2, axis2=-1)
    made, due = matrix.sum(axis=-1), matrix.sum(axis=-2)
    with np.errstate(invalid="ignore", divide="ignore"):
        each = [hits / made, hits / due, 2 * hits / (made + due)]
        occurs = (made + due) > 0
        n = occurs.sum(axis=-1)
        macro = [np.where(occurs, np.nan_to_num(values), 0.0).sum(axis=-1) / n for values in each]
    precision, recall, f1 = (
        np.concatenate([values, mean[..., None]], axis=-1) for values, mean in zip(each, macro, strict=True)
    )
    return precision, recall, f1


def alpha_parts(counts: Ints) -> Floats:
    """What Krippendorff's alpha needs of each unit, to be summed over units: see `krippendorff_alpha`.

    Parameters
    ----------
    counts : (D, k) how many judges gave each decision to a unit; units with fewer than two decisions count for nothing.

    Returns
    -------
    (D, k + 1) the unit's observed disagreement, then its decisions.
    """
    n = counts.sum(axis=1)
    paired = n >= 2
    differing = n**2 - (counts**2).sum(axis=1)
    observed = np.where(paired, differing / np.maximum(n - 1, 1), 0.0)
    return np.column_stack([observed, np.where(paired[:, None], counts, 0)]).astype(np.float64)


def krippendorff_alpha(totals: Floats) -> Floats:
    """Krippendorff's alpha for nominal decisions, any number of judges, missing decisions allowed.

    `1 - D_o / D_e`, with D_o the disagreement within units and D_e that of decisions paired at random.

    Parameters
    ----------
    totals : (..., k + 1) `alpha_parts` summed over units.

    Returns
    -------
    (...) at most 1; NaN without units that two judges decided, and where only one decision occurs.

    References
    ----------
    Krippendorff (2011), Computing Krippendorff's Alpha-Reliability. Hayes & Krippendorff (2007),
    doi:10.1080/19312450709336664
    """
    observed, decisions = totals[..., 0], totals[..., 1:]
    n = decisions.sum(axis=-1)
    chance = n**2 - (decisions**2).sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(chance > 0, 1 - (n - 1) * observed / chance, np.nan)
