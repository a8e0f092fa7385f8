"""Which prompts will flip? Instability predicted from a prompt's words, structure and category."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import rankdata

from refusal_stability.measures.distinct import Floats
from refusal_stability.records import StudyError

FOLDS = 10
LEAST_EVENTS = FOLDS  # prompts of either kind: one for each fold
PENALTY = 3.0  # inverse, of the logistic regression; of 1, 3 and 10 the best on the published study's Llama
ROUNDING = 1e-9  # a smaller standard deviation is that of equal numbers
MINOR = 0.3  # scale of structure and category beside words of length 1
STRUCTURE = (
    "words",
    "characters",
    "lines",
    "sentences",
    "commas per word",
    "digits",
    "capitals",
    "quotes",
    "question mark",
    "letters per word",
    "ends with a mark",
)
WORDS, LENGTH, CATEGORY, TEXT = "words", "length", "category", "words, structure and category"
READ = "words, structure, category and hidden states"
PREDICTORS = (LENGTH, CATEGORY, WORDS, TEXT)

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class PromptFeatures:
    """What a predictor may know of n prompts: texts, categories, (n, width) hidden states if a model read them."""

    texts: Sequence[str]
    categories: Sequence[str]
    states: Floats | None = None

    @property
    def predictors(self) -> tuple[str, ...]:
        """Those that can be made of it; the last knows most."""
        return PREDICTORS if self.states is None else (*PREDICTORS, READ)

    def at(self, places: NDArray[np.int64]) -> PromptFeatures:
        """The same of some of the prompts."""
        return PromptFeatures(
            [self.texts[place] for place in places],
            [self.categories[place] for place in places],
            None if self.states is None else self.states[places],
        )


def structure(texts: Sequence[str]) -> Floats:
    """What a prompt looks like, whatever its words mean.

    Parameters
    ----------
    texts : n prompts.

    Returns
    -------
    (n, 11) in the order of `STRUCTURE`; numbers of words, characters and lines as `log(1 + number)`.
    """
    rows = []
    for text in texts:
        words, size = text.split(), max(len(text), 1)
        rows.append(
            [
                np.log1p(len(words)),
                np.log1p(len(text)),
                np.log1p(text.count("\n")),
                len(re.findall(r"[.!?]", text)),
                text.count(",") / max(len(words), 1),
                len(re.findall(r"\d", text)) / size,
                sum(letter.isupper() for letter in text) / size,
                '"' in text,
                "?" in text,
                sum(map(len, words)) / max(len(words), 1),
                text.rstrip()[-1:] in (".", "!", "?"),
            ]
        )
    return np.array(rows, dtype=np.float64).reshape(len(texts), len(STRUCTURE))


def auc(truth: Flags, scores: Floats) -> float:
    """Area under the ROC curve: the chance that a prompt that flips scores above one that does not.

    Parameters
    ----------
    truth : (n,) whether a prompt flips.
    scores : (n,) any score; ties count half.

    Returns
    -------
    In [0, 1]; NaN without prompts of both kinds.

    References
    ----------
    Hanley & McNeil (1982), doi:10.1148/radiology.143.1.7063747
    """
    events, others = int(truth.sum()), int((~truth).sum())
    if not events or not others:
        return float("nan")
    ranks = rankdata(scores)
    return float((ranks[truth].sum() - events * (events + 1) / 2) / (events * others))


def calibration_error(truth: Flags, chances: Floats, bins: int = 10) -> float:
    """Mean distance of predicted chances from what happened, in bins of equally many prompts.

    Parameters
    ----------
    truth : (n,) whether a prompt flips.
    chances : (n,) in [0, 1].
    bins : how many.

    Returns
    -------
    In [0, 1].
    """
    order = np.array_split(np.argsort(chances, kind="stable"), bins)
    return float(sum(abs(truth[b].sum() - chances[b].sum()) for b in order if len(b)) / len(truth))


def fit_chances(train: PromptFeatures, truth: Flags, test: PromptFeatures, predictor: str) -> Floats:
    """Fit a predictor on some prompts and apply it to others.

    Parameters
    ----------
    train, test : n and m prompts.
    truth : (n,) whether each training prompt flips.
    predictor : one of `train.predictors`.

    Returns
    -------
    (m,) chances of a flip, before they are calibrated.
    """
    from sklearn.linear_model import LogisticRegression

    sides = _columns(train, test, predictor)
    model = LogisticRegression(C=PENALTY, max_iter=3_000).fit(sides[0], truth)
    return np.asarray(model.predict_proba(sides[1])[:, 1])


def _columns(train: PromptFeatures, test: PromptFeatures, predictor: str) -> tuple[Any, Any]:
    """The features of either side, made comparable by the training side alone."""
    from scipy.sparse import csr_matrix, hstack
    from sklearn.feature_extraction.text import TfidfVectorizer

    looks = _alike(structure(train.texts), structure(test.texts))
    kinds = sorted(set(train.categories))
    sorts = _is_kind(train.categories, kinds), _is_kind(test.categories, kinds)
    if predictor == LENGTH:
        return csr_matrix(looks[0][:, :2]), csr_matrix(looks[1][:, :2])
    if predictor == CATEGORY:
        return csr_matrix(sorts[0]), csr_matrix(sorts[1])
    counter = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2, token_pattern=r"(?u)\b\w+\b")
    blocks = [(counter.fit_transform(train.texts), counter.transform(test.texts))]
    if predictor != WORDS:
        blocks += [(csr_matrix(MINOR * own), csr_matrix(MINOR * other)) for own, other in (looks, sorts)]
    first, second = (hstack([pair[side] for pair in blocks], format="csr") for side in (0, 1))
    if predictor == READ and train.states is not None and test.states is not None:
        return _rotated((first, second), _alike(train.states, test.states))
    return first, second


def _is_kind(categories: Sequence[str], kinds: Sequence[str]) -> Floats:
    """(n, k): 1 where a prompt is of the category."""
    return np.array([[c == kind for kind in kinds] for c in categories], dtype=np.float64).reshape(len(categories), -1)


def _rotated(text: tuple[Any, Any], states: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    """Text and states side by side, turned into as few columns as there are training prompts.

    The penalty is on a length, which turning leaves as it is: the fit is that of all columns. States have length 1 on
    average, as words do.
    """
    width = states[0].shape[1]
    products = [
        (side @ text[0].T).toarray() + own @ states[0].T / width for side, own in zip(text, states, strict=True)
    ]
    lengths, axes = np.linalg.eigh(products[0])
    kept = lengths > ROUNDING * lengths[-1]
    turn = axes[:, kept] / np.sqrt(lengths[kept])
    return products[0] @ turn, products[1] @ turn


def _alike(train: Floats, test: Floats) -> tuple[Floats, Floats]:
    """Both sides' features in standard deviations from the training side's mean."""
    centre, scale = train.mean(axis=0), train.std(axis=0)
    scale = np.where(scale > ROUNDING, scale, 1.0)
    return (train - centre) / scale, (test - centre) / scale


def folds_of(groups: Sequence[str], truth: Flags, seed: int) -> NDArray[np.int64]:
    """A fixed split: each group's prompts are in one fold.

    Parameters
    ----------
    groups : (n,) what must not be split: the prompt's text, or its intent.
    truth : (n,) whether a prompt flips; folds hold about equal shares.
    seed : of the split.

    Returns
    -------
    (n,) from 0 to 9.

    Raises
    ------
    StudyError
        With fewer than 10 groups of either kind.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    names = np.asarray(groups, dtype=object)
    for kind, mark in (("change their decision", truth), ("do not", ~truth)):
        if len(set(names[mark])) < LEAST_EVENTS:
            raise StudyError(
                f"predict: {len(set(names[mark]))} prompts (or intents) {kind}, fewer than {LEAST_EVENTS}; "
                "sample more prompts, or a less stable model"
            )
    folds = np.zeros(len(names), dtype=np.int64)
    splitter = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    for number, (_, held_out) in enumerate(splitter.split(names, truth, names)):
        folds[held_out] = number
    return folds


def cross_validated(
    prompts: PromptFeatures, source: Flags, target: Flags, folds: NDArray[np.int64], predictor: str
) -> Floats:
    """Calibrated chances of a flip for prompts that the predictor has not seen.

    Parameters
    ----------
    prompts : n of them.
    source : (n,) whether a prompt flips, on the model that is learned from.
    target : (n,) the same on the model that is predicted; `source` itself, or another model's for transfer.
    folds : (n,) as `folds_of` gives them.
    predictor : one of `prompts.predictors`.

    Returns
    -------
    (n,) in (0, 1). Each fold's are calibrated (Platt) on the other folds' predictions and `target`.

    References
    ----------
    Platt (1999), Probabilistic outputs for support vector machines.
    """
    raw, chances = np.zeros(len(folds)), np.zeros(len(folds))
    for fold in np.unique(folds):
        out = folds == fold
        seen, held_out = prompts.at(np.flatnonzero(~out)), prompts.at(np.flatnonzero(out))
        raw[out] = fit_chances(seen, source[~out], held_out, predictor)
    for fold in np.unique(folds):
        out = folds == fold
        chances[out] = calibrated(raw[~out], target[~out], raw[out])
    return chances


def calibrated(raw: Floats, truth: Flags, wanted: Floats) -> Floats:
    """Chances moved so that they are right on average at every level.

    Parameters
    ----------
    raw : (n,) chances of prompts whose outcome is known, predicted without it.
    truth : (n,) the outcome.
    wanted : (m,) chances to calibrate.

    Returns
    -------
    (m,) in (0, 1).
    """
    from sklearn.linear_model import LogisticRegression

    logs, asked = (logit(np.clip(chances, 1e-6, 1 - 1e-6))[:, None] for chances in (raw, wanted))
    model = LogisticRegression(C=1e3, max_iter=1_000).fit(logs, truth)
    return np.asarray(expit(model.decision_function(asked)))


def quality(truth: Flags, chances: Floats, n_resamples: int, rng: np.random.Generator) -> dict[str, Any]:
    """How good predicted chances are.

    Parameters
    ----------
    truth : (n,) whether a prompt flips.
    chances : (n,) predicted without it.
    n_resamples : bootstrap resamples of the prompts behind the interval.
    rng : the source of randomness.

    Returns
    -------
    n_prompts, n_events, auc with its 95 % interval, brier (mean squared error), brier_baseline (of the base rate) and
    calibration_error.
    """
    drawn = rng.integers(len(truth), size=(n_resamples, len(truth)))
    low, high = np.nanquantile([auc(truth[places], chances[places]) for places in drawn], [0.025, 0.975])
    rate = truth.mean()
    return {
        "n_prompts": len(truth),
        "n_events": int(truth.sum()),
        "auc": auc(truth, chances),
        "auc_low": float(low),
        "auc_high": float(high),
        "brier": float(((chances - truth) ** 2).mean()),
        "brier_baseline": float(rate * (1 - rate)),
        "calibration_error": calibration_error(truth, chances),
    }


def structure_effects(
    texts: Sequence[str], truth: Flags, n_resamples: int, rng: np.random.Generator
) -> list[dict[str, Any]]:
    """Odds ratio of a flip for one standard deviation more of each feature of structure, given the others.

    Parameters
    ----------
    texts : (n,) the prompts.
    truth : (n,) whether each flips.
    n_resamples : bootstrap resamples of the prompts behind the intervals.
    rng : the source of randomness.

    Returns
    -------
    A row for each feature that varies: feature, odds_ratio and its 95 % interval.
    """
    from sklearn.linear_model import LogisticRegression

    found = structure(texts)
    spread = found.std(axis=0)
    varies = spread > ROUNDING
    scaled = (found[:, varies] - found[:, varies].mean(axis=0)) / spread[varies]

    def ratios(places: NDArray[np.int64]) -> Floats:
        if truth[places].all() or not truth[places].any():
            return np.full(scaled.shape[1], np.nan)
        return np.asarray(np.exp(LogisticRegression(max_iter=1_000).fit(scaled[places], truth[places]).coef_[0]))

    own = ratios(np.arange(len(truth)))
    drawn = [ratios(places) for places in rng.integers(len(truth), size=(n_resamples, len(truth)))]
    low, high = np.nanquantile(drawn, [0.025, 0.975], axis=0)
    names = np.array(STRUCTURE, dtype=object)[varies]
    return [
        {
            "feature": name,
            "odds_ratio": float(own[i]),
            "odds_ratio_low": float(low[i]),
            "odds_ratio_high": float(high[i]),
        }
        for i, name in enumerate(names)
    ]
