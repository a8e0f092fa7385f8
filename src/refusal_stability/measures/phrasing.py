"""How much of a decision's variance is due to phrasing and language: components among prompts of one intent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refusal_stability.measures.distinct import Floats
from refusal_stability.measures.stability import K, majority

# A level of pairs of decisions, and the component that sets its pairs apart from those of the next level inwards.
LEVELS = ("intent", "language", "phrasing", "temperature", "seed", "judge")


@dataclass(frozen=True)
class PhrasedIntents:
    """What the components need of each intent.

    Attributes
    ----------
    sums : (I, K) decisions of the intent, counted; n : (I,) their number.
    levels : names of the levels inside intents that the study has, from the outermost inwards.
    equal, pairs : (I, L) ordered pairs of decisions of each level that are equal, and all of them.
    split : (I,) whether phrasings of the intent have different majorities; NaN where fewer than two were decided.
    n_phrasings : (I,) prompts with a decision.
    """

    sums: Floats
    n: Floats
    levels: tuple[str, ...]
    equal: Floats
    pairs: Floats
    split: Floats
    n_phrasings: Floats


def phrased_intents(
    codes: NDArray[np.int8], intents: NDArray[np.object_], languages: NDArray[np.object_]
) -> PhrasedIntents:
    """Count, for each intent, how many pairs of decisions agree at each level.

    Parameters
    ----------
    codes : (P, T, S, R) decision codes, missing allowed.
    intents, languages : (P,) names; a prompt without an intent is left out.

    Returns
    -------
    PhrasedIntents
        With a level `language` where some intent has prompts in several languages, `temperature` and `seed` where the
        study has several, and `judge` where the judge has repeats. Where it has, only decisions of different repeats
        are paired, so that one judge's error, copied to equal texts, is not taken for agreement.
    """
    kept = np.flatnonzero(intents != "")
    codes, (_, of) = codes[kept], np.unique(intents[kept].astype(str), return_inverse=True)
    n_intents = int(of.max()) + 1 if len(kept) else 0
    onehot = np.stack([*(codes == code for code in range(K)), codes >= 0], axis=-1).astype(np.float64)
    by_repeat = onehot.sum(axis=(1, 2))
    own = by_repeat.sum(axis=1)  # (P, K + 1)

    def squared(sums: NDArray[Any]) -> Floats:
        """(..., K + 1) counts -> (..., 2) pairs that agree, and all pairs."""
        return np.stack([(sums[..., :K] ** 2).sum(axis=-1), sums[..., K] ** 2], axis=-1)

    def pairs_within(cells: Floats) -> Floats:
        """(P, groups, members, R, K + 1) -> (P, 2) pairs within groups, of different repeats where there are any."""
        at = cells.sum(axis=2)
        found = squared(at.sum(axis=2))
        if codes.shape[3] > 1:
            found = found - squared(at).sum(axis=2)
        return np.asarray(found.sum(axis=1))

    n_prompts, n_temperatures, n_seeds, n_repeats = codes.shape
    whole = pairs_within(onehot.reshape(n_prompts, 1, n_temperatures * n_seeds, n_repeats, K + 1))
    within = pairs_within(onehot)
    cells = pairs_within(onehot.reshape(n_prompts, n_temperatures * n_seeds, 1, n_repeats, K + 1))

    def over(groups: NDArray[np.int64], values: Floats) -> Floats:
        return np.stack([np.bincount(groups, column, n_intents) for column in values.T], axis=1)

    _, tongue = np.unique(languages[kept].astype(str), return_inverse=True)
    spoken, of_spoken = np.unique(np.column_stack([of, tongue]), axis=0, return_inverse=True)
    in_language = np.stack([np.bincount(of_spoken.ravel(), column, len(spoken)) for column in own.T], axis=1)
    sums = over(of, own)
    same_language = over(spoken[:, 0], squared(in_language))
    # A pair's level is named for what its two decisions do not share, the outermost of it.
    found = {
        "language": squared(sums) - same_language,
        "phrasing": same_language - over(of, squared(own)),
        "temperature": over(of, whole - within),
        "seed": over(of, within - cells),
        "judge": over(of, cells) if n_repeats > 1 else np.zeros((n_intents, 2)),
    }
    levels = tuple(name for name, values in found.items() if values[:, 1].sum() > 0)
    decided = own[:, K] > 0
    first, last = np.full(n_intents, K), np.full(n_intents, -1)
    own_majority = majority(own[decided, :K].astype(np.int64))[0]
    np.minimum.at(first, of[decided], own_majority)
    np.maximum.at(last, of[decided], own_majority)
    n_phrasings = np.bincount(of[decided], minlength=n_intents).astype(np.float64)
    return PhrasedIntents(
        sums[:, :K],
        sums[:, K],
        levels,
        np.stack([found[name][:, 0] for name in levels], axis=1) if levels else np.zeros((n_intents, 0)),
        np.stack([found[name][:, 1] for name in levels], axis=1) if levels else np.zeros((n_intents, 0)),
        np.where(n_phrasings > 1, (last > first).astype(np.float64), np.nan),
        n_phrasings,
    )


def agreement_by_level(found: PhrasedIntents, weights: Floats) -> Floats:
    """The share of equal pairs of decisions, from pairs of different intents inwards.

    Parameters
    ----------
    found : as `phrased_intents` gives it, for I intents and L levels.
    weights : (b, I) how often each intent counts: ones, or bootstrap resamples.

    Returns
    -------
    (b, L + 1) NaN where there is no such pair. An intent that a resample holds twice is not paired with itself.
    """
    square = weights**2
    equal = ((weights @ found.sums) ** 2).sum(axis=1) - square @ (found.sums**2).sum(axis=1)
    pairs = (weights @ found.n) ** 2 - square @ found.n**2
    with np.errstate(invalid="ignore", divide="ignore"):
        between = np.where(pairs > 0, equal / pairs, np.nan)
        return np.column_stack([between, (weights @ found.equal) / (weights @ found.pairs)])


def phrasing_components(found: PhrasedIntents, weights: Floats) -> Floats:
    """Unbiased components of the Gini variance of a decision: intent, language, phrasing, temperature, seed, judge.

    Parameters
    ----------
    found, weights : as `agreement_by_level` takes them.

    Returns
    -------
    (b, L + 2) `intent`, then one for each of `found.levels`, then their total. A level that the study does not have is
    part of the next one outwards. Negative estimates are left as they are.

    Notes
    -----
    Two decisions that share everything up to some level agree with a probability that is the sum of squared decision
    shares there. What the next level adds to it is the variance at that level. Each probability is estimated by the
    share of equal pairs, which is unbiased (a U-statistic); of a complete design the components are those of the nested
    analysis of variance.

    References
    ----------
    Hoeffding (1948), doi:10.1214/aoms/1177730196; Light & Margolin (1971), doi:10.1080/01621459.1971.10482297
    """
    agreement = np.column_stack([agreement_by_level(found, weights), np.ones(len(weights))])
    return np.column_stack([np.diff(agreement, axis=1), 1 - agreement[:, 0]])
