"""A judge's errors taken out of decision shares and pairwise agreement, through the inverse of its confusion matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refusal_stability.measures.confusion_odds import SEEN_BEFORE
from refusal_stability.measures.distinct import Floats, Ints
from refusal_stability.measures.intervals import percentile_interval
from refusal_stability.measures.stability import K

PERMUTATIONS = 2_000

LEAST_INVERTED = 20  # of each decision: the inverse of a confusion matrix is too unsure with fewer
LEAST_LABELS = 5  # of each decision, by weight: fewer say next to nothing of the judge's errors on it


def effective_labels(truth: NDArray[Any], judged: NDArray[Any], weights: Floats) -> Floats:
    """Weighted labels as a confusion matrix, each row with the number of labels that its weights are worth.

    Parameters
    ----------
    truth, judged : (n,) positions of the true decision and the judge's.
    weights : (n,) how many responses each label stands for.

    Returns
    -------
    (K, K)
        True decision (row) by the judge's (column). A row sums to `(sum w)^2 / sum w^2` over its labels (Kish 1965),
        which is their number where weights are equal. A decision that neither gives is taken to be recognised.
    """
    cells = np.zeros((K, K))
    np.add.at(cells, (truth, judged), weights)
    squares = np.bincount(truth, weights=weights**2, minlength=K)
    labelled = cells * (cells.sum(axis=1) / np.maximum(squares, 1e-300))[:, None]
    unused = (cells.sum(axis=0) == 0) & (cells.sum(axis=1) == 0)
    labelled[unused, unused] = 1e3
    return np.asarray(labelled)


def confusion_rates(labelled: Floats) -> Floats:
    """Chance of each of the judge's decisions by the true one.

    Parameters
    ----------
    labelled : (..., K, K) labels by true decision (row) and the judge's (column).

    Returns
    -------
    (..., K, K) rows sum to 1; `SEEN_BEFORE` is added to each cell first.
    """
    known = labelled + SEEN_BEFORE
    return np.asarray(known / known.sum(axis=-1, keepdims=True))


def confusion_draws(labelled: Floats, n_draws: int, rng: np.random.Generator) -> Floats:
    """Confusion matrices that the labels leave possible: draws of each row's Dirichlet posterior.

    Parameters
    ----------
    labelled : (K, K) labels by true decision (row) and the judge's (column).
    n_draws : B.
    rng : the source of randomness.

    Returns
    -------
    (B, K, K) rows sum to 1.
    """
    return np.stack([rng.dirichlet(row + SEEN_BEFORE, size=n_draws) for row in labelled], axis=1)


def corrected_shares(judged: Floats, confusion: Floats) -> Floats:
    """True decision shares from the judge's: `q C^-1`.

    Parameters
    ----------
    judged : (..., K) decision shares by the judge.
    confusion : (..., K, K) chance of the judge's decision (column) by the true one (row).

    Returns
    -------
    (..., K)
        Sums to 1. Unbiased where the confusion is known, therefore not kept within 0 and 1.

    References
    ----------
    Rogan & Gladen (1978), doi:10.1093/oxfordjournals.aje.a112510; Buonaccorsi (2010), Measurement Error, ch. 2.
    """
    return np.asarray(np.einsum("...j,...jc->...c", judged, np.linalg.pinv(confusion)))


def pairs_of(counts: Ints, squares: Ints) -> tuple[Floats, Floats]:
    """Ordered pairs of a prompt's responses, by the decisions of both.

    Parameters
    ----------
    counts : (P, K) responses with each decision.
    squares : (P, K) sum over the different texts of the squared number of responses with that text. It equals
        `counts` where every response was judged separately.

    Returns
    -------
    apart : (P, K, K) share of the pairs of two judgements with these decisions.
    copies : (P,) share of the pairs of one text. These agree, whatever the judge's errors. NaN for N < 2.
    """
    n = counts.sum(axis=1).astype(np.float64)
    pairs = np.where(n > 1, n * (n - 1), np.nan)
    both = counts[:, :, None] * counts[:, None, :] - squares[:, :, None] * np.eye(K)
    return both / pairs[:, None, None], (squares.sum(axis=1) - n) / pairs


def corrected_agreement(apart: Floats, copies: Floats, confusion: Floats) -> Floats:
    """Chance that the true decisions of two of a prompt's responses agree.

    Parameters
    ----------
    apart : (..., K, K) shares of pairs by the judge's two decisions, or their mean over prompts.
    copies : (...) share of pairs of one text, or its mean.
    confusion : (..., K, K) chance of the judge's decision (column) by the true one (row).

    Returns
    -------
    (...)
        `copies + tr(C^-T M C^-1)`. Exactly unbiased where the confusion is known and errors are independent given the
        true decisions. Not kept within 0 and 1. With a faultless judge it is `ssi_pairwise`.
    """
    inverse = np.linalg.pinv(confusion)
    return np.asarray(copies + np.einsum("...ic,...ij,...jc->...", inverse, apart, inverse))


def agreement_interval(
    apart: Floats, copies: Floats, labelled: Floats, n_draws: int, confidence: float, rng: np.random.Generator
) -> tuple[float, float, float]:
    """Mean corrected agreement with its interval: prompts are resampled, and the confusion is drawn anew each time.

    Parameters
    ----------
    apart, copies : (P, K, K) and (P,) as `pairs_of` gives them.
    labelled : (K, K) labels by true decision (row) and the judge's (column).
    n_draws : B.
    confidence : e.g. 0.95.
    rng : the source of randomness.

    Returns
    -------
    estimate, low, high
        NaN where no prompt has two responses.
    """
    known = ~np.isnan(copies)
    n = int(known.sum())
    if not n:
        return np.nan, np.nan, np.nan
    cells = np.column_stack([apart[known].reshape(n, K * K), copies[known]])
    means = rng.multinomial(n, np.full(n, 1 / n), size=n_draws) @ cells / n
    drawn = corrected_agreement(means[:, :-1].reshape(-1, K, K), means[:, -1], confusion_draws(labelled, n_draws, rng))
    own = cells.mean(axis=0)
    estimate = float(corrected_agreement(own[:-1].reshape(K, K), own[-1], confusion_rates(labelled)))
    low, high = percentile_interval(drawn[:, None], confidence, n)
    return estimate, float(low[0]), float(high[0])


def errors_together(
    prompts: NDArray[Any], truth: NDArray[Any], wrong: NDArray[np.bool_], rng: np.random.Generator
) -> tuple[int, float, float]:
    """Do errors come in clusters? Pairs of one prompt's labelled responses that are both misjudged.

    Parameters
    ----------
    prompts : (n,) each labelled response's prompt.
    truth : (n,) its true decision.
    wrong : (n,) whether the judge missed it.
    rng : the source of randomness.

    Returns
    -------
    observed : pairs of one prompt that are both misjudged.
    expected : their mean if errors are independent given the true decision: errors permuted within the true decision.
    p : one-sided permutation p-value. Small: errors cluster, and figures corrected as if they did not are too stable.
    """
    _, place = np.unique(prompts, return_inverse=True)

    def pairs(flags: NDArray[np.bool_]) -> int:
        each = np.bincount(place[flags])
        return int((each * (each - 1) // 2).sum())

    observed, drawn = pairs(wrong), []
    groups = [np.flatnonzero(truth == value) for value in np.unique(truth)]
    for _ in range(PERMUTATIONS):
        moved = wrong.copy()
        for group in groups:
            moved[group] = rng.permutation(wrong[group])
        drawn.append(pairs(moved))
    as_many = sum(value >= observed for value in drawn)
    return observed, float(np.mean(drawn)), (1 + as_many) / (1 + PERMUTATIONS)
