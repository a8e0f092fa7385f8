"""Which prompts will flip? Instability predicted from a prompt's words, structure and category."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import rankdata

from refusal_stability.measures.distinct import Floats
from refusal_stability.measures.prompt_features import ROUNDING, STRUCTURE, PromptFeatures, feature_columns, structure
from refusal_stability.records import StudyError

FOLDS = 10
LEAST_EVENTS = FOLDS  # prompts of either kind: one for each fold
PENALTY = 3.0  # inverse, of the logistic regression; of 1, 3 and 10 the best on the published study's Llama

Flags = NDArray[np.bool_]


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

    sides = feature_columns(train, test, predictor)
    model = LogisticRegression(C=PENALTY, max_iter=3_000).fit(sides[0], truth)
    return np.asarray(model.predict_proba(sides[1])[:, 1])


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


def quality(
    truth: Flags, chances: Floats, n_resamples: int, rng: np.random.Generator, groups: Sequence[str] = ()
) -> dict[str, Any]:
    """How good predicted chances are.

    Parameters
    ----------
    truth : (n,) whether a prompt flips.
    chances : (n,) predicted without it.
    n_resamples : bootstrap resamples of the prompts behind the interval.
    rng : the source of randomness.
    groups : (n,) what prompts share that are not independent, such as their intent: a resample takes it whole. Without
        it every prompt stands alone.

    Returns
    -------
    n_prompts, n_events, auc with its 95 % interval, brier (mean squared error), brier_baseline (of the base rate) and
    calibration_error.
    """
    _, of = np.unique(np.array(groups, dtype=object).astype(str), return_inverse=True)
    members = (
        [np.flatnonzero(of == group) for group in dict.fromkeys(of)] if len(of) else np.arange(len(truth))[:, None]
    )
    drawn = rng.integers(len(members), size=(n_resamples, len(members)))
    places = (np.concatenate([members[i] for i in chosen]) for chosen in drawn)
    low, high = np.nanquantile([auc(truth[own], chances[own]) for own in places], [0.025, 0.975])
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
