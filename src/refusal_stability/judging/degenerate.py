"""Degenerate text: what a broken model or server writes, and no judge can decide on."""

from __future__ import annotations

import re
from itertools import chain

FEW_WORDS = 12
MANY_WORDS = 40
LONGEST_WORD = 200
FEW_SENTENCES = 2
MANY_SENTENCES = 12
SENTENCE_ENDS = re.compile(r"[.!?\n。]")
LETTER_OR_DIGIT = re.compile(r"[^\W_]")


def degenerate(text: str) -> str:
    """Why a text is degenerate: without words, or the same few words or letters over and over; empty if it is not.

    Parameters
    ----------
    text : a final answer, word for word.
    """
    return "no words" if not LETTER_OR_DIGIT.search(text) else looping(text)


def looping(text: str) -> str:
    """Why a text counts as a loop; empty if it does not."""
    words = text.split(maxsplit=MANY_WORDS)
    looped = len(words) > MANY_WORDS and len(set(words[:MANY_WORDS])) <= FEW_WORDS
    if looped and len(set(text.split())) <= FEW_WORDS:
        return "the same few words over and over"
    if len(words) == 1 and len(text) > LONGEST_WORD and len(set(text)) <= FEW_WORDS:
        return "the same few letters over and over"
    if _few_sentences(text):
        return "the same few sentences over and over"
    return ""


def _few_sentences(text: str) -> bool:
    """Whether many sentences are the same few."""
    count, start, different = 0, 0, set()
    for end in chain(map(re.Match.start, SENTENCE_ENDS.finditer(text)), (len(text),)):
        if found := text[start:end].strip():
            count += 1
            different.add(found)
            if len(different) > FEW_SENTENCES:
                return False
        start = end + 1
    return count >= MANY_SENTENCES
