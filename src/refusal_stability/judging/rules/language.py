"""Whether a text is in another language than English, by the library py3langid."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

# Of 192 texts in 12 other languages, English had under 0.004 each; of the English responses that people labelled, 0.4.
LEAST_PROBABILITY = 0.01
# Above this, a text of many words is English without its function words: a table, a list of names.
SURE_PROBABILITY, MANY_WORDS = 0.95, 15
FEWEST_WORDS = 3
BEGINNINGS_KEPT = 1 << 12
# In a text too short to tell, which may be a name, these words tell.
YES_AND_NO = frozenset(
    re.findall(
        r"\w+", "ja jawohl doch nein non oui si sí sì não sim nee nej nei tak nie evet hayır ya tidak да нет ano ne"
    )
)


def is_foreign(text: str, words: Sequence[str]) -> bool:
    """Whether a text is in another language than English.

    Parameters
    ----------
    text : how the text begins, in lower case; some hundred characters are enough.
    words : its words.

    Returns
    -------
    bool
        True where English has a probability under `LEAST_PROBABILITY` among some hundred languages. A text of fewer
        than three words of two letters is foreign where one of them is another language's yes or no.
    """
    if sum(len(word) > 1 for word in words) < FEWEST_WORDS:
        return not YES_AND_NO.isdisjoint(words)
    return _english(text) < LEAST_PROBABILITY


def is_english(text: str, words: Sequence[str]) -> bool:
    """Whether a text of at least fifteen words is English beyond doubt; see `is_foreign`."""
    return len(words) >= MANY_WORDS and _english(text) > SURE_PROBABILITY


@lru_cache(BEGINNINGS_KEPT)
def _english(text: str) -> float:
    """How probable English is; cached, because seeds and temperatures often share how a text begins."""
    return float(dict(_identifier().rank(text))["en"])


@cache
def _identifier() -> LanguageIdentifier:
    """The library's model, which its package holds."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
