"""A judge's errors as log odds against the right decision, and what labels say of them."""

from __future__ import annotations

import numpy as np

from refusal_stability.measures.distinct import Floats, Ints
from refusal_stability.measures.stability import K

SEEN_BEFORE = 0.02  # of each cell of the confusion matrix, beside the labels
OFF_DIAGONAL = ~np.eye(K, dtype=bool)
FURTHEST = 12.0  # log odds


def error_odds(rates: Floats) -> Floats:
    """Log odds of each error against the right decision.

    Parameters
    ----------
    rates : (K, K) chance of the judge's decision (column) by the true one (row).

    Returns
    -------
    (K (K - 1),) row by row, within `FURTHEST`.
    """
    odds = np.log(np.maximum(rates, 1e-300)) - np.log(np.maximum(np.diagonal(rates), 1e-300))[:, None]
    return np.asarray(np.clip(odds[OFF_DIAGONAL], -FURTHEST, FURTHEST))


def confusion_of(odds: Floats) -> Floats:
    """The confusion matrix with these log odds: the inverse of `error_odds`.

    Parameters
    ----------
    odds : (K (K - 1),).

    Returns
    -------
    (K, K) rows sum to 1.
    """
    logs = np.zeros((K, K))
    logs[OFF_DIAGONAL] = odds
    rates = np.exp(logs - logs.max(axis=1, keepdims=True))
    return np.asarray(rates / rates.sum(axis=1, keepdims=True))


def label_likelihood(known: Floats, odds: Floats) -> tuple[float, Floats, Floats]:
    """Log-likelihood of the labels, against that of their own shares.

    Parameters
    ----------
    known : (K, K) labels by true decision (row) and the judge's (column), above 0.
    odds : (K (K - 1),) log odds of the errors.

    Returns
    -------
    value : 0 at most.
    score, information : its slope, and Fisher's information.
    """
    rates, totals = confusion_of(odds), known.sum(axis=1, keepdims=True)
    value = float((known * (np.log(rates) - np.log(known / totals))).sum())
    information = np.zeros((len(odds), len(odds)))
    for t in range(K):
        some, place = rates[t, OFF_DIAGONAL[t]], slice(t * (K - 1), (t + 1) * (K - 1))
        information[place, place] = totals[t] * (np.diag(some) - np.outer(some, some))
    return value, (known - totals * rates)[OFF_DIAGONAL], information


def error_scores(counts: Ints, points: Floats, odds: Floats, chances: Floats) -> Floats:
    """Slope of each row's log-likelihood by the log odds of each error.

    Parameters
    ----------
    counts : (D, K) the judge's decisions.
    points : (G, K) true shares.
    odds : (K (K - 1),) log odds of the errors.
    chances : (D, G) posterior chance of each point, given the row.

    Returns
    -------
    (D, K (K - 1))
        The slope of `log (p C)_j` by the odds of the error (t, k) is `p_t C_tk (1[j = k] - C_tj) / (p C)_j`.
    """
    rates = confusion_of(odds)
    ratio = points[:, :, None] / (points @ rates)[:, None, :]
    parts = []
    for t in range(K):
        weighted = counts * (chances @ ratio[:, t, :])
        inner = weighted @ rates[t]
        parts += [rates[t, k] * (weighted[:, k] - inner) for k in range(K) if k != t]
    return np.column_stack(parts)
