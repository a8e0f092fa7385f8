"""Is temperature 0 deterministic, and does a judge decide the same text the same way?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from refusal_stability.measures.distinct import Floats
from refusal_stability.measures.stability import K
from refusal_stability.records import NOT_SAMPLED

Texts = NDArray[np.uint64]


def identical_and_flipped(
    texts: Texts, codes: NDArray[np.int8]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether each prompt's responses are byte-identical, and whether they got more than one decision.

    Parameters
    ----------
    texts : (P, S) numbers equal exactly for identical responses, 0 for a missing one.
    codes : (P, S) decision codes; responses that were not sampled are left out.

    Returns
    -------
    present, identical, flipped : (P,) prompts with two or more responses, all of which are there, decided or not; of
        those, the ones whose responses are all the same text; of the present ones, those with more than one decision.
        Prompts that are not present are false in all three.
    decided : (P,) present prompts with two or more decisions: only these can flip.
    """
    sampled = codes != NOT_SAMPLED
    first = np.argmax(sampled, axis=1)[:, None]
    same_text = texts == np.take_along_axis(texts, first, axis=1)
    present = (~sampled | (texts != 0)).all(axis=1) & (sampled.sum(axis=1) > 1)
    identical = present & (~sampled | same_text).all(axis=1)
    counts = np.stack([(codes == c).sum(axis=1) for c in range(K)], axis=1)
    return present, identical, present & ((counts > 0).sum(axis=1) > 1), present & (counts.sum(axis=1) > 1)


def first_of_each(texts: Texts) -> Texts:
    """Texts with later occurrences of a prompt's text removed.

    Parameters
    ----------
    texts : (P, ...) numbers equal exactly for identical responses, 0 for a missing one.

    Returns
    -------
    The same shape, with every occurrence of a text after its prompt's first set to 0, as if it were missing.
    """
    flat = texts.reshape(len(texts), -1)
    first = labels_within_rows(flat) == np.arange(flat.shape[1])
    return np.where(first, flat, 0).astype(np.uint64).reshape(texts.shape)


def exchange_totals(texts: Texts | None, codes: NDArray[np.int8]) -> Floats:
    """How one judge decided identical (prompt, response) pairs, summed for each prompt.

    Parameters
    ----------
    texts : (P, ...) numbers equal exactly for identical responses, 0 for a missing one; None takes every response to
        be a text of its own.
    codes : (P, ..., R) the judge's decisions on each response, `...` matching `texts`.

    Returns
    -------
    (P, 5) for each prompt: pairs with at least two decisions, decisions on them, how many of the pairs got more than
        one decision, ordered pairs of decisions on one pair, and how many of those differ.
    """
    n_prompts, n_repeats = len(codes), codes.shape[-1]
    if texts is None and n_repeats == 1:
        return np.zeros((n_prompts, 5))  # no response can be known to have been decided twice
    flat = codes.reshape(n_prompts, -1, n_repeats)
    cells = flat.shape[1]
    if texts is None:
        label = np.broadcast_to(np.arange(cells), (n_prompts, cells))
        there = np.ones((n_prompts, cells), dtype=bool)
    else:
        text = texts.reshape(n_prompts, cells)
        there = text != 0
        label = labels_within_rows(text)
    counts = np.zeros((n_prompts * cells, K), dtype=np.int64)
    key = (np.arange(n_prompts)[:, None] * cells + label)[:, :, None]
    for c in range(K):
        chosen = (flat == c) & there[:, :, None]
        counts[:, c] = np.bincount(np.broadcast_to(key, flat.shape)[chosen], minlength=len(counts))
    n = counts.sum(axis=1)
    twice = n >= 2
    pairs = n * (n - 1)
    differing = pairs - (counts * (counts - 1)).sum(axis=1)
    columns = [twice, np.where(twice, n, 0), twice & ((counts > 0).sum(axis=1) > 1), pairs, differing]
    return np.stack([c.reshape(n_prompts, cells).sum(axis=1) for c in columns], axis=1).astype(np.float64)


def labels_within_rows(text: Texts) -> NDArray[np.int64]:
    """For each cell, the position of the first cell of its row with an equal text.

    Parameters
    ----------
    text : (P, C)

    Returns
    -------
    (P, C) column numbers; a cell that is the first of its text holds its own.
    """
    order = np.argsort(text, axis=1, kind="stable")
    ordered = np.take_along_axis(text, order, axis=1)
    starts = np.ones_like(ordered, dtype=bool)
    starts[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    first = np.maximum.accumulate(np.where(starts, np.arange(text.shape[1]), 0), axis=1)
    labels = np.empty_like(first)
    np.put_along_axis(labels, order, np.take_along_axis(order, first, axis=1), axis=1)
    return labels
