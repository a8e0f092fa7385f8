"""What a predictor of flips may know of prompts: words, structure, category, and what a model makes of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refusal_stability.measures.distinct import Floats

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
        """The same of some of the prompts.

        Parameters
        ----------
        places : (m,) which of the n prompts, in this order.

        Returns
        -------
        m of them.
        """
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


def feature_columns(train: PromptFeatures, test: PromptFeatures, predictor: str) -> tuple[Any, Any]:
    """The features of either side, made comparable by the training side alone.

    Parameters
    ----------
    train, test : n and m prompts.
    predictor : one of `train.predictors`.

    Returns
    -------
    (n, k) and (m, k), dense or sparse.
    """
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
